"""Answers to test questions that were made elsewhere, out of a file of the user."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from potstill.data import files
from potstill.errors import RecipeError, did_you_mean
from potstill.models import Completion, ErrorKind, encodable
from potstill.models.local.packaged import file_sha256
from potstill.models.remote.ends import end_of
from potstill.tasks import Example, Task
from potstill.tasks.columns import is_missing

ID = "id"
TEXTS = ("completion", "prediction", "response", "output", "text", "answer")
"""Names of the column of the completion's text; the first that a row has and that is no column of the task."""
TOKENS = ("tokens", "completion_tokens")
MAX_COUNT = 1 << 40


def completions(path: Path, task: Task, examples: Sequence[Example]) -> list[Completion]:
    """The answer of the file to each example, in their order; an error where it has none.

    A row names a test question by `id`, or by the columns of the task, whose texts are compared folded. Raises `RecipeError`
    with the line of a row of no test question, of a second row of one question, and of a value that cannot be used.
    """
    by_id = {str(example["id"]): example for example in examples}
    by_question: dict[str, list[str]] = {}
    for example in examples:
        by_question.setdefault(task.question_key(example), []).append(example["id"])
    found: dict[str, Completion] = {}
    lines: dict[str, str] = {}
    for location, row in files.read_rows(path, "test"):
        ids = _ids(row, location, task, by_id, by_question)
        completion = _completion(row, location, task)
        for id_ in ids:
            if id_ in found:
                raise RecipeError(
                    f"{location}: a second answer to the question {id_!r}; the first is in {lines[id_]}. Keep one."
                )
            found[id_], lines[id_] = replace(completion, id=id_), location
    if not found:
        raise RecipeError(f"{path}: holds no rows. Each needs '{ID}' and 'completion'.")
    return [found.get(str(example["id"])) or _missing(example, path) for example in examples]


def digest(path: Path) -> str:
    """SHA-256 of the content of a file of predictions, or of all files of a folder."""
    return hashlib.sha256("".join(map(file_sha256, files.data_files(path))).encode()).hexdigest()


def _ids(
    row: Mapping[str, Any],
    location: str,
    task: Task,
    by_id: Mapping[str, Example],
    by_question: Mapping[str, Sequence[str]],
) -> Sequence[str]:
    """The ids of the test questions that a row answers: several where the test set holds a question more than once."""
    if not is_missing(row.get(ID)):
        id_ = str(row[ID])
        if id_ not in by_id:
            hint = did_you_mean(id_, list(by_id)[:1000])
            raise RecipeError(f"{location}: {id_[:80]!r} is the id of no test question of this run.{hint}")
        return [id_]
    if absent := [name for name in task.columns if name not in row]:
        names = ", ".join(map(str, list(row)[:20]))
        raise RecipeError(
            f"{location}: there is no '{ID}' and no '{absent[0]}' that would say which test question this answers. The columns "
            f"are: {names}."
        )
    try:
        columns = {name: column.parse(row[name]) for name, column in task.columns.items()}
    except ValueError as error:
        raise RecipeError(f"{location}: the question {error}.") from error
    if ids := by_question.get(task.question_key(columns)):
        return ids
    shown = ", ".join(str(value)[:80] for value in columns.values())
    raise RecipeError(f"{location}: this run has no such test question: {shown}.")


def _completion(row: Mapping[str, Any], location: str, task: Task) -> Completion:
    """A row's answer, of no question yet."""
    name = next((one for one in TEXTS if one in row and one not in task.columns), None)
    if name is None:
        names = ", ".join(map(str, list(row)[:20]))
        raise RecipeError(f"{location}: there is no '{TEXTS[0]}', the text of the answer. The columns are: {names}.")
    text = row[name]
    if isinstance(text, int | float) and not is_missing(text):
        text = str(text)
    if not isinstance(text, str):
        raise RecipeError(f"{location}: '{name}' holds no text. Leave out the rows of questions without an answer.")
    return Completion(
        "",
        0,
        text=encodable(text),
        finish_reason=end_of(None if is_missing(row.get("finish_reason")) else row["finish_reason"]),
        completion_tokens=int(next((_number(row, one, location) for one in TOKENS if one in row), 0.0)),
        seconds=_number(row, "seconds", location),
    )


def _number(row: Mapping[str, Any], name: str, location: str) -> float:
    """A count or a time; 0 where there is none."""
    value = row.get(name)
    if is_missing(value):
        return 0.0
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not isfinite(number) or not 0 <= number <= MAX_COUNT:
        raise RecipeError(f"{location}: '{name}' is {str(value)[:40]!r}; it must be a number that is not negative.")
    return number


def _missing(example: Example, path: Path) -> Completion:
    detail = f"{path.name} has no answer to this question"
    return Completion(example["id"], 0, error=ErrorKind.NO_ANSWER, detail=detail)
