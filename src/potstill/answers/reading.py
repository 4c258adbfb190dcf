"""What several tasks read out of a text in the same way: JSON, a label, the line of an answer. All in linear time."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.answers.text import boxed


@dataclass(frozen=True)
class Found:
    """An answer in a text: the rule that found it, and where it starts."""

    answer: str
    rule: str
    start: int = 0


LINE = re.compile(r"\banswer[ \t*_]{0,6}[:：][\s*_`\"']{0,8}(?P<answer>[^\n]{1,2000})", re.IGNORECASE)
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL)


def json_in(text: str) -> Any:
    """The JSON value that a text is, or holds in its last fence, or from its first brace to its last; None for none."""
    start, end = text.find("{"), text.rfind("}")
    fenced = [match[1] for match in _FENCE.finditer(text)][-1:] if "```" in text else []
    for piece in (text, *fenced, text[start : end + 1] if 0 <= start < end else ""):
        try:
            return json.loads(piece, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            continue
    return None


def found_in_json(text: str) -> dict[str, Any] | None:
    """The object ``{..., "answer": ...}`` of a reply in JSON."""
    inside = json_in(text) if '"answer"' in text else None
    return inside if isinstance(inside, dict) and "answer" in inside else None


def lines(text: str) -> list[tuple[str, int]]:
    """What stands after each "Answer:", and where that starts."""
    return [(match["answer"].strip().rstrip("*_`\"'"), match.start()) for match in LINE.finditer(text)]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_ANNOUNCED = re.compile(r"\banswer(?:\s+is)?[ \t*_]{0,6}[:：]?[\s*_]*\Z", re.IGNORECASE)
_LEADING_UP = re.compile(
    r"(?:(?<!\w)(?:so|thus|hence|therefore|then|and|that|this|it|which|is|are|gives|get|we|the|my|our|final|correct|right|best"
    r")(?!\w)|\\boxed|[^\w.!?)\]}\"'%])+\Z",
    re.IGNORECASE,
)
_NEAR = 60
"""Characters before an answer that may only lead up to it."""


def before(text: str, start: int) -> str:
    """The reasoning before an answer that starts there, without words that only lead up to it ("The final", "It is $")."""
    head, near = text[: max(0, start - _NEAR)], text[max(0, start - _NEAR) : start]
    lines_before, newline, line = _ANNOUNCED.sub("", near).rpartition("\n")
    return f"{head}{lines_before}{newline}{_LEADING_UP.sub('', line)}".strip("*_#> \t\n")


def rationale_in(value: Any) -> str:
    """The rationale of a reply in JSON: text, or a list of it, a step in each line."""
    steps = value if isinstance(value, list) else [value]
    return "\n".join(step.strip() for step in steps if isinstance(step, str) and step.strip())


LABEL_EDGES = " \t\n*_`\"'.,;:!()[]<>-•"


def spellings(labels: Iterable[str]) -> dict[str, str]:
    """Each label by its spelling without the accidents of case and space."""
    return {_flat(label): label for label in labels}


def gold_label(value: Any, labels: Sequence[str], known: Mapping[str, str]) -> str:
    """The label that a data set's value is, in one of the ``known`` spellings; or its place, counted from nought, where no
    label is a number. Raises `ValueError`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    said = str(value).strip()
    if label := known.get(_flat(said)):
        return label
    if said.isdecimal() and not any(map(_is_number, labels)) and int(said) < len(labels):
        return labels[int(said)]
    raise ValueError(f"{said[:60]!r} is none of the labels {', '.join(labels)}")


def as_label(said: str, labels: Mapping[str, str]) -> str | None:
    """The label that a short text gives: by itself, or before anything that is no letter.

    ``labels``: each spelling, as `spellings` makes them, to its label.
    """
    if label := exact_label(said, labels):
        return label
    said = _flat(said).strip(LABEL_EDGES)
    openings = [
        spelling
        for spelling in labels
        if said.startswith(spelling) and not said[len(spelling) : len(spelling) + 1].isalnum()
    ]
    return labels[max(openings, key=len)] if openings else None


def exact_label(said: str, labels: Mapping[str, str]) -> str | None:
    """The label that a text is, but for case, space and what stands around it."""
    said = _flat(said)
    return labels.get(said) or labels.get(said.strip(LABEL_EDGES)) or labels.get(said.strip("*_`\"' -•"))


def last_label(text: str, labels: Mapping[str, str]) -> Found | None:
    """The label that a text mentions last, as a word of its own and not after "not"."""
    ways = (r"\s+".join(map(re.escape, way.split())) for way in sorted(labels, key=len, reverse=True))
    found = re.finditer(rf"(?<!\w)(not\s+)?({'|'.join(ways)})(?!\w)", text, re.IGNORECASE)
    named = [Found(labels[way], "last-label", m.start()) for m in found if not m[1] and (way := _flat(m[2])) in labels]
    return named[-1] if named else None


def find_label(text: str, labels: Mapping[str, str], *, strict: bool) -> Found | None:
    """A label: after the last "Answer:", boxed, or as the whole text; if not ``strict``, the last one mentioned."""
    for said, start in reversed(lines(text)):
        if label := as_label(said, labels):
            return Found(label, "answer-line", start)
    if (box := boxed(text)) and (label := as_label(re.sub(r"\\text\{|\}", "", box[0]), labels)):
        return Found(label, "boxed", box[1])
    if label := exact_label(text, labels):
        return Found(label, "bare")
    return None if strict else last_label(text, labels)


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
