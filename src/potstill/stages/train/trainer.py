"""TRL's `SFTTrainer` with a cheaper loss, a resumable sampler, and checkpoints by time."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft.helpers import disable_input_dtype_casting
from safetensors import SafetensorError
from transformers import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models.local import loading, weights
from potstill.progress import progress
from potstill.recipe.recipe import Recipe
from potstill.stages.train import base as weights_to_train
from potstill.stages.train import checkpoints, processes, room, teacher
from potstill.stages.train.fused import families
from potstill.stages.train.fused.batch import shared
from potstill.stages.train.fused.decoder import Decoder
from potstill.stages.train.rows import Collator, rows_of
from potstill.stages.train.steps import Checkpoints, diverged
from potstill.stages.train.targets import Soft, summed_loss
from potstill.workspace.artifacts import TRACKERS

SHORT_TOKENS = 1024
"""Length of the longest row up to which a CPU computes attention with plain products: the backward pass of PyTorch's fused
attention is slow there, but needs no memory for all pairs of tokens."""
POOL_STEPS = 50
"""Steps, at most, whose rows are sorted by length together."""


@dataclass(frozen=True)
class Position:
    """Where training starts: checkpoints go into ``work``; ``resume`` is the one to resume from, of ``steps`` in all."""

    work: Path
    resume: Path | None
    steps: int

    @property
    def trackers(self) -> Path:
        """The folder of TensorBoard's files."""
        return self.work.parent / TRACKERS


def fit(
    recipe: Recipe,
    base: Path,
    rows: Sequence[Mapping[str, Any]],
    position: Position,
    stop_requested: Callable[[], bool] | None = None,
) -> None:
    """Train the weights in ``base``, or adapters for them, on curated rows up to the last step, or until a stop is requested:
    by Ctrl-C, if nothing else says so."""
    position.work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(position.trackers))
    trainer: Any
    if recipe.train.on_policy:
        from potstill.stages.train import on_policy

        longest = recipe.train.max_length + recipe.student.max_tokens
        arguments = _arguments(recipe, position, longest)
        trainer, engine = on_policy.prepared(recipe, base, rows, arguments), "modules"
    else:
        trainer = prepared(recipe, base, rows, position)
        engine = "fused" if trainer.decoder else "modules"
    (position.work / checkpoints.ENGINE).write_text(engine, encoding="utf-8")
    with progress("training", position.steps, "steps") as shown:
        trainer.add_callback(Checkpoints(shown, trainer, stop_requested or interrupt.stop_requested))
        # Autocast chooses the number format of each product: PEFT's own casts of the adapters' inputs would only be undone.
        with disable_input_dtype_casting(trainer.model, active=recipe.train.method != "full"):
            try:
                trainer.train(resume_from_checkpoint=str(position.resume) if position.resume else None)
            except (OSError, RuntimeError, SafetensorError) as error:
                raise checkpoints.not_saved(position.work, error) or error from error


def prepared(recipe: Recipe, base: Path, rows: Sequence[Mapping[str, Any]], position: Position) -> "CompletionTrainer":
    """A trainer of the weights in ``base``, or of adapters for them, on curated rows."""
    options = recipe.train
    chat = loading.load_chat(base, recipe.student.chat_template)
    if chat.tokenizer.pad_token is None:  # its attention is masked, and it has no label
        chat.tokenizer.pad_token = chat.tokenizer.convert_ids_to_tokens(chat.end)
    examples = rows_of(recipe, chat, rows)
    soft = teacher.soft_targets(recipe, chat, rows, examples, position.work)  # before the student is in memory
    longest = max(len(row["input_ids"]) for row in examples)
    model = weights_to_train.load(recipe, base, sharded=room.here(recipe).sharded)
    short = not torch.cuda.is_available() and longest <= SHORT_TOKENS
    if short:
        model.set_attn_implementation("eager")
    trainer = CompletionTrainer(
        model=model,
        args=_of_sft(recipe, position, longest),
        train_dataset=Dataset.from_list([dict(row) for row in examples]),
        data_collator=Collator(chat.tokenizer.pad_token_id, soft),
        processing_class=chat.tokenizer,
        peft_config=weights_to_train.adapters(recipe),
    )
    if options.method == "qlora":
        weights_to_train.keep_adapters_exact(trainer.model)
    trainer.ids = [str(row.get("id", number)) for number, row in enumerate(rows)]
    trainer.soft_weight = recipe.train.kd.weight if recipe.train.kd else 0.0
    trainer.remove_callback(PrinterCallback)
    if trainer.accelerator.num_processes != options.processes:
        raise PotstillError(
            f"training has {trainer.accelerator.num_processes} processes, and the recipe wants {options.processes} (train.processes)"
        )
    if short and options.processes == 1 and options.method != "qlora":
        trainer.decoder = families.decoder(trainer.model, getattr(torch, weights.resolve_dtype(recipe.student.dtype)))
    return trainer


def _arguments(recipe: Recipe, position: Position, longest: int) -> dict[str, Any]:
    """The arguments of any trainer of transformers; ``longest`` is the number of tokens of the longest row."""
    options = recipe.train
    return {
        "output_dir": str(position.work),
        "max_steps": position.steps,
        "per_device_train_batch_size": options.rows_at_once // options.processes,
        "gradient_accumulation_steps": options.batch_size // options.rows_at_once,
        "learning_rate": options.learning_rate or 0.0,
        "lr_scheduler_type": "cosine",
        "warmup_steps": int(options.warmup_ratio * position.steps),  # rounded up, a run of one step would learn nothing
        "weight_decay": options.weight_decay,
        "remove_unused_columns": False,
        "save_strategy": "epoch",
        "logging_steps": max(1, position.steps // 60),
        "bf16": weights.resolve_dtype(recipe.student.dtype) == "bfloat16",
        "use_cpu": not torch.cuda.is_available(),
        "seed": recipe.train_seed,
        "report_to": list(recipe.train.report_to) or "none",
        "run_name": recipe.name,
        **processes.sharding(recipe, longest),
        "disable_tqdm": True,
    }


def _of_sft(recipe: Recipe, position: Position, longest: int) -> SFTConfig:
    arguments = SFTConfig(
        **_arguments(recipe, position, longest),
        max_length=None,  # curation labelled rows that are too long
        train_sampling_strategy="group_by_length",
        include_num_input_tokens_seen="non_padding",
    )
    arguments._n_gpu = 1  # several visible GPUs would multiply the recipe's batch
    return arguments


class CompletionTrainer(SFTTrainer):
    """The loss of `SFTTrainer`, by a ``decoder`` if there is one; else with logits only at the positions that have a label in
    some row. Tokens may have weights, and the teacher's probabilities ``soft_weight`` of the loss.

    A prompt is often longer than its completion, and a small model spends most of its time on the vocabulary.
    """

    decoder: Decoder | None = None
    soft_weight = 0.0
    ids: Sequence[str] = ()
    """Of the examples of curated rows, by number."""
    ids_of_step: list[str]
    """Of the rows of the step so far."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        labels, weights, numbers = inputs.pop("labels"), inputs.pop("weights", None), inputs.pop("numbers", None)
        if self.ids and numbers is not None:
            self.ids_of_step += [self.ids[number] for number in numbers.tolist()]
        logs, ids = inputs.pop("soft_logs", None), inputs.pop("soft_ids", None)
        soft = None if logs is None else Soft(logs, ids, self.soft_weight)
        if self.decoder:
            loss = self.decoder.summed_loss(shared(inputs["input_ids"], labels, weights, soft))
        else:
            loss = summed_loss(model, inputs, labels, weights, soft)
        # As in SFTTrainer: the tokens of all devices are counted, and their gradients are averaged.
        devices = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        averaged: torch.Tensor = loss * devices / num_items_in_batch
        if not averaged.isfinite():
            raise diverged(self, f"the loss is {averaged.item()}")
        return averaged

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """What the summed loss is divided by: the number of tokens with a label, or the sum of their weights."""
        if not batch_samples or "weights" not in batch_samples[0]:
            return super()._get_num_items_in_batch(batch_samples, device)
        total = torch.stack([batch["weights"].sum() for batch in batch_samples]).sum()
        if self.args.average_tokens_across_devices and self.args.world_size > 1:
            return self.accelerator.gather(total.to(device)).sum()
        return total

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows: Any = train_dataset or self.train_dataset
        return _LengthGroupedSampler(self, [len(row["input_ids"]) for row in rows])


class _LengthGroupedSampler(torch.utils.data.Sampler[int]):
    """The rows in the order of `grouped_by_length`, which depends on the seed and the epoch alone.

    The sampler of transformers depends on earlier draws, so that training resumed within an epoch would see other rows than
    uninterrupted training.
    """

    def __init__(self, trainer: SFTTrainer, lengths: list[int]) -> None:
        self.trainer, self.lengths = trainer, lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        arguments = self.trainer.args
        generator = torch.Generator().manual_seed(arguments.seed * 1_000_003 + int(self.trainer.state.epoch or 0))
        size = arguments.train_batch_size * arguments.world_size * arguments.gradient_accumulation_steps
        return iter(grouped_by_length(self.lengths, size, generator))


def grouped_by_length(lengths: Sequence[int], size: int, generator: torch.Generator) -> list[int]:
    """Indices of the rows, so that each ``size`` in turn, an optimizer step, are of similar length, and the steps in random
    order: lengths do not sink in the course of an epoch. Within a step the longest row comes first, so that micro batches
    are of similar length too. The rows of an incomplete last step are drawn from all rows.
    """

    def longest_first(indices: Sequence[int]) -> list[int]:
        return sorted(indices, key=lambda i: -lengths[i])

    drawn = torch.randperm(len(lengths), generator=generator).tolist()
    steps = len(drawn) // size
    pool = size * max(1, min(POOL_STEPS, steps // 4))  # several pools, so that each epoch groups rows anew
    whole = steps * size
    pools = [longest_first(drawn[start : min(start + pool, whole)]) for start in range(0, whole, pool)]
    rows = [row for pool_rows in pools for row in pool_rows]
    order = torch.randperm(steps, generator=generator).tolist()
    return [row for step in order for row in rows[step * size :][:size]] + longest_first(drawn[whole:])
