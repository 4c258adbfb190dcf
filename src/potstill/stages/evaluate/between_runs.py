"""Compare a system of one run with a system of another, over the questions that both runs have."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.errors import PotstillError, RecipeError, did_you_mean
from potstill.recipe.evaluating import Evaluate
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import STUDENT
from potstill.stages.evaluate.compare import compare
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.summary import describe
from potstill.stages.judge import scoring
from potstill.tasks import Example, Task
from potstill.workspace import artifacts
from potstill.workspace.artifacts import TEST_SPLITS, Prediction
from potstill.workspace.run import Run

Question = tuple[str, str, int]
"""The folded question, what its gold says (of a mark the option, since options are shuffled), and which of several equal ones of a
run it is."""


@dataclass(frozen=True)
class _Answered:
    """A question of a run, and a system's answer to it."""

    example: Example
    row: Prediction


def compare_runs(run_a: Run, run_b: Run, system_a: str = STUDENT, system_b: str = STUDENT) -> dict[str, Any]:
    """The paired differences a - b, by test split of the first run, with the margin, confidence and groups of the first.

    Returns:
        ``a`` and ``b`` (run, system), ``margin``, ``confidence``, ``notes`` (in which the runs differ, in words), ``only_in_a``,
        ``only_in_b`` and ``other_gold`` (numbers of questions), and ``splits``: for each what
        `potstill.stages.evaluate.compare.compare` returns, and ``won`` and ``lost``, the questions that only a, and only b,
        answers correctly; for a task that is not gradable what `potstill.stages.evaluate.summary.describe` returns, over
        questions with and without gold.

    Raises `RecipeError` for runs of different tasks, for a system that a run does not have, and where no question (of a gradable
    task: with gold) is in both; `PotstillError` for a run that is not evaluated, and rows with the same id.
    """
    task = run_a.task
    if run_b.task.name != task.name:
        raise RecipeError(
            f"{run_a.folder} has the task {task.name}, {run_b.folder} {run_b.task.name}: their questions differ."
        )
    a, b = _answers(run_a, system_a), _answers(run_b, system_b)
    common = [key for key in a if key in b]
    if not common:
        kind = "test question with gold" if task.gradable else "test question"
        raise RecipeError(
            f"{run_a.folder} and {run_b.folder} have no {kind} in common: {len(a)} and {len(b)} questions. Runs "
            "with the same `data` and `data.seed` have the same ones."
        )
    questions = {question for question, *_ in b}
    other_gold = sum(key not in b and key[0] in questions for key in a)
    options = run_a.recipe.evaluate
    splits = {}
    for split in TEST_SPLITS:
        if keys := [key for key in common if a[key].example["split"] == split]:
            splits[split] = _of_split(task, [(a[key], b[key]) for key in keys], options)
    return {
        "a": {"run": run_a.folder.name, "system": system_a},
        "b": {"run": run_b.folder.name, "system": system_b},
        "margin": options.margin,
        "confidence": options.confidence,
        "notes": list(_notes(run_a, run_b)),
        "only_in_a": len(a) - len(common),
        "only_in_b": len(b) - len(common),
        "other_gold": other_gold,
        "splits": splits,
    }


def _answers(run: Run, system: str) -> dict[Question, _Answered]:
    """A system's answers to the test questions; of a gradable task to those with gold."""
    if run.stages.get("evaluate", {}).get("state") != "done":
        raise PotstillError(f"{run.folder}: not evaluated yet. Use: potstill evaluate {run.folder}")
    table = artifacts.predictions(system)
    names = [one.name for one in run.recipe.systems if run.path(artifacts.predictions(one.name).file).exists()]
    if system not in names:
        hint = did_you_mean(system, names)
        raise RecipeError(f"{run.folder} has no system '{system}'.{hint} Its systems are {', '.join(names)}.")
    rows: dict[str, Prediction] = {}
    for row in run.read(table):
        if row["id"] in rows:
            raise PotstillError(
                f"{run.path(table.file)}: two rows have the id {row['id']!r}. Use: potstill evaluate {run.folder}"
            )
        rows[row["id"]] = row
    seen: Counter[tuple[str, str]] = Counter()
    answers: dict[Question, _Answered] = {}
    for example in run.examples(*TEST_SPLITS):
        if example["id"] in rows and (example["gold"] is not None or not run.recipe.task.gradable):
            identity = (run.recipe.task.question_key(example), run.recipe.task.gold_text(example))
            answers[(*identity, seen[identity])] = _Answered(example, rows[example["id"]])
            seen[identity] += 1
    return answers


def _of_split(task: Task, pairs: Sequence[tuple[_Answered, _Answered]], options: Evaluate) -> dict[str, Any]:
    """Rows of one question get the id and the group that it has in the first run."""
    rows_a = [a.row for a, _ in pairs]
    rows_b: list[Prediction] = [{**b.row, "id": a.row["id"], "group": a.row["group"]} for a, b in pairs]
    if not task.gradable:
        return describe((rows_a, rows_b), task, options.confidence)
    named = {
        label
        for rows in (rows_a, rows_b)
        for row in rows
        for text in (row["gold"], row["answer"])
        for label in task.labels_of(text)
    }
    labels = sorted({*task.label_set, *named}) if task.label_score else []
    compared = compare((rows_a, rows_b), task, labels, options)
    if any(a.row["gold"] != b.row["gold"] for a, b in pairs):  # the same option under another mark
        compared["labels"] = {}
    shown = [_shown(task, a, b) for a, b in pairs if not any(Outcome(one.row["outcome"]).excluded for one in (a, b))]
    return {
        **compared,
        "correct": {name: sum(one[name]["outcome"] == Outcome.CORRECT for one in shown) for name in ("a", "b")},
        "won": [one for one in shown if _only(one, "a", "b")],
        "lost": [one for one in shown if _only(one, "b", "a")],
    }


def _only(one: Mapping[str, Any], a: str, b: str) -> bool:
    return bool(one[a]["outcome"] == Outcome.CORRECT != one[b]["outcome"])


def _shown(task: Task, a: _Answered, b: _Answered) -> dict[str, Any]:
    question = "\n".join(column.display(a.example[name]) for name, column in task.columns.items())
    answers = {name: {key: one.row[key] for key in ("id", "answer", "outcome")} for name, one in (("a", a), ("b", b))}
    return {"question": question, "gold": a.row["gold"], **answers}


def _judges(recipe: Recipe) -> list[str]:
    """The models that decide which answers are correct, where the scorer is `judge`."""
    jury = scoring.of_evaluation(recipe)
    return [model.name for model in jury.models] if jury else []


def _notes(run_a: Run, run_b: Run) -> Iterator[str]:
    """What the runs differ in, and whose counts."""
    a, b = run_a.recipe, run_b.recipe
    for name in ("margin", "confidence"):
        of_a, of_b = getattr(a.evaluate, name), getattr(b.evaluate, name)
        if of_a != of_b:
            yield f"the {name} is that of {run_a.folder.name}, {of_a:g}; {run_b.folder.name} has {of_b:g}"
    if a.evaluate.extraction != b.evaluate.extraction:
        yield f"answers are read {a.evaluate.extraction} in {run_a.folder.name} and {b.evaluate.extraction} in {run_b.folder.name}"
    if run_a.task.model_dump() != run_b.task.model_dump():
        yield "the options of the task differ"
    if _judges(a) != _judges(b):
        yield "the judges differ"
