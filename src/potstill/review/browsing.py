"""The pages that show all rows of a run."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from potstill.labels.table import LABELS, Rater
from potstill.review import reviewing
from potstill.review.browse_index import index
from potstill.review.shown.differences import differences
from potstill.review.shown.markdown import plain
from potstill.review.visit import Visit, message

PAGE = 50
MAX_COUNTED = 10_000
"""Rows that are counted exactly."""
MAX_WORDS, MAX_SHOWN = 12, 20_000
"""Words of a search that are used; characters of a text that are shown."""


async def rows(visit: Visit) -> Response:
    """Rows that have all words that are searched, and the chosen state, a page at a time."""
    if (closed := _closed(visit)) is not None:
        return closed
    return await run_in_threadpool(_rows, visit)


def _rows(visit: Visit) -> Response:
    query = visit.request.query_params
    searched, state, after = query.get("q", "")[:500], query.get("state", "")[:200], _number(query.get("after", ""))
    connection = _index(visit)
    tables, number, values = search(searched, state)
    found = connection.execute(
        f"SELECT r.n, r.id, r.kind, r.title, r.states FROM {tables} AND {number} > ? ORDER BY {number} LIMIT ?",
        (*values, after, PAGE + 1),
    ).fetchall()
    counted = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {tables} LIMIT ?)", (*values, MAX_COUNTED + 1)
    ).fetchone()[0]
    return visit.page(
        "browse.html.jinja", searched=searched, state=state, found=found[:PAGE], after=after,
        following=found[PAGE - 1]["n"] if len(found) > PAGE else 0, states=_states(visit, connection),
        count=f"{counted:,}" if counted <= MAX_COUNTED else f"more than {MAX_COUNTED:,}", one=counted == 1,
    )  # fmt: skip


def search(searched: str, state: str) -> tuple[str, str, list[Any]]:
    """The tables and conditions of a search with their values, and the column by whose order rows are found without sorting. Each
    word may be the beginning of a longer one."""
    words = "".join(c if c.isalnum() else " " for c in searched).split()[:MAX_WORDS]
    found = " ".join(f'"{word}"*' for word in words)
    # CROSS JOIN keeps SQLite from searching anew for each row of a state.
    if words and state:
        tables = "search CROSS JOIN states s ON s.n = search.rowid CROSS JOIN rows r ON r.n = search.rowid"
        return f"{tables} WHERE search MATCH ? AND s.state = ?", "search.rowid", [found, state]
    if words:
        return "search CROSS JOIN rows r ON r.n = search.rowid WHERE search MATCH ?", "search.rowid", [found]
    if state:
        return "states s CROSS JOIN rows r ON r.n = s.n WHERE s.state = ?", "s.n", [state]
    return "rows r WHERE 1", "r.n", []


async def row(visit: Visit) -> Response:
    """Everything that is known of a row."""
    if (closed := _closed(visit)) is not None:
        return closed
    return await run_in_threadpool(_row, visit)


def _row(visit: Visit) -> Response:
    id_ = visit.request.query_params.get("id", "")
    found = _index(visit).execute("SELECT * FROM rows WHERE id = ?", (id_,)).fetchone()
    if found is None:
        raise HTTPException(404)
    content = json.loads(found["content"])
    answers: Mapping[str, Mapping[str, Any]] = content.get("answers", {})
    compared = visit.request.query_params.get("with", "")
    question = (content["example"] or {}).get("id", found["id"])
    return visit.page(
        "row.html.jinja", row=found, example=content["example"], curated=content.get("row"), compared=compared,
        answers=[(name, answer, _marked(answers, name, compared)) for name, answer in answers.items()],
        labels=_labels(visit, question) if answers else [], clip=_clip,
    )  # fmt: skip


def _marked(answers: Mapping[str, Mapping[str, Any]], name: str, compared: str) -> Markup | None:
    """An answer with marks around what the compared system's does not have."""
    if compared not in answers or name == compared:
        return None
    return differences(_clip(answers[compared]["text"]), _clip(answers[name]["text"]))[1]


def _labels(visit: Visit, question: str) -> Sequence[Mapping[str, Any]]:
    """The labels of a question's answers; those of people only when nobody labels any more."""
    run = visit.review.run
    if not run.path(LABELS.file).exists():
        return []
    found = pq.read_table(run.path(LABELS.file), filters=[("question", "=", question)]).to_pylist()
    labelling = visit.review.settings is not None and reviewing.unfinished(visit.review.database.read)
    return [label for label in found if not labelling or label["kind"] != Rater.PERSON]


def _closed(visit: Visit) -> Response | None:
    """A page for a reviewer who has not finished: rows name the systems, and show labels."""
    review = visit.review
    if review.settings is None or (visit.reviewer and reviewing.has_finished(review.database.read, visit.reviewer)):
        return None
    return message(
        "Browse opens when you have finished",
        "It shows which system wrote what, and this review is blind. To read all rows without labelling, run potstill review with --browse.",
        403,
    )


def _index(visit: Visit) -> sqlite3.Connection:
    """The index, opened once for a server."""
    with visit.review.lock:
        if visit.review.index is None:
            visit.review.index = index(visit.review.run)
        return visit.review.index


def _states(visit: Visit, connection: sqlite3.Connection) -> Sequence[tuple[str, int]]:
    """What rows can be filtered by, with the number of rows, counted once."""
    if visit.review.states is None:
        found = connection.execute("SELECT state, count(*) FROM states GROUP BY state ORDER BY state").fetchall()
        visit.review.states = [(row[0], row[1]) for row in found]
    return visit.review.states


def _clip(text: str | None) -> str:
    shown = plain(text or "")
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + " […]"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 16 else 0
