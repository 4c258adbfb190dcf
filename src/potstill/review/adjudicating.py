"""The page on which people decide where reviewers disagree, after all have finished."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass

from starlette.responses import Response

from potstill.labels.items import Item
from potstill.labels.table import ADJUDICATION, Form, State
from potstill.review import draw, reviewing
from potstill.review.answers import IncompleteError, filled, in_words
from potstill.review.attention import attention
from potstill.review.filling import item_of
from potstill.review.labelling import find_item, item_page, store
from potstill.review.reviewing import Answer, Progress, answer_of
from potstill.review.settings import Settings
from potstill.review.visit import Visit, see

APART = 2
"""Scores that are this far apart are a disagreement; neighbouring scores are not."""
PATH = "/adjudicate"


@dataclass(frozen=True)
class Disagreement:
    """What reviewers said about an item, by name."""

    item: str
    answers: dict[str, Answer]


async def adjudicate(visit: Visit) -> Response:
    """The next disagreement without a decision."""
    if (waiting := _waiting(visit)) is not None:
        return waiting
    found, both = _disagreements(visit)
    read = visit.review.database.read
    decided = {row["item"] for row in read.execute("SELECT item FROM answers WHERE reviewer = ?", (ADJUDICATION,))}
    following = next((one for one in found if one.item not in decided), None)
    if following is None:
        return visit.page("adjudicated.html.jinja", found=len(found), both=both)
    row = read.execute("SELECT content FROM items WHERE id = ?", (following.item,)).fetchone()
    return _page(visit, item_of(row["content"]), following)


async def decide(visit: Visit) -> Response:
    """Store a decision, then show the next disagreement."""
    if (waiting := _waiting(visit)) is not None:
        return waiting
    try:
        await store(visit, ADJUDICATION)
    except IncompleteError as error:
        item = find_item(visit)
        of_item = next((one for one in _disagreements(visit)[0] if one.item == item.id), Disagreement(item.id, {}))
        return _page(visit, item, of_item, str(error), 422)
    return see(PATH)


async def undo(visit: Visit) -> Response:
    """Take back the last decision."""
    if (waiting := _waiting(visit)) is not None:
        return waiting
    await visit.review.write(lambda connection: reviewing.undo(connection, ADJUDICATION))
    return see(PATH)


def _waiting(visit: Visit) -> Response | None:
    """The page for as long as somebody labels; None afterwards."""
    if visit.review.settings is None:
        return see("/browse")
    names = reviewing.unfinished(visit.review.database.read)
    progress = {name: reviewing.progress(visit.review.database.read, name) for name in names}
    return visit.page("waiting.html.jinja", progress=progress) if names else None


def _page(visit: Visit, item: Item, of_item: Disagreement, fault: str = "", status: int = 200) -> Response:
    settings = visit.review.settings
    assert settings is not None
    found, _ = _disagreements(visit)
    read = visit.review.database.read
    done = read.execute("SELECT count(*) FROM answers WHERE reviewer = ?", (ADJUDICATION,)).fetchone()[0]
    swapped = settings.form is Form.PAIRWISE and draw.swaps(settings.seed, item.id, ADJUDICATION)
    said = [(name, in_words(settings.form, answer, swapped=swapped), answer.reason) for name, answer in of_item.answers.items()]
    return item_page(
        visit, item, ADJUDICATION, status, action=PATH, fault=fault, filled=filled(reviewing.last_given(read, ADJUDICATION, item.id), {}),
        said=said, progress=Progress(done, len(found), 0),
    )  # fmt: skip


def _disagreements(visit: Visit) -> tuple[list[Disagreement], int]:
    """The same for one review, computed once: nobody can change an answer any more."""
    if visit.review.disagreements is None:
        assert visit.review.settings is not None
        visit.review.disagreements = disagreements(visit.review.database.read, visit.review.settings)
    return visit.review.disagreements


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
    apart = [Disagreement(item, answers) for item, answers in several.items() if _differ(settings, list(answers.values()))]
    return apart, len(several)


def _differ(settings: Settings, answers: list[Answer]) -> bool:
    for name in answers[0].values:
        values = [value for answer in answers if (value := answer.values.get(name)) is not None]
        if values and max(values) - min(values) >= (APART if settings.form is Form.SCORES else 0.5):
            return True
    return False
