"""TRL's `SFTTrainer` with a cheaper loss, a resumable sampler, and checkpoints by time."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from peft.helpers import disable_input_dtype_casting
from torch.nn.functional import cross_entropy
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from potstill import interrupt
from potstill.models.local import loading, weights
from potstill.models.local.chat_template import ChatTemplate
from potstill.progress import Progress, progress
from potstill.recipe.recipe import Recipe
from potstill.stages.train import checkpoints
from potstill.stages.train.fused import families
from potstill.stages.train.fused.batch import IGNORED, shared
from potstill.stages.train.fused.decoder import Decoder

SECONDS_BETWEEN_CHECKPOINTS = 300.0
"""Seconds of training that are lost at most when the process is killed."""
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


def fit(recipe: Recipe, base: Path, rows: Sequence[Mapping[str, Any]], position: Position) -> None:
    """Train the weights in ``base``, or adapters for them, on curated rows up to the last step."""
    trainer = prepared(recipe, base, rows, position)
    position.work.mkdir(parents=True, exist_ok=True)
    engine = "fused" if trainer.decoder else "modules"
    (position.work / checkpoints.ENGINE).write_text(engine, encoding="utf-8")
    with progress("training", position.steps, "steps") as shown:
        trainer.add_callback(Checkpoints(shown))
        # Autocast chooses the number format of each product: PEFT's own casts of the adapters' inputs would only be undone.
        assert trainer.model is not None
        with disable_input_dtype_casting(trainer.model, active=recipe.train.method == "lora"):
            trainer.train(resume_from_checkpoint=str(position.resume) if position.resume else None)


def prepared(recipe: Recipe, base: Path, rows: Sequence[Mapping[str, Any]], position: Position) -> "CompletionTrainer":
    """A trainer of the weights in ``base``, or of adapters for them, on curated rows."""
    options = recipe.train
    chat = loading.load_chat(base, recipe.student.chat_template)
    if chat.tokenizer.pad_token is None:  # its attention is masked, and it has no label
        chat.tokenizer.pad_token = chat.tokenizer.convert_ids_to_tokens(chat.end)
    # Steps of full fine-tuning are smaller than bfloat16 can add to a weight.
    model = loading.load_model(base, "float32" if options.method == "full" else recipe.student.dtype)
    examples = [tokenized(chat, row) for row in rows]
    short = model.device.type == "cpu" and max(len(row["input_ids"]) for row in examples) <= SHORT_TOKENS
    if short:
        model.set_attn_implementation("eager")
    trainer = CompletionTrainer(
        model=model,
        args=_arguments(recipe, position),
        train_dataset=Dataset.from_list(examples),
        processing_class=chat.tokenizer,
        peft_config=_adapters(recipe) if options.method == "lora" else None,
    )
    trainer.remove_callback(PrinterCallback)
    if short and trainer.accelerator.num_processes == 1:
        trainer.decoder = families.decoder(trainer.model, getattr(torch, weights.resolve_dtype(recipe.student.dtype)))
    return trainer


def tokenized(chat: ChatTemplate, row: Mapping[str, Any]) -> dict[str, list[int]]:
    """Token ids and labels of a row: the prompt exactly as at inference (`IGNORED`), the completion, the end of the turn.

    In a row of several ``turns`` the replies of earlier turns and their end tokens have labels too. Raises `ValueError`
    where the template rewrites earlier turns.
    """
    messages, turns = row["student_messages"], row["turns"]
    earlier = [message["content"] for message in messages if message["role"] == "assistant"]
    replies = [*earlier[len(earlier) - (turns - 1) :], row["completion"]]
    ids: list[int] = []
    labels: list[int] = []
    end = chat.end
    for before, reply in zip(chat.around_replies(messages, turns), replies, strict=True):
        written = chat.reply_tokens(reply)
        ends = bool(ids) and before[0] == end  # the reply before
        labels += [end] * ends + [IGNORED] * (len(before) - ends) + written
        ids += before + written
    return {"input_ids": [*ids, end], "labels": [*labels, end]}


def _adapters(recipe: Recipe) -> LoraConfig:
    lora = recipe.train.lora
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _arguments(recipe: Recipe, position: Position) -> SFTConfig:
    options = recipe.train
    arguments = SFTConfig(
        output_dir=str(position.work),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.rows_at_once,
        gradient_accumulation_steps=options.batch_size // options.rows_at_once,
        learning_rate=options.learning_rate or 0.0,
        lr_scheduler_type="cosine",
        warmup_steps=int(options.warmup_ratio * position.steps),  # rounded up, a run of one step would learn nothing
        weight_decay=options.weight_decay,
        max_length=None,  # curation labelled rows that are too long
        train_sampling_strategy="group_by_length",
        save_strategy="epoch",
        logging_steps=max(1, position.steps // 60),
        include_num_input_tokens_seen="non_padding",
        activation_checkpointing=False,
        bf16=weights.resolve_dtype(recipe.student.dtype) == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.train_seed,
        report_to="none",
        disable_tqdm=True,
    )
    arguments._n_gpu = 1  # several visible GPUs would multiply the recipe's batch
    return arguments


def summed_loss(model: Any, inputs: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """Sum of the cross-entropy in nats over the tokens with a label, from ``labels`` [rows, tokens]."""
    labels = labels[:, 1:]
    trained = (labels != IGNORED).any(0).nonzero()[:, 0]
    logits = model(**inputs, use_cache=False, logits_to_keep=trained).logits
    return cross_entropy(
        logits.flatten(0, 1).float(), labels[:, trained].flatten(), ignore_index=IGNORED, reduction="sum"
    )


class CompletionTrainer(SFTTrainer):
    """The loss of `SFTTrainer`, by a ``decoder`` if there is one; else with logits only at the positions that have a label in
    some row.

    A prompt is often longer than its completion, and a small model spends most of its time on the vocabulary.
    """

    decoder: Decoder | None = None

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        labels = inputs.pop("labels")
        if self.decoder:
            loss = self.decoder.summed_loss(shared(inputs["input_ids"], labels))
        else:
            loss = summed_loss(model, inputs, labels)
        # As in SFTTrainer: the tokens of all devices are counted, and their gradients are averaged.
        devices = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        averaged: torch.Tensor = loss * devices / num_items_in_batch
        return averaged

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
        size = arguments.train_batch_size * arguments.gradient_accumulation_steps
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


class Checkpoints(TrainerCallback):
    """Shows progress, saves by time and when a stop is requested, and marks complete checkpoints."""

    def __init__(self, shown: Progress) -> None:
        self.shown, self.saved, self.tokens = shown, time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.shown.skip(state.global_step)
        self.tokens = state.num_input_tokens_seen

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.shown.advance(1, state.num_input_tokens_seen - self.tokens)
        self.tokens = state.num_input_tokens_seen
        if interrupt.stop_requested():
            control.should_save = control.should_training_stop = True
        elif time.monotonic() - self.saved > SECONDS_BETWEEN_CHECKPOINTS:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if checkpoints.is_complete(Path(args.output_dir), state.global_step):
            control.should_save = False  # it was just saved: overwriting would put it at risk

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.saved = time.monotonic()
        steps_per_epoch = state.max_steps // state.num_train_epochs
        checkpoints.mark_complete(Path(args.output_dir), state.global_step, steps_per_epoch)
