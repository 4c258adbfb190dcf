"""Who reads: checks of attention, and whose labels are left out. The rule is fixed before the review begins, and shown."""

import sqlite3
from dataclasses import dataclass
from statistics import mean

from potstill.labels.table import Form, State
from potstill.review.reviewing import Answer, answer_of
from potstill.review.settings import LEAST_RIGHT, Settings
from potstill.rubrics.rubric import OVERALL


@dataclass(frozen=True)
class Attention:
    """Of the damaged answers that a reviewer labelled, how many the reviewer found."""

    right: int
    of: int

    @property
    def excluded(self) -> bool:
        """Whether the reviewer's labels are left out."""
        return self.right < LEAST_RIGHT * self.of


def attention(connection: sqlite3.Connection, settings: Settings, reviewer: str) -> Attention:
    """How a reviewer did in the checks so far. A skipped check does not count."""
    rows = connection.execute(
        "SELECT a.answer FROM answers a JOIN items i ON i.id = a.item WHERE a.reviewer = ? AND i.is_check", (reviewer,)
    )
    answers = [answer for row in rows if (answer := answer_of(row["answer"])).state is not State.SKIPPED]
    return Attention(sum(is_right(settings, answer) for answer in answers), len(answers))


def is_right(settings: Settings, answer: Answer) -> bool:
    """Whether an answer shows that the damage was seen: the intact answer of a pair is better, the damaged one fails, or its scores
    are on average below the middle of the scale."""
    if answer.state is not State.GIVEN:
        return False
    if settings.form is Form.PAIRWISE:
        return answer.values[OVERALL] == 1
    if settings.form is Form.PASS:
        return answer.values[OVERALL] == 0
    scores = [value for value in answer.values.values() if value is not None]
    return mean(scores) < (settings.rubric.lowest + settings.rubric.highest) / 2


def rule(settings: Settings) -> str:
    """The rule, for reviewers; empty without checks."""
    if not settings.attention:
        return ""
    many = "answer has its words" if settings.attention == 1 else "answers have their words"
    return (
        f"{settings.attention} of the {many} in random order on purpose. The labels of a reviewer who rates fewer than two in three of "
        "these as bad are left out of the results, and the results say so."
    )
