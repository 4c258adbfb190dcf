"""The pages on which a reviewer labels."""

import sqlite3
import time
from collections.abc import Mapping

from starlette.responses import Response

from potstill.errors import PotstillError
from potstill.labels.items import Item
from potstill.labels.table import ADJUDICATION, Form
from potstill.review import draw, reviewing
from potstill.review.answers import IncompleteError, filled, read_answer
from potstill.review.attention import rule
from potstill.review.filling import item_of
from potstill.review.reviewing import Answer
from potstill.review.security import session_digest
from potstill.review.settings import Settings
from potstill.review.view import view
from potstill.review.visit import Visit, see

MAX_NAME = 40
LABEL = "/label"


async def start(visit: Visit) -> Response:
    """Who reviews, and what is asked."""
    settings = visit.review.settings
    if settings is None:
        return see("/browse")
    return _start(visit, settings)


def _start(visit: Visit, settings: Settings, fault: str = "", same_name: str = "", status: int = 200) -> Response:
    read = visit.review.database.read
    joined = visit.reviewer != ""
    return visit.page(
        "start.html.jinja", status,
        settings=settings, rule=rule(settings), fault=fault, same_name=same_name,
        progress=reviewing.progress(read, visit.reviewer),
        finished=joined and reviewing.has_finished(read, visit.reviewer),
        unfinished=[name for name in reviewing.unfinished(read) if name != visit.reviewer],
    )  # fmt: skip


async def join(visit: Visit) -> Response:
    """Take the name of a reviewer. A name that is taken must be confirmed: it may be the same person in another browser."""
    settings = _settings(visit)
    name = " ".join(visit.fields.get("name", "").split())
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name.casefold() == ADJUDICATION:
        return _start(visit, settings, f"A name has 1 to {MAX_NAME} letters, and is not '{ADJUDICATION}'.", status=422)
    known = [row["name"] for row in visit.review.database.read.execute("SELECT name FROM reviewers")]
    name = next((one for one in known if one.casefold() == name.casefold()), name)
    if name in known and visit.fields.get("same") != name:
        return _start(visit, settings, same_name=name)
    digest = session_digest(visit.session)

    def write(connection: sqlite3.Connection) -> None:
        reviewing.join(connection, name)
        connection.execute("UPDATE sessions SET reviewer = ? WHERE digest = ?", (name, digest))

    await visit.review.write(write)
    visit.review.disagreements = None
    return see(LABEL)


async def label(visit: Visit) -> Response:
    """The next item of the reviewer."""
    if not visit.reviewer or visit.review.settings is None:
        return see("/")
    read = visit.review.database.read
    if reviewing.has_finished(read, visit.reviewer):
        return see("/")
    found = reviewing.next_open(read, visit.reviewer, visit.review.starts.get(visit.reviewer, 0))
    if found and found.must_hold:
        begin = found.place
        found = await visit.review.write(lambda connection: reviewing.hold(connection, visit.reviewer, begin))
    if found is None:
        skipped = reviewing.skipped(read, visit.reviewer)
        return visit.page("done.html.jinja", progress=reviewing.progress(read, visit.reviewer), skipped=skipped)
    visit.review.starts[visit.reviewer] = found.place
    earlier = reviewing.last_given(read, visit.reviewer, found.item.id)
    return await _item(visit, found.item, earlier)


async def _item(visit: Visit, item: Item, earlier: Answer | None, fault: str = "", status: int = 200) -> Response:
    draft: Mapping[str, str] = visit.fields if fault else {}
    return await item_page(
        visit, item, visit.reviewer, status, action=LABEL, fault=fault, filled=filled(earlier, draft), said=[],
        progress=reviewing.progress(visit.review.database.read, visit.reviewer),
    )  # fmt: skip


async def item_page(visit: Visit, item: Item, side_of: str, status: int = 200, **values: object) -> Response:
    """The page of an item; ``side_of`` names the reviewer for whom left and right are drawn."""
    settings = _settings(visit)
    swapped = settings.form is Form.PAIRWISE and draw.swaps(settings.seed, item.id, side_of)

    def page() -> Response:
        shown, now = view(item, swapped=swapped), f"{time.time():.1f}"
        return visit.page("item.html.jinja", status, settings=settings, item=shown, shown_at=now, **values)

    return await visit.review.draw(page)


async def answer(visit: Visit) -> Response:
    """Store an answer, then show the next item."""
    if not visit.reviewer:
        return see("/")
    try:
        await store(visit, visit.reviewer)
    except IncompleteError as error:
        return await _item(visit, find_item(visit), None, str(error), 422)
    return see(LABEL)


async def store(visit: Visit, reviewer: str) -> None:
    """Store the answer of a form as that of ``reviewer``. Raises `IncompleteError`, and `PotstillError` for an unknown item."""
    settings, item = _settings(visit), find_item(visit)
    swapped = settings.form is Form.PAIRWISE and draw.swaps(settings.seed, item.id, reviewer)
    given = read_answer(settings, visit.fields, swapped=swapped)
    seconds = time.time() - _number(visit.fields.get("shown")) - max(_number(visit.fields.get("away")), 0.0)
    await visit.review.write(lambda connection: reviewing.record(connection, reviewer, item.id, given, seconds))


def find_item(visit: Visit) -> Item:
    """The item that a form names. Raises `PotstillError` for an unknown one."""
    row = visit.review.database.read.execute(
        "SELECT content FROM items WHERE id = ? AND place IS NOT NULL", (visit.fields.get("item", ""),)
    ).fetchone()
    if row is None:
        raise PotstillError("This answer is no longer in the review; reload the page.")
    return item_of(row["content"])


async def undo(visit: Visit) -> Response:
    """Take back the last answer, and show its item again."""
    if visit.reviewer:
        place = await visit.review.write(lambda connection: reviewing.undo(connection, visit.reviewer))
        if place is not None:
            visit.review.starts[visit.reviewer] = min(place, visit.review.starts.get(visit.reviewer, 0))
    return see(LABEL)


async def reopen(visit: Visit) -> Response:
    """Show the skipped items again."""
    if visit.reviewer:
        await visit.review.write(lambda connection: reviewing.reopen_skipped(connection, visit.reviewer))
        visit.review.starts.pop(visit.reviewer, None)
    return see(LABEL)


async def finish(visit: Visit) -> Response:
    """End the visitor's review, or that of a reviewer who has stopped half way."""
    name = visit.fields.get("name") or visit.reviewer
    await visit.review.write(lambda connection: reviewing.finish(connection, name))
    visit.review.starts.clear()  # questions that nobody else had may be free again
    visit.review.disagreements = None
    return see("/adjudicate" if name != visit.reviewer else "/")


async def invite(visit: Visit) -> Response:
    """A link for another reviewer."""
    return visit.page("invite.html.jinja", link=visit.review.invite())


def _settings(visit: Visit) -> Settings:
    if visit.review.settings is None:
        raise PotstillError("This server only shows rows; start potstill review without --browse to label.")
    return visit.review.settings


def _number(text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError:
        return 0.0
