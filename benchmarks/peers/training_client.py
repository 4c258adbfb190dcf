"""Train on tokenized rows, by ours or by TRL's `SFTTrainer`: argv has a file with what to do (see `training.py`); prints the seconds
of the steps after the first, the tokens with a label in them, the losses by step, and the memory that training takes beyond
weights, gradients and the state of the optimizer.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import psutil
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from potstill.models.local import loading
from potstill.recipe import loading as recipe_file
from potstill.stages.train import base as weights_to_train
from potstill.stages.train import trainer as ours

warnings.simplefilter("ignore")
asked = json.loads(Path(sys.argv[1]).read_text())


class Measured(TrainerCallback):
    """Times and losses of the steps."""

    def __init__(self):
        self.seconds, self.losses, self.began = [], [], 0.0

    def on_step_end(self, args, state, control, **kwargs):
        now = time.perf_counter()
        self.seconds.append(now - self.began)
        self.began = now

    def on_train_begin(self, args, state, control, **kwargs):
        self.began = time.perf_counter()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in (logs or {}):
            self.losses.append(float(logs["loss"]))


def in_order(trainer):
    """Have the rows come in their order: each ``batch_size`` in turn are a step."""
    trainer._get_train_sampler = lambda dataset=None: torch.utils.data.SequentialSampler(trainer.train_dataset)


def prepared_ours():
    recipe = recipe_file.load(asked["recipe"])
    position = ours.Position(Path(asked["work"]), None, asked["steps"])
    # They are tokenized already.
    ours.rows_of = lambda recipe, chat, rows: [{**row, "number": number} for number, row in enumerate(rows)]
    trainer = ours.prepared(recipe, Path(asked["folder"]), asked["rows"], position)
    trainer.args.save_strategy = "no"
    trainer.args.logging_steps = 1
    return trainer


def prepared_trl():
    recipe = recipe_file.load(asked["recipe"])
    train = recipe.train
    half = asked["dtype"] == "bfloat16"
    dtype = torch.bfloat16 if half and train.method == "lora" else torch.float32
    chat = loading.load_chat(Path(asked["folder"]))
    if chat.tokenizer.pad_token is None:
        chat.tokenizer.pad_token = chat.tokenizer.convert_ids_to_tokens(chat.end)
    lengths = [len(row["input_ids"]) for row in asked["rows"]]
    packed = asked["packing"]
    # Packed sequences hold the tokens of a step, so that a step has as many rows as without packing.
    longest = max(max(lengths), round(train.batch_size * sum(lengths) / len(lengths))) if packed else max(lengths)
    arguments = SFTConfig(
        output_dir=asked["work"],
        per_device_train_batch_size=1 if packed else train.batch_size,
        packing=packed,
        max_length=longest,
        gradient_checkpointing=asked["checkpointing"],
        learning_rate=train.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(train.warmup_ratio * asked["steps"]),
        max_steps=asked["steps"],
        bf16=half,
        use_cpu=True,
        seed=recipe.train_seed,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
    )
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(asked["folder"], dtype=dtype),
        args=arguments,
        train_dataset=Dataset.from_list(asked["rows"]),
        processing_class=chat.tokenizer,
        peft_config=weights_to_train.adapters(recipe),
    )


def labelled_tokens(trainer):
    """Counts the labels of each step as the loss sees them."""
    counts = []
    compute_loss = trainer.compute_loss

    def counted(model, inputs, *args, **kwargs):
        counts.append(int((inputs["labels"] != ours.IGNORED).sum()))
        return compute_loss(model, inputs, *args, **kwargs)

    trainer.compute_loss = counted
    return counts


def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


before = psutil.Process().memory_info().rss
trainer = {"ours": prepared_ours, "trl": prepared_trl}[asked["engine"]]()
if asked["in_order"]:
    in_order(trainer)
trainer.remove_callback(PrinterCallback)
measured = Measured()
trainer.add_callback(measured)
labelled = labelled_tokens(trainer)
weights = sum(p.numel() * p.element_size() for p in trainer.model.parameters())
state = sum(12 * p.numel() for p in trainer.model.parameters() if p.requires_grad)  # gradients and two moments
Path("/proc/self/clear_refs").write_text("5")  # resets the peak
trainer.train()
if asked["save"]:
    model = trainer.model
    (model.merge_and_unload() if hasattr(model, "merge_and_unload") else model).float().save_pretrained(asked["save"])
    trainer.processing_class.save_pretrained(asked["save"])
result = {
    "seconds": sum(measured.seconds[1:]),
    "labelled": sum(labelled[1:]),
    "losses": measured.losses[: asked["steps"]],
    "mib": (peak_bytes() - before - weights - state) / 2**20,
    "fused": getattr(trainer, "decoder", None) is not None,
}
print(json.dumps(result))
