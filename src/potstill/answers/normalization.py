"""Normalize a text: one notation for what can be written in several. Bounded length, linear time."""

import re
import unicodedata
from decimal import Decimal

MAX_CHARACTERS = 20_000
"""Characters of a text that are used, counted from its end."""

LANGUAGES_WITH_DECIMAL_COMMA = frozenset(
    ["afrikaans", "bulgarian", "catalan", "croatian", "czech", "danish", "dutch", "estonian", "finnish", "french", "german",
     "greek", "hungarian", "indonesian", "italian", "latvian", "lithuanian", "norwegian", "polish", "portuguese", "romanian",
     "russian", "serbian", "slovak", "slovenian", "spanish", "swedish", "turkish", "ukrainian", "vietnamese"]
)  # fmt: skip
_GROUP_SEPARATOR = r"[. \u00a0\u202f]"
_DECIMAL_COMMA = re.compile(
    rf"(?<![\d.,(\[{{])(\d{{1,3}}(?:{_GROUP_SEPARATOR}\d{{3}}){{1,9}}|\d{{1,30}}),(\d{{1,30}})(?![\d,)\]}}]|\.\d)"
)
_THOUSANDS_POINTS = re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,9}(?![\d.,])")
_LATEX_THIN_SPACE = re.compile(r"(?<=\d)(?:\\[,;:!]|\{,\}|,\\!)\s{0,3}(?=\d{3}(?!\d))")
_CHAT_TOKEN = re.compile(r"<\|[^<>|]{1,40}\|>")
_MIXED_NUMBER = re.compile(r"(?<![\w./,])(\d{1,15}) (\d{1,4})/(\d{1,4})(?![\d/])")
_MINUS = re.compile(r"−|(?<![\w)\]}])–(?=\d)")
_SIGN_BEFORE_CURRENCY = re.compile(r"(?<![\w)\]}$])([-+])([$€£¥])(?=\d)")
_VULGAR_FRACTION = re.compile(r"(\d{1,15})?\s?([¼½¾⅐-⅞])")
_CJK_NEXT_TO_NUMBER = re.compile(
    r"(?<=[\u3000-\u9fff\uac00-\ud7a3\uff00-\uffef])(?=[-\d$\\])|(?<=[\d$])(?=[\u3040-\u9fff\uac00-\ud7a3])"
)
_EXPONENT = re.compile(r"(?<![\w.])(\d{1,15}(?:\.\d{1,15})?)[eE]([-+]?\d{1,2})(?![\w.])")
_PERCENT = re.compile(r"(?<=[\d}])\s{0,3}(?:\\text\{\s{0,3})?per\s?cent(?:age)?\b(?:\s{0,3}\})?", re.IGNORECASE)


def normalize(text: str, language: str = "english") -> str:
    """The last `MAX_CHARACTERS` characters with ASCII digits, signs, fractions and percents, without chat-template tokens.

    In a language with a decimal comma, 1.234,5 becomes 1234.5.
    """
    text = text[-MAX_CHARACTERS:]
    if language.lower() in LANGUAGES_WITH_DECIMAL_COMMA:
        text = _DECIMAL_COMMA.sub(lambda match: f"{re.sub(_GROUP_SEPARATOR, '', match[1])}.{match[2]}", text)
        text = _THOUSANDS_POINTS.sub(lambda match: match[0].replace(".", ""), text)
    text = _VULGAR_FRACTION.sub(_ascii_fraction, text)
    text = "".join(c if c.isascii() else _ascii_character(c) for c in text)
    text = _SIGN_BEFORE_CURRENCY.sub(r"\2\1", _MINUS.sub("-", text))
    text = text.replace("\u00a0", " ").replace("\u202f", " ").replace("⁄", "/")
    text = _CHAT_TOKEN.sub(" ", text)
    text = _CJK_NEXT_TO_NUMBER.sub(" ", _LATEX_THIN_SPACE.sub("", text))
    text = _EXPONENT.sub(lambda match: f"{Decimal(match[0]):f}", text)
    return _PERCENT.sub(r"\%", text).strip()


def mixed_numbers_to_fractions(text: str) -> str:
    """Mixed numbers as improper fractions: 3 1/2 becomes 7/2; 10 20/3 is no mixed number."""

    def fraction(match: re.Match[str]) -> str:
        integer, numerator, denominator = map(int, match.groups())
        return f"{integer * denominator + numerator}/{denominator}" if 0 < numerator < denominator else match[0]

    return _MIXED_NUMBER.sub(fraction, text)


def _ascii_character(c: str) -> str:
    """A digit of any script, or a full-width letter, as ASCII; any other character unchanged."""
    if c.isdecimal():
        return str(unicodedata.decimal(c))
    return unicodedata.normalize("NFKC", c) if "Ａ" <= c <= "ｚ" and c.isalpha() else c


def _ascii_fraction(match: re.Match[str]) -> str:
    integer, sign = match[1], unicodedata.normalize("NFKC", match[2])
    numerator, _, denominator = sign.partition("⁄")
    return f"{int(integer or 0) * int(denominator) + int(numerator)}/{denominator}"
