"""Which models are related: a judge prefers answers of its own family (Li et al. 2025, arXiv 2502.01534)."""

import re

_FAMILIES = {
    "gpt": r"gpt|chatgpt|o[1345](?=-|$)|davinci",
    "claude": r"claude",
    "gemini": r"gemini|gemma",
    "llama": r"llama|codellama|vicuna|alpaca|tulu",
    "qwen": r"qwen|qwq|qvq",
    "mistral": r"mistral|mixtral|ministral|magistral|devstral|codestral|pixtral|zephyr",
    "deepseek": r"deepseek",
    "phi": r"phi",
    "smollm": r"smollm",
    "command": r"command|aya",
    "glm": r"chatglm|glm",
    "yi": r"yi",
    "falcon": r"falcon",
    "olmo": r"olmo",
    "granite": r"granite",
    "nemotron": r"nemotron",
    "kimi": r"kimi|moonshot",
    "grok": r"grok",
    "nova": r"nova",
    "internlm": r"internlm",
}
"""Families of one organisation, and the words that name their models, and models that were trained from them."""
_NAMED = {family: re.compile(rf"(?<![a-z])(?:{words})(?![a-z])") for family, words in _FAMILIES.items()}
_VARIANT = re.compile(
    r"v?\d+(?:\.\d+)*[bkm]?|\d+x\d+b|a\d+b|instruct|chat|it|base|hf|gguf|awq|gptq|mlx|fp\d+|bf16|int\d|q\d|k|s|m|preview|latest|exp|turbo|mini|"
    r"nano|micro|tiny|small|medium|large|xl|xxl|pro|flash|lite|plus|max|ultra|sft|dpo|rlhf"
)
"""Parts of a name that tell models of one family apart: version, size, tuning, number format."""


def families(model: str) -> frozenset[str]:
    """The families of a model by its name: those that it names, one that was trained from another both; otherwise its name without
    organisation, version, size and tuning.

    `meta-llama/Meta-Llama-3.1-405B-Instruct` and `hf/unsloth/llama-3.1-8b` are of the family `llama`, `gpt-4o-mini` of `gpt`,
    `DeepSeek-R1-Distill-Qwen-7B` of `deepseek` and `qwen`.
    """
    name = model.rstrip("/").split("/")[-1].casefold().removesuffix(".gguf").replace("_", "-").replace(":", "-")
    if named := frozenset(family for family, words in _NAMED.items() if words.search(name)):
        return named
    parts = [part for part in re.split(r"[-. ]+", name) if part and not _VARIANT.fullmatch(part)]
    return frozenset(["-".join(parts) or name])


def are_related(a: str, b: str) -> bool:
    """Whether two models are of one family, by their names."""
    return not families(a).isdisjoint(families(b))
