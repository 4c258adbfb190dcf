"""Adapters on weights in 4 bits: where they are refused, and on a CPU the steps themselves (bitsandbytes has kernels for it)."""

import pytest
import torch
from safetensors.torch import load_file

import small
from potstill.models.local import gpu, loading
from potstill.pipeline import preflight
from potstill.recipe import loading as recipe_file
from potstill.stages.train import base, room, trainer
from potstill.stages.train import stage as train
from potstill.stages.train.student import Checkpoint

ROWS = [
    {"student_messages": [{"role": "user", "content": f"question {i}"}], "completion": f"answer {i}", "turns": 1}
    for i in range(12)
]


def recipe_text(folder, url="http://127.0.0.1:9/v1", dtype="float32"):
    text = small.RECIPE.format(url=url, student=folder)
    text = text.replace("learning_rate: 1.0e-3, lora: {dropout: 0.1}", "method: qlora")
    return text.replace("max_tokens: 8}", f"max_tokens: 8, dtype: {dtype}}}")


@pytest.fixture
def recipe(tiny_folder):
    return recipe_file.parse(recipe_text(tiny_folder))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_is_refused_before_anything_is_requested(tiny_folder, tmp_path):
    with small.Teacher() as teacher:
        (tmp_path / "r.yaml").write_text(recipe_text(tiny_folder, teacher.url))
        for command in ("run", "train"):
            done = small.potstill(command, "r.yaml", cwd=tmp_path)
            assert done.returncode == 2
            assert "small: train.method qlora needs a CUDA GPU that torch can use" in done.stderr
            assert "set train.method: lora" in done.stderr
            assert "Traceback" not in done.stderr
        assert small.potstill("plan", "r.yaml", cwd=tmp_path).returncode == 0
        assert not teacher.seen
        assert small.potstill("generate", "r.yaml", cwd=tmp_path).returncode == 0


def test_without_bitsandbytes_it_says_how_to_install_it(recipe, monkeypatch):
    monkeypatch.setattr(gpu, "memory_bytes", lambda: 80_000_000_000)
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    assert "needs bitsandbytes: pip install 'potstill[qlora]'" in preflight.shortage(recipe)
    monkeypatch.setattr(preflight, "find_spec", lambda name: object())
    assert preflight.shortage(recipe) == ""
    larger = recipe.model_copy(update={"needs": recipe.needs.model_copy(update={"gpu_memory_gb": 100.0})})
    assert "a GPU with 100 GB of memory is needed" in preflight.shortage(larger)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_frozen_weights_are_nf4_with_constants_that_are_quantized_too(tiny_folder, dtype):
    made = base.quantization(recipe_file.parse(recipe_text(tiny_folder, dtype=dtype))).to_dict()
    assert made["quant_method"] == "bitsandbytes"
    assert made["load_in_4bit"] is made["bnb_4bit_use_double_quant"] is True
    assert (made["bnb_4bit_quant_type"], made["bnb_4bit_compute_dtype"]) == ("nf4", dtype)


def test_it_takes_less_memory_than_adapters_on_the_weights_as_they_are(recipe):
    lora = recipe.model_copy(update={"train": recipe.train.model_copy(update={"method": "lora"})})
    assert room.room(recipe, "bfloat16", 0).state < room.room(lora, "float32", 0).state
    assert recipe.train.learning_rate == lora.train.learning_rate == 1e-3


def test_adapters_are_trained_on_4_bits_and_merged_into_the_whole_weights(recipe, tiny_folder, tmp_path):
    pytest.importorskip("bitsandbytes", reason="needs the extra qlora")
    made = trainer.prepared(recipe, tiny_folder, ROWS, trainer.Position(tmp_path / "made", None, 6))
    kinds = {
        name.split(".")[-2]: type(weight).__name__
        for name, weight in made.model.named_parameters()
        if "base_layer" in name
    }
    assert kinds == {"base_layer": "Params4bit"}
    trained = {name: weight for name, weight in made.model.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name and weight.dtype == torch.float32 for name, weight in trained.items())
    epochs, losses = train._fit(recipe, tiny_folder, ROWS, tmp_path / "work")
    assert losses[-1]["loss"] < losses[0]["loss"]
    merge = Checkpoint(recipe, tiny_folder, (epochs[-1],), (2,)).save(tmp_path / "student", ROWS)
    assert merge["merged"] == pytest.approx(merge["apart"], rel=1e-4)
    assert merge["merged"] < merge["base"]
    whole, student = (
        loading.load_model(tiny_folder, "float32").state_dict(),
        load_file(tmp_path / "student/model.safetensors"),
    )
    name = "model.embed_tokens.weight"
    assert student[name].equal(whole[name])
    assert {weight.dtype for weight in student.values()} == {torch.float32}
    up = "model.layers.0.mlp.up_proj.weight"
    delta = student[up] - whole[up]
    assert torch.linalg.matrix_rank(delta, tol=1e-4) <= recipe.train.lora.rank
    assert delta.norm() > 0
