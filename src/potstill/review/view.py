"""An item as its page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from potstill.labels.items import CUT_MARK, Item
from potstill.models import Message
from potstill.review.shown.differences import differences
from potstill.review.shown.markdown import html_of, plain
from potstill.review.shown.sentences import Sentence, supported

MAX_SOURCE, MAX_MESSAGE = 60_000, 12_000
"""Characters of a source and of a message that are shown."""


@dataclass(frozen=True)
class AnswerView:
    """An answer: as HTML, or as sentences with what supports them where there is a source. ``marked`` shows what the other one of a
    pair does not have. ``before``: the system's own replies to earlier turns of the chat, each with the user's next turn."""

    heading: str
    html: Markup
    sentences: Sequence[Sentence]
    marked: Markup | None
    before: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class ItemView:
    """``source``: the sentences of the source; empty where there is none."""

    id: str
    messages: Sequence[Message]
    source: Sequence[Sentence]
    answers: Sequence[AnswerView]


def view(item: Item, *, swapped: bool) -> ItemView:
    """An item for one reviewer; ``swapped``: its second answer comes first."""
    shown = item.answers[::-1] if swapped else item.answers
    texts = [plain(answer.text) for answer in shown]
    marked = differences(*texts) if len(texts) == 2 else (None,)
    headings = ("Left", "Right") if len(texts) == 2 else ("Answer",)
    source = plain(_clipped(item.source or "", MAX_SOURCE))
    messages = [{**one, "content": _clipped(one["content"], MAX_MESSAGE)} for one in item.messages]
    first = len(messages) - len(shown[0].earlier)
    following = [message["content"] for message in messages[first:]]
    answers = []
    for heading, text, marks, one in zip(headings, texts, marked, shown, strict=True):
        sentences = supported(text, source)[0] if source else []
        before = list(zip(one.earlier, following, strict=True))
        answers.append(AnswerView(heading, Markup() if source else html_of(text), sentences, marks, before))
    return ItemView(item.id, messages[:first], supported("", source)[1] if source else [], answers)


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rstrip() + CUT_MARK
