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
    pair does not have."""

    heading: str
    html: Markup
    sentences: Sequence[Sentence]
    marked: Markup | None


@dataclass(frozen=True)
class ItemView:
    """``source``: the sentences of the source; empty where there is none."""

    id: str
    messages: Sequence[Message]
    source: Sequence[Sentence]
    answers: Sequence[AnswerView]


def view(item: Item, *, swapped: bool) -> ItemView:
    """An item for one reviewer; ``swapped``: its second answer comes first."""
    texts = [plain(answer.text) for answer in item.answers]
    if swapped:
        texts.reverse()
    marked = differences(*texts) if len(texts) == 2 else (None,)
    headings = ("Left", "Right") if len(texts) == 2 else ("Answer",)
    source = plain(_clipped(item.source or "", MAX_SOURCE))
    answers = []
    for heading, text, marks in zip(headings, texts, marked, strict=True):
        sentences = supported(text, source)[0] if source else []
        answers.append(AnswerView(heading, Markup() if source else html_of(text), sentences, marks))
    messages = [{**one, "content": _clipped(one["content"], MAX_MESSAGE)} for one in item.messages]
    return ItemView(item.id, messages, supported("", source)[1] if source else [], answers)


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rstrip() + CUT_MARK
