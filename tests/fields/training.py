"""Fields that decide what the student is trained on, and how."""

from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from unittest import mock

from fields.asking import example
from fields.case import LEFT_OUT, case
from potstill.errors import PotstillError
from potstill.pipeline import preflight
from potstill.stages.curate import _Labeller, _limit
from potstill.stages.train import on_policy, trainer
from potstill.stages.train import stage as train

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


def rows(recipe):
    """The rows that TRL's trainer gets for a row with a rationale: each with its prompt, and the weights of its losses."""
    row = ROWS[0] | {"rationale": "because"}
    with mock.patch(f"{__name__}.ROWS", [row]):
        got = fitted(recipe)
    texts = [got.processing_class.decode(row["input_ids"]) for row in got.train_dataset]
    sums = [
        sum(weight for weight, label in zip(row["weights"], row["labels"], strict=True) if label != -100)
        for row in got.train_dataset
    ]
    return [(text, round(total, 3)) for text, total in zip(texts, sums, strict=True)]


def soft(recipe):
    """The number of tokens whose probabilities a batch has, and which weights computed them."""
    row = ROWS[0] | {
        "messages": ROWS[0]["student_messages"],
        "text": "7",
        "logprobs": '[[["7", -0.5], ["8", -1.0]], [["<end>", -0.1]]]',
    }
    with mock.patch(f"{__name__}.ROWS", [row]):
        got = fitted(recipe)
    return got.data_collator([got.train_dataset[0]])["soft_logs"].shape[1], recipe.teacher_weights is not None


def soft_weight(recipe):
    row = ROWS[0] | {
        "messages": ROWS[0]["student_messages"], "text": "7", "logprobs": '[[["7", -0.5]], [["<end>", -0.1]]]',
    }  # fmt: skip
    made = mock.MagicMock()
    made.return_value.accelerator.num_processes = 1
    with mock.patch.object(trainer, "CompletionTrainer", made):
        position = trainer.Position(Path(mkdtemp()), None, 100)
        return trainer.prepared(recipe, recipe.student.model.download(), [row], position).soft_weight


def distilled(name):
    """An argument of TRL's trainer that learns on the student's own answers."""

    def seen(recipe):
        with mock.patch.object(on_policy, "OnPolicyTrainer") as made:
            arguments = {"output_dir": mkdtemp(), "use_cpu": True}
            on_policy.prepared(recipe, recipe.student.model.download(), ROWS, arguments)
        return getattr(made.call_args.kwargs["args"], name)

    return seen


def tried(recipe):
    """The learning rates that the student is trained at."""
    return recipe.train.rates


def averaged(recipe):
    """The epochs whose mean is tried."""
    folders = [Path(str(epoch)) for epoch in range(1, 4)]
    with (
        mock.patch.object(train, "_fit", return_value=(folders, [])),
        mock.patch.object(train, "_validation_scores", return_value=[1.0]),
        mock.patch.object(train.checkpoints, "engine", return_value="fused"),
    ):
        mean = train._trained(recipe, None, Path(), [], Path(), None).mean
    return mean and mean.epochs


def shared_by(recipe):
    """Rows of a forward pass in each process."""
    return trainer._arguments(recipe, trainer.Position(Path(mkdtemp()), None, 100), 8)["per_device_train_batch_size"]


def argument(name):
    return lambda recipe: getattr(fitted(recipe).args, name)


def steps_in_all(recipe):
    """The optimizer steps of a training on rows that are two steps."""
    rows = [{"rationale": ""}] * (2 * recipe.train.batch_size)
    with (
        mock.patch.object(train.checkpoints, "claim"),
        mock.patch.object(train.checkpoints, "newest", return_value=None),
        mock.patch.object(train, "_digest"),
        mock.patch.object(train.room, "require"),
        mock.patch("potstill.stages.train.trainer.fit") as fit,
        suppress(PotstillError),  # it ended too early
    ):
        train._fit(recipe, Path(), rows, Path())
    return fit.call_args.args[3].steps


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
    case("Train.epochs", "train.epochs", steps_in_all, (2, 4), (7, 14)),
    case("Train.learning_rate", "train.learning_rate", argument("learning_rate"), (3e-3, 3e-3), (LEFT_OUT, 1e-3)),
    case("Train.batch_size", "train.batch_size", steps, (5, (5, 1)), (8, (8, 1))),
    case("Train.micro_batch", "train.micro_batch", steps, (None, (4, 1)), (2, (2, 2))),
    case("Train.warmup_ratio", "train.warmup_ratio", lambda r: fitted(r).args.get_warmup_steps(100), (0.1, 10), (0.25, 25)),
    case("Train.seed", "train.seed", argument("seed"), (8, 8), (9, 9)),
    case("Train.weight_decay", "train.weight_decay", argument("weight_decay"), (0.0, 0.0), (0.25, 0.25)),
    case("Train.prompt_loss_weight", "train.prompt_loss_weight", lambda r: rows(r)[0][1], (0.5, 6.0), (0.25, 4.0)),
    case("Joint.weight", "train.joint.weight", lambda r: [weight for _, weight in rows(r)], (0.5, [1.0, 0.5]), (2.0, [1.0, 2.0]),
         condition="cot-joint"),
    case("Joint.prefix", "train.joint.prefix", lambda r: [text for text, _ in rows(r)],
         ("Why? ", ["user:q;a:7<end>", "user:Why? q;a:because<end>"]), ("So. ", ["user:q;a:7<end>", "user:So. q;a:because<end>"]),
         condition="cot-joint"),
    case("Kd.weight", "train.kd.weight", soft_weight, (0.25, 0.25), (1.0, 1.0), generate__top_logprobs=20),
    case("Kd.top_k", "train.kd.top_k", lambda r: soft(r)[0], (1, 1), (2, 2), generate__top_logprobs=2),
    case("Kd.teacher", "train.kd.teacher", soft, ("@/tiny", (20, True)), (None, (20, False)), generate__top_logprobs=20),
    case("OnPolicy.teacher", "train.on_policy.teacher", lambda r: [str(m) for m in preflight._models(r)][-1].split("/")[-1],
         ("@/tiny", "tiny"), ("hf/a/b", "b"), evaluate__systems=["student"]),
    case("OnPolicy.beta", "train.on_policy.beta", distilled("beta"), (0.0, 0.0), (0.5, 0.5), train__on_policy__teacher="@/tiny"),
    case("OnPolicy.temperature", "train.on_policy.temperature", distilled("temperature"), (1.0, 1.0), (0.5, 0.5),
         train__on_policy__teacher="@/tiny"),
    case("Search.learning_rate", "train.search.learning_rate", tried, ([1e-3, 2e-3], [1e-3, 2e-3]), ([1e-4, 1e-3], [1e-4, 1e-3])),
    case("Train.average", "train.average", averaged, (0, None), (2, (2, 3)), (3, (1, 2, 3)), train__epochs=3),
    case("Train.processes", "train.processes", shared_by, (1, 4), (2, 2), (4, 1)),
    case("Train.report_to", "train.report_to", argument("report_to"), ([], []), (["tensorboard"], ["tensorboard"])),
    case("Lora.rank", "train.lora.rank", adapter("r"), (4, 4), (6, 6)),
    case("Lora.alpha", "train.lora.alpha", adapter("lora_alpha"), (4, 4), (24, 24)),
    case("Lora.dropout", "train.lora.dropout", adapter("lora_dropout"), (0.0, 0.0), (0.125, 0.125)),
]  # fmt: skip
