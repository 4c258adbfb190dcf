"""What happens between the steps of training: progress, checkpoints, and a stop where it would diverge."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from potstill.errors import PotstillError
from potstill.progress import Progress
from potstill.stages.train import checkpoints

SECONDS_BETWEEN_CHECKPOINTS = 300.0
"""Seconds of training that are lost at most when the process is killed."""
NAMED = 5
"""Rows that an error names."""


def diverged(trainer: Any, what: str) -> PotstillError:
    """The error of a step that would make the weights useless; names the examples of its rows, as far as they are known."""
    rate, ids = trainer.args.learning_rate, list(dict.fromkeys(trainer.ids_of_step))
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    where = f" in the rows {', '.join(ids[:NAMED])}{more}" if ids else ""
    look = "; if it is low already, look at these rows in curated.parquet" if ids else ""
    return PotstillError(
        f"Training diverged at step {trainer.state.global_step + 1}: {what}{where}. Lower train.learning_rate, which is {rate:g}{look}. "
        "Nothing was saved after the last good step."
    )


class Checkpoints(TrainerCallback):
    """Shows progress, saves by time and when a stop is requested, marks complete checkpoints, and stops before a gradient that is not
    finite."""

    def __init__(self, shown: Progress, trainer: Any, stop_requested: Callable[[], bool]) -> None:
        self.trainer, self.stop_requested = trainer, stop_requested
        self.shown, self.saved, self.tokens = shown, time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.shown.skip(state.global_step)
        self.tokens = state.num_input_tokens_seen

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.ids_of_step = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        sums = [p.grad.sum() for p in self.trainer.model.parameters() if p.grad is not None]
        if not torch.stack(sums).isfinite().all():
            raise diverged(self.trainer, "its gradient is not finite")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.shown.advance(1, state.num_input_tokens_seen - self.tokens)
        self.tokens = state.num_input_tokens_seen
        stop, save = agreed(self.stop_requested(), time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS)
        if stop:
            control.should_save = control.should_training_stop = True
        elif save:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        (saved,) = agreed(
            state.is_world_process_zero and checkpoints.is_complete(Path(args.output_dir), state.global_step)
        )
        if saved:
            control.should_save = False  # it was just saved: overwriting would put it at risk

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **kwargs: Any
    ) -> None:
        if logs and "loss" in logs:
            self.shown.note = f"loss {float(logs['loss']):.3f}"

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.saved = time.monotonic()
        steps_per_epoch = state.max_steps // state.num_train_epochs
        is_last = state.global_step == state.max_steps
        agreed(True)  # all processes have written their part
        if state.is_world_process_zero:
            checkpoints.mark_complete(Path(args.output_dir), state.global_step, steps_per_epoch, is_last=is_last)


def agreed(*flags: bool) -> list[bool]:
    """Of each flag, whether any process has it, so that all processes do the same."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return list(flags)
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor([float(flag) for flag in flags], device=device)
    torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MAX)
    return [flag > 0 for flag in tensor.tolist()]
