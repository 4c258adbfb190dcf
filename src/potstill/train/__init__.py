"""Supervised fine-tuning with TRL: student/ and training.json."""

import math
import shutil
import warnings
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from potstill import interrupt, judge, tasks
from potstill.errors import PotstillError
from potstill.models import Request, Sampling
from potstill.models.ask import ask
from potstill.progress import progress, say
from potstill.recipe import Recipe
from potstill.train import checkpoints

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from potstill.run_folder import Run


def train(recipe: Recipe, run: "Run") -> None:
    """Train on the kept rows, choose the checkpoint by the score on validation questions, write student/."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of libraries about each other
        _train(recipe, run)


def _train(recipe: Recipe, run: "Run") -> None:
    from potstill.models import loading, weights

    base = weights.folder(recipe.student.model)
    tokenizer = loading.load_tokenizer(base)
    rows = [row for row in run.read("curated.parquet") if row["kept"]]
    work = run.path("student-checkpoints")
    ends, loss = _fit(recipe, base, tokenizer, rows, work)
    scores = [
        _validation_score(recipe, run, base, checkpoint, f"validation after epoch {epoch}")
        for epoch, checkpoint in enumerate(ends, 1)
    ]
    known = [score for score in scores if score is not None]
    chosen = scores.index(max(known)) + 1 if known else len(ends)
    validation = [{"epoch": epoch, "score": score} for epoch, score in enumerate(scores, 1)]
    shutil.rmtree(work / "chosen", ignore_errors=True)
    _load(recipe, base, ends[chosen - 1]).save_pretrained(work / "chosen")
    tokenizer.save_pretrained(work / "chosen")
    run.write_folder("student", work / "chosen")
    dtype = weights.number_format(recipe.student.dtype)
    run.write_json(
        "training.json",
        {"rows": len(rows), "dtype": dtype, "loss": loss, "validation": validation, "chosen": chosen},
    )
    if known:
        what = "right of the validation questions" if recipe.task.decides else "mean score on the validation examples"
        after_each = ", ".join(f"{score:.0%}" if recipe.task.decides else f"{score:.3f}" for score in known)
        say(f"  {what} after each epoch: {after_each}; epoch {chosen} is chosen")
    else:
        say("  no validation example has gold, so no score can choose an epoch: the last is taken")


def tokenized(tokenizer: "PreTrainedTokenizerBase", row: dict[str, Any]) -> dict[str, list[int]]:
    """Token ids and labels of a row: the prompt exactly as at inference (label -100), the completion, the end token."""
    from potstill.models.local import chat_tokens

    prompt = chat_tokens(tokenizer, row["student_messages"])
    said = [*tokenizer(row["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return {"input_ids": prompt + said, "labels": [-100] * len(prompt) + said}


def _fit(
    recipe: Recipe, base: Path, tokenizer: "PreTrainedTokenizerBase", rows: list[dict[str, Any]], work: Path
) -> tuple[list[Path], list[dict[str, float]]]:
    """Train, from the last checkpoint in ``work`` if there is one.

    Returns a checkpoint for each epoch, and the loss by epoch as often as it was logged. Raises `Interrupted` when
    the user stops it, with a checkpoint of where it was.
    """
    steps_an_epoch = math.ceil(len(rows) / recipe.train.batch_size)
    steps = recipe.train.epochs * steps_an_epoch
    last = checkpoints.newest(work, steps_an_epoch)
    if last is None or checkpoints.step(last) < steps:
        _train_on(recipe, base, tokenizer, rows, work, last, steps)
    ended = checkpoints.newest(work, steps_an_epoch)
    if ended is None or checkpoints.step(ended) < steps:
        done = checkpoints.step(ended) if ended else 0
        if not interrupt.asked():
            raise PotstillError(f"training ended after {done} of {steps} steps; --debug and {work} may show why.")
        raise interrupt.Interrupted(
            f"training: stopped after {done} of {steps} steps; the same command again goes on from there."
        )
    epochs = [work / f"checkpoint-{epoch * steps_an_epoch}" for epoch in range(1, recipe.train.epochs + 1)]
    return epochs, checkpoints.losses(ended)


def _train_on(
    recipe: Recipe,
    base: Path,
    tokenizer: "PreTrainedTokenizerBase",
    rows: list[dict[str, Any]],
    work: Path,
    last: Path | None,
    steps: int,
) -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl.trainer.sft_config import SFTConfig

    from potstill.models import loading, weights
    from potstill.train.trainer import Checkpoints, CompletionTrainer

    options = recipe.train
    cuda = torch.cuda.is_available()
    bf16 = weights.number_format(recipe.student.dtype) == "bfloat16"
    adapters = LoraConfig(
        r=options.lora.rank,
        lora_alpha=options.lora.alpha,
        lora_dropout=options.lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    arguments = SFTConfig(
        output_dir=str(work),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(options.warmup_ratio * steps),  # rounded up, a run of one step would learn nothing
        weight_decay=options.weight_decay,
        max_length=None,  # rows that are too long were labelled, and left out or not, by curation
        train_sampling_strategy="group_by_length",
        save_strategy="epoch",
        logging_steps=max(1, steps // 60),
        include_num_input_tokens_seen="non_padding",
        activation_checkpointing=False,
        bf16=bf16,
        use_cpu=not cuda,
        seed=recipe.seed,
        report_to="none",
        disable_tqdm=True,
    )
    arguments._n_gpu = 1  # several visible GPUs would multiply the recipe's batch
    trainer = CompletionTrainer(
        # Steps of full fine-tuning are smaller than bfloat16 can add to a weight.
        model=loading.load_model(base, "float32" if options.method == "full" else recipe.student.dtype),
        args=arguments,
        train_dataset=Dataset.from_list([tokenized(tokenizer, row) for row in rows]),
        processing_class=tokenizer,
        peft_config=adapters if options.method == "lora" else None,
    )
    trainer.remove_callback(PrinterCallback)
    with progress("training", steps, "steps") as shown:
        trainer.add_callback(Checkpoints(shown))
        trainer.train(resume_from_checkpoint=str(last) if last else None)


def _load(recipe: Recipe, base: Path, checkpoint: Path) -> "PreTrainedModel":
    """A checkpoint's weights in the student's number format, adapters merged into those of ``base``."""
    from peft import PeftModel

    from potstill.models import loading

    dtype = recipe.student.dtype
    if not (checkpoint / "adapter_config.json").exists():
        return loading.load_model(checkpoint, dtype)
    adapted = PeftModel.from_pretrained(loading.load_model(base, dtype), checkpoint)
    merged: PreTrainedModel = adapted.merge_and_unload()
    return merged


def _validation_score(recipe: Recipe, run: "Run", base: Path, checkpoint: Path, name: str) -> float | None:
    """A checkpoint's mean score on the validation questions; None where none of them has gold."""
    from potstill.models import loading, weights
    from potstill.models.local import LocalModel

    def load() -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        return _load(recipe, base, checkpoint), loading.load_tokenizer(base)

    task = run.task
    asked = list(run.rows("examples.parquet", "validation"))
    sampling = Sampling(recipe.student.max_tokens)
    requests = [Request(row["id"], task.messages(row), sampling) for row in asked]
    identity = weights.identity(base, recipe.student.dtype) | {"checkpoint": weights.sha256(checkpoint)}
    model = LocalModel(load, identity, str(checkpoint), batch_size=recipe.student.batch_size)
    answers = ask(model, requests, name, run.store, run.name_in_store)
    strict = recipe.evaluate.extraction == "strict"
    said = [
        task.parse(c.text, c.finish_reason, row, strict=strict).answer for row, c in zip(asked, answers, strict=True)
    ]
    task = judge.judged(recipe, run, task, zip(asked, said, strict=True), name)
    scores = []
    for row, answer in zip(asked, said, strict=True):
        score = tasks.main_score(task, answer, row)
        if row["gold"] is not None and score is not None:
            scores.append(score)
    return mean(scores) if scores else None
