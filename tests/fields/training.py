"""Fields that decide what the student is trained on, and how."""

from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from unittest import mock

from fields.asking import example
from fields.case import LEFT_OUT, case
from potstill.pipeline import preflight
from potstill.stages.curate import _Labeller, _limit
from potstill.stages.train import trainer

ROWS = [{"student_messages": [{"role": "user", "content": "q"}], "completion": "7", "turns": 1}] * 3


def generated(**values):
    return {"id": "a", "sample": 0, "answer": "7", "rationale": "", "status": "ok", "finish_reason": "stop"} | values


def labelled(recipe, tokens=10, **values):
    """A row with its labels, out of an answer of the teacher."""
    labeller = _Labeller(recipe, recipe.task, {"a": example("a")}, lambda *_: tokens, {})
    return labeller.label(generated(**values), None)


def kept(recipe):
    """The rows that are kept of two samples of each of two questions, by question and sample."""
    rows = [{"id": id_, "sample": sample, "turns": 1, "kept": True, "reason": ""} for id_ in "ab" for sample in (0, 1)]
    _limit(rows, recipe, {})
    return [(row["id"], row["sample"]) for row in rows if row["kept"]]


def fitted(recipe):
    """What TRL's trainer is created with."""
    made = []

    class Recorder:
        accelerator = SimpleNamespace(num_processes=1)

        def __init__(self, **arguments):
            made.append(SimpleNamespace(**arguments))
            self.model = arguments["model"]

        def remove_callback(self, callback): ...

        def add_callback(self, callback): ...

        def train(self, resume_from_checkpoint): ...

    with mock.patch.object(trainer, "CompletionTrainer", Recorder):
        base = recipe.student.model.download()
        trainer.fit(recipe, base, ROWS, trainer.Position(Path(mkdtemp()), None, 100))
    return made[0]


def argument(name):
    return lambda recipe: getattr(fitted(recipe).args, name)


def adapter(name):
    return lambda recipe: getattr(fitted(recipe).peft_config, name)


def steps(recipe):
    arguments = fitted(recipe).args
    return arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps


CASES = [
    case("Curate.filters", "curate.filters", lambda r: labelled(r, finish_reason="length")["reason"], (["parsed"], ""),
         (["parsed", "finished"], "finished")),
    case("Curate.per_question", "curate.per_question", kept, (None, [("a", 0), ("a", 1), ("b", 0), ("b", 1)]),
         (1, [("a", 0), ("b", 0)])),
    case("Curate.max_rows", "curate.max_rows", lambda r: len(kept(r)), (None, 4), (3, 3), (1, 1)),
    case("Train.max_length", "train.max_length", lambda r: labelled(r, tokens=50)["reason"], (50, ""), (49, "too-long")),
    case("Student.model", "student.model", lambda r: str(next(iter(preflight._models(r)))),
         ("packaged/a", "packaged/a"), ("hf/a/b", "hf/a/b")),
    case("Student.dtype", "student.dtype", lambda r: (str(fitted(r).model.dtype), fitted(r).args.bf16),
         ("float32", ("torch.float32", False)), ("bfloat16", ("torch.bfloat16", True))),
    case("Student.chat_template", "student.chat_template", lambda r: "terse = true" in fitted(r).processing_class.chat_template,
         ({}, False), ({"terse": True}, True)),
    case("Train.method", "train.method", lambda r: fitted(r).peft_config is None, ("lora", False), ("full", True)),
    case("Train.epochs", "train.epochs", argument("num_train_epochs"), (2, 2), (7, 7)),
    case("Train.learning_rate", "train.learning_rate", argument("learning_rate"), (3e-3, 3e-3), (LEFT_OUT, 1e-3)),
    case("Train.batch_size", "train.batch_size", steps, (5, (5, 1)), (8, (8, 1))),
    case("Train.micro_batch", "train.micro_batch", steps, (None, (4, 1)), (2, (2, 2))),
    case("Train.warmup_ratio", "train.warmup_ratio", lambda r: fitted(r).args.get_warmup_steps(100), (0.1, 10), (0.25, 25)),
    case("Train.seed", "train.seed", argument("seed"), (8, 8), (9, 9)),
    case("Train.weight_decay", "train.weight_decay", argument("weight_decay"), (0.0, 0.0), (0.25, 0.25)),
    case("Lora.rank", "train.lora.rank", adapter("r"), (4, 4), (6, 6)),
    case("Lora.alpha", "train.lora.alpha", adapter("lora_alpha"), (4, 4), (24, 24)),
    case("Lora.dropout", "train.lora.dropout", adapter("lora_dropout"), (0.0, 0.0), (0.125, 0.125)),
]  # fmt: skip
