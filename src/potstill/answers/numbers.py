"""Extract plain numbers from a text and parse their exact values."""

import re
from fractions import Fraction

MAX_DIGITS = 60
"""Digits that a number may have on either side of its decimal point."""

_INTEGER = rf"(?:\d{{1,3}}(?:,\d{{3}}){{1,18}}(?!\d)|\d{{1,{MAX_DIGITS}}})"
NUMBER = (
    rf"(?<![\w.])[-+]?(?:{_INTEGER}(?:\.\d{{1,{MAX_DIGITS}}})?|\.\d{{1,{MAX_DIGITS}}})(?:[eE][-+]?\d{{1,2}}(?!\w))?"
)
"""With thousands commas, a decimal point, an exponent; not in the middle of a word or of another number."""

_MIXED_NUMBER = r"(?<![\w./])[-+]?\d{1,15} \d{1,15}/\d{1,15}(?![\d/])"
_ANY_NUMBER = re.compile(rf"{_MIXED_NUMBER}|{NUMBER}(?:/\d{{1,{MAX_DIGITS}}}(?!\d))?(?:\s?\\?%)?")
_SINGLE_NUMBER = re.compile(
    rf"[\s*$€£¥]{{0,8}}(?:(?P<sign>[-+])?(?P<integer>\d{{1,15}}) (?=\d{{1,15}}/))?(?P<number>{NUMBER})(?:/(?P<denominator>\d{{1,{MAX_DIGITS}}}))?\s?(?P<percent>\\?%)?[\s*$€£¥.]{{0,8}}"
)


def find(text: str) -> list[re.Match[str]]:
    """The numbers of a text, in order."""
    return list(_ANY_NUMBER.finditer(text))


def extract(text: str) -> list[str]:
    """The numbers of a text, in order, as written."""
    return [match[0] for match in find(text)]


def parse(text: str) -> Fraction | None:
    """The exact value of a text that is one plain number; a percent is a hundredth, "3 1/2" is 7/2. None for any other
    text."""
    match = _SINGLE_NUMBER.fullmatch(text)
    if match is None or (match["denominator"] and int(match["denominator"]) == 0):
        return None
    value = Fraction(match["number"].replace(",", "")) / int(match["denominator"] or 1) + int(match["integer"] or 0)
    return (-value if match["sign"] == "-" else value) / (100 if match["percent"] else 1)
