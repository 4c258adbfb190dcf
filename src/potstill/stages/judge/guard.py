"""Texts by others in a prompt, between marks that none of them can write.

A mark has a tag that is a digest of everything in the prompt, so that a text which names it would have to contain its own digest. What
looks like such a mark, or like a token that begins or ends a turn, is escaped, and characters that nobody sees are left out. Instructions
in plain words remain: the prompt says that they are none, and a judge may follow them all the same (`benchmarks/judge.py` counts how often).
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from potstill.models import encodable, markup

TAG_LENGTH = 10
"""Hexadecimal digits of a tag."""
NAMES = ("user", "assistant", "system", "source", "reference", "answer", "answer-A", "answer-B")
"""Names of marks."""

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]|[\ufe00-\ufe0f]{2,}"
)
"""Control characters, marks of direction, tags and selectors that can carry a hidden text. What joins letters and emoji stays."""
_MARK_LIKE = re.compile(rf"<(?=[\s/]{{0,9}}(?:{'|'.join(NAMES)})\b)", re.IGNORECASE)


def tag(content: Any) -> str:
    """The tag of a prompt with this content, which JSON can hold."""
    return digest(content)[:TAG_LENGTH]


def digest(content: Any) -> str:
    """SHA-256 of what JSON can hold, in hexadecimal."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def between_marks(texts: Sequence[tuple[str, str]], tag: str) -> str:
    """Texts by others, each with the name of its marks."""
    return "\n\n".join(f"<{name}-{tag}>\n{harmless(text)}\n</{name}-{tag}>" for name, text in texts)


def harmless(text: str) -> str:
    """A text in which nothing can be taken for a mark or a control token, and nothing is invisible."""
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", encodable(text)))
    return markup.escaped(_MARK_LIKE.sub("&lt;", text))
