"""Training on a tiny random model: the loss, and what it is taken over."""

import copy

import pytest
from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from potstill.train import tokenized
from potstill.train.trainer import CompletionTrainer

ROWS = [
    {"student_messages": [{"role": "user", "content": "q" * (1 + 3 * i)}], "completion": f"answer {'x' * (i % 5)} {i}"}
    for i in range(12)
]


def test_loss_is_taken_over_the_completion_and_its_end_token(tiny):
    _, tokenizer = tiny
    row = tokenized(tokenizer, ROWS[3])
    trained = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    assert tokenizer.decode(trained) == ROWS[3]["completion"] + "<end>"
    assert tokenizer.decode(row["input_ids"]).startswith("user:qqqqqqqqqq;a:")


def test_the_cheaper_loss_is_that_of_sft_trainer(tiny, tmp_path):
    model, tokenizer = tiny
    losses = []
    for trainer_class in (SFTTrainer, CompletionTrainer):
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
