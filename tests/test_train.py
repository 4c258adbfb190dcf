"""Training on a tiny random model: the loss, and what it is taken over."""

import copy
import random
import shutil
from functools import partial
from itertools import count
from statistics import mean

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from tensorboardX.proto import event_pb2
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

import small
from potstill import interrupt
from potstill.errors import PotstillError, RecipeError
from potstill.models.local.chat_template import ChatTemplate
from potstill.recipe import loading as recipe_file
from potstill.stages.train import checkpoints
from potstill.stages.train import stage as train
from potstill.stages.train.rows import tokenized
from potstill.stages.train.trainer import CompletionTrainer, grouped_by_length

ROWS = [
    {
        "student_messages": [{"role": "user", "content": "q" * (1 + 3 * i)}],
        "completion": f"answer {'x' * (i % 5)} {i}",
        "turns": 1,
    }
    for i in range(12)
]


def test_the_loss_covers_the_completion_and_its_end_token(tiny):
    _, tokenizer = tiny
    row = tokenized(ChatTemplate(tokenizer), ROWS[3])
    trained = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    assert tokenizer.decode(trained) == ROWS[3]["completion"] + "<end>"
    assert tokenizer.decode(row["input_ids"]).startswith("user:qqqqqqqqqq;a:")


def test_the_cheaper_loss_equals_that_of_sft_trainer(tiny, tmp_path):
    class InTheSameOrder(SFTTrainer):
        _get_train_sampler = CompletionTrainer._get_train_sampler

    model, tokenizer = tiny
    losses = []
    for trainer_class in (InTheSameOrder, CompletionTrainer):
        trainer = trainer_class(
            model=copy.deepcopy(model),
            args=SFTConfig(
                output_dir=str(tmp_path), num_train_epochs=2, per_device_train_batch_size=5, learning_rate=1e-2,
                max_length=None, logging_steps=1, save_strategy="no", use_cpu=True, bf16=False, report_to="none",
                disable_tqdm=True, activation_checkpointing=False,
            ),
            train_dataset=Dataset.from_list([tokenized(ChatTemplate(tokenizer), row) for row in ROWS]),
            processing_class=tokenizer,
        )  # fmt: skip
        trainer.train()
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert len(losses[0]) == 6
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[0][-1] < losses[0][0]


@pytest.fixture
def recipe_with(tiny_folder):
    """The small recipe with other settings of training."""

    def recipe_with(settings):
        text = small.RECIPE.format(url="http://127.0.0.1:9", student=tiny_folder)
        before, after = text.split("lora: {dropout: 0.1}")
        return recipe_file.parse(
            (before + settings + after).replace("max_tokens: 8}", "max_tokens: 8, dtype: float32}")
        )

    return recipe_with


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_micro_batches_take_the_same_steps(recipe_with, tiny_folder, tmp_path, micro_batch):
    """Ten rows, so that the last step of an epoch has two; the tokens with loss differ from row to row."""
    (whole, losses), (parts, losses_of_parts) = (
        train._fit(recipe_with(settings), tiny_folder, ROWS[:10], tmp_path / settings[:13])
        for settings in ("weight_decay: 0.1", f"micro_batch: {micro_batch}, weight_decay: 0.1")
    )
    assert [path.name for path in parts] == [path.name for path in whole] == ["checkpoint-3", "checkpoint-6"]
    assert [entry["loss"] for entry in losses_of_parts] == pytest.approx([entry["loss"] for entry in losses], rel=1e-5)
    trained, trained_in_parts = (load_file(epochs[-1] / "adapter_model.safetensors") for epochs in (whole, parts))
    early = load_file(whole[0] / "adapter_model.safetensors")
    for name, weights in trained.items():
        assert (weights - trained_in_parts[name]).norm() < 0.01 * (weights - early[name]).norm()


def test_micro_batches_divide_the_batch(recipe_with):
    with pytest.raises(RecipeError, match="micro_batch 3 does not divide batch_size 4"):
        recipe_with("micro_batch: 3")


@pytest.mark.parametrize(("settings", "rate"), [("method: lora", 1e-3), ("method: full", 1e-4)])
def test_the_default_rate_goes_by_method(settings, rate):
    text = small.RECIPE.format(url="http://127.0.0.1:9", student="s").replace("learning_rate: 1.0e-3", settings)
    assert recipe_file.parse(text).train.learning_rate == rate


def grouped(lengths, seed=0, size=4):
    """The lengths of each step's rows."""
    order = grouped_by_length(lengths, size, torch.Generator().manual_seed(seed))
    assert sorted(order) == list(range(len(lengths)))
    return [[lengths[i] for i in order[start : start + size]] for start in range(0, len(order), size)]


def test_steps_have_rows_of_similar_length_and_a_random_order():
    lengths = random.Random(1).choices(range(1000), k=402)
    steps = grouped(lengths)
    assert all(step == sorted(step, reverse=True) for step in steps)
    assert mean(max(step) - min(step) for step in steps) < 60  # of four random rows it is 600
    assert grouped(lengths) == steps != grouped(lengths, seed=1)
    # An epoch neither begins with its longest rows nor ends with its shortest, as it does within sorted pools.
    thirds = [
        mean(mean(step) for seed in range(10) for step in grouped(lengths, seed)[i : i + 33]) for i in (0, 33, 66)
    ]
    assert thirds == pytest.approx([mean(lengths)] * 3, rel=0.1)
    incomplete = [mean(grouped(lengths, seed)[-1]) for seed in range(50)]
    assert mean(incomplete) == pytest.approx(mean(lengths), rel=0.2)


@pytest.mark.parametrize("rows", [1, 3, 4, 5])
def test_few_rows_are_all_trained_on(rows):
    assert sum(len(step) for step in grouped(list(range(rows)))) == rows


@pytest.mark.parametrize(
    ("interrupted_at", "dropout", "batches"),
    [(1, 0.1, ""), (3, 0.1, ""), (4, 0.1, ""), (7, 0.1, ""), (4, 0.1, ", micro_batch: 2"), (4, 0.0, "")],
)
def test_resumed_training_ends_with_equal_weights(
    recipe_with, tiny_folder, tmp_path, monkeypatch, interrupted_at, dropout, batches
):
    recipe = recipe_with(f"lora: {{dropout: {dropout}}}" + batches)
    fit = partial(train._fit, recipe, tiny_folder, ROWS)  # 3 steps per epoch, 2 epochs
    uninterrupted, losses = fit(tmp_path / "uninterrupted")
    engine = (tmp_path / "uninterrupted" / checkpoints.ENGINE).read_text()
    assert engine == ("modules" if dropout else "fused")

    steps = count(1)
    monkeypatch.setattr(interrupt, "stop_requested", lambda: next(steps) >= interrupted_at)
    if interrupted_at < 6:
        with pytest.raises(interrupt.Interrupted, match=f"interrupted after {interrupted_at} of 6 steps"):
            fit(tmp_path / "interrupted")
        # A checkpoint that was being written when the process died does not count.
        (tmp_path / "interrupted" / "checkpoint-5").mkdir()
    monkeypatch.setattr(interrupt, "stop_requested", lambda: False)
    resumed, losses_again = fit(tmp_path / "interrupted")
    assert losses_again == losses
    for one, other in zip(uninterrupted, resumed, strict=True):
        assert_equal(load_file(one / "adapter_model.safetensors"), load_file(other / "adapter_model.safetensors"))
    assert not list((tmp_path / "interrupted").glob("checkpoint-[1245]"))
    assert not (resumed[0] / "optimizer.pt").exists()


def test_only_a_checkpoint_with_those_of_all_earlier_epochs_can_be_resumed(tmp_path):
    def save(*steps):
        for step in steps:
            (tmp_path / f"checkpoint-{step}").mkdir(parents=True)
            (tmp_path / f"checkpoint-{step}" / "optimizer.pt").touch()
            checkpoints.mark_complete(tmp_path, step, steps_per_epoch=3)

    save(2, 3, 5)
    assert checkpoints.newest(tmp_path, 3).name == "checkpoint-5"
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-3", "checkpoint-5"}
    shutil.rmtree(tmp_path / "checkpoint-3")
    assert checkpoints.newest(tmp_path, 3) is None
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_is_said_and_the_one_before_it_is_resumed(
    recipe_with, tiny_folder, tmp_path, monkeypatch, capsys
):
    fit = partial(train._fit, recipe_with("lora: {dropout: 0.0}"), tiny_folder, ROWS)
    uninterrupted, _ = fit(tmp_path / "uninterrupted")
    steps = count(1)
    monkeypatch.setattr(interrupt, "stop_requested", lambda: next(steps) >= 5)
    monkeypatch.setattr("potstill.stages.train.steps.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    work = tmp_path / "damaged"
    with pytest.raises(interrupt.Interrupted):
        fit(work)
    newest = checkpoints.newest(work, 3)
    before = sorted(checkpoints.step(folder) for folder in work.glob("checkpoint-*"))
    assert len(before) > 1
    file = newest / "optimizer.pt"
    file.write_bytes(file.read_bytes()[:-100] + bytes(100))
    monkeypatch.setattr(interrupt, "stop_requested", lambda: False)
    resumed, _ = fit(work)
    assert f"{newest.name} is damaged (optimizer.pt has changed): training resumes" in capsys.readouterr().err
    assert_equal(*(load_file(of[-1] / "adapter_model.safetensors") for of in (uninterrupted, resumed)))


def test_two_processes_take_the_steps_of_one(recipe_with, tiny_folder, tmp_path):
    settings = "batch_size: 4, lora: {dropout: 0.0}, warmup_ratio: 0.0"
    one, losses = train._fit(recipe_with(settings), tiny_folder, ROWS, tmp_path / "one")
    two, losses_of_two = train._fit(recipe_with(f"{settings}, processes: 2"), tiny_folder, ROWS, tmp_path / "two")
    assert [of["loss"] for of in losses_of_two] == pytest.approx([of["loss"] for of in losses], abs=1e-4)
    weights = [load_file(of[-1] / "adapter_model.safetensors") for of in (one, two)]
    for name, expected in weights[0].items():
        torch.testing.assert_close(weights[1][name], expected, rtol=1e-3, atol=1e-4, msg=name)
    with pytest.raises(PotstillError, match="4 processes cannot share 3 rows"):
        train._fit(recipe_with(f"{settings}, processes: 4"), tiny_folder, ROWS[:3], tmp_path / "many")


def test_processes_divide_the_rows_of_a_forward_pass(recipe_with):
    with pytest.raises(RecipeError, match="processes 3 does not divide the 4 rows of a forward pass"):
        recipe_with("batch_size: 4, processes: 3")


def test_training_that_diverges_stops_with_step_and_rows(recipe_with, tiny_folder, tmp_path):
    with pytest.raises(PotstillError, match=r"diverged at step \d+: .* Lower train.learning_rate, which is 1e\+30"):
        train._fit(
            recipe_with("method: full, micro_batch: 2").model_copy(
                update={"train": recipe_with("method: full").train.model_copy(update={"learning_rate": 1e30})}
            ),
            tiny_folder,
            ROWS,
            tmp_path,
        )


def test_too_little_memory_is_said_before_anything_is_loaded(recipe_with, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("potstill.memory.available", lambda: 400_000_000)
    with pytest.raises(
        PotstillError, match=r"by method full needs at least 0.5 GB .* 0.4 GB are free. Use train.method: lora"
    ):
        train._fit(recipe_with("method: full"), tiny_folder, ROWS, tmp_path)


def test_trackers_get_the_loss(recipe_with, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    _, losses = train._fit(recipe_with("report_to: [tensorboard]"), tiny_folder, ROWS, tmp_path / "checkpoints")
    (file,) = (tmp_path / "trackers").glob("events*")
    values = {
        event.step: value.simple_value
        for event in events(file.read_bytes())
        for value in event.summary.value
        if value.tag == "train/loss"
    }
    assert [values[step] for step in sorted(values)] == pytest.approx([of["loss"] for of in losses], abs=1e-4)


def events(content):
    """The records of a file of TensorBoard: eight bytes of length, four of a checksum, the record, four of a checksum."""
    while content:
        length = int.from_bytes(content[:8], "little")
        yield event_pb2.Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)
