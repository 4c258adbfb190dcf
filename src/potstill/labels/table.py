"""labels.parquet: every label of a run, by people and judges."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypedDict

from potstill.workspace.artifacts import Table, table
from potstill.workspace.run import Run


class Rater(StrEnum):
    """Who labels."""

    PERSON = "person"
    JUDGE = "judge"


class Form(StrEnum):
    """How a label is given: a score for each criterion of a rubric, whether the answer agrees with a reference, whether it passes, or
    which of two answers is better."""

    SCORES = "scores"
    REFERENCE = "reference"
    PASS = "pass"
    PAIRWISE = "pairwise"

    @property
    def pairs(self) -> bool:
        """Whether two answers are labelled together."""
        return self is Form.PAIRWISE


class State(StrEnum):
    """What became of a request for a label. A label that is not `given` has no value."""

    GIVEN = "given"
    CANNOT_TELL = "cannot tell"
    SKIPPED = "skipped"
    UNREADABLE = "unreadable"
    FAILED = "failed"


class Label(TypedDict):
    """One rater's label of one criterion of one item.

    Attributes:
        item: id of what was labelled (`potstill.labels.items.Item`).
        question, split, group: id, split and group of the test question.
        system, other: the system that is labelled, and the one that it is compared with; None where one answer is labelled.
        shown: digest of the texts that were shown: a label of an answer that changed since is not used.
        kind: `person` or `judge`.
        rater: a reviewer's name or the name of the judge's model.
        rubric: key of the rubric.
        form: how the label was given.
        criterion: name of the criterion, or `overall`.
        value: the score; of `reference` and `pass` 1 or 0; of `pairwise` 1 where the system is better, 0 where the other one is,
            0.5 for a tie. None unless the state is `given`.
        state: what became of the request.
        reason: the rater's words.
        first: the system whose answer was shown first; None where one answer is labelled.
        repeat: number of the repetition of the same request by the same rater, from 0.
        probability: of the question to be in the random draw of questions; None for a judge, who labels all.
        seconds: that a person took.
        time: when it was given, in ISO 8601 with UTC.
    """

    item: str
    question: str
    split: str
    group: str
    system: str
    other: str | None
    shown: str
    kind: str
    rater: str
    rubric: str
    form: str
    criterion: str
    value: float | None
    state: str
    reason: str
    first: str | None
    repeat: int
    probability: float | None
    seconds: float | None
    time: str


ADJUDICATION = "adjudication"
"""The rater of what was decided where people disagreed. It is no rater whose agreement counts, and replaces the others' labels."""

LABELS: Table[Label] = table("labels.parquet", Label)


def read(run: Run) -> list[Label]:
    """All labels of a run; empty where there are none."""
    return run.read(LABELS) if run.path(LABELS.file).exists() else []


def replace(run: Run, obsolete: Callable[[Label], bool], labels: Iterable[Label]) -> None:
    """Replace those labels that are ``obsolete``; all others are kept. The run must be locked."""
    run.write(LABELS, [*(label for label in read(run) if not obsolete(label)), *labels])
