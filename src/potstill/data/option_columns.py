"""Recognize options of a choice question that stand in columns of their own, by the names of the columns."""

import re
from collections import defaultdict
from collections.abc import Sequence

_STEMS = [
    "option",
    "opt",
    "op",
    "choice",
    "ch",
    "ending",
    "answer",
    "ans",
    "candidate",
    "sol",
    "solution",
    "alternative",
    "alt",
    "variant",
    "response",
    "mc",
]
"""Words before the letter or number of an option: `option_a`, `opa`, `ending0`, `answerA`, `sol1`."""
_MARKED = re.compile(
    rf"(?P<stem>(?:{'|'.join(sorted(_STEMS, key=len, reverse=True))})?)(?:text|s)?[ _.-]?[(\[]?(?P<mark>[a-j]|\d)[)\]]?",
    re.IGNORECASE,
)
_CORRECT = re.compile(r"(?:the )?(?:correct|right|best|true)[ _-]?(?:answer|option|choice|ending)?", re.IGNORECASE)
_DISTRACTOR = re.compile(
    r"(?:distractor|incorrect|wrong|false)s?[ _-]?(?:answer|option|choice|ending)?s?[ _-]?\d?", re.IGNORECASE
)
MARKS = ("abcdefghij", "0123456789", "123456789")


def option_columns(names: Sequence[str]) -> list[str]:
    """The columns of options in their order: those with the letters or numbers of options, or the correct one first and the
    distractors after it. Empty where there are less than two."""
    by_stem: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        if match := _MARKED.fullmatch(name.strip()):
            by_stem[match["stem"].lower()][match["mark"].lower()] = name
    for stem, columns in sorted(by_stem.items(), key=lambda one: (-len(one[1]), one[0])):
        marks = "".join(sorted(columns))
        if len(marks) > 1 and any(known.startswith(marks) for known in MARKS if stem or known[0] == "a"):
            return [columns[mark] for mark in marks]
    correct = [name for name in names if _CORRECT.fullmatch(name.strip())]
    distractors = [name for name in names if _DISTRACTOR.fullmatch(name.strip())]
    return [correct[0], *distractors] if correct and distractors else []


def correct_column(columns: Sequence[str]) -> str | None:
    """The column of the correct option, where one of the columns of options is named as such."""
    return columns[0] if columns and _CORRECT.fullmatch(columns[0].strip()) else None
