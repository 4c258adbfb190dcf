"""Redact personal data in texts before anything is written.

The patterns match addresses and numbers by their format, not names of people or places: review the redacted texts.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import regex

from potstill.errors import did_you_mean

PATTERN_TIMEOUT_SECONDS = 0.5
"""Time limit for one of the user's patterns on one text."""

_LETTERS = r"A-Za-z0-9\u00c0-\u052f"  # only of scripts that separate words by spaces
_SEPARATOR = r"(?: ?[/-] ?|[.\u2011]|[ \u00a0])"
_NO_PREFIX = r"(?<![\w+#])(?<!\d[.,:/-])(?<![A-Za-z]-)"
"""What must not precede a phone number: a letter, the start of a decimal or of an order number such as AB-0123."""
_NO_DATE = r"(?!\d\d?(?P<sign>[./ -])\d\d?(?P=sign)(?:\d{4}|\d\d(?!(?P=sign)?\d))(?!\d))"

KEY_RULE = "key"
"""The rule of keys and tokens by which servers are used, in the forms of well-known services."""

RULES: dict[str, re.Pattern[str]] = {
    KEY_RULE: re.compile(
        r"(?<![A-Za-z0-9_-])(?:sk-(?=[A-Za-z_-]{0,80}[0-9])[A-Za-z0-9_-]{16,}|gh[opsru]_[A-Za-z0-9]{30,}"
        r"|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,}|xox[abeoprs]-[A-Za-z0-9-]{20,}"
        r"|A[KS]IA[0-9A-Z]{16}(?![0-9A-Z])|AIza[A-Za-z0-9_-]{30,}"
        r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})"  # a JSON Web Token (RFC 7519)
    ),
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
        rf"(?<![\w+])\+(?:[1-9]\d{{7,14}}|[1-9]\d{{0,2}}{_SEPARATOR}?\(\d{{1,4}}\)(?:{_SEPARATOR}?\d){{4,11}}"
        rf"|[1-9](?:{_SEPARATOR}?\d){{7,14}})(?!\d)"  # +49301234567, +44 (0)20 7946 0958, +49 30 1234567
        # 030 1234567, (030) 1234567, 01 23 45 67 89, 0049 30 1234567: at least nine digits
        rf"|{_NO_PREFIX}{_NO_DATE}(?=(?:[ ./()\u00a0\u2011-]{{0,3}}\d){{9}})"
        rf"(?:\(00?[1-9]\d{{0,4}}\){_SEPARATOR}?|00?[1-9]\d{{0,4}}{_SEPARATOR})\d(?:{_SEPARATOR}?\d){{3,10}}(?!\d)"
        rf"|{_NO_PREFIX}(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])\d{{3}}[-. ]\d{{4}}(?!\d)"  # (555) 123-4567
        rf"|{_NO_PREFIX}1[3-9]\d[- ]\d{{4}}[- ]\d{{4}}(?!\d)"  # 138 1234 5678
    ),
}
"""Applied in this order. Each takes time linear in the length of the text."""


class Redactor:
    """Replaces an address by "[EMAIL]", and counts. Raises `ValueError` for an unknown rule or an invalid pattern.

    rules: names of `RULES`. patterns: the user's own, by name; they are applied first. A text for which one of these takes
    longer than `PATTERN_TIMEOUT_SECONDS` is replaced completely.
    """

    def __init__(self, rules: Sequence[str], patterns: Mapping[str, str] = MappingProxyType({})) -> None:
        if unknown := [name for name in rules if name not in RULES]:
            raise ValueError(
                f"there is no rule '{unknown[0]}'.{did_you_mean(unknown[0], list(RULES))} The rules are {', '.join(RULES)}."
            )
        self.rules = [name for name in RULES if name in rules]
        self.patterns = {name: _compile(name, pattern) for name, pattern in patterns.items()}
        self.counts: Counter[str] = Counter()

    def __call__(self, text: str) -> str:
        for name, pattern in self.patterns.items():
            text, n = _redact_own(pattern, f"[{name.upper()}]", text)
            self.counts[name] += n
        for name in self.rules:
            text, n = _redact(RULES[name], _MATCH_ENDS.get(name, re.Match.end), f"[{name.upper()}]", text)
            self.counts[name] += n
        return text


def _compile(name: str, pattern: str) -> "regex.Pattern[str]":
    if name in RULES:
        raise ValueError(f"'{name}' is the name of a rule; give the pattern another name.")
    if not re.fullmatch(r"\w[\w-]*", name):
        raise ValueError(f"'{name}' is not a name for a pattern; use letters, digits, _ and -.")
    try:
        return regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{name}: not a regular expression: {error}") from error


def _redact_own(pattern: "regex.Pattern[str]", placeholder: str, text: str) -> tuple[str, int]:
    n = 0

    def replace(match: "regex.Match[str]") -> str:
        nonlocal n
        n += bool(match[0])
        return placeholder if match[0] else ""

    try:
        return pattern.sub(replace, text, timeout=PATTERN_TIMEOUT_SECONDS), n
    except (TimeoutError, MemoryError):
        return placeholder, 1


def _redact(
    pattern: re.Pattern[str], end_of: Callable[[re.Match[str]], int], placeholder: str, text: str
) -> tuple[str, int]:
    """``end_of`` gives the end of the personal data in a match; 0 for none, and the search continues at the next character."""
    pieces: list[str] = []
    copied = position = n = 0
    while match := pattern.search(text, position):
        position = match.start() + 1
        if end := end_of(match):
            pieces += text[copied : match.start()], placeholder
            copied = position = end
            n += 1
    return "".join([*pieces, text[copied:]]), n


def _card(match: re.Match[str]) -> int:
    """The end of a number that passes the Luhn check (ISO/IEC 7812-1)."""
    digits = [int(c) for c in match[0] if c.isdigit()]
    doubled = [2 * d - 9 if d > 4 else 2 * d for d in digits[0::2]]
    return match.end() if sum(doubled + digits[1::2]) % 10 == 0 and any(digits) else 0


MIN_IBAN_CHARACTERS, MIN_IBAN_DIGITS = 15, 8
_AS_DIGITS = str.maketrans({chr(ord("A") + n): str(10 + n) for n in range(26)})


def _iban(match: re.Match[str]) -> int:
    """The end of the longest prefix that passes the check of ISO 13616: the remainder modulo 97 is 1.

    The match may continue into words in capitals that follow the number."""
    text = match[0].replace("\u00a0", " ").replace("-", " ")
    position, n, number, end = match.start() - 1, 0, "", 0
    for word, digits in zip(text.split(" "), text.translate(_AS_DIGITS).split(" "), strict=True):
        position += len(word) + 1
        n += len(word)
        number += digits
        if n < MIN_IBAN_CHARACTERS or int(number[6:] + number[:6]) % 97 != 1:
            continue
        if sum(map(str.isdigit, match.string[match.start() : position])) >= MIN_IBAN_DIGITS and not _in_a_word(
            match.string, position
        ):
            end = position
    return end


def _in_a_word(text: str, position: int) -> bool:
    following = text[position : position + 1]
    return following.isascii() and following.isalnum()


MIN_IPV6_CHARACTERS = 6


def _ip(match: re.Match[str]) -> int:
    """The end of a valid address; `::` in a program and `10:30:45` are not addresses."""
    address = match[0] if match[0].endswith("::") else match[0].removesuffix(":")
    if ":" in address and (len(address) < MIN_IPV6_CHARACTERS or not any(c.isdigit() for c in address)):
        return 0
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return 0
    return match.start() + len(address)


_MATCH_ENDS: Mapping[str, Callable[[re.Match[str]], int]] = {"card": _card, "iban": _iban, "ip": _ip}
