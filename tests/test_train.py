"""Training on a tiny random model: the loss, and what it is taken over."""

import copy
import shutil
from functools import partial
from itertools import count

import pytest
from datasets import Dataset
from safetensors.torch import load_file
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

import small
from potstill import interrupt
from potstill.recipe import loading as recipe_file
from potstill.stages.train import checkpoints
from potstill.stages.train import stage as train
from potstill.stages.train.trainer import CompletionTrainer, tokenized

ROWS = [
    {"student_messages": [{"role": "user", "content": "q" * (1 + 3 * i)}], "completion": f"answer {'x' * (i % 5)} {i}"}
    for i in range(12)
]


def test_the_loss_covers_the_completion_and_its_end_token(tiny):
    _, tokenizer = tiny
    row = tokenized(tokenizer, ROWS[3])
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
            train_dataset=Dataset.from_list([tokenized(tokenizer, row) for row in ROWS]),
            processing_class=tokenizer,
        )  # fmt: skip
        trainer.train()
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert len(losses[0]) == 6
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize("interrupted_at", [1, 3, 4, 7])
def test_resumed_training_ends_with_equal_weights(tiny_folder, tmp_path, monkeypatch, interrupted_at):
    recipe = recipe_file.parse(small.RECIPE.format(url="http://127.0.0.1:9", student=tiny_folder))
    fit = partial(train._fit, recipe, tiny_folder, ROWS)  # 3 steps per epoch, 2 epochs, dropout
    uninterrupted, losses = fit(tmp_path / "uninterrupted")

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


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)
