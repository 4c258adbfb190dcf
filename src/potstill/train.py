"""Supervised fine-tuning with TRL: student/ and training.json."""

import gc
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill import tasks
from potstill.models import Request, Sampling, stream
from potstill.recipe import Recipe
from potstill.tasks import Prompting

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from potstill.pipeline import Run


def train(recipe: Recipe, run: "Run") -> None:
    """Train on the kept rows, choose the checkpoint by the score on validation questions, write student/."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from potstill.models import weights

    options = recipe.train
    base = weights.folder(recipe.student.model)
    tokenizer = weights.load_tokenizer(base)
    rows = [row for row in run.read("curated.parquet") if row["kept"]]
    work = run.path("student-checkpoints")
    shutil.rmtree(work, ignore_errors=True)
    cuda = torch.cuda.is_available()
    trainer = SFTTrainer(
        model=weights.load_model(base),
        args=SFTConfig(
            output_dir=str(work),
            num_train_epochs=options.epochs,
            per_device_train_batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=options.warmup_ratio,
            weight_decay=options.weight_decay,
            max_length=None,
            train_sampling_strategy="group_by_length",
            save_strategy="epoch",
            logging_steps=5,
            activation_checkpointing=False,
            bf16=cuda,
            use_cpu=not cuda,
            seed=recipe.seed,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([tokenized(tokenizer, row) for row in rows]),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=options.lora.rank,
            lora_alpha=options.lora.alpha,
            lora_dropout=options.lora.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        if options.method == "lora"
        else None,
    )
    trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    del trainer
    gc.collect()
    checkpoints = sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    scores = {path.name: _validation_score(recipe, run, base, path) for path in checkpoints}
    best = max(checkpoints, key=lambda path: scores[path.name])
    model = _load(base, best)
    model.save_pretrained(run.path("student"))
    tokenizer.save_pretrained(run.path("student"))
    run.write_json("training.json", {"loss": history, "validation": scores, "chosen": best.name, "rows": len(rows)})
    run.say(f"  validation: {', '.join(f'{k} {v:.0%}' for k, v in scores.items())}; chosen {best.name}")


def tokenized(tokenizer: "PreTrainedTokenizerBase", row: dict[str, Any]) -> dict[str, list[int]]:
    """Token ids and labels of a row: the prompt exactly as at inference (label -100), the completion, the end token."""
    from potstill.models.local import chat_tokens

    prompt = chat_tokens(tokenizer, row["student_messages"])
    said = [*tokenizer(row["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return {"input_ids": prompt + said, "labels": [-100] * len(prompt) + said}


def _load(base: Path, checkpoint: Path) -> Any:
    from peft import PeftModel

    from potstill.models import weights

    if not (checkpoint / "adapter_config.json").exists():
        return weights.load_model(checkpoint)
    return PeftModel.from_pretrained(weights.load_model(base), checkpoint).merge_and_unload()


def _validation_score(recipe: Recipe, run: "Run", base: Path, checkpoint: Path) -> float:
    """Part of the validation questions that a checkpoint answers right."""
    import asyncio

    from potstill.models import weights
    from potstill.models.local import LocalModel

    task = tasks.load(recipe.task)
    asked = {row["id"]: row for row in run.read("examples.parquet") if row["split"] == "validation"}
    local = LocalModel(_load(base, checkpoint), weights.load_tokenizer(base), {}, batch_size=recipe.student.batch_size)

    requests = [
        Request(row["id"], task.messages(row, Prompting.PLAIN), Sampling(recipe.student.max_tokens))
        for row in asked.values()
    ]

    async def right() -> float:
        total = 0.0
        async for c in local.complete(stream(requests)):
            parsed = task.parse(c.text, c.finish_reason, strict=recipe.evaluate.extraction == "strict")
            total += next(iter(task.scores(parsed.answer, asked[c.id]["gold"]).values()))
        return total

    return asyncio.run(right()) / len(asked)
