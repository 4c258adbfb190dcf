"""Read JSON as models write it: in fences and prose, with LaTeX, line breaks, comments, trailing commas, Python's literals.

A text is brought into strict JSON token by token, and then the strict parser decides. So nothing is completed or guessed: what is
cut or contradictory is no JSON. (Repair libraries complete it: "{"total": 12" would be a record.) Linear time.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class JsonValue:
    """A JSON object, or list of objects, in a text, and where it starts and ends."""

    value: Any
    start: int
    end: int


_STRING_END = r"(?=[ \t\r\n]{0,100}[,:}\]])"
_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n]++|//[^\n]*+|\#[^\n]*+|/\*.{0,500}?\*/)"
    r'|"(?P<double>(?:[^"\\]|\\.)*+)"'
    rf"|'(?P<single>(?:[^'\\]|\\.|'(?!{_STRING_END}))*+)'"
    rf"|[“„](?P<curly>(?:[^”“\\]|\\.|[”“](?!{_STRING_END}))*+)[”“]"
    rf"|‘(?P<curly_single>(?:[^’\\]|\\.|’(?!{_STRING_END}))*+)’"
    r"|(?P<mark>[{}\[\],:])"
    r"|(?P<word>[\w.$+-]++)(?P<colon>[ \t\r\n]{0,100}:)?",
    re.DOTALL,
)
_STRINGS = ("double", "single", "curly", "curly_single")
_QUOTES = frozenset("\"'“„‘")
_LITERALS = {"True": "true", "False": "false", "None": "null"}
_OPENING = re.compile(r"(?:\{|\[\s{0,100}\{)(?P<key>\s{0,100}(?:[\"'“„‘]|[A-Za-z_]\w{0,60}\s{0,9}:))?")
_FENCE = re.compile(r"(```|~~~)[ \t]{0,9}\w{0,20}\s(.*?)\1", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:(?P<code>u[0-9a-fA-F]{4})|[A-Za-z]++|.)|\"", re.DOTALL)
_LATEX_TEXT = """
times text textbf textit textrm texttt textstyle tfrac theta therefore triangle triangleq tilde tanh neq nabla not notin nleq
ngeq natural nearrow nwarrow nsubseteq nparallel newline newcommand nonumber
"""
_LATEX = frozenset(_LATEX_TEXT.split())
"""Commands of LaTeX that begin with t or n, and whose other letters are no word after a tab or a line break."""
_LATEX_OR_WORD = frozenset(["tan", "tau", "to", "top", "tag", "nu", "ne", "neg"])
"""Commands whose other letters may be a word; they count where the same text writes other commands with one backslash."""
_SINGLE_BACKSLASH = re.compile(
    r"(?<!\\)(?:\\\\){0,9}\\(?:[bfr](?=[A-Za-z])|[^\"\\/bfnrtu\n']|u(?![0-9a-fA-F]{4})"
    rf"|(?:{'|'.join(sorted(_LATEX, key=len, reverse=True))})(?![A-Za-z]))"
)
"""Escapes that JSON does not have, or that nobody means: a form feed before "rac{1}{2}"."""
_REPLY_KEYS = {"rationale": ("rationale", "reason"), "answer": ("answer", "answer_choice")}
"""Keys of replies in JSON: first those that potstill requests, then those of the published pipeline of arXiv 2410.18588."""
_QUOTE = "[\"'“”„‘’]"
_ANSWER_KEY = re.compile(
    rf"(?:{_QUOTE}(?:answer|answer_choice){_QUOTE}|[{{,]\s{{0,99}}(?:answer|answer_choice))\s{{0,99}}:"
)
_RAW_REPLY = re.compile(
    rf"(?:(?:```|~~~)\w{{0,20}}\s{{0,9}})?[{{\[]\s{{0,99}}(?:\{{\s{{0,99}})?{_QUOTE}?"
    rf"(?:rationale|reason|answer|answer_choice){_QUOTE}?\s{{0,99}}:"
)
_MISSING = object()
_SCANS = 2
"""How often a text is read at most, on average, in search of objects: each opening bracket may be one."""


def parse_json(text: str, keys: Sequence[str] = ()) -> Any:
    """The value that `find_json` finds; None where there is none."""
    found = find_json(text, keys)
    return found.value if found else None


def find_json(text: str, keys: Sequence[str] = ()) -> JsonValue | None:
    """The JSON value that is the complete text, or its last fenced block; otherwise the last object, or list of objects, in the
    text that has one of the ``keys``, or the last if none has."""
    value = _whole(text)
    if value is not _MISSING:
        return JsonValue(value, 0, len(text))
    if ("```" in text or "~~~" in text) and (blocks := list(_FENCE.finditer(text))):
        value = _whole(blocks[-1][2])
        if value is not _MISSING and (not keys or has_key(value, keys)):
            return JsonValue(value, *blocks[-1].span())
    return last_with_key(json_objects(text), keys)


def json_objects(text: str) -> list[JsonValue]:
    """The objects and lists of objects in a text that are not part of another one, in order."""
    return list(_objects(text)) if "{" in text else []


def last_with_key(values: Sequence[JsonValue], keys: Sequence[str]) -> JsonValue | None:
    """The last of the values that has one of the keys; the last if none has, None if there is no value."""
    asked = [value for value in values if has_key(value.value, keys)]
    return (asked or values)[-1] if values else None


def has_key(value: Any, keys: Sequence[str]) -> bool:
    """Whether an object, or the only object of a list, has one of the keys."""
    value = only_object(value)
    return value is not None and any(key in value for key in keys)


def only_object(value: Any) -> dict[str, Any] | None:
    """The value if it is an object, or the only object of a list; None for any other value."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None


def answer_object(text: str) -> dict[str, Any] | None:
    """The rationale and the answer of a reply in JSON, under these names; None where the text is no such reply.

    A rationale that is missing is left out. The reply may call them by any of `_REPLY_KEYS`. Of several replies the last counts;
    one that is cut leaves none.
    """
    if "answer" not in text or not (mentions := list(_ANSWER_KEY.finditer(text))):
        return None
    value = only_object(_whole(text))
    if value is None:
        found = last_with_key(json_objects(text), _REPLY_KEYS["answer"])
        value = only_object(found.value) if found and found.end > mentions[-1].start() else None
    if value is None or not has_key(value, _REPLY_KEYS["answer"]):
        return None
    return {name: value[key] for name, keys in _REPLY_KEYS.items() for key in reversed(keys) if key in value}


def rationale_from_json(value: Any) -> str:
    """The rationale of a reply in JSON: text, or a list of steps, which become lines."""
    steps = value if isinstance(value, list) else [value]
    return "\n".join(step.strip() for step in steps if isinstance(step, str) and step.strip())


def without_raw_json(rationale: str) -> str:
    """A rationale without a reply in JSON that could not be read: what comes before it. Empty if the rationale is JSON."""
    if "{" not in rationale and "[" not in rationale:
        return rationale
    if match := _RAW_REPLY.search(rationale):
        rationale = rationale[: match.start()].rstrip()
    return "" if rationale[:1] in ("{", "[") and isinstance(_whole(rationale), dict | list) else rationale


def _whole(text: str) -> Any:
    """The JSON value that a text is; `_MISSING` where it is none."""
    text = text.strip()
    if "\\" not in text or not _SINGLE_BACKSLASH.search(text):
        value = _loads(text)
        if value is not _MISSING:
            return value
    if text[:1] not in ("{", "["):
        return _MISSING
    strict, end = _strict_json(text, 0, _has_single_backslashes(text))
    return _loads(strict) if strict is not None and not text[end:].strip() else _MISSING


def _objects(text: str) -> Iterator[JsonValue]:
    single_backslashes = _has_single_backslashes(text)
    position, budget = 0, _SCANS * len(text)
    while budget > 0 and (opening := _OPENING.search(text, position)):
        start = opening.start()
        strict, end = _strict_json(text, start, single_backslashes)
        value = _MISSING if strict is None else _loads(strict)
        # A quotation mark that never closes was sought to the end.
        budget -= (len(text) if text[end : end + 1] in _QUOTES and strict is None else end) - start
        if value is not _MISSING:
            yield JsonValue(value, start, end)
        elif opening["key"] and strict is None:
            return  # It was cut, or is broken: an object within it would be a fragment.
        position = end if value is not _MISSING or opening["key"] else start + 1


def _strict_json(text: str, start: int, single_backslashes: bool) -> tuple[str | None, int]:
    """The value that opens at ``start`` in strict JSON (None where it does not close) and the index where reading ended."""
    tokens: list[str] = []
    depth, position = 0, start
    while match := _TOKEN.match(text, position):
        position = match.end()
        kind = match.lastgroup
        if kind == "mark":
            mark = match["mark"]
            if mark in "}]" and tokens and tokens[-1] == ",":
                tokens.pop()
            tokens.append(mark)
            depth += (mark in "{[") - (mark in "}]")
            if depth <= 0:
                return "".join(tokens), position
        elif kind in _STRINGS:
            tokens.append(f'"{_strict_escapes(match[kind], single_backslashes)}"')
        elif kind == "colon":
            tokens += [json.dumps(match["word"]), ":"]
        elif kind == "word":
            tokens.append(_LITERALS.get(match["word"], match["word"]) + " ")  # 1 000 is no number
    return None, position


def _strict_escapes(body: str, single_backslashes: bool) -> str:
    """The content of a string with escapes that JSON has and that mean what was written."""
    if "\\" not in body and '"' not in body:
        return body

    def strict(match: re.Match[str]) -> str:
        escape = match[0]
        if escape == '"':
            return '\\"'
        first, command = escape[1], escape[1:]
        if first == "'":
            return "'"
        if first in '"\\/' or match["code"]:
            return escape
        if first in "tn":
            is_latex = command in _LATEX or (single_backslashes and command in _LATEX_OR_WORD)
        else:
            is_latex = first not in "bfr" or len(command) > 1
        return f"\\{escape}" if is_latex else escape

    return _ESCAPE.sub(strict, body)


def _has_single_backslashes(text: str) -> bool:
    return "\\" in text and _SINGLE_BACKSLASH.search(text) is not None


def _loads(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_reject_constant, strict=False)
    except (ValueError, RecursionError):
        return _MISSING


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
