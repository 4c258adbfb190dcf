"""The kinds of columns that tasks have, and how values of the user become them."""

import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from math import isfinite, isnan
from typing import Any

from potstill.tasks.literals import decode
from potstill.tasks.messages import parse_messages


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
    """Text, a number, a date, or true or false, as text without surrounding space. Raises `ValueError`."""
    return parse_verbatim(value).strip()


def parse_verbatim(value: Any) -> str:
    """Text with all of its space, or a number, a date, or true or false, as text. Raises `ValueError`."""
    if not isinstance(value, str | int | float | Decimal | date):
        raise ValueError(f"holds {type(value).__name__}, not text or a number")
    if is_missing(value):
        raise ValueError("is empty")
    text = value.isoformat() if isinstance(value, date) else str(value)
    text = text.lower() if isinstance(value, bool) else text
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


def label_text(value: Any) -> str:
    """A label as text: as `parse_text`, but a whole number is one without ".0", which pandas adds beside a missing value.
    Raises `ValueError`."""
    if isinstance(value, float | Decimal) and isfinite(value) and value == int(value):
        value = int(value)
    return parse_text(value)


_OPTION_LABEL = re.compile(r"\s*[(\[]?([A-Z]|[1-9]\d?)(?:[)\]]\s*|[.:]\s+)")
_OPTION_IN_LINE = re.compile(r"(?:^|(?<=[\s,;]))[(\[]?([A-Za-z])\s?[).\]:](?=\s)\s*")


def parse_options(value: Any) -> list[str]:
    """At least two options, from a list, ``{"label": [...], "text": [...]}``, ``{"A": ...}``, the writing of one of these
    in a cell, or a text with an option in each line, or with bars, semicolons or labels ("A) red B) blue") between them.

    Labels such as "A)" before the options are removed if all options have one. Raises `ValueError`.
    """
    value = decode(value)
    if isinstance(value, str):
        value = _options_in_text(value)
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


def _options_in_text(text: str) -> list[str]:
    """The options that a text names; a list of less than two where there are none. Raises `ValueError` for a list that is
    cut or of unknown writing."""
    parts = _parts_of(text)
    is_list = text.lstrip()[:1] in ("[", "{")
    if is_list and (len(parts) < 2 or any(parts[0].count(a) != parts[0].count(b) for a, b in ("[]", "{}"))):
        raise ValueError(f"holds no list in the writing of JSON, Python or numpy: {text.strip()[:60]!r}")
    return parts


def _parts_of(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        return lines
    labels = list(_OPTION_IN_LINE.finditer(text))
    letters = "".join(label[1] for label in labels).upper()
    if len(labels) > 1 and letters == "ABCDEFGHIJ"[: len(labels)] and not text[: labels[0].start()].strip():
        ends = [label.start() for label in labels[1:]] + [len(text)]
        return [text[label.end() : end].strip(" ,;\t") for label, end in zip(labels, ends, strict=True)]
    return next((parts for mark in "|;\t" if len(parts := [p for p in text.split(mark) if p.strip()]) > 1), lines)
