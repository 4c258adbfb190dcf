"""Which models are of one family, by their names, and which weights are the same."""

import json
import shutil

import pytest

from potstill.errors import RecipeError
from potstill.models.families import are_related, families
from potstill.models.local.weights import LocalWeights
from potstill.models.specs import Served
from potstill.recipe import loading
from potstill.recipe.judging import is_same


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


# The same weights under two names


def test_weights_are_the_same_whatever_their_folder_is_called(tmp_path, tiny_folder):
    copied, other = tmp_path / "copied", tmp_path / "other"
    shutil.copytree(tiny_folder, copied)
    shutil.copytree(tiny_folder, other)
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"_name_or_path": "else"}))
    (file,) = other.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-8:] = b"\1\2\3\4\5\6\7\1"  # the end of a tensor that is smaller than a sample
    file.write_bytes(content)
    original = LocalWeights(str(tiny_folder))
    assert is_same(original, LocalWeights(str(copied)))
    assert not is_same(original, LocalWeights(str(other)))
    assert is_same(Served(serve="vllm", model=LocalWeights(str(copied))), original)
    assert not is_same(LocalWeights("hf/nobody/nothing"), LocalWeights("packaged/nothing"))


def test_a_copy_of_a_gguf_file_is_the_same(tmp_path):
    for name, text in (("a", b"one" * 9_000), ("b", b"one" * 9_000), ("c", b"two" * 9_000)):
        (tmp_path / f"{name}.gguf").write_bytes(b"GGUF" + text)
    a, b, c = (LocalWeights(str(tmp_path / f"{name}.gguf")) for name in "abc")
    assert is_same(a, b)
    assert not is_same(a, c)


def test_a_copy_of_the_teacher_may_not_judge(tmp_path, tiny_folder):
    shutil.copytree(tiny_folder, tmp_path / "judge")
    text = (
        f"name: x\ntask: conversation\ncondition: vanilla\ndata: {{source: files, train: t.jsonl}}\nteacher: {{model: '{tiny_folder}'}}\n"
        f"student: {{model: packaged/smollm2-135m-instruct}}\nevaluate: {{judge: {{models: '{tmp_path / 'judge'}'"
    )
    with pytest.raises(RecipeError, match="is of the family of the teacher"):
        loading.parse(text + "}}\n", folder=tmp_path)
    allowed = loading.parse(text + ", allow_related: true}}\n", folder=tmp_path)
    assert allowed.judge_relatives == {str(tmp_path / "judge"): ["teacher-plain"]}
