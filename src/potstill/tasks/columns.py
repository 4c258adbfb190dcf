"""The kinds of columns that tasks have, and how a user's values become them."""

import json
import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from math import isnan
from typing import Any

ROLES = ("system", "user", "assistant")


class Column(StrEnum):
    """Text, a list of options, the turns of a conversation, or places in a list."""

    TEXT = "text"
    OPTIONS = "options"
    MESSAGES = "messages"
    PLACES = "places"

    def parse(self, value: Any) -> Any:
        """A user's value as this kind. Raises `ValueError`, which says what is wrong with it."""
        return {Column.TEXT: text, Column.OPTIONS: options, Column.MESSAGES: messages}[self](value)

    @property
    def empty(self) -> Any:
        """What stands for a value where only its kind matters."""
        return "" if self is Column.TEXT else []

    @property
    def arrow(self) -> Any:
        """Its type in a Parquet file."""
        import pyarrow as pa

        message = pa.struct([("role", pa.string()), ("content", pa.string())])
        return {
            Column.TEXT: pa.string(),
            Column.OPTIONS: pa.list_(pa.string()),
            Column.MESSAGES: pa.list_(message),
            Column.PLACES: pa.list_(pa.int64()),
        }[self]


def text(value: Any) -> str:
    """Text or a number, without the space around it."""
    return as_it_is(value).strip()


def as_it_is(value: Any) -> str:
    """Text, a number or a date, untouched."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal | date):
        raise ValueError(f"holds {type(value).__name__}, not text or a number")
    if missing(value):
        raise ValueError("is empty")
    said = value.isoformat() if isinstance(value, date) else str(value)
    try:
        said.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half of a character ({error.reason})") from error
    return said


def missing(value: Any) -> bool:
    """Whether a value stands for none: null, text of space alone, or not a number."""
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and isnan(value))
    )


_MARK = re.compile(r"\s*[(\[]?([A-Z]|[1-9]\d?)(?:[)\]]\s*|[.:]\s+)")


def options(value: Any) -> list[str]:
    """At least two options, from a list, ``{"label": [...], "text": [...]}``, ``{"A": ...}``, or JSON of any of these.

    Marks such as "A)" in front of them are taken off where all have them.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [line for line in value.splitlines() if line.strip()]
    if isinstance(value, dict):
        value = value["text"] if isinstance(value.get("text"), list) else list(value.values())
    if not isinstance(value, list) or len(value) < 2:
        raise ValueError("holds no list of at least two options")
    said = [text(option) for option in value]
    marks = [_MARK.match(option) for option in said]
    letters = [mark[1] for mark in marks if mark]
    if letters in ([chr(65 + i) for i in range(len(said))], [str(1 + i) for i in range(len(said))]):
        said = [option[mark.end() :] for option, mark in zip(said, marks, strict=True) if mark]
    if "" in said:
        raise ValueError("holds an empty option")
    if len({" ".join(option.split()) for option in said}) < len(said):
        raise ValueError("holds the same option twice")
    return said


_NAMES = {"human": "user", "gpt": "assistant", "bot": "assistant", "ai": "assistant", "model": "assistant"}


def messages(value: Any) -> list[dict[str, str]]:
    """Turns ``{"role", "content"}`` (or ``{"from", "value"}``), user and assistant by turns after at most one system."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError("holds no list of messages") from error
    if not isinstance(value, list) or not value:
        raise ValueError("holds no list of messages")
    said: list[dict[str, str]] = []
    for turn in value:
        if not isinstance(turn, dict):
            raise ValueError("holds a message that is no object with role and content")
        role = turn.get("role", turn.get("from"))
        role = _NAMES.get(str(role).lower(), "system" if role == "developer" else str(role).lower())
        content = turn.get("content", turn.get("value"))
        if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
            content = "".join(str(part.get("text", "")) for part in content)
        if role not in ROLES:
            raise ValueError(f"holds a message of the role '{role}'; {', '.join(ROLES)} are read")
        said.append({"role": role, "content": text(content)})
    turns = said[1:] if said[0]["role"] == "system" else said
    if not turns or any(m["role"] != ("user", "assistant")[i % 2] for i, m in enumerate(turns)):
        raise ValueError("holds messages that are not user and assistant by turns, the user first")
    return said
