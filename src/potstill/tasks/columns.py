"""The kinds of columns that tasks have, and how values of the user become them."""

import json
import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from math import isnan
from typing import Any

ROLES = ("system", "user", "assistant")


class Column(StrEnum):
    """Text, a list of options, the turns of a conversation, or indices into a list."""

    TEXT = "text"
    OPTIONS = "options"
    MESSAGES = "messages"
    INDICES = "indices"

    def parse(self, value: Any) -> Any:
        """Convert a value of the user to this kind of column. Raises `ValueError` with what is wrong with the value."""
        return {Column.TEXT: parse_text, Column.OPTIONS: parse_options, Column.MESSAGES: parse_messages}[self](value)

    def display(self, value: Any) -> str:
        """The value as text for people; of a conversation its last turn."""
        match self:
            case Column.MESSAGES:
                return str(value[-1]["content"])
            case Column.OPTIONS | Column.INDICES:
                return ", ".join(map(str, value))
            case _:
                return str(value)

    @property
    def empty(self) -> Any:
        """A placeholder value of this kind."""
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
            Column.INDICES: pa.list_(pa.int64()),
        }[self]


def parse_text(value: Any) -> str:
    """Text, a number or a date as text, without surrounding space. Raises `ValueError`."""
    return parse_verbatim(value).strip()


def parse_verbatim(value: Any) -> str:
    """Text, a number or a date as text, with all of its space. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal | date):
        raise ValueError(f"holds {type(value).__name__}, not text or a number")
    if is_missing(value):
        raise ValueError("is empty")
    text = value.isoformat() if isinstance(value, date) else str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half of a character ({error.reason})") from error
    return text


def is_missing(value: Any) -> bool:
    """Whether a value is null, text of nothing but space, or not a number (NaN)."""
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and isnan(value))
    )


_OPTION_LABEL = re.compile(r"\s*[(\[]?([A-Z]|[1-9]\d?)(?:[)\]]\s*|[.:]\s+)")


def parse_options(value: Any) -> list[str]:
    """At least two options, from a list, ``{"label": [...], "text": [...]}``, ``{"A": ...}``, or JSON of any of these.

    Labels such as "A)" before the options are removed if all options have one. Raises `ValueError`.
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
    options = [parse_text(option) for option in value]
    matches = [_OPTION_LABEL.match(option) for option in options]
    labels = [match[1] for match in matches if match]
    if labels in ([chr(65 + i) for i in range(len(options))], [str(1 + i) for i in range(len(options))]):
        options = [option[match.end() :] for option, match in zip(options, matches, strict=True) if match]
    if "" in options:
        raise ValueError("holds an empty option")
    if len({" ".join(option.split()) for option in options}) < len(options):
        raise ValueError("holds the same option twice")
    return options


_ROLE_ALIASES = {"human": "user", "gpt": "assistant", "bot": "assistant", "ai": "assistant", "model": "assistant"}


def parse_messages(value: Any) -> list[dict[str, str]]:
    """Turns ``{"role", "content"}`` (or ``{"from", "value"}``): user and assistant alternating, after at most one system
    message. Raises `ValueError`."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError("holds no list of messages") from error
    if not isinstance(value, list) or not value:
        raise ValueError("holds no list of messages")
    messages: list[dict[str, str]] = []
    for turn in value:
        if not isinstance(turn, dict):
            raise ValueError("holds a message that is no object with role and content")
        role = turn.get("role", turn.get("from"))
        role = _ROLE_ALIASES.get(str(role).lower(), "system" if role == "developer" else str(role).lower())
        content = turn.get("content", turn.get("value"))
        if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
            content = "".join(str(part.get("text", "")) for part in content)
        if role not in ROLES:
            raise ValueError(f"holds a message with the role '{role}'; the roles are {', '.join(ROLES)}")
        messages.append({"role": role, "content": parse_text(content)})
    turns = messages[1:] if messages[0]["role"] == "system" else messages
    if not turns or any(m["role"] != ("user", "assistant")[i % 2] for i, m in enumerate(turns)):
        raise ValueError("holds messages that do not alternate between user and assistant, the user first")
    return messages
