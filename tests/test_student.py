"""The student out of a checkpoint: merged in float32, and compared with what was trained."""

import pytest
import torch
from peft import PeftModel

import small
from potstill.models.local import loading
from potstill.models.local.chat_template import ChatTemplate
from potstill.models.local.weights import LocalWeights
from potstill.recipe import loading as recipe_file
from potstill.stages.train import stage as train
from potstill.stages.train.rows import tokenized
from potstill.stages.train.student import Checkpoint, loss, lost, warnings_about

ROWS = [
    {"student_messages": [{"role": "user", "content": f"question {i}"}], "completion": f"answer {i}", "turns": 1}
    for i in range(12)
]


@pytest.fixture
def trained(tiny_folder, tmp_path):
    """The last checkpoint of a training of two epochs."""

    def trained(settings="", dtype="bfloat16"):
        text = small.RECIPE.format(url="http://127.0.0.1:9", student=tiny_folder)
        text = text.replace("max_tokens: 8}", f"max_tokens: 8, dtype: {dtype}}}")
        recipe = recipe_file.parse(text.replace("learning_rate: 1.0e-3, lora: {dropout: 0.1}", settings))
        epochs, _ = train._fit(recipe, tiny_folder, ROWS, tmp_path / "work")
        return Checkpoint(recipe, tiny_folder, (epochs[-1],), (len(epochs),))

    return trained


def test_adapters_are_merged_and_saved_in_float32(trained, tiny_folder, tmp_path):
    checkpoint = trained("learning_rate: 1.0e-2")
    checkpoint.save(tmp_path / "student", ROWS)
    saved = loading.load_model(tmp_path / "student", "float32").state_dict()
    base = loading.load_model(tiny_folder, "float32")
    adapted = PeftModel.from_pretrained(loading.load_model(tiny_folder, "float32"), checkpoint.folders[0])
    name = "model.layers.0.mlp.up_proj"
    layer = adapted.base_model.model.get_submodule(name)
    expected = base.get_submodule(name).weight + layer.get_delta_weight("default")
    assert saved[f"{name}.weight"].equal(expected)
    assert not saved[f"{name}.weight"].equal(expected.bfloat16().float())


def test_the_size_of_the_student_is_known_before(tiny_folder, tmp_path):
    """Weights in bfloat16 become a student in float32, twice as large."""
    loading.load_model(tiny_folder, "bfloat16").save_pretrained(tmp_path / "half")
    (whole,) = tiny_folder.glob("*.safetensors")
    (half,) = (tmp_path / "half").glob("*.safetensors")
    sizes = [
        LocalWeights(str(folder)).float32_bytes() for folder in (tiny_folder, tmp_path / "half", tmp_path / "none")
    ]
    assert sizes == [sizes[0], sizes[0], 0]
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    assert sizes[0] == pytest.approx(whole.stat().st_size, rel=0.05)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_checkpoint_is_validated_as_the_saved_student_answers(trained, tmp_path, method):
    checkpoint = trained(f"learning_rate: 1.0e-2, method: {method}")
    checkpoint.save(tmp_path / "student", ROWS)
    model, _ = checkpoint.as_it_answers()
    saved = loading.load_model(tmp_path / "student", "bfloat16")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    for ours, theirs in (
        (model.state_dict(), saved.state_dict()),
        (dict(model.named_buffers()), dict(saved.named_buffers())),
    ):
        assert ours.keys() == theirs.keys()
        assert all(ours[name].equal(theirs[name]) for name in ours)
    buffers = dict(model.named_buffers())
    assert buffers["model.rotary_emb.inv_freq"].dtype == torch.float32


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_loss_is_that_before_as_trained_and_as_the_student_answers(trained, tiny, tiny_folder, tmp_path, method):
    _, tokenizer = tiny
    checkpoint = trained(f"learning_rate: 2.0e-5, method: {method}")
    merge = checkpoint.save(tmp_path / "student", ROWS)
    some = [tokenized(ChatTemplate(tokenizer), row) for row in ROWS[::2]]
    assert merge["rows"] == len(some) == 6
    assert merge["base"] == pytest.approx(loss(loading.load_model(tiny_folder, "float32"), some), rel=1e-5)
    saved = tmp_path / "student"
    assert merge["apart"] == pytest.approx(loss(loading.load_model(saved, "float32"), some), rel=1e-5)
    assert merge["merged"] == pytest.approx(loss(loading.load_model(saved, "bfloat16"), some), rel=1e-5)
    assert merge["apart"] < merge["base"]
    assert merge["lost"] == lost(merge["base"], merge["apart"], merge["merged"])
    assert merge["merged"] != merge["apart"]


def test_float32_takes_nothing(trained, tmp_path):
    merge = trained("learning_rate: 1.0e-2", "float32").save(tmp_path / "student", ROWS)
    assert merge["lost"] == pytest.approx(0, abs=1e-4)
    assert warnings_about(merge, "float32") == []


@pytest.mark.parametrize(
    ("merged", "fraction", "said"), [(0.85, 0.0, False), (0.874, 0.048, False), (0.876, 0.052, True), (1.4, 1.1, True)]
)
def test_more_than_a_twentieth_of_the_gain_is_notable(merged, fraction, said):
    merge = {"rows": 8, "base": 1.35, "apart": 0.85, "merged": merged, "lost": lost(1.35, 0.85, merged)}
    assert merge["lost"] == pytest.approx(fraction)
    assert bool(warnings_about(merge, "bfloat16")) is said
    if said:
        (text,) = warnings_about(merge, "bfloat16")
        assert f"lacks {fraction:.0%} of what training gained" in text
        assert text.endswith("set student.dtype: float32")
        assert "student.dtype" not in warnings_about(merge, "float32")[0]


def test_where_nothing_was_gained_nothing_can_be_lost():
    assert lost(0.8, 0.8, 0.9) is None
    assert warnings_about({"lost": None}, "bfloat16") == []


def test_the_loss_is_the_mean_over_the_tokens_with_a_label(tiny):
    model, tokenizer = tiny
    rows = [tokenized(ChatTemplate(tokenizer), row) for row in ROWS[:3]]
    total = count = 0
    for row in rows:
        scores = model(torch.tensor([row["input_ids"]])).logits[0].log_softmax(-1)
        for i, label in enumerate(row["labels"][1:]):
            if label != -100:
                total, count = total - scores[i, label].item(), count + 1
    assert loss(model, rows) == pytest.approx(total / count, rel=1e-5)
