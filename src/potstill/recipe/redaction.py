"""Personal data taken out of texts before anything is written.

Patterns find what has the form of an address or a number, not names of people or places: look at what remains.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import regex

from potstill.errors import did_you_mean

SECONDS = 0.5
"""That a user's pattern may take for one text."""

_LETTERS = r"A-Za-z0-9\u00c0-\u052f"  # of scripts that put spaces between words
_APART = r"(?: ?[/-] ?|[.\u2011]|[ \u00a0])"
_ALONE = r"(?<![\w+#])(?<!\d[.,:/-])(?<![A-Za-z]-)"
"""Before a phone number: no letter, no decimal, no order number such as AB-0123."""
_NO_DATE = r"(?!\d\d?(?P<sign>[./ -])\d\d?(?P=sign)(?:\d{4}|\d\d(?!(?P=sign)?\d))(?!\d))"

RULES: dict[str, re.Pattern[str]] = {
    "email": re.compile(
        rf"(?<![{_LETTERS}.%+_-])[{_LETTERS}_][{_LETTERS}.%+_'-]{{0,63}}+@"
        rf"(?:[{_LETTERS}-]{{1,63}}+\.){{1,8}}(?:xn--[A-Za-z0-9-]{{2,59}}|[A-Za-z\u00c0-\u052f]{{2,24}})"
    ),
    "iban": re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ \u00a0-]?[A-Z0-9]){11,30}"),
    "card": re.compile(r"(?<!\w)\d{4}([ \u00a0-]?)\d{4}\1\d{4}\1\d{4}(?!\w)"),
    "ip": re.compile(
        r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)"
        r"|(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:\.\d{1,3}){0,3}(?![\w:])"
    ),
    "phone": re.compile(
        rf"(?<![\w+])\+(?:[1-9]\d{{7,14}}|[1-9]\d{{0,2}}{_APART}?\(\d{{1,4}}\)(?:{_APART}?\d){{4,11}}"
        rf"|[1-9](?:{_APART}?\d){{7,14}})(?!\d)"  # +49301234567, +44 (0)20 7946 0958, +49 30 1234567
        # 030 1234567, (030) 1234567, 01 23 45 67 89, 0049 30 1234567: at least nine digits
        rf"|{_ALONE}{_NO_DATE}(?=(?:[ ./()\u00a0\u2011-]{{0,3}}\d){{9}})"
        rf"(?:\(00?[1-9]\d{{0,4}}\){_APART}?|00?[1-9]\d{{0,4}}{_APART})\d(?:{_APART}?\d){{3,10}}(?!\d)"
        rf"|{_ALONE}(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])\d{{3}}[-. ]\d{{4}}(?!\d)"  # (555) 123-4567
        rf"|{_ALONE}1[3-9]\d[- ]\d{{4}}[- ]\d{{4}}(?!\d)"  # 138 1234 5678
    ),
}
"""In this order; each takes time that grows with the text's length and no faster."""


class Redactor:
    """Puts "[EMAIL]" where an address stood, and counts. Raises `ValueError` for a rule that is not there or a bad pattern.

    rules: names of `RULES`. patterns: a user's own, by name; they go first. A text for which one of these takes longer than
    `SECONDS` is replaced as a whole.
    """

    def __init__(self, rules: Sequence[str], patterns: Mapping[str, str] = MappingProxyType({})) -> None:
        if unknown := [name for name in rules if name not in RULES]:
            raise ValueError(
                f"there is no rule '{unknown[0]}'.{did_you_mean(unknown[0], list(RULES))} There are {', '.join(RULES)}."
            )
        self.rules = [name for name in RULES if name in rules]
        self.patterns = {name: _compiled(name, pattern) for name, pattern in patterns.items()}
        self.counts: Counter[str] = Counter()

    def __call__(self, text: str) -> str:
        for name, pattern in self.patterns.items():
            text, n = _replaced_by_own(pattern, f"[{name.upper()}]", text)
            self.counts[name] += n
        for name in self.rules:
            text, n = _replaced(RULES[name], _CHECKS.get(name, re.Match.end), f"[{name.upper()}]", text)
            self.counts[name] += n
        return text


def _compiled(name: str, pattern: str) -> "regex.Pattern[str]":
    if name in RULES:
        raise ValueError(f"'{name}' is the name of a rule; give the pattern another.")
    if not re.fullmatch(r"\w[\w-]*", name):
        raise ValueError(f"'{name}' is no name for a pattern: letters, digits, _ and - make one.")
    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{name}: no regular expression: {error}") from error


def _replaced_by_own(pattern: "regex.Pattern[str]", placeholder: str, text: str) -> tuple[str, int]:
    found = 0

    def put(match: "regex.Match[str]") -> str:
        nonlocal found
        found += bool(match[0])
        return placeholder if match[0] else ""

    try:
        return pattern.sub(put, text, timeout=SECONDS), found
    except (TimeoutError, MemoryError):
        return placeholder, 1


def _replaced(
    pattern: re.Pattern[str], end_of: Callable[[re.Match[str]], int], placeholder: str, text: str
) -> tuple[str, int]:
    """``end_of`` says where the found thing ends; 0 for none, after which the search goes on at the next character."""
    pieces: list[str] = []
    kept = at = found = 0
    while match := pattern.search(text, at):
        at = match.start() + 1
        if end := end_of(match):
            pieces += text[kept : match.start()], placeholder
            kept = at = end
            found += 1
    return "".join([*pieces, text[kept:]]), found


def _card(match: re.Match[str]) -> int:
    """By the check of Luhn (ISO/IEC 7812-1)."""
    digits = [int(c) for c in match[0] if c.isdigit()]
    doubled = [2 * d - 9 if d > 4 else 2 * d for d in digits[0::2]]
    return match.end() if sum(doubled + digits[1::2]) % 10 == 0 and any(digits) else 0


_AS_DIGITS = str.maketrans({chr(ord("A") + n): str(10 + n) for n in range(26)})


def _iban(match: re.Match[str]) -> int:
    """By the check of ISO 13616: the remainder by 97 is 1. Words in capitals may follow: the longest that passes."""
    found = match[0].replace("\u00a0", " ").replace("-", " ")
    at, n, number, end = match.start() - 1, 0, "", 0
    for word, digits in zip(found.split(" "), found.translate(_AS_DIGITS).split(" "), strict=True):
        at += len(word) + 1
        n += len(word)
        number += digits
        if n < 15 or int(number[6:] + number[:6]) % 97 != 1:
            continue
        if sum(map(str.isdigit, match.string[match.start() : at])) >= 8 and not _in_a_word(match.string, at):
            end = at
    return end


def _in_a_word(text: str, at: int) -> bool:
    return text[at : at + 1].isascii() and text[at : at + 1].isalnum()


def _ip(match: re.Match[str]) -> int:
    """Addresses that are in use as such: of `::` in programs and `10:30:45` none is."""
    found = match[0] if match[0].endswith("::") else match[0].removesuffix(":")
    if ":" in found and (len(found) < 6 or not any(c.isdigit() for c in found)):
        return 0
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return 0
    return match.start() + len(found)


_CHECKS: Mapping[str, Callable[[re.Match[str]], int]] = {"card": _card, "iban": _iban, "ip": _ip}
