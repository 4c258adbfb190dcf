"""Extract answers from a text: JSON, the text after "Answer:", a label, and the reasoning before the answer. Linear time.

Letters and numbers have their own modules: `letters`, `numbers`.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.answers.latex import last_box
from potstill.answers.normalization import PUNCTUATION


@dataclass(frozen=True)
class ExtractedAnswer:
    """An answer, the name of the rule that extracted it, and the index in the text where it starts."""

    answer: str
    rule: str
    start: int = 0


_ANSWER_LINE = re.compile(r"\banswer[ \t*_]{0,6}[:：][\s*_`\"']{0,8}(?P<answer>[^\n]{1,2000})", re.IGNORECASE)
_AFTER_ANSWER = re.compile(r"answer\s{0,3}:[ \t]{0,8}", re.IGNORECASE)
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL)
_ANNOUNCEMENT = re.compile(r"\banswer(?:\s+is)?[ \t*_]{0,6}[:：]?[\s*_]*\Z", re.IGNORECASE)
_LEAD_IN = re.compile(
    r"(?:(?<!\w)(?:so|thus|hence|therefore|then|and|that|this|it|which|is|are|gives|get|we|the|my|our|final|correct|right|best"
    r")(?!\w)|\\boxed|[^\w.!?)\]}\"'%])+\Z",
    re.IGNORECASE,
)
_MAX_LEAD_IN_CHARACTERS = 60
"""Characters before an answer that may only introduce it."""
_REPLY_KEYS = {"rationale": ("rationale", "reason"), "answer": ("answer", "answer_choice")}
"""Keys of replies in JSON: first those that potstill requests, then those of the published pipeline of arXiv 2410.18588."""
_WHOLE_NUMBER = re.compile(r"(?<=\d)\.0{1,20}\Z")
_BOOLEANS = {True: ("yes", "1"), False: ("no", "0")}
_LABEL_EDGES = " \t\n*_`\"'.,;:!()[]<>-•"


def parse_json(text: str) -> Any:
    """The JSON value that is the complete text, or its last fenced block, or goes from its first brace to its last; None
    where there is none."""
    start, end = text.find("{"), text.rfind("}")
    fenced = [match[1] for match in _FENCE.finditer(text)][-1:] if "```" in text else []
    for piece in (text, *fenced, text[start : end + 1] if 0 <= start < end else ""):
        try:
            return json.loads(piece, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            continue
    return None


def answer_object(text: str) -> dict[str, Any] | None:
    """The rationale and the answer of a reply in JSON, under these names; None where the text is no such reply.

    A rationale that is missing is left out. The reply may call them by any of `_REPLY_KEYS`.
    """
    value = parse_json(text) if any(f'"{key}"' in text for key in _REPLY_KEYS["answer"]) else None
    if not isinstance(value, dict):
        return None
    found = {name: value[key] for name, keys in _REPLY_KEYS.items() for key in reversed(keys) if key in value}
    return found if "answer" in found else None


def answer_lines(text: str) -> list[tuple[str, int]]:
    """The rest of the line after each "Answer:", and the index where that "Answer:" starts."""
    return [(match["answer"].strip().rstrip("*_`\"'"), match.start()) for match in _ANSWER_LINE.finditer(text)]


def text_after_answer(text: str, unit: str) -> str | None:
    """What follows the last "ANSWER:": a letter, a word, or the rest of the line, by ``unit``; None where that is missing."""
    matches = list(_AFTER_ANSWER.finditer(text))
    if not matches:
        return None
    line = text[matches[-1].end() :].partition("\n")[0].strip()
    if unit == "line":
        return line or None
    word = line.strip(PUNCTUATION + "()[]")
    if " " in word or (unit == "letter" and len(word) != 1):
        return None
    return word or None


def rationale_before(text: str, start: int) -> str:
    """The reasoning before the answer that starts at ``start``, without the words that introduce the answer ("The final",
    "It is $")."""
    near_start = max(0, start - _MAX_LEAD_IN_CHARACTERS)
    head, near = text[:near_start], text[near_start:start]
    lines_before, newline, line = _ANNOUNCEMENT.sub("", near).rpartition("\n")
    return f"{head}{lines_before}{newline}{_LEAD_IN.sub('', line)}".strip("*_#> \t\n")


def rationale_from_json(value: Any) -> str:
    """The rationale of a reply in JSON: text, or a list of steps, which become lines."""
    steps = value if isinstance(value, list) else [value]
    return "\n".join(step.strip() for step in steps if isinstance(step, str) and step.strip())


def labels_by_spelling(labels: Iterable[str]) -> dict[str, str]:
    """Each label by its spelling in lower case with single spaces."""
    return {_fold(label): label for label in labels}


def parse_gold_label(value: Any, labels: Sequence[str], spellings: Mapping[str, str]) -> str:
    """The label that a value of a data set means: one of the ``spellings``, a whole number with or without ".0", yes or no for
    true or false, or the label's index, counted from zero, unless a label is a number. Raises `ValueError` for any other
    value."""
    text = str(value).strip()
    whole = _WHOLE_NUMBER.sub("", text)
    candidates = (text, whole, f"{whole}.0", *(_BOOLEANS[value] if isinstance(value, bool) else ()))
    if label := next((spellings[fold] for fold in map(_fold, candidates) if fold in spellings), None):
        return label
    text = whole
    if text.isdecimal() and not any(map(_is_number, labels)) and int(text) < len(labels):
        return labels[int(text)]
    raise ValueError(f"{text[:60]!r} is none of the labels {', '.join(labels)}")


def extract_label(text: str, spellings: Mapping[str, str], *, strict: bool) -> ExtractedAnswer | None:
    """A label: after the last "Answer:", boxed, or as the complete text; if not ``strict``, the last label mentioned.

    ``spellings``: each spelling, as `labels_by_spelling` makes them, to its label.
    """
    for line, start in reversed(answer_lines(text)):
        if label := leading_label(line, spellings):
            return ExtractedAnswer(label, "answer-line", start)
    if (box := last_box(text)) and (label := leading_label(re.sub(r"\\text\{|\}", "", box[0]), spellings)):
        return ExtractedAnswer(label, "boxed", box[1])
    if label := exact_label(text, spellings):
        return ExtractedAnswer(label, "bare")
    return None if strict else _last_label(text, spellings)


def leading_label(text: str, spellings: Mapping[str, str]) -> str | None:
    """The label that a short text is, or the longest label that it begins with, before a character that is no letter or
    digit."""
    if label := exact_label(text, spellings):
        return label
    text = _fold(text).strip(_LABEL_EDGES)
    openings = [
        spelling
        for spelling in spellings
        if text.startswith(spelling) and not text[len(spelling) : len(spelling) + 1].isalnum()
    ]
    return spellings[max(openings, key=len)] if openings else None


def exact_label(text: str, spellings: Mapping[str, str]) -> str | None:
    """The label that a text is, apart from case, space and punctuation around it."""
    text = _fold(text)
    return spellings.get(text) or spellings.get(text.strip(_LABEL_EDGES)) or spellings.get(text.strip("*_`\"' -•"))


def _last_label(text: str, spellings: Mapping[str, str]) -> ExtractedAnswer | None:
    """The last label that a text mentions, as a separate word and not after "not"."""
    patterns = (r"\s+".join(map(re.escape, s.split())) for s in sorted(spellings, key=len, reverse=True))
    matches = re.finditer(rf"(?<!\w)(not\s+)?({'|'.join(patterns)})(?!\w)", text, re.IGNORECASE)
    mentioned = [
        ExtractedAnswer(spellings[spelling], "last-label", match.start())
        for match in matches
        if not match[1] and (spelling := _fold(match[2])) in spellings
    ]
    return mentioned[-1] if mentioned else None


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
