"""Read a judge's reply: JSON in the requested form, in other forms that models write, or lines of prose. Never raises, linear time."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.answers.json_replies import only_object, parse_json
from potstill.models import encodable
from potstill.rubrics.rubric import OVERALL

MAX_REASON = 2_000
"""Characters of a reason that are kept."""
MAX_REPLY = 20_000
"""Characters of a reply, from its end, that are read."""

_NUMBER = re.compile(r"\s{0,9}(\d{1,3}(?:\.\d{1,6})?)\s{0,9}(?:(?:/|out of)\s{0,9}(\d{1,3}))?\s{0,9}\.?\s{0,9}")
_YES = frozenset(["true", "right", "correct", "yes"])
_NO = frozenset(["false", "wrong", "incorrect", "no"])
_TIES = frozenset(["tie", "tied", "draw", "equal", "both", "neither", "none", "same", "c"])
_RIGHT_KEYS = ("right", "verdict", "correct")
_BETTER_KEYS = ("better", "winner", "verdict")
_RIGHT_LINE = re.compile(
    rf"\b(?:right|verdict|correct)\b[\"'*]{{0,4}}\s{{0,3}}[:=-][\s\"'*]{{0,8}}({'|'.join(sorted(_YES | _NO))})\b",
    re.IGNORECASE,
)
_BETTER_LINE = re.compile(
    rf"\b(?:better|winner|verdict)\b[\"'*]{{0,4}}\s{{0,3}}[:=-][\s\"'*\[(]{{0,8}}(?:answer[ -]?)?(A|B|C|{'|'.join(sorted(_TIES - {'c'}))})\b"
    r"|\[\[(A|B|C)\]\]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Reading:
    """What a judgement says: a value for each criterion, and why."""

    values: Mapping[str, float]
    reason: str


def scores(text: str, criteria: Sequence[str], lowest: int, highest: int) -> Reading | None:
    """A number for each criterion; None where one is missing, or outside of the scale."""
    text = text[-MAX_REPLY:]
    reply = _reply(text, criteria)
    if reply is not None:
        found = {name: _number(reply.get(name.casefold()), highest) for name in criteria}
    else:
        found = {name: _number_of_line(text, name, highest) for name in criteria}
    values = {name: value for name, value in found.items() if value is not None and lowest <= value <= highest}
    return Reading(values, _reason(reply, text)) if len(values) == len(criteria) else None


def right(text: str) -> Reading | None:
    """1 for right, 0 for wrong: the last verdict of the text."""
    text = text[-MAX_REPLY:]
    reply = _reply(text, _RIGHT_KEYS)
    value = next((reply[key] for key in _RIGHT_KEYS if key in reply), None) if reply else None
    if reply is None and (lines := _RIGHT_LINE.findall(text)):
        value = lines[-1]
    word = str(value).casefold().strip(" .") if isinstance(value, bool | str) else ""
    if word not in _YES | _NO:
        return None
    return Reading({OVERALL: float(word in _YES)}, _reason(reply, text))


def better(text: str, letters: Sequence[str]) -> Reading | None:
    """1 where the answer with the first of the ``letters`` is better, 0 for that with the second, 0.5 for a tie."""
    text = text[-MAX_REPLY:]
    reply = _reply(text, _BETTER_KEYS)
    value = next((reply[key] for key in _BETTER_KEYS if key in reply), None) if reply else None
    if reply is None and (lines := _BETTER_LINE.findall(text)):
        value = next(filter(None, lines[-1]))
    word = value.casefold().strip(" .[]()*").removeprefix("answer").strip(" -_") if isinstance(value, str) else ""
    values = {letters[0].casefold(): 1.0, letters[1].casefold(): 0.0} | dict.fromkeys(_TIES, 0.5)
    return Reading({OVERALL: values[word]}, _reason(reply, text)) if word in values else None


def _reply(text: str, keys: Sequence[str]) -> dict[str, Any] | None:
    """The last object of the text that has one of the keys, with keys in lower case; None where there is none."""
    reply = only_object(parse_json(text, keys)) if "{" in text else None
    flat = {} if reply is None else _flat(reply)
    return flat if any(key.casefold() in flat for key in keys) else None


def _flat(reply: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an object, and of objects in it, such as ``scores``; of ``{"score": 4, "reason": ...}`` the score."""
    flat: dict[str, Any] = {}
    for key, value in reply.items():
        inner = value if isinstance(value, Mapping) else {}
        flat |= {str(name): one for name, one in inner.items() if "score" not in inner}
        flat[str(key)] = inner.get("score", value)
    return {name.casefold(): value for name, value in flat.items()}


def _number(value: Any, highest: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        found = _NUMBER.fullmatch(value)
        return float(found[1]) if found and (not found[2] or int(found[2]) == highest) else None
    return float(value) if abs(value) < 1_000 and math.isfinite(value) else None


def _number_of_line(text: str, name: str, highest: int) -> float | None:
    """The number after the last mention of a criterion, as in ``**fluency**: 4/5``."""
    line = re.compile(
        rf"\b{re.escape(name)}\b[\"'*]{{0,4}}[ \t]{{0,3}}[:=-][ \t\"'*]{{0,8}}(\d[\d. /]{{0,12}})", re.IGNORECASE
    )
    found = line.findall(text)
    return _number(found[-1].strip(), highest) if found else None


def _reason(reply: Mapping[str, Any] | None, text: str) -> str:
    reason = text if reply is None else reply.get("reason", "")
    return encodable(str(reason).strip()[:MAX_REASON])
