"""What student and teacher answered to validation and test questions, and how sure the student was."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from potstill.cascade.choosing import Questions
from potstill.cascade.signals import AGREEMENT, SIGNALS, TEMPERATURE, Tokens, agreement, signal
from potstill.errors import RecipeError
from potstill.models import Request, Sampling
from potstill.models.complete import Billing, complete
from potstill.models.local.scoring import scored, scoring_model
from potstill.models.opening import open_folder
from potstill.recipe.systems import STUDENT, Role, System
from potstill.stages.evaluate.asking import Asker
from potstill.stages.evaluate.compare import answered_by_both
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.stage import evaluated_system
from potstill.tasks import Example
from potstill.workspace import artifacts
from potstill.workspace.artifacts import Prediction
from potstill.workspace.run import Run

Rows = Sequence[Prediction]


def teacher_of(run: Run) -> System:
    """The system that represents the teacher in the run's verdict. Raises `RecipeError` where the student cannot be compared with
    one: no score says which answers are correct, or one of both was not evaluated."""
    chosen = run.evaluation.get("chosen", {}).get(Role.TEACHER.value, {})
    if not run.recipe.task.gradable:
        raise RecipeError(
            f"{run.folder}: no score says which answers of the task {run.recipe.task.name} are correct, so that no threshold can be chosen."
        )
    names = {system.name: system for system in run.recipe.systems}
    if STUDENT not in names or chosen.get("system") not in names:
        raise RecipeError(
            f"{run.folder}: a cascade needs answers of student and teacher. List both in evaluate.systems, then potstill run."
        )
    return names[chosen["system"]]


def validation(run: Run, teacher: System, signals: Sequence[str], samples: int) -> Questions:
    """Both systems are asked the validation questions with gold. Raises `RecipeError` where there are none, `PotstillError` as
    `potstill.models.complete.complete` does."""
    examples = [example for example in run.examples("validation") if example["gold"] is not None]
    if not examples:
        raise RecipeError(
            f"{run.folder}: there are no validation questions with gold, on which a threshold could be chosen. Set data.validation."
        )
    student = next(system for system in run.recipe.systems if system.role is Role.STUDENT)
    asker = Asker(run.recipe, run)
    answers = asker.ask([teacher, student], examples, " on validation")
    rows = [evaluated_system(run.recipe, run, one, examples, answers[one.name]).rows for one in (student, teacher)]
    return _questions(run, (rows[0], rows[1]), signals, examples, samples)


def test(run: Run, teacher: System, examples: Sequence[Example], signals: Sequence[str], samples: int) -> Questions:
    """What the evaluation has of some test questions with gold."""
    ids = {example["id"] for example in examples if example["gold"] is not None}
    of = [run.read(artifacts.predictions(name)) for name in (STUDENT, teacher.name)]
    student, other = ([row for row in rows if row["id"] in ids] for rows in of)
    return _questions(run, (student, other), signals, examples, samples)


def _questions(
    run: Run, rows: tuple[Rows, Rows], signals: Sequence[str], examples: Sequence[Example], samples: int
) -> Questions:
    (student, teacher), excluded = answered_by_both(rows)
    if not student:
        raise RecipeError(f"{run.folder}: there is no question that both student and teacher answered.")
    return Questions(
        groups=[row["group"] for row in student],
        excluded=excluded,
        student=_is(student, Outcome.CORRECT),
        teacher=_is(teacher, Outcome.CORRECT),
        teacher_at_best=_is(teacher, Outcome.CORRECT, Outcome.TRUNCATED),
        prompt_tokens=np.array([float(row["prompt_tokens"]) for row in teacher]),
        completion_tokens=np.array([float(row["completion_tokens"]) for row in teacher]),
        signals=_signals(run, student, signals, {example["id"]: example for example in examples}, samples),
    )


def _signals(
    run: Run, rows: Rows, names: Sequence[str], examples: Mapping[str, Example], samples: int
) -> dict[str, np.ndarray]:
    """By name, how sure the student is of each answer."""
    found = {}
    if of_tokens := [name for name in names if name in SIGNALS]:
        tokens = _tokens(run, rows)
        for name in of_tokens:
            found[name] = np.array([signal(name, tokens.get(row["id"], ()), row["finish_reason"]) for row in rows])
    if AGREEMENT in names:
        drawn = _drawn(run, rows, examples, samples)
        equivalent = run.task.equivalent
        found[AGREEMENT] = np.array([agreement(row["answer"], drawn[row["id"]], equivalent) for row in rows])
    return found


def _drawn(run: Run, rows: Rows, examples: Mapping[str, Example], samples: int) -> Mapping[str, Sequence[str | None]]:
    """What ``samples`` further answers of the student say, by question."""
    student, seed = run.recipe.student, run.recipe.generate_seed
    sent = [
        Request(row["id"], row["messages"], Sampling(row["max_tokens"], TEMPERATURE, seed=seed), sample)
        for row in rows
        for sample in range(1, samples + 1)
    ]
    model = open_folder(run.student_folder, STUDENT, student.batch_size, student.dtype)
    drawn: dict[str, list[str | None]] = defaultdict(list)
    for one in complete(model, sent, "student: drawn answers", Billing(run.store, run.id)):
        drawn[one.id].append(run.task.parse(one.text, one.finish_reason, examples[one.id], strict=False).answer)
    return drawn


def _is(rows: Rows, *outcomes: Outcome) -> np.ndarray:
    return np.array([float(row["outcome"] in outcomes) for row in rows])


def _tokens(run: Run, rows: Rows) -> Mapping[str, Tokens]:
    """The tokens of the student's answers that ended by themselves, by question, each with its log-probability."""
    ended = [row for row in rows if row["finish_reason"] == "stop" and row["text"]]
    sent = [scored(row["id"], row["messages"], row["text"]) for row in ended]
    model = scoring_model(run.student_folder, STUDENT, run.recipe.student.dtype)
    completions = complete(model, sent, "student: log-probabilities", Billing(run.store, run.id))
    return {
        one.id: [(text, value) for ((text, value),) in json.loads(one.logprobs)] for one in completions if one.logprobs
    }
