"""What of an answer can be shown while it is still coming: what nothing that follows takes back."""

import asyncio
import re
from collections.abc import Sequence

from potstill.models import markup, reasoning

MOST_SHOWN = 65536
"""Characters that are shown as they arrive; the rest of a longer answer comes with its end, because each look at it reads all of it."""
TAIL = 200
"""Characters at the end in which the beginning of a mark is looked for."""
_MARK = re.compile(r"[<\u25c1]|\[(?=[IET/e|]|\Z)")


class Arriving:
    """The text of an answer, part by part, for one who waits for it."""

    def __init__(self) -> None:
        self.text = ""
        self._more = asyncio.Event()
        self._ended = False

    def add(self, part: str) -> None:
        self.text += part
        self._more.set()

    def end(self) -> None:
        self._ended = True
        self._more.set()

    async def more(self) -> bool:
        """Wait until more has arrived; whether more can come."""
        await self._more.wait()
        self._more.clear()
        return not self._ended


def settled(text: str, stops: Sequence[str] = ()) -> str:
    """The beginning of the answer in a text that is still coming, up to the first of ``stops``, which no further text changes: without
    reasoning, marks of chat templates, and what may become one of these or a stop.

    One case is not known before it comes: a mark that ends reasoning which the prompt opened.
    """
    if len(text) > MOST_SHOWN:
        return ""
    thoughts, answer = reasoning.split(text)
    if not thoughts and reasoning.may_begin(text):
        return ""
    answer, _ = markup.without_turns(answer)
    answer = before(answer, stops)
    mark = _MARK.search(answer, max(0, len(answer) - TAIL))
    ends = [mark.start()] if mark else []
    ends += [len(answer) - _begun(answer, stop) for stop in stops]
    return answer[: min(ends, default=len(answer))].rstrip()


def before(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of ``stops``."""
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of a text may be the beginning of ``stop``."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
