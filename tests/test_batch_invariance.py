"""Logits of a row: those of the plain model, and bit for bit the same whatever else is in its batch."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from hardware import needs_bfloat16
from potstill.models.local.decoding import Batch, prefill_prefix
from potstill.models.local.packing import pack

SIZES = {
    "vocab_size": 300,
    "hidden_size": 128,
    "intermediate_size": 1536,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
STEPS = 70
"""More than one block of columns."""


def build(kind, key_heads):
    torch.manual_seed(0)
    config_of, model_of = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen2": (Qwen2Config, Qwen2ForCausalLM)}[kind]
    config = config_of(**SIZES, num_key_value_heads=key_heads, max_position_embeddings=1024, initializer_range=0.2)
    return model_of(config).eval()


def prompts_of(shared, own):
    """Prompts that share a number of tokens, each with a number of its own."""
    generator = torch.Generator().manual_seed(1)
    draw = lambda n: torch.randint(0, 300, (n,), generator=generator).tolist()  # noqa: E731
    common = draw(shared)
    return [common + draw(n) for n in own]


def decode(model, prompts, shared, following):
    """The logits of the first and of the following tokens of each prompt, which are given."""
    batch = Batch(model, prefill_prefix(model, prompts[0][:shared]), len(prompts))
    logits = [
        torch.cat([batch.prefill(prompts[:2]), batch.prefill(prompts[2:])] if prompts[2:] else [batch.prefill(prompts)])
    ]
    logits += [batch.step([tokens[step] for tokens in following]) for step in range(len(following[0]))]
    return torch.stack(logits, 1)


@pytest.mark.parametrize(("kind", "key_heads", "shared"), [("llama", 2, 70), ("llama", 4, 0), ("qwen2", 1, 64)])
def test_logits_are_those_of_the_plain_model(kind, key_heads, shared):
    """With prompts on both sides of a block, and one of more tokens than are computed together."""
    model, prompts = build(kind, key_heads), prompts_of(shared, [300, 58, 59, 1])
    following = prompts_of(0, [STEPS] * 4)
    actual = decode(model, prompts, shared, following)
    with torch.inference_mode():
        for row, prompt in enumerate(prompts):
            expected = model(torch.tensor([prompt + following[row]]), use_cache=False).logits[0, len(prompt) - 1 :]
            torch.testing.assert_close(actual[row], expected, rtol=1e-3, atol=1e-3)


@needs_bfloat16
@pytest.mark.parametrize(("kind", "key_heads", "shared"), [("llama", 2, 70), ("llama", 4, 0), ("qwen2", 1, 64)])
def test_no_bit_in_bfloat16_depends_on_the_batch(kind, key_heads, shared):
    model, prompts = build(kind, key_heads).to(torch.bfloat16), prompts_of(shared, [90, 58, 59, 1])
    pack(model)
    following = prompts_of(0, [STEPS] * 4)
    together = decode(model, prompts, shared, following)
    for row, prompt in enumerate(prompts):
        alone = decode(model, [prompt], len(prompt) - 1, [following[row]])
        assert torch.equal(together[row], alone[0]), row


def test_rows_that_leave_and_join_change_no_other():
    model, prompts = build("llama", 2), prompts_of(70, [10, 80, 5, 40])
    following = prompts_of(0, [STEPS] * 4)
    expected = decode(model, prompts, 70, following)
    batch = Batch(model, prefill_prefix(model, prompts[0][:70]), 3)
    batch.prefill(prompts[:3])
    for step in range(3):
        batch.step([following[row][step] for row in range(3)])
    assert batch.drop([0]) == [2, 1]
    joined = batch.prefill(prompts[3:])
    torch.testing.assert_close(joined[0], expected[3, 0], rtol=1e-3, atol=1e-3)
    for step in range(STEPS - 3):
        logits = batch.step([following[2][step + 3], following[1][step + 3], following[3][step]])
    for row, (of, at) in enumerate([(2, STEPS), (1, STEPS), (3, STEPS - 3)]):
        torch.testing.assert_close(logits[row], expected[of, at], rtol=1e-3, atol=1e-3)
