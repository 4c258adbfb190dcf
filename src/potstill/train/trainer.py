"""TRL's `SFTTrainer` with a cheaper loss, an order that can be gone on with, and checkpoints by the clock."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import TrainerCallback
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl.trainer.sft_trainer import SFTTrainer

from potstill import interrupt
from potstill.progress import Progress
from potstill.train import checkpoints

SAVE_EVERY = 300.0
"""Seconds of training that may be lost when the process is killed."""


class CompletionTrainer(SFTTrainer):
    """The loss of `SFTTrainer`, with logits for the columns that some row is trained on, and for no others.

    A prompt is often longer than its completion, and the vocabulary is where a small model spends most of its time.
    """

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        labels = inputs.pop("labels")[:, 1:]
        trained = (labels != -100).any(0).nonzero()[:, 0]
        logits = model(**inputs, use_cache=False, logits_to_keep=trained).logits
        loss = cross_entropy(logits.flatten(0, 1).float(), labels[:, trained].flatten(), reduction="sum")
        # As in SFTTrainer: the tokens of all devices are counted, and their gradients are averaged.
        devices = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        averaged: torch.Tensor = loss * devices / num_items_in_batch
        return averaged

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows: Any = train_dataset or self.train_dataset
        return _ByLength(self, [len(row["input_ids"]) for row in rows])


class _ByLength(torch.utils.data.Sampler[int]):
    """Rows of like length together, in an order that depends on the seed and the epoch alone.

    That of transformers depends on what was drawn before, so that training which goes on within an epoch would see
    other rows than training that was never stopped.
    """

    def __init__(self, trainer: SFTTrainer, lengths: list[int]) -> None:
        self.trainer, self.lengths = trainer, lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        arguments = self.trainer.args
        generator = torch.Generator().manual_seed(arguments.seed * 1_000_003 + int(self.trainer.state.epoch or 0))
        size = arguments.train_batch_size * arguments.gradient_accumulation_steps
        return iter(get_length_grouped_indices(self.lengths, size, generator=generator))


class Checkpoints(TrainerCallback):
    """Shows progress, saves by the clock and when the user stops the work, and marks what is whole."""

    def __init__(self, shown: Progress) -> None:
        self.shown, self.saved, self.tokens = shown, time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.shown.give(state.global_step)
        self.tokens = state.num_input_tokens_seen

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.shown.advance(1, state.num_input_tokens_seen - self.tokens)
        self.tokens = state.num_input_tokens_seen
        if interrupt.asked():
            control.should_save = control.should_training_stop = True
        elif time.monotonic() - self.saved > SAVE_EVERY:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if checkpoints.is_whole(Path(args.output_dir), state.global_step):
            control.should_save = False  # it was just saved: writing over it would put it at risk

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.saved = time.monotonic()
        steps_an_epoch = state.max_steps // state.num_train_epochs
        checkpoints.written(Path(args.output_dir), state.global_step, steps_an_epoch)
