"""The files of a run: their names, and the schemas and row types of its tables.

Every table is written with its schema, so that a column which is all null in one run has the same type as in another, and
tables of many runs can be concatenated.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypedDict, TypeVar

import pyarrow as pa

from potstill.errors import PotstillError
from potstill.tasks import Column, Example, Task

TEST_SPLITS = ("test_unseen", "test")
"""Splits that systems are compared on, in the order of the report."""

MANIFEST, RECIPE, LOG, DIGESTS = "manifest.json", "recipe.yaml", "log.jsonl", "digests.json"
DATA = "data.json"
SYNTHESIS, CALIBRATION, TRAINING, EVALUATION = "synthesis.json", "calibration.json", "training.json", "evaluation.json"
JUDGED = "judged.json"
MEASURED, MEASUREMENTS = "measured.json", "measurements"
"""What `potstill measure` found, and the folder of its answers by system: of no stage."""
REGRESSED, CASCADE = "regressed.json", "cascade.json"
"""What commands write that are no stages, and the report shows."""
REPORT = "report.html"
EXPORTS = "exports"
"""Folder of what is written for other software: forms of the student, which an evaluation can ask, and evaluations. Of no stage."""
SHADOW = "shadow.jsonl"
"""A log of the teacher's answers to a part of the traffic of a server: of no stage; `data: {source: logs}` of another run may read it."""
STUDENT, CHECKPOINTS, PREDICTIONS = "student", "student-checkpoints", "predictions"
"""Folders."""

Row = TypeVar("Row")


@dataclass(frozen=True)
class Table(Generic[Row]):
    """A Parquet file of a run; ``Row`` is the type of its rows."""

    file: str
    schema: pa.Schema


class GeneratedRow(TypedDict):
    """A completion of the teacher, or gold in its place.

    ``sample`` numbers the completions of one prompt. ``reasoning`` is what a reasoning model thought, ``rationale`` what the
    task finds before the answer. ``key`` is the completion's key in the store, in hexadecimal.
    """

    id: str
    sample: int
    messages: Sequence[dict[str, str]]
    text: str
    reasoning: str
    rationale: str
    answer: str | None
    status: str
    rule: str
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    logprobs: str
    model: str
    key: str
    error: str | None


class CuratedRow(GeneratedRow):
    """A generated row with its labels, what the student is trained on, and whether the row is kept or why not.

    ``correct`` is None where it cannot be known. ``agreement`` is the fraction of the question's samples with an equivalent
    answer; None for a single sample. ``tokens`` is the length of prompt, completion and end token. ``turns`` is the number of
    assistant turns with loss, the completion last; 0 where nothing is trained on, or where the row of a later turn has it.
    """

    parsed: bool
    finished: bool
    correct: bool | None
    duplicate: bool
    in_test_set: bool
    group_in_test_set: bool
    too_long: bool
    agreement: float | None
    student_messages: Sequence[dict[str, str]]
    completion: str
    turns: int
    tokens: int
    kept: bool
    reason: str


class Prediction(TypedDict):
    """A system's answer to a test question.

    ``scores`` maps names to scores, the two kinds of extraction (`strict`, `lenient`) among them. ``max_tokens`` is the limit
    under which it was written. ``seconds`` is a latency; in process it is the row's share of its batch.
    """

    id: str
    group: str
    sample: int
    messages: Sequence[dict[str, str]]
    text: str
    rationale: str
    answer: str | None
    gold: str | None
    status: str
    rule: str
    finish_reason: str
    outcome: str
    scores: dict[str, float | None]
    max_tokens: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    error: str | None


_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str | None: pa.string(),
    bool | None: pa.bool_(), float | None: pa.float64(), Sequence[dict[str, str]]: Column.MESSAGES.arrow,
    dict[str, float | None]: pa.map_(pa.string(), pa.float64()),
}  # fmt: skip


def table(file: str, row: type[Row]) -> Table[Row]:
    """A table whose schema is that of its row type."""
    return Table(file, pa.schema([(name, _TYPES[kind]) for name, kind in _fields(row).items()]))


def _fields(row: type[Any]) -> dict[str, Any]:
    """The annotations of a TypedDict, those of its bases first."""
    fields: dict[str, Any] = row.__annotations__
    return fields


GENERATED: Table[GeneratedRow] = table("generated.parquet", GeneratedRow)
CURATED: Table[CuratedRow] = table("curated.parquet", CuratedRow)
EXAMPLES = "examples.parquet"

LOGGED = pa.struct(
    [("text", pa.string()), ("reasoning", pa.string()), ("model", pa.string()), ("finish_reason", pa.string()),
     ("prompt_tokens", pa.int64()), ("completion_tokens", pa.int64())]
)  # fmt: skip
"""An answer that was paid for before."""


def examples(task: Task) -> Table[Example]:
    """``id, split`` (train, validation, test, test_unseen), ``group, gold`` (None where there is none)``, system, prompt,
    rationale, steps`` (of a solution, where their number is known), the task's columns, ``logged`` (an answer of a log) and
    ``origin`` (how a new input was made)."""
    text = dict.fromkeys(("id", "split", "group", "gold", "system", "prompt", "rationale", "steps"), Column.TEXT)
    columns = {**text, **task.columns, **task.derived_columns}
    fields = [(name, column.arrow) for name, column in columns.items()]
    return Table(EXAMPLES, pa.schema([*fields, ("logged", LOGGED), ("origin", pa.string())]))


def predictions(system: str) -> Table[Prediction]:
    """The answers of a system, by its name."""
    return table(f"{PREDICTIONS}/{system}.parquet", Prediction)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run; empty where there is none. Raises `PotstillError` for a corrupt file."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise PotstillError(
            f"{path} is corrupt ({error}). Delete it and rerun; the stages that it recorded run again, with the stored "
            "completions."
        ) from error
    return values
