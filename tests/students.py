"""Tiny students with random weights whose chat templates have the forms of well-known families, and odd ones."""

from dataclasses import dataclass, field

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Family:
    """A chat template, its marks, those of them that the tokenizer does not call special, and the end of a turn.

    ``piecewise``: words with a prefix space, as SentencePiece has them, instead of bytes.
    """

    template: str
    marks: tuple[str, ...]
    end: str
    eos: str | None
    bos: str | None = None
    plain_marks: tuple[str, ...] = ()
    piecewise: bool = False
    refuses: frozenset[str] = field(default=frozenset())


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "{{- bos_token }}\n"
    "{%- if not date_string is defined %}{% if strftime_now is defined %}"
    '{% set date_string = strftime_now("%d %b %Y") %}{% else %}{% set date_string = "26 Jul 2024" %}{% endif %}{% endif %}\n'
    "{%- if messages[0].role == 'system' %}{% set system, rest = messages[0].content | trim, messages[1:] %}"
    "{% else %}{% set system, rest = '', messages %}{% endif %}\n"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n' + system + '<|eot_id|>' }}\n"
    "{%- for m in rest %}{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim"
    " + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% set system = messages[0].content + '\n\n' if messages[0].role == 'system' else '' %}"
    "{% for m in messages if m.role != 'system' %}{% if m.role == 'user' %}[INST] {{ system if loop.last else '' }}"
    "{{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
PHI = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
QWEN = (
    "{% for m in messages %}{% set said = m.content.split('</think>')[-1].lstrip('\n') if m.role == 'assistant' else m.content %}"
    "<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}{{ said }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
FAMILIES = {
    "chatml": Family(CHATML, ("<|im_start|>", "<|im_end|>", "<|endoftext|>"), "<|im_end|>", "<|endoftext|>"),
    "llama": Family(
        LLAMA, ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|end_of_text|>"),
        "<|eot_id|>", "<|end_of_text|>", "<|begin_of_text|>",
    ),
    "gemma": Family(
        GEMMA, ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"), "<end_of_turn>", "<eos>", "<bos>",
        piecewise=True, refuses=frozenset({"system"}),
    ),
    "mistral": Family(MISTRAL, ("<s>", "</s>", "[INST]", "[/INST]"), "</s>", "</s>", "<s>", piecewise=True),
    "phi": Family(
        PHI, ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"), "<|end|>", "<|endoftext|>",
        plain_marks=("<|user|>", "<|assistant|>", "<|end|>"),
    ),
    "qwen": Family(
        QWEN, ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>"), "<|im_end|>", "<|endoftext|>",
        plain_marks=("<think>", "</think>"),
    ),
    "no end token": Family(CHATML, ("<|im_start|>", "<|im_end|>"), "<|im_end|>", None),
    "no end at all": Family("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", (), "", None),
    "no template": Family("", ("</s>",), "</s>", "</s>"),
    "dated": Family("Today: {{ strftime_now('%Y-%m-%d %H:%M') }}\n" + CHATML, ("<|im_start|>", "<|im_end|>"), "<|im_end|>", "<|im_end|>"),
}  # fmt: skip
REAL = ("chatml", "llama", "gemma", "mistral", "phi", "qwen")


def tokenizer_of(family):
    """Bytes, or characters with a prefix space at the start of a text, and the family's marks."""
    one = FAMILIES[family]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    if one.piecewise:
        letters = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
    vocab = {text: i for i, text in enumerate([*letters, *one.marks])}
    if one.piecewise:
        inner = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True))
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    else:
        inner = Tokenizer(models.BPE(vocab=vocab, merges=[]))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
    for mark in one.marks:
        added = AddedToken(mark, normalized=False, special=mark not in one.plain_marks)
        inner.add_special_tokens([added]) if added.special else inner.add_tokens([added])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=one.eos, bos_token=one.bos, chat_template=one.template or None
    )


def save(family, folder, vocabulary=None):
    """Write a student of a family into a folder, whose generation config knows the tokenizer's end token alone."""
    tokenizer = tokenizer_of(family)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary or len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048, eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
