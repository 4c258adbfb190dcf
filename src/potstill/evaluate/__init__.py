"""Base, student and teacher answer the same test questions: predictions/ and evaluation.json."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from potstill import judge, tasks
from potstill.data import TEST_SPLITS, sealed
from potstill.evaluate.summary import KINDS, summary
from potstill.evaluate.verdict import verdict
from potstill.generate import logged
from potstill.models import Completion, Request, Sampling
from potstill.models.ask import ask, ask_within
from potstill.models.sources import open_model
from potstill.recipe import Recipe, System
from potstill.recipe_data import Logs
from potstill.run_folder import Part
from potstill.shots import Shots
from potstill.tasks import Parsed, Task

if TYPE_CHECKING:
    from potstill.run_folder import Run


class Outcome(StrEnum):
    """What became of a question: right, wrong, answered where nothing says which, the status of a text that is not ok,
    or an error on the way."""

    RIGHT = "right"
    ANSWERED = "answered"
    WRONG = "wrong"
    ABSTAINED = "abstained"
    UNPARSEABLE = "unparseable"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    REFUSED = "refused"
    ERROR = "error"


ROOM = 2
"""An evaluated answer may be so many times as long as ``max_tokens``, so that few are cut. Room that is not used costs
nothing, and asking the cut ones again would cost them twice."""


def evaluate(recipe: Recipe, run: "Run") -> None:
    """Ask every system of the recipe; write predictions/SYSTEM.parquet and evaluation.json."""
    options = recipe.evaluate
    examples = list(run.rows("examples.parquet", *TEST_SPLITS))
    run.remove("predictions")
    predictions = {}
    for system in recipe.systems:
        predictions[system.value] = _ask(recipe, run, system, examples)
        run.write(f"predictions/{system.value}.parquet", predictions[system.value])
    splits = {}
    for split in TEST_SPLITS:
        ids = {row["id"] for row in examples if row["split"] == split}
        of_split = {name: [row for row in rows if row["id"] in ids] for name, rows in predictions.items()}
        if ids:
            splits[split] = summary(of_split, recipe.task, options.confidence, options.margin)
            splits[split]["sealed"] = sealed.count(recipe, run.store, split, examples, run.digest(Part("student")))
    run.write_json("evaluation.json", {"splits": splits, "verdict": verdict(splits)})


def questions(recipe: Recipe, system: System, examples: Iterable[Mapping[str, Any]], shots: Shots) -> list[Request]:
    """What a system is asked about test questions."""
    task, how = recipe.task, recipe.ask(system.prompting)
    teacher = system.value.startswith("teacher")
    limit = recipe.generate.max_tokens if teacher else recipe.student.max_tokens
    return [
        Request(
            row["id"], task.messages(row, how, shots(row, how.prompting)), Sampling(ROOM * limit),
            schema=task.reply_schema(row, how),
        )
        for row in examples
    ]  # fmt: skip


def _ask(recipe: Recipe, run: "Run", system: System, examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of predictions/SYSTEM.parquet."""
    requests = questions(recipe, system, examples, Shots(recipe, lambda: run.rows("examples.parquet")))
    who = system.value.partition("-")[0]
    answers: Iterable[Completion]
    if system is System.TEACHER_PLAIN and isinstance(recipe.data, Logs):
        answers = [logged(recipe, row)[1] for row in examples]
    elif who == "teacher":
        answers = ask_within(recipe.teacher, requests, system.value, run.store, run.name_in_store)
    else:
        source = recipe.student.model if who == "base" else run.path("student")
        model = open_model(source, recipe.student.batch_size, recipe.student.dtype, run.store)
        answers = ask(model, requests, system.value, run.store, run.name_in_store)
    task, answered = run.task, list(answers)
    read = [_read(task, *row) for row in zip(examples, answered, strict=True)]
    said = ((row, parsed.answer) for row, kinds in zip(examples, read, strict=True) for parsed in kinds.values())
    task = judge.judged(recipe, run, task, said, system.value)
    return [_prediction(recipe, task, *row) for row in zip(examples, requests, answered, read, strict=True)]


def _read(task: Task, example: dict[str, Any], completion: Completion) -> dict[str, Parsed]:
    """The answer as each kind of extraction reads it."""
    return {
        kind: task.parse(completion.text, completion.finish_reason, example, strict=kind == "strict") for kind in KINDS
    }


def _prediction(
    recipe: Recipe,
    task: Task,
    example: dict[str, Any],
    request: Request,
    completion: Completion,
    kinds: Mapping[str, Parsed],
) -> dict[str, Any]:
    parsed = kinds[recipe.evaluate.extraction]
    known = task.decides and example["gold"] is not None
    scores: dict[str, float | None] = dict(tasks.score(task, parsed.answer, example))
    scores |= {kind: tasks.main_score(task, p.answer, example) if known else None for kind, p in kinds.items()}
    if completion.error:
        outcome = Outcome.ERROR
    elif parsed.answer is None:
        outcome = Outcome(parsed.status.value)
    elif not known:
        outcome = Outcome.ANSWERED
    else:
        outcome = Outcome.RIGHT if scores[recipe.evaluate.extraction] == 1.0 else Outcome.WRONG
    return {
        "id": request.id,
        "sample": 0,
        "messages": [dict(m) for m in request.messages],
        "text": completion.text,
        "rationale": parsed.rationale,
        "answer": parsed.answer,
        "gold": example["gold"],
        "status": parsed.status.value,
        "rule": parsed.rule,
        "outcome": outcome.value,
        "scores": scores,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "seconds": completion.seconds,
        "error": completion.error and completion.error.value,
    }
