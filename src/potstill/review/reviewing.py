"""What a reviewer does next, and what became of it: functions of a connection to review.sqlite."""

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from potstill.errors import PotstillError
from potstill.labels.items import Item
from potstill.labels.table import State
from potstill.review.filling import item_of

HELD_SECONDS = 3_600.0
"""After this time a question that only one reviewer labels, and has not labelled, is given to another one."""
MAX_SECONDS = 3_600.0
"""Longest time that an answer is said to have taken."""
_OPEN = """SELECT i.id, i.place, i.content, q.id AS question, q.shared, q.holder FROM items i JOIN questions q ON q.id = i.question
WHERE i.place >= :start AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.reviewer = :me AND a.item = i.id) AND """
_MINE = "(q.shared OR q.holder IS NULL OR q.holder = :me)"
_ABANDONED = (
    "(NOT q.shared AND q.held_since < :stale AND NOT EXISTS "
    "(SELECT 1 FROM items x CROSS JOIN answers a ON a.item = x.id WHERE x.question = q.id AND a.reviewer = q.holder))"
)

# Places of items are numbers from 0 without a gap; items without a place are few, so that the search begins with them (CROSS JOIN).
_PROGRESS = """SELECT (SELECT count(*) FROM answers WHERE reviewer = :me),
(SELECT count(*) FROM items i CROSS JOIN answers a ON a.item = i.id WHERE i.place IS NULL AND a.reviewer = :me),
(SELECT coalesce(max(place) + 1, 0) FROM items),
(SELECT coalesce(sum(items), 0) FROM questions WHERE holder > '' AND holder <> :me AND NOT shared AND place IS NOT NULL)"""


@dataclass(frozen=True)
class Answer:
    """What a reviewer said about an item.

    Attributes:
        state: `given`, `cannot tell` or `skipped`.
        values: by criterion; of a pair 1 where the item's first answer is better, 0 where the second is, 0.5 for a tie. None where the
            reviewer cannot tell.
        failed: names of the criteria that a reviewer gave as reasons.
        reason: the reviewer's words.
        first: number of the answer that was shown on the left or alone.
    """

    state: State
    values: Mapping[str, float | None] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    reason: str = ""
    first: int = 0

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def answer_of(text: str) -> Answer:
    """An answer from its content in the database."""
    values = json.loads(text)
    return Answer(**values | {"state": State(values["state"]), "failed": tuple(values["failed"])})


@dataclass(frozen=True)
class Open:
    """An item that a reviewer has not answered. ``must_hold``: the question must first be given to the reviewer."""

    item: Item
    place: int
    must_hold: bool


@dataclass(frozen=True)
class Progress:
    """How far a reviewer is, in items."""

    done: int
    total: int

    @property
    def left(self) -> int:
        return self.total - self.done


def next_open(connection: sqlite3.Connection, reviewer: str, start: int = 0) -> Open | None:
    """The first item from the place ``start`` on that the reviewer has to answer; None where nothing is left."""
    names = {"me": reviewer, "start": start, "stale": time.time() - HELD_SECONDS}
    row = connection.execute(_OPEN + _MINE + " ORDER BY i.place LIMIT 1", names).fetchone()
    if row is None:
        row = connection.execute(_OPEN + _ABANDONED + " ORDER BY i.place LIMIT 1", names | {"start": 0}).fetchone()
    if row is None:
        return None
    return Open(item_of(row["content"]), row["place"], not row["shared"] and row["holder"] != reviewer)


def hold(connection: sqlite3.Connection, reviewer: str, start: int = 0) -> Open | None:
    """The same, and its question is the reviewer's."""
    if (found := next_open(connection, reviewer, start)) and found.must_hold:
        connection.execute(
            "UPDATE questions SET holder = ?, held_since = ? WHERE id = ?", (reviewer, time.time(), found.item.question)
        )
    return found


def record(connection: sqlite3.Connection, reviewer: str, item: str, answer: Answer, seconds: float) -> None:
    """Store an answer in place of an earlier one to the same item. The same answer again changes nothing.

    Raises `PotstillError` for a reviewer who has finished.
    """
    require_open(connection, reviewer)
    text = answer.as_json()
    known = connection.execute(
        "SELECT answer FROM answers WHERE reviewer = ? AND item = ?", (reviewer, item)
    ).fetchone()
    if known and known["answer"] == text:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    n = connection.execute("INSERT INTO history VALUES (NULL, ?, ?, ?, ?)", (reviewer, item, text, now)).lastrowid
    bounded = round(min(max(seconds, 0.0), MAX_SECONDS), 1)
    connection.execute(
        "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", (reviewer, item, text, bounded, now, n)
    )


def undo(connection: sqlite3.Connection, reviewer: str) -> int | None:
    """Take back the reviewer's last answer; returns its item's place, None where there is none."""
    require_open(connection, reviewer)
    last = connection.execute(
        "SELECT a.item, i.place FROM answers a JOIN items i ON i.id = a.item WHERE a.reviewer = ? AND i.place IS NOT NULL "
        "ORDER BY a.n DESC LIMIT 1", (reviewer,),
    ).fetchone()  # fmt: skip
    if last is None:
        return None
    _take_back(connection, reviewer, last["item"])
    place: int = last["place"]
    return place


def reopen_skipped(connection: sqlite3.Connection, reviewer: str) -> None:
    """Take back all answers that are skips, so that their items are shown again."""
    require_open(connection, reviewer)
    rows = connection.execute("SELECT item, answer FROM answers WHERE reviewer = ?", (reviewer,)).fetchall()
    for row in rows:
        if answer_of(row["answer"]).state is State.SKIPPED:
            _take_back(connection, reviewer, row["item"])


def _take_back(connection: sqlite3.Connection, reviewer: str, item: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    connection.execute("DELETE FROM answers WHERE reviewer = ? AND item = ?", (reviewer, item))
    connection.execute("INSERT INTO history VALUES (NULL, ?, ?, NULL, ?)", (reviewer, item, now))


def last_given(connection: sqlite3.Connection, reviewer: str, item: str) -> Answer | None:
    """What the reviewer said before it was taken back."""
    row = connection.execute(
        "SELECT answer FROM history WHERE reviewer = ? AND item = ? AND answer IS NOT NULL ORDER BY n DESC LIMIT 1",
        (reviewer, item),
    ).fetchone()
    return answer_of(row["answer"]) if row else None


def progress(connection: sqlite3.Connection, reviewer: str) -> Progress:
    """How far the reviewer is. The total shrinks where other reviewers label questions that one person labels.

    Every page shows it: all of it is counted in indexes, without reading an item or an answer.
    """
    answered, retired, items, others = connection.execute(_PROGRESS, {"me": reviewer}).fetchone()
    done = answered - retired
    return Progress(done, max(items - others, done))


def skipped(connection: sqlite3.Connection, reviewer: str) -> int:
    """Number of items that the reviewer skipped."""
    answers = connection.execute(
        "SELECT a.answer FROM answers a JOIN items i ON i.id = a.item WHERE a.reviewer = ? AND i.place IS NOT NULL",
        (reviewer,),
    )
    return sum(answer_of(row["answer"]).state is State.SKIPPED for row in answers)


# Reviewers


def join(connection: sqlite3.Connection, reviewer: str) -> None:
    """Add a reviewer, if new."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    connection.execute("INSERT OR IGNORE INTO reviewers (name, joined) VALUES (?, ?)", (reviewer, now))


def finish(connection: sqlite3.Connection, reviewer: str) -> None:
    """End a reviewer's work for good, so that others' answers can be shown. Questions that the reviewer alone had are free again."""
    connection.execute("UPDATE reviewers SET stopped = 1 WHERE name = ?", (reviewer,))
    connection.execute(
        "UPDATE questions SET holder = NULL WHERE holder = ?1 AND NOT EXISTS "
        "(SELECT 1 FROM items i CROSS JOIN answers a ON a.item = i.id WHERE a.reviewer = ?1 AND i.question = questions.id)",
        (reviewer,),
    )


def has_finished(connection: sqlite3.Connection, reviewer: str) -> bool:
    row = connection.execute("SELECT stopped FROM reviewers WHERE name = ?", (reviewer,)).fetchone()
    return bool(row and row["stopped"])


def unfinished(connection: sqlite3.Connection) -> list[str]:
    """Names of the reviewers who have not finished."""
    return [row["name"] for row in connection.execute("SELECT name FROM reviewers WHERE NOT stopped ORDER BY name")]


def require_open(connection: sqlite3.Connection, reviewer: str) -> None:
    """Raises `PotstillError` for a reviewer who has finished."""
    if has_finished(connection, reviewer):
        raise PotstillError(f"{reviewer} has finished this review; answers cannot be changed any more.")
