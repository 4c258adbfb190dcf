"""Open the user's text files, and say where one is not text; digests of texts."""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from potstill.errors import RecipeError

MAX_LINE_CHARACTERS = 64 << 20
"""Longest JSON line or CSV cell; anything longer is not a question."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""How a file in UTF-16 begins, as Excel and PowerShell write it."""

LocatedRows = Iterator[tuple[str, Mapping[str, Any]]]
"""Rows, each with its location for messages, such as ``rows.jsonl, line 3``."""


@contextmanager
def open_text(path: Path, name: str, newline: str | None = None) -> Iterator[TextIO]:
    """A file, which may be gzipped, as text in UTF-8 or, if it says so, UTF-16. Raises `RecipeError` with the line that is
    not text; ``name`` names the file."""
    with _open_bytes(path) as file:
        encoding = "utf-16" if file.read(2) in _UTF16 else "utf-8-sig"
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding=encoding, newline=newline) as file:
            yield cast(TextIO, file)
    except UnicodeDecodeError as error:
        place = f", line {line}" if (line := _bad_line(path, encoding)) else ""
        raise RecipeError(
            f"{name}{place}: not UTF-8 text ({error.reason}). Save it as UTF-8; it may be in Latin-1 or Windows-1252."
        ) from error


def _open_bytes(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb"))


def _bad_line(path: Path, encoding: str) -> int:
    """The first line that is not text, counted from 1: text is decoded in blocks, so that the reader is elsewhere; 0 where
    lines cannot be told."""
    if encoding == "utf-16":
        return 0
    with _open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def hash64(text: str) -> int:
    """The first 64 bits of the text's SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
