"""A pitfall: what a check found, in one sentence with its numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 5
"""Ids of questions that are listed as examples."""
_MAX_CHARACTERS = 60


@dataclass(frozen=True)
class Pitfall:
    """What a check found in a test split.

    ``name`` is the title of its section in docs/footguns.md. ``message`` is one sentence with the numbers and what to do;
    ``figures`` holds these numbers, and the ids of a few questions. ``alarm`` is false where the sentence says what the
    split is made for, and nothing is wrong.
    """

    name: str
    message: str
    figures: Mapping[str, Any]
    alarm: bool = True


def few(ids: Iterable[str], most: int = SHOWN) -> list[str]:
    """The first of some ids, which are the user's and may be long."""
    return [clipped(id_) for id_, _ in zip(ids, range(most), strict=False)]


def clipped(text: str) -> str:
    """A text of the user or of a model, in one line and at most 60 characters."""
    line = " ".join(text[: 4 * _MAX_CHARACTERS].split())
    return line if len(line) <= _MAX_CHARACTERS else line[: _MAX_CHARACTERS - 1] + "…"


def in_a_line(splits: Mapping[str, Mapping[str, Any]]) -> str:
    """The names of the pitfalls of all splits, for the terminal; empty where there is none."""
    found = [pitfall for values in splits.values() for pitfall in values.get("pitfalls", []) if pitfall["alarm"]]
    names = list(dict.fromkeys(pitfall["name"] for pitfall in found))
    if not names:
        return ""
    return f"{len(names)} pitfall{'s' if len(names) > 1 else ''}: {', '.join(names)}; see report"
