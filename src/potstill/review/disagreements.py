"""Where reviewers disagree."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass

from potstill.labels.table import Form, State
from potstill.review.attention import attention
from potstill.review.reviewing import Answer, answer_of
from potstill.review.settings import Settings

APART = 2
"""Scores that are this far apart are a disagreement; neighbouring scores are not."""


@dataclass(frozen=True)
class Disagreement:
    """What reviewers said about an item, by name."""

    item: str
    answers: dict[str, Answer]


def disagreements(connection: sqlite3.Connection, settings: Settings) -> tuple[list[Disagreement], int]:
    """Items about which reviewers disagree, in the order of the review, and the number of items that at least two labelled. Reviewers
    who failed the checks of attention do not count."""
    names = [row["name"] for row in connection.execute("SELECT name FROM reviewers ORDER BY name")]
    counted = [name for name in names if not attention(connection, settings, name).excluded]
    by_item: dict[str, dict[str, Answer]] = defaultdict(dict)
    rows = connection.execute(
        "SELECT a.item, a.reviewer, a.answer FROM answers a JOIN items i ON i.id = a.item "
        "WHERE NOT i.is_check AND i.place IS NOT NULL ORDER BY i.place, a.reviewer"
    )
    for row in rows:
        answer = answer_of(row["answer"])
        if row["reviewer"] in counted and answer.state is State.GIVEN:
            by_item[row["item"]][row["reviewer"]] = answer
    several = {item: answers for item, answers in by_item.items() if len(answers) > 1}
    apart = [
        Disagreement(item, answers) for item, answers in several.items() if _differ(settings, list(answers.values()))
    ]
    return apart, len(several)


def _differ(settings: Settings, answers: list[Answer]) -> bool:
    for name in answers[0].values:
        values = [value for answer in answers if (value := answer.values.get(name)) is not None]
        if values and max(values) - min(values) >= (APART if settings.form is Form.SCORES else 0.5):
            return True
    return False
