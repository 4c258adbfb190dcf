"""Compare the forms of two mathematical answers before their mathematics: an equation, list or range is no single number."""

import re
from fractions import Fraction

from potstill.answers import numbers
from potstill.answers.folding import fold_words
from potstill.answers.math_values import STRICT_BOUND, is_algebraic
from potstill.answers.notation import plain_numbers

_LENGTH = "(?:mm|cm|dm|km|nm|m|in|ft|feet|yd|mi|miles?|meters?|metres?)"
_UNIT = (
    rf"(?:(?:sq(?:uare|\.)?\s|cubic\s)?{_LENGTH}(?:\s?(?:\^\s?\{{?[23]\}}?|[²³23](?!\d)))?|min|hours?|hr|h|seconds?|sec|s|days?|kg|mg|g|lbs?|oz|mL|ml|L|l|kJ|J|kW|W|"
    r"kPa|Pa|Hz|mol|mph|kph|°C|°F|°|\^\s?\\circ|\^\s?\{\\circ\}|degrees?)"
)
_MEASURE = re.compile(
    rf"\s?[≈~]?\s?[$€£¥₹]?\s?(?P<number>[-+]?[$]?[\d.,/]{{1,60}}(?: \d{{1,9}}/\d{{1,9}})?)(?:\s?(?P<thousand>k)|(?:\s|\\[ ,;])?{_UNIT}(?:\s?(?:/|·|\*|per)\s?{_UNIT}(?:\^\s?\{{?-?\d\}}?)?){{0,2}})[\s$.]{{0,3}}"
)
_RANGE = re.compile(r"(?P<low>[-\d./$%,]{1,60}) to (?P<high>[-\d./$%,]{1,60})")
_LIST_SEPARATOR = re.compile(r",\s|;\s?|\s(?:and|or)\s")
_SET_BRACES = re.compile(r"\A\\?\{\s?|\s?\\?\}\Z")
_COMPARED = r"[^<>≤≥=\\]{1,60}(?:\\(?:frac|pi|infty|sqrt)[^<>≤≥=\\]{0,60}){0,2}"
_LESS = r"\s?(?P<{}><=?|≤|\\leq?(?![a-z])|\\lt(?![a-z]))\s?"
_BETWEEN = re.compile(
    rf"(?P<low>{_COMPARED}){_LESS.format('first')}[A-Za-z]\s?{_LESS.format('second')}(?P<high>{_COMPARED})"
)
_NAMED_SUM = re.compile(
    r"\s?(?:[A-Za-z](?:_\{?\w{1,9}\}?)?)(?:\s?(?:[-+]|\\cdot)\s?[A-Za-z](?:_\{?\w{1,9}\}?)?){1,9}\s?"
)
_BRACKETS = {"(": "(", "[": "[", "\\{": "{", "{": "{"}


def decide(gold: str, answer: str) -> bool | None:
    """Whether an answer is right as far as its form says; None where its mathematics must be compared."""
    expected, found = numbers.parse(gold), numbers.parse(answer)
    if STRICT_BOUND.match(answer) or STRICT_BOUND.match(gold):
        return fold_words(gold) == fold_words(answer)
    golds, answers = _list_or_range(gold), _list_or_range(answer)
    if golds is not None or answers is not None:
        if golds is not None and answers is not None:
            return golds == answers
        if expected is not None or found is not None or "to" in ((golds or answers) or ()):
            return False
    if expected is not None and found is None:
        if (measured := measure(answer)) is not None:
            return measured == expected
        left, equals, right = answer.strip("$ ").rpartition("=")
        if equals and is_algebraic(left):
            value = numbers.parse(right) if _NAMED_SUM.fullmatch(left) else None
            return value == expected
    brackets = {_bracket(gold), _bracket(answer)} - {""}
    return False if len(brackets) == 2 and "{" in brackets else None


def measure(text: str) -> Fraction | None:
    """The number of a text that is one number with a unit (5 m/s) or in thousands (5k); None for any other text."""
    match = _MEASURE.fullmatch(plain_numbers(text))
    if match is None or (number := numbers.parse(match["number"])) is None:
        return None
    return number * 1000 if match["thousand"] else number


def intervals_for_comparisons(text: str) -> str:
    """0 < x <= 5 as the interval (0, 5]; any other text unchanged."""
    match = _BETWEEN.fullmatch(text.strip("$ ."))
    if match is None:
        return text
    opening = "(" if match["first"].strip() in ("<", "\\lt") else "["
    closing = ")" if match["second"].strip() in ("<", "\\lt") else "]"
    return f"{opening}{match['low'].strip()}, {match['high'].strip()}{closing}"


def _list_or_range(text: str) -> tuple[object, ...] | None:
    """The values of a list of plain numbers, sorted, or of a range in order after "to"; None for any other text."""
    if match := _RANGE.fullmatch(text.strip()):
        both = numbers.parse(match["low"]), numbers.parse(match["high"])
        return None if None in both else ("to", *both)
    pieces = _LIST_SEPARATOR.split(_SET_BRACES.sub("", text.strip(" $.")))
    if not 1 < len(pieces) <= 100:
        return None
    values = [numbers.parse(piece) for piece in pieces]
    return None if None in values else tuple(sorted({value for value in values if value is not None}))


def _bracket(text: str) -> str:
    text = text.strip().lstrip("$ ").removeprefix("\\left")
    return next((kind for opening, kind in _BRACKETS.items() if text.startswith(opening)), "")
