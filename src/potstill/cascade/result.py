"""The content of cascade.json, from which its JSON Schema is made."""

from typing import Any, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from potstill.stages.evaluate.result import Metric

State = Literal["confirmed", "not confirmed", "no threshold"]
"""``confirmed``: the bound holds on validation questions and on every test split. ``not confirmed``: on validation questions only. ``no
threshold``: on none."""


class Cost(TypedDict):
    """By question: the ``teacher_tokens`` (prompt and completion) and, where the price is known, ``dollars_per_1000`` questions."""

    teacher_tokens: Metric
    dollars_per_1000: Metric | None


class Point(TypedDict):
    """The cascade with one threshold: the share of questions ``escalated`` to the teacher, the fraction of correct answers, and the
    difference of it to the teacher's with its one-sided lower ``limit``. ``only_cascade`` and ``only_teacher`` count questions that
    one of them answers correctly. ``holds``: the limit is above -margin."""

    threshold: float
    escalated: Metric
    accuracy: Metric
    difference: float
    limit: float
    p_value: float
    holds: bool
    only_cascade: int
    only_teacher: int
    cost: Cost


class Curve(TypedDict):
    """All thresholds of a signal, the strictest first. ``confidence`` of each limit: corrected for the number of signals. ``rejected``: so
    many thresholds hold, from the first on (fixed-sequence testing)."""

    signal: str
    confidence: float
    rejected: int
    points: list[Point]


class Alone(TypedDict):
    """One system that answers all questions."""

    accuracy: Metric
    cost: Cost


class Measured(TypedDict):
    """Questions, those left out because a system has no answer to them, and both systems alone."""

    n: int
    groups: int
    excluded: int
    student: Alone
    teacher: Alone


class Chosen(TypedDict):
    """The signal and the threshold: at or above it the student answers. ``samples``: answers that the signal `agreement` draws; else 0."""

    signal: str
    threshold: float
    samples: int


class Confirmed(Measured):
    """The chosen threshold on a test split. ``needed``: questions that would show the bound, if the difference is as observed; null
    where it is shown, or where no number would show it. ``looks_before``: other thresholds of this student that were tried on these questions
    before."""

    point: Point
    needed: int | None
    looks_before: int


class Cascade(TypedDict):
    """cascade.json. ``weights``: digest of the student's folder, as train writes it into the manifest. ``teacher``: the system that represents
    the teacher. ``needed``: questions for validation that would show some threshold to hold. At most three ``lines``, and ``notes``."""

    weights: str
    teacher: str
    state: State
    margin: float
    confidence: float
    validation: Measured
    curves: list[Curve]
    chosen: Chosen | None
    needed: int | None
    splits: dict[str, Confirmed]
    lines: list[str]
    notes: list[str]


def schema() -> dict[str, Any]:
    """The JSON Schema of cascade.json."""
    return TypeAdapter(Cascade).json_schema()
