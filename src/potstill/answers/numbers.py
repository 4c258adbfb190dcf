"""Plain numbers in a text, and their exact values."""

import re
from fractions import Fraction

DIGITS = 60
"""Digits that a number may have on either side of its point."""

_WHOLE = rf"(?:\d{{1,3}}(?:,\d{{3}}){{1,18}}(?!\d)|\d{{1,{DIGITS}}})"
NUMBER = rf"(?<![\w.])[-+]?(?:{_WHOLE}(?:\.\d{{1,{DIGITS}}})?|\.\d{{1,{DIGITS}}})(?:[eE][-+]?\d{{1,2}}(?!\w))?"
"""With thousands commas, a decimal point, an exponent; not in the middle of a word or of another number."""

_MIXED = r"(?<![\w./])[-+]?\d{1,15} \d{1,15}/\d{1,15}(?![\d/])"
_NUMBER = re.compile(rf"{_MIXED}|{NUMBER}(?:/\d{{1,{DIGITS}}}(?!\d))?(?:\s?\\?%)?")
_VALUE = re.compile(
    rf"[\s*$€£¥]{{0,8}}(?:(?P<sign>[-+])?(?P<whole>\d{{1,15}}) (?=\d{{1,15}}/))?(?P<number>{NUMBER})(?:/(?P<below>\d{{1,{DIGITS}}}))?\s?(?P<percent>\\?%)?[\s*$€£¥.]{{0,8}}"
)


def find(text: str) -> list[str]:
    """The numbers of a text, in their order."""
    return [match[0] for match in _NUMBER.finditer(text)]


def value(text: str) -> Fraction | None:
    """What a text that is one plain number is worth, exactly; a percent is a hundredth, "3 1/2" is three and a half. None
    for anything else."""
    match = _VALUE.fullmatch(text)
    if match is None or (match["below"] and int(match["below"]) == 0):
        return None
    worth = Fraction(match["number"].replace(",", "")) / int(match["below"] or 1) + int(match["whole"] or 0)
    return (-worth if match["sign"] == "-" else worth) / (100 if match["percent"] else 1)
