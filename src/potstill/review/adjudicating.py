"""The page on which people decide where reviewers disagree, after all have finished."""

from starlette.responses import Response

from potstill.labels.items import Item
from potstill.labels.table import ADJUDICATION, Form
from potstill.review import draw, reviewing
from potstill.review.answers import IncompleteError, filled, in_words
from potstill.review.disagreements import Disagreement, disagreements
from potstill.review.filling import item_of
from potstill.review.labelling import find_item, item_page, store
from potstill.review.reviewing import Progress
from potstill.review.visit import Visit, see

PATH = "/adjudicate"


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
    return await _page(visit, item_of(row["content"]), following)


async def decide(visit: Visit) -> Response:
    """Store a decision, then show the next disagreement."""
    if (waiting := _waiting(visit)) is not None:
        return waiting
    try:
        await store(visit, ADJUDICATION)
    except IncompleteError as error:
        item = find_item(visit)
        of_item = next((one for one in _disagreements(visit)[0] if one.item == item.id), Disagreement(item.id, {}))
        return await _page(visit, item, of_item, str(error), 422)
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


async def _page(visit: Visit, item: Item, of_item: Disagreement, fault: str = "", status: int = 200) -> Response:
    settings = visit.review.settings
    assert settings is not None
    found, _ = _disagreements(visit)
    read = visit.review.database.read
    done = read.execute("SELECT count(*) FROM answers WHERE reviewer = ?", (ADJUDICATION,)).fetchone()[0]
    swapped = settings.form is Form.PAIRWISE and draw.swaps(settings.seed, item.id, ADJUDICATION)
    said = [
        (name, in_words(settings.form, answer, swapped=swapped), answer.reason)
        for name, answer in of_item.answers.items()
    ]
    return await item_page(
        visit, item, ADJUDICATION, status, action=PATH, fault=fault, filled=filled(reviewing.last_given(read, ADJUDICATION, item.id), {}),
        said=said, progress=Progress(done, len(found)),
    )  # fmt: skip


def _disagreements(visit: Visit) -> tuple[list[Disagreement], int]:
    """Those of the review, found once: nobody can change an answer until another reviewer joins."""
    if visit.review.disagreements is None:
        assert visit.review.settings is not None
        visit.review.disagreements = disagreements(visit.review.database.read, visit.review.settings)
    return visit.review.disagreements
