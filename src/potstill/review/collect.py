"""Bring the labels of people from review.sqlite into labels.parquet."""

import json
import sqlite3
from collections.abc import Iterator
from statistics import median
from typing import Any

from potstill.labels import table
from potstill.labels.table import ADJUDICATION, Form, Label, Rater, State
from potstill.review.attention import attention
from potstill.review.database import FILE, connect, setting
from potstill.review.filling import item_of
from potstill.review.reviewing import Answer, answer_of, has_finished
from potstill.review.settings import LEAST_RIGHT, Settings
from potstill.rubrics.rubric import OVERALL
from potstill.workspace.artifacts import REVIEW
from potstill.workspace.run import Run


def collect(run: Run) -> None:
    """Replace this review's rows of labels.parquet by what review.sqlite holds, and write `review.json`. The run must be locked.

    Does nothing without a review. Unchanged files are not written again. Labels of reviewers who failed the checks of attention are left
    out, and counted in `review.json`.
    """
    if not run.path(FILE).exists():
        return
    connection = connect(run.path(FILE))
    try:
        if not (begun := setting(connection, "review")) or setting(connection, "run") != run.id:
            return
        settings = Settings.from_json(json.loads(begun))
        labels = list(labels_of(connection, settings))
        summary = summarized(connection, settings)
        ids = {row["id"] for row in connection.execute("SELECT id FROM items")}
    finally:
        connection.close()

    def is_own(label: Label) -> bool:
        own = (label["kind"], label["form"], label["rubric"]) == (Rater.PERSON, settings.form, settings.rubric.key)
        return own and label["item"] in ids

    if [label for label in table.read(run) if is_own(label)] != labels:
        table.replace(run, is_own, labels)
    if run.read_json(REVIEW) != summary:
        run.write_json(REVIEW, summary)


def labels_of(connection: sqlite3.Connection, settings: Settings) -> Iterator[Label]:
    """All labels of a review, by item, reviewer and criterion, without checks of attention and excluded reviewers."""
    excluded = {name for name in _reviewers(connection) if attention(connection, settings, name).excluded}
    drawn, all_questions = (int(setting(connection, name) or 0) for name in ("drawn", "all"))
    probability = drawn / all_questions if all_questions else None
    rows = connection.execute(
        "SELECT i.content, a.* FROM answers a JOIN items i ON i.id = a.item WHERE NOT i.is_check ORDER BY i.id, a.reviewer"
    )
    for row in rows:
        if row["reviewer"] not in excluded:
            answer = answer_of(row["answer"])
            item = item_of(row["content"])
            other = item.answers[1].system if settings.form.pairs else None
            for criterion, value in _values(settings, answer).items():
                given = answer.state is State.GIVEN
                yield Label(
                    item=item.id, question=item.question, split=item.split, group=item.group, system=item.answers[0].system, other=other,
                    shown=item.shown, kind=Rater.PERSON.value, rater=row["reviewer"], rubric=settings.rubric.key,
                    form=settings.form.value, criterion=criterion, value=value,
                    state=(State.CANNOT_TELL if given and value is None else answer.state).value, reason=_reason(answer),
                    first=item.answers[answer.first].system if settings.form.pairs else None, repeat=0, probability=probability,
                    seconds=row["seconds"], time=row["time"],
                )  # fmt: skip


def summarized(connection: sqlite3.Connection, settings: Settings) -> dict[str, Any]:
    """What is known of a review besides its labels."""
    return {
        "form": settings.form.value,
        "rubric": settings.rubric.key,
        "systems": list(settings.systems),
        "questions": {name: int(setting(connection, name) or 0) for name in ("drawn", "all")},
        "attention": {"of": settings.attention, "least_right": LEAST_RIGHT},
        "reviewers": [_reviewer(connection, settings, name) for name in _reviewers(connection)],
    }


def _reviewer(connection: sqlite3.Connection, settings: Settings, name: str) -> dict[str, Any]:
    rows = connection.execute(
        "SELECT a.answer, a.seconds FROM answers a JOIN items i ON i.id = a.item WHERE a.reviewer = ? AND NOT i.is_check",
        (name,),
    ).fetchall()
    answers = [answer_of(row["answer"]) for row in rows]
    states = [answer.state for answer in answers]
    checks = attention(connection, settings, name)
    return {
        "name": name,
        "items": len(rows),
        "labels": sum(len(_values(settings, answer)) for answer in answers),
        "skipped": states.count(State.SKIPPED),
        "cannot_tell": states.count(State.CANNOT_TELL),
        "finished": has_finished(connection, name),
        "attention": {"right": checks.right, "of": checks.of},
        "excluded": checks.excluded,
        "median_seconds": round(median(row["seconds"] for row in rows), 1) if rows else None,
    }


def _reviewers(connection: sqlite3.Connection) -> list[str]:
    return [
        row["name"]
        for row in connection.execute("SELECT name FROM reviewers ORDER BY name")
        if row["name"] != ADJUDICATION
    ]


def _values(settings: Settings, answer: Answer) -> dict[str, float | None]:
    """The value of each criterion; None where the answer has none."""
    names = [one.name for one in settings.rubric.criteria] if settings.form is Form.SCORES else [OVERALL]
    return {name: answer.values.get(name) for name in names}


def _reason(answer: Answer) -> str:
    return "; ".join(part for part in (", ".join(answer.failed), answer.reason) if part)
