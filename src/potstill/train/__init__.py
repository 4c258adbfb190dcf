"""Supervised fine-tuning with TRL: student/ and training.json."""

import math
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill import tasks
from potstill.models import Request, Sampling
from potstill.models.ask import ask
from potstill.progress import progress, say
from potstill.recipe import Recipe
from potstill.tasks import Prompting

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from potstill.pipeline import Run


def train(recipe: Recipe, run: "Run") -> None:
    """Train on the kept rows, choose the checkpoint by the score on validation questions, write student/."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of libraries about each other
        _train(recipe, run)


def _train(recipe: Recipe, run: "Run") -> None:
    from potstill.models import weights

    base = weights.folder(recipe.student.model)
    tokenizer = weights.load_tokenizer(base)
    rows = [row for row in run.read("curated.parquet") if row["kept"]]
    work = run.path("student-checkpoints")
    shutil.rmtree(work, ignore_errors=True)
    loss = _fit(recipe, base, tokenizer, rows, work)
    checkpoints = sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    validation = []
    for epoch, checkpoint in enumerate(checkpoints, 1):
        model = _load(base, checkpoint)
        score = _validation_score(recipe, run, model, tokenizer, f"validation after epoch {epoch}")
        validation.append({"epoch": epoch, "score": score})
        if score > max((earlier["score"] for earlier in validation[:-1]), default=-1.0):
            model.save_pretrained(run.path("student"))
        del model
    tokenizer.save_pretrained(run.path("student"))
    chosen = max(validation, key=lambda entry: entry["score"])
    run.write_json(
        "training.json", {"rows": len(rows), "loss": loss, "validation": validation, "chosen": chosen["epoch"]}
    )
    shutil.rmtree(work)
    scores = ", ".join(f"{entry['score']:.0%}" for entry in validation)
    say(f"  right of the validation questions after each epoch: {scores}; epoch {chosen['epoch']} is chosen")


def tokenized(tokenizer: "PreTrainedTokenizerBase", row: dict[str, Any]) -> dict[str, list[int]]:
    """Token ids and labels of a row: the prompt exactly as at inference (label -100), the completion, the end token."""
    from potstill.models.local import chat_tokens

    prompt = chat_tokens(tokenizer, row["student_messages"])
    said = [*tokenizer(row["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return {"input_ids": prompt + said, "labels": [-100] * len(prompt) + said}


def _fit(
    recipe: Recipe, base: Path, tokenizer: "PreTrainedTokenizerBase", rows: list[dict[str, Any]], work: Path
) -> list[dict[str, float]]:
    """Save a checkpoint in ``work`` after each epoch; returns the loss by epoch, as often as it was logged."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback, TrainerCallback
    from trl.trainer.sft_config import SFTConfig

    from potstill.models import weights
    from potstill.train.trainer import CompletionTrainer

    options = recipe.train
    cuda = torch.cuda.is_available()
    steps = options.epochs * math.ceil(len(rows) / options.batch_size)
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
        warmup_steps=options.warmup_ratio,
        weight_decay=options.weight_decay,
        max_length=None,  # rows that are too long were labelled, and left out or not, by curation
        train_sampling_strategy="group_by_length",
        save_strategy="epoch",
        logging_steps=max(1, steps // 60),
        include_num_input_tokens_seen="non_padding",
        activation_checkpointing=False,
        bf16=cuda,
        use_cpu=not cuda,
        seed=recipe.seed,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = CompletionTrainer(
        model=weights.load_model(base),
        args=arguments,
        train_dataset=Dataset.from_list([tokenized(tokenizer, row) for row in rows]),
        processing_class=tokenizer,
        peft_config=adapters if options.method == "lora" else None,
    )
    trainer.remove_callback(PrinterCallback)
    with progress("training", steps, "steps") as shown:

        class Steps(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                shown.advance(1, state.num_input_tokens_seen - shown.tokens)

        trainer.add_callback(Steps)
        trainer.train()
    return [{"epoch": e["epoch"], "loss": float(e["loss"])} for e in trainer.state.log_history if "loss" in e]


def _load(base: Path, checkpoint: Path) -> "PreTrainedModel":
    """A checkpoint's weights, adapters merged into those of ``base``."""
    from peft import PeftModel

    from potstill.models import weights

    if not (checkpoint / "adapter_config.json").exists():
        return weights.load_model(checkpoint)
    merged: PreTrainedModel = PeftModel.from_pretrained(weights.load_model(base), checkpoint).merge_and_unload()
    return merged


def _validation_score(
    recipe: Recipe, run: "Run", model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", name: str
) -> float:
    """Part of the validation questions that a model answers right."""
    from potstill.models.local import LocalModel

    task = tasks.load(recipe.task)
    asked = [row for row in run.read("examples.parquet") if row["split"] == "validation"]
    sampling = Sampling(recipe.student.max_tokens)
    requests = [Request(row["id"], task.messages(row, Prompting.PLAIN), sampling) for row in asked]
    answers = ask(LocalModel(model, tokenizer, {}, batch_size=recipe.student.batch_size), requests, name)
    strict = recipe.evaluate.extraction == "strict"
    right = 0.0
    for row, completion in zip(asked, answers, strict=True):
        parsed = task.parse(completion.text, completion.finish_reason, strict=strict)
        right += tasks.main_score(task, parsed.answer, row["gold"])
    return right / len(asked)
