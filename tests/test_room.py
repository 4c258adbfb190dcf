"""The memory that training takes, estimated from config.json or the headers of files, against real models."""

import json
import os
import subprocess
import sys

import pytest
import torch
from peft import get_peft_model
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

import small
from potstill.errors import PotstillError
from potstill.models.local.shapes import Sizes
from potstill.models.local.weights import LocalWeights
from potstill.recipe import loading as recipe_file
from potstill.stages.train import base, room

LLAMA = {
    "8B": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32),
    "70B": dict(hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64),
}
"""Llama 3.1, by its published config.json; both have 8 heads for keys and values, and 128,256 words."""
WEIGHTS = {"8B": 8_030_261_248, "70B": 70_553_706_496}


@pytest.fixture(scope="module", params=["8B", "70B"])
def llama(request, tmp_path_factory):
    return request.param, configured(request.param, tmp_path_factory.mktemp(request.param))


def configured(size, folder):
    """A folder with the config.json of a Llama 3.1, and no weights."""
    LlamaConfig(
        **LLAMA[size],
        num_key_value_heads=8,
        vocab_size=128256,
        max_position_embeddings=131072,
        tie_word_embeddings=False,
    ).save_pretrained(folder)
    return folder


def recipe_text(folder, train="", needs="", student=""):
    text = small.RECIPE.format(url="http://127.0.0.1:9/v1", student=folder)
    text = text.replace("epochs: 2, learning_rate: 1.0e-3, lora: {dropout: 0.1}", train)
    return text.replace("max_tokens: 8}", f"max_tokens: 8{student}}}") + needs


def recipe_for(folder, train="", student=""):
    return recipe_file.parse(recipe_text(folder, train, "", student))


def test_the_weights_of_a_config_are_those_of_the_model_on_the_meta_device(llama):
    size, folder = llama
    sizes = Sizes.of(LocalWeights(str(folder)).shapes())
    with torch.device("meta"):
        model = LlamaForCausalLM(AutoConfig.from_pretrained(folder))
    assert sizes.weights == sum(weight.numel() for weight in model.parameters()) == WEIGHTS[size]
    assert sizes.of_layer == sum(weight.numel() for weight in model.model.layers[0].parameters())
    assert sizes.outside == 2 * model.lm_head.weight.numel() + model.config.hidden_size
    assert (sizes.layers, sizes.hidden, sizes.vocabulary) == (len(model.model.layers), model.config.hidden_size, 128256)
    linear = [m for m in model.model.layers.modules() if isinstance(m, torch.nn.Linear)]
    assert sizes.of_matrices == sum(m.weight.numel() for m in linear)
    recipe = recipe_for(folder, "lora: {rank: 16}")
    adapted = get_peft_model(model, base.adapters(recipe))
    assert 16 * sizes.adapted == sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)


def test_the_headers_of_files_say_the_same_as_the_config(tiny_folder, tmp_path):
    (tmp_path / "config.json").write_text((tiny_folder / "config.json").read_text())
    assert LocalWeights(str(tmp_path)).shapes() == LocalWeights(str(tiny_folder)).shapes()
    assert LocalWeights(str(tmp_path)).float32_bytes() == 0


@pytest.mark.parametrize("config", ['{"model_type": "of another world"}', "{}", "no JSON"])
def test_a_config_of_no_known_model_has_no_size(tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    assert LocalWeights(str(tmp_path)).shapes() == {}
    assert room.planned(recipe_for(tmp_path, "processes: 2")) is None


@pytest.mark.parametrize("method", ["full", "lora"])
def test_weights_gradients_and_optimizer_have_the_bytes_of_a_real_step(tiny_folder, method):
    recipe = recipe_for(tiny_folder, f"method: {method}", ", dtype: float32")
    model = base.load(recipe, tiny_folder)
    if adapters := base.adapters(recipe):
        model = get_peft_model(model, adapters)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    model(torch.arange(20)[None], labels=torch.arange(20)[None]).loss.backward()
    optimizer.step()
    tensors = [*model.parameters(), *(weight.grad for weight in trained)]
    tensors += [value for of in optimizer.state.values() for value in of.values() if value.numel() > 1]
    found = room.room(recipe, "float32", 0).state - room.RESERVE_BYTES
    assert found == sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def kept_for_backward(model, ids):
    """Bytes that autograd keeps of a forward pass in bfloat16, without the weights."""
    kept, weights = {}, {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = tensor, storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        loss = model.model(ids, use_cache=False).last_hidden_state.sum()
    del loss
    return sum(size for _, size in kept.values())


@pytest.mark.parametrize(("hidden", "inner", "kv_heads"), [(128, 448, 2), (256, 512, 4)])
def test_activations_are_about_what_autograd_keeps(tmp_path, hidden, inner, kv_heads):
    config = LlamaConfig(
        hidden_size=hidden, intermediate_size=inner, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=kv_heads,
        vocab_size=300,
    )  # fmt: skip
    model = LlamaForCausalLM(config).bfloat16()
    model.save_pretrained(tmp_path)
    recipe = recipe_for(tmp_path, "batch_size: 2, max_length: 256", ", dtype: bfloat16")
    ids = torch.randint(300, (2, 256), generator=torch.Generator().manual_seed(0))
    found = room.room(recipe, "bfloat16", 0)
    loss = 2 * 256 * 300 * room.OF_LOSS
    assert found.activations - loss == pytest.approx(kept_for_backward(model, ids), rel=0.1)
    model.activation_checkpointing_enable()
    model.train()
    inputs = 4 * ids.numel() * hidden * 2
    of_one = (found.activations - found.checkpointed + inputs) / 3  # while the backward pass is in a layer
    assert found.checkpointed - loss - of_one == pytest.approx(kept_for_backward(model, ids), rel=0.1)
    assert found.checkpointed < found.activations


GPU = 80e9


def test_what_is_large_for_one_gpu_is_split_over_all(llama):
    size, folder = llama
    weights, expected = WEIGHTS[size] / 1e9, {"8B": (False, True), "70B": (True, True)}[size]
    lora, full = (
        room.room(recipe_for(folder, f"method: {method}, batch_size: 8, processes: 8"), "bfloat16", GPU)
        for method in ("lora", "full")
    )
    assert (lora.sharded, full.sharded) == expected
    # At least its part of the weights, and not much more: two layers, embeddings and head are whole while they are used.
    of_lora = 2 * weights / (8 if lora.sharded else 1)
    assert of_lora < lora.state / 1e9 < of_lora + 10
    assert 16 * weights / 8 < full.state / 1e9 < 16 * weights / 8 + 9


def test_fewer_rows_in_a_process_have_fewer_activations(llama):
    _, folder = llama
    one, two = (
        room.room(recipe_for(folder, f"batch_size: 4, processes: {n}"), "bfloat16", GPU).activations for n in (1, 2)
    )
    assert one == 2 * two
    shorter = room.room(recipe_for(folder, "batch_size: 4"), "bfloat16", GPU, 512).activations
    assert one == 2 * shorter  # of the 1,024 tokens that train.max_length allows


@pytest.mark.parametrize(("free", "recomputes"), [(0, False), (30e9, True), (60e9, False)])
def test_activations_are_computed_again_where_they_do_not_fit_on_the_gpu(tmp_path, monkeypatch, free, recomputes):
    from potstill.models.local import gpu
    from potstill.stages.train import processes

    recipe = recipe_for(configured("8B", tmp_path), "method: lora, batch_size: 8", ", dtype: bfloat16")
    monkeypatch.setattr(gpu, "memory_bytes", lambda: free)
    needed = room.here(recipe, 512)
    assert 30e9 < needed.state + needed.activations < 54e9
    assert needed.state + needed.checkpointed < 27e9
    assert processes.sharding(recipe, 512) == {"activation_checkpointing": recomputes}


def test_a_student_that_is_split_computes_activations_again_by_fsdp(tmp_path, monkeypatch):
    from potstill.models.local import gpu
    from potstill.stages.train import processes

    recipe = recipe_for(configured("70B", tmp_path), "method: lora, batch_size: 32, processes: 8", ", dtype: bfloat16")
    monkeypatch.setattr(gpu, "memory_bytes", lambda: int(GPU))
    short, long = (processes.sharding(recipe, tokens) for tokens in (64, 1024))
    assert short["fsdp"] == long["fsdp"] == "full_shard auto_wrap"
    assert (short["fsdp_config"]["activation_checkpointing"], long["fsdp_config"]["activation_checkpointing"]) == (
        False,
        True,
    )
    assert not short["activation_checkpointing"]
    assert not long["activation_checkpointing"]


@pytest.mark.parametrize(
    ("train", "needs", "said"),
    [
        (
            "method: lora, batch_size: 8, processes: 8",
            "",
            "train: about 26 GB a GPU for weights, gradients and optimizer, split over 8 (FSDP2); activations of 1 row of 1024 tokens",
        ),
        (
            "method: full, batch_size: 8, processes: 8",
            "needs: {gpu_memory_gb: 140}\n",
            "train: about 149 GB a GPU for weights, gradients and optimizer, split over 8 (FSDP2)",
        ),
        (
            "method: qlora",
            "needs: {gpu_memory_gb: 80}\n",
            "train: about 48 GB a GPU for weights, gradients and optimizer; activations of 4 rows",
        ),
        ("method: lora", "", None),
    ],
)
def test_a_plan_shows_the_memory_of_a_gpu(tmp_path, train, needs, said):
    folder = configured("70B", tmp_path / "llama")
    (tmp_path / "r.yaml").write_text(recipe_text(folder, train, needs))
    done = small.potstill("plan", "r.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("train: ")]
    assert len(lines) == (said is not None)
    if said:
        assert lines[0].startswith(said)
    listed = json.loads(small.potstill("plan", "r.yaml", "--json", cwd=tmp_path).stdout)
    assert [one["what"] for one in listed if "state" in one] == ["train: memory of a GPU"] * (said is not None)


def test_a_plan_with_weights_on_disk_loads_no_torch(tiny_folder, tmp_path):
    (tmp_path / "r.yaml").write_text(recipe_text(tiny_folder, "method: lora, processes: 2", ""))
    code = (
        "import sys; from potstill.cli import main; sys.argv = ['potstill', 'plan', 'r.yaml'];\n"
        "import atexit; atexit.register(lambda: print('torch' in sys.modules)); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **small.OFFLINE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "train: about" in done.stdout, done.stderr
    assert done.stdout.endswith("False\n")


def test_too_little_memory_for_several_processes_is_said(tiny_folder, monkeypatch):
    monkeypatch.setattr("potstill.memory.available", lambda: 900_000_000)
    room.require(recipe_for(tiny_folder, "method: full"))
    with pytest.raises(
        PotstillError,
        match=r"at least 0.5 GB of memory in each of 2 processes .* and 0.5 GB are free. Use train.method: lora",
    ):
        room.require(recipe_for(tiny_folder, "method: full, processes: 2"))
