"""A run with a small student, and its real conversion to GGUF, made once for all tests. A plugin of pytest."""

import shutil

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import students
from potstill.export import converter
from potstill.models.local import loading
from student_runs import run_with_student

FAMILY = "chatml"


@pytest.fixture(scope="session")
def student(tmp_path_factory):
    """The folder of a student's weights, so large that an answer depends on all of them."""
    folder, tokenizer = tmp_path_factory.mktemp("student") / "weights", students.tokenizer_of(FAMILY)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def converted(student, tmp_path_factory):
    """Its real conversion to F16, by llama.cpp's converter."""
    file = tmp_path_factory.mktemp("converted") / "f16.gguf"
    converter.convert(student, file, "f16", loading.load_chat(student).end)
    return file


@pytest.fixture
def conversion(converted, monkeypatch):
    """Conversions to F16 copy the real one, which takes seconds to make."""

    def copy(model, target, number_format, end):
        assert number_format == "f16"
        shutil.copyfile(converted, target)

    monkeypatch.setattr(converter, "convert", copy)


@pytest.fixture
def run(tmp_path, student):
    return run_with_student(tmp_path / "runs", student)
