"""Which models are of one family, by their names."""

import pytest

from potstill.models.families import are_related, families


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("llama-3.1-8b", "meta-llama/Meta-Llama-3.1-405B-Instruct"),
        ("hf/unsloth/Llama-3.2-1B-Instruct-bnb-4bit", "codellama/CodeLlama-7b-hf"),
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("openai/gpt-5", "o3-mini"),
        ("openai/gpt-oss-20b", "chatgpt-4o-latest"),
        ("packaged/qwen2.5-coder-0.5b", "Qwen/Qwen2.5-72B-Instruct-AWQ"),
        ("qwen3:8b", "Qwen3-235B-A22B"),
        ("claude-3-5-sonnet-20241022", "anthropic/claude-opus-4"),
        ("google/gemma-2-9b-it", "gemini-1.5-flash"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistral-large-2407"),
        ("DeepSeek-R1-Distill-Qwen-7B", "deepseek-v3"),
        ("DeepSeek-R1-Distill-Qwen-7B", "qwen-max"),
        ("nvidia/Llama-3.1-Nemotron-70B-Instruct", "llama3"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "packaged/smollm2-1.7b"),
        ("models/acme-7b-chat/", "acme-70b.Q4_K_M.gguf"),
        ("t", "t-instruct"),
    ],
)
def test_related(a, b):
    assert are_related(a, b)
    assert are_related(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("llama-3.1-8b", "qwen2.5-7b"),
        ("gpt-4o", "claude-3-5-sonnet"),
        ("mistral-7b", "llama-2-7b"),
        ("DeepSeek-R1-Distill-Qwen-7B", "llama-3.1-8b"),
        ("smollm2-135m", "qwen2.5-coder-0.5b"),
        ("acme-7b-chat", "apex-7b-chat"),
        ("phi-3-mini", "dolphin-2.9"),
        ("philosopher-7b", "phi-4"),
        ("t", "j"),
        ("7b-instruct", "13b-chat"),
    ],
)
def test_not_related(a, b):
    assert not are_related(a, b)


def test_every_name_has_a_family():
    for name in ("", "/", "7b", "x-7b", "hf/a/b"):
        assert families(name)
