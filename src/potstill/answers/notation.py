"""Write the numbers of a text plainly, in English digits: numbers grouped in any country's way, with magnitudes, or in words.

What a separator means depends on the language only where nothing else decides: 1.234 is a fraction in English and more than a
thousand in German; 1.234,50 and 1,25,000 and 1.234.567 have one meaning each. Bounded quantifiers: linear time.
"""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from potstill.answers.normalization import LANGUAGES_WITH_DECIMAL_COMMA

LANGUAGES_WITH_DECIMAL_POINT = frozenset(
    ["arabic", "bengali", "burmese", "chinese", "english", "filipino", "gujarati", "hebrew", "hindi", "irish", "japanese",
     "kannada", "khmer", "korean", "lao", "malay", "malayalam", "marathi", "nepali", "persian", "punjabi", "sinhala", "swahili",
     "tamil", "telugu", "thai", "tibetan", "urdu", "welsh", "yoruba", "zulu"]
)  # fmt: skip
LANGUAGES = LANGUAGES_WITH_DECIMAL_COMMA | LANGUAGES_WITH_DECIMAL_POINT

_TOKEN = re.compile(r"(?<![\w.,])\d(?:[.,'’_\u00a0\u202f\u2009٬٫，．]?\d){1,80}")
_ENGLISH_SEPARATORS = str.maketrans("٬٫，．’\u00a0\u202f\u2009_", ",.,.'''''")
_MARKED_GROUPS = re.compile(r"(\d{1,3}(?:'\d{3}){1,18})(?:[.,](\d{1,40}))?")
_ENGLISH_GROUPS = re.compile(r"[1-9]\d{0,2}(?:,\d{3}){1,18}(?:\.\d{1,40})?")
_INDIAN_GROUPS = re.compile(r"\d{1,2}(?:,\d{2}){1,8},\d{3}(?:\.\d{1,40})?")
_POINT_GROUPS = re.compile(r"([1-9]\d{0,2}(?:\.\d{3}){1,18})(?:,(\d{1,40}))?")
_DECIMAL_COMMA = re.compile(r"(\d{1,40}),(\d{1,40})")
_UNIT_AFTER = re.compile(r"\s?(?:\\?%|[€£¥₹°]|(?!(?:and|or|to)\b)[A-Za-zµ]{1,20}\b)")
_SPACED_GROUPS = re.compile(
    r"(?P<before>\A[^\w.,(\[{]{0,8}|[:=≈~]\s?|\b(?:is|are|equals|total of)\s)(?P<number>\d{1,3}(?: \d{3}){1,9})(?![\d/])"
)

_MAGNITUDES = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12, "lakh": 10**5,
    "crore": 10**7, "tausend": 10**3, "millionen": 10**6, "milliarde": 10**9, "milliarden": 10**9, "mille": 10**3,
    "milliard": 10**9, "millón": 10**6, "millones": 10**6, "milhão": 10**6, "milhões": 10**6, "milioni": 10**6,
    "miliardi": 10**9, "тысяча": 10**3, "тысячи": 10**3, "тысяч": 10**3, "миллион": 10**6, "миллиона": 10**6,
    "миллионов": 10**6, "миллиард": 10**9, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "만": 10**4, "억": 10**8,
}  # fmt: skip
_MAGNITUDE = "|".join(sorted(_MAGNITUDES, key=len, reverse=True))
_DIGITS = r"\d{1,30}(?:,\d{3}){0,9}(?:\.\d{1,30})?"
_WITH_MAGNITUDE = re.compile(
    rf"(?<![\w.,/])({_DIGITS}|\d{{1,9}}/[1-9]\d{{0,8}})[\s-]?(?:\\text\{{\s?)?({_MAGNITUDE})s?(?![A-Za-zа-я])",
    re.IGNORECASE,
)
_MAGNITUDE_AFTER = re.compile(rf"\s(?:{_MAGNITUDE})\b", re.IGNORECASE)
_HALF_OF = re.compile(rf"(?<!and a )(?<!and )\bhalf\s(?:an?\s)?(?=(?:{_MAGNITUDE})\b)", re.IGNORECASE)
_SMALL_TEXT = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
twenty thirty forty fifty sixty seventy eighty ninety
"""
_SMALL = dict(zip(_SMALL_TEXT.split(), [*range(20), *range(20, 100, 10)], strict=True))
_WORD_MAGNITUDES = {
    name: _MAGNITUDES[name]
    for name in ("hundred", "thousand", "million", "billion", "trillion", "dozen", "lakh", "crore")
}
_NUMBER_WORD = "|".join(sorted([*_SMALL, *_WORD_MAGNITUDES], key=len, reverse=True))
_IN_WORDS = re.compile(
    rf"(?<![\w-])(?<!\bno )(?<!\bany )(?<!\bevery )(?<!\bthe )(?<!\bthis )(?<!\bthat )(?<!\bother )"
    rf"(?:(?:a|an|{_NUMBER_WORD})[\s-]{{1,3}}(?:and\s)?){{0,12}}(?:{_NUMBER_WORD})(?![\w-])(?!\s(?:of|another|more)\b)",
    re.IGNORECASE,
)
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_SMALL_WORD = "|".join(sorted(_SMALL, key=len, reverse=True))
_PART_IN_WORDS = re.compile(
    rf"(?:(?P<whole>{_SMALL_WORD})\sand\s)?(?:(?P<n>an?|{_SMALL_WORD})[\s-])?(?P<part>{'|'.join(_PARTS)})s?",
    re.IGNORECASE,
)
_PART_WORD = re.compile(rf"\b(?:{'|'.join(_PARTS)})s?\b", re.IGNORECASE)
_WHOLE_AND_PART = re.compile(
    rf"(?<![\w.,/])(?P<whole>\d{{1,9}})\sand\s(?:(?P<digits>\d{{1,4}}/[1-9]\d{{0,3}})(?![\d/])|(?P<n>an?|{_SMALL_WORD})[\s-](?P<part>{'|'.join(_PARTS)})s?(?!\w))",
    re.IGNORECASE,
)
_MINUS = re.compile(
    r"(?<![\w)])(?:minus|negative|moins|menos|meno|минус|マイナス|负|負)\s{0,3}(?=[$€£¥₹]?\s?[\d.]|\\frac)",
    re.IGNORECASE,
)
_CURRENCY = re.compile(
    r"(?<![A-Za-z])(?:Rs\.?|INR|USD|US(?=\$)|EUR|GBP|CHF|JPY|CNY|AUD|CAD|R(?=\$)|kr\.?|zł)\s{0,2}(?=[-$]?\d)|₹\s?(?=[-\d])"
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile(r"(?<=[\w)])(?:[⁰¹⁴-⁹⁻][⁰¹²³⁴-⁹]{0,9}|[²³][⁰¹²³⁴-⁹]{1,9})")
_SCIENTIFIC = re.compile(
    r"(?<![\w.,/^])(\d{1,30}(?:\.\d{1,30})?)\s?(?:[xX×·*]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?(?:\{\s?([-+−]?\d{1,2})\s?\}|([-+−]?\d{1,2}))"
    r"(?![\d.])"
)
MAX_EXPONENT = 30


def plain_numbers(text: str, language: str = "english") -> str:
    """The text with its numbers plainly written; in English notation, in which only thousands may have commas."""
    text = _spaced_groups_joined(_CURRENCY.sub("", text))
    comma_is_decimal = language.lower() in LANGUAGES_WITH_DECIMAL_COMMA
    text = _TOKEN.sub(lambda match: _plain_token(match, comma_is_decimal), text)
    text = _WITH_MAGNITUDE.sub(_multiplied, _HALF_OF.sub("0.5 ", text))
    text = _SUPERSCRIPT.sub(
        lambda match: f"^{{{match[0].translate(_SUPERSCRIPTS)}}}", text.replace("10²", "10^2").replace("10³", "10^3")
    )
    return _MINUS.sub("-", _SCIENTIFIC.sub(_scientific, text))


def words_to_digits(text: str) -> str:
    """The text with English number words as digits, if it has no digit; "no one" and "one of them" are left. Otherwise only
    fractions after a number change: "2 and a half"."""
    if any(c.isdigit() for c in text):
        return _WITH_MAGNITUDE.sub(_multiplied, _WHOLE_AND_PART.sub(_mixed, text)) if " and " in text else text
    bare = text.strip(" .*")
    if (part := _PART_IN_WORDS.match(bare)) and (part.end() == len(bare) or _MAGNITUDE_AFTER.match(bare, part.end())):
        return _WITH_MAGNITUDE.sub(_multiplied, _mixed(part) + bare[part.end() :])
    return text if _PART_WORD.search(text) else _MINUS.sub("-", _IN_WORDS.sub(_digits, text))


def _plain_token(match: re.Match[str], comma_is_decimal: bool) -> str:
    token = "".join(str(unicodedata.decimal(c, c)) for c in match[0].translate(_ENGLISH_SEPARATORS))
    if "'" in token:
        groups = _MARKED_GROUPS.fullmatch(token)
        return _joined(groups, "'") if groups else match[0]
    if "," not in token:
        groups = _POINT_GROUPS.fullmatch(token)
        return _joined(groups, ".") if groups and (comma_is_decimal or token.count(".") > 1) else token
    if (groups := _POINT_GROUPS.fullmatch(token)) and "." in token:
        return _joined(groups, ".")
    if _INDIAN_GROUPS.fullmatch(token):
        return token.replace(",", "")
    decimal = _DECIMAL_COMMA.fullmatch(token)
    if decimal is None or (_ENGLISH_GROUPS.fullmatch(token) and not comma_is_decimal):
        return token if _ENGLISH_GROUPS.fullmatch(token) else match[0]
    if _in_brackets(match):
        return match[0]
    is_decimal = comma_is_decimal or (token[0] == "0" and len(decimal[1]) == 1 and len(decimal[2]) > 1)
    return f"{decimal[1]}.{decimal[2]}" if is_decimal or _has_unit(match) else match[0]


def _joined(groups: re.Match[str] | None, separator: str) -> str:
    assert groups is not None
    return groups[1].replace(separator, "") + (f".{groups[2]}" if groups[2] else "")


def _in_brackets(match: re.Match[str]) -> bool:
    """Whether a token is a pair or an interval: (1,2)."""
    around = match.string[max(0, match.start() - 1) : match.start()], match.string[match.end() : match.end() + 1]
    return around[0] in {"(", "[", "{"} or around[1] in {")", "]", "}"}


def _has_unit(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 1) : match.start()]
    return before in {"€", "£", "¥", "₹", "$"} or _UNIT_AFTER.match(match.string, match.end()) is not None


def _spaced_groups_joined(text: str) -> str:
    return _SPACED_GROUPS.sub(lambda match: match["before"] + match["number"].replace(" ", ""), text)


def _multiplied(match: re.Match[str]) -> str:
    value = Fraction(match[1].replace(",", "")) * _MAGNITUDES[match[2].lower()]
    if value.denominator == 1:
        return str(value.numerator)
    return str(value) if "/" in match[1] else f"{Decimal(match[1].replace(',', '')) * _MAGNITUDES[match[2].lower()]:f}"


def _scientific(match: re.Match[str]) -> str:
    exponent = int((match[2] or match[3]).replace("−", "-"))
    return f"{Decimal(match[1]).scaleb(exponent):f}" if abs(exponent) <= MAX_EXPONENT else match[0]


def _digits(match: re.Match[str]) -> str:
    """A number in words as digits: two hundred and five, a dozen, forty-two."""
    words = re.split(r"[\s-]+", match[0].lower())
    numerals = [word for word in words if word not in ("and", "a", "an")]
    value = None if words[0] in _WORD_MAGNITUDES else _value_of_words(numerals)
    return match[0] if value is None else str(value)


def _value_of_words(words: Sequence[str]) -> int | None:
    """The value of number words; None where they are several numbers (two five)."""
    total, group, least = 0, 0, 10**15
    last = 0
    for word in words:
        if word in _SMALL:
            value = _SMALL[word]
            if last not in (0, 100) and not (20 <= last < 100 and 0 < value < 10):
                return None
            group, last = group + value, value or 1
            continue
        magnitude = _WORD_MAGNITUDES[word]
        if magnitude == 100:
            group, last = (group or 1) * 100, 100
        elif magnitude < least:
            total, group, least, last = total + (group or 1) * magnitude, 0, magnitude, 0
        else:
            return None
    return total + group


def _mixed(match: re.Match[str]) -> str:
    """A fraction in words as digits: one half, two and a half, three-quarters."""
    groups = match.groupdict()
    whole = groups["whole"] or "0"
    if groups.get("digits"):
        value = Fraction(groups["digits"])
    else:
        value = Fraction(_SMALL.get((groups["n"] or "a").lower(), 1), _PARTS[groups["part"].lower()])
    if value >= 1 and whole != "0":
        return match[0]
    return str(value + (int(whole) if whole.isdecimal() else _SMALL[whole.lower()]))
