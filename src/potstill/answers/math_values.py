"""Read the value that a short text gives: a number, a formula, a list, a range. An equation, interval or set stays whole.

`extract_value` is for the rest of a line after "Answer:" and the content of a box; `value_in_text` is for complete texts.
"""

import itertools
import re

from potstill.answers import number_words, numbers
from potstill.answers.languages import CLEAR_AND_WORDS, CLEAR_OR_WORDS, pattern
from potstill.answers.latex import as_formula, last_box, math_spans
from potstill.answers.normalization import MAX_CHARACTERS, normalize
from potstill.answers.notation import plain_numbers, words_to_digits

MAX_VALUE_CHARACTERS = 2000

_STATES_VALUE = re.compile(r"\b(?:is|are|was|equals?|makes?|gives?)\b|[=≈]|(?<!\d):|:(?!\d)", re.IGNORECASE)
_HEDGE = re.compile(
    r"(?:[\s=:≈~$*]|\\(?:approx|sim)(?![a-z])|(?:about|approximately|approx\.?|around|roughly|exactly|only|just|an?\stotal\sof)\b){1,8}",
    re.IGNORECASE,
)
_REMARK = re.compile(r"\s{1,3}\((?!or\b|and\b)[^()]{0,200}[A-Za-z=][^()]{0,200}\)\s{0,3}\Z")
STRICT_BOUND = re.compile(
    r"(?:strictly\s)?(?:not|(?:less|more|fewer|greater|smaller|larger|other)\sthan|under|over|above|below)\s[^\w]{0,3}\d",
    re.IGNORECASE,
)
"""How a text begins that says what its number is not: less than 5, not 5."""
_TRAILING_WORDS = re.compile(r"(?:\s[A-Za-z]{2,20}[.,]?){1,6}\Z")
_PART_OF_FORMULA = frozenset("\\^√π")
_REASON = re.compile(
    r"[\s,;(]{1,4}(?:because|since|as|which|given|where|that\sis|i\.\s?e\.)(?![A-Za-z])", re.IGNORECASE
)
_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox)\s{0,2}\{([^{}]{0,200})\}")
_HYPHENATED_MIXED = re.compile(r"([-+]?\d{1,9})-([1-9]\d{0,3}/[1-9]\d{0,3})")
_TIME_OR_RATIO = re.compile(r"(?<![\d:])\d{1,6}(?:\s?:\s?\d{1,6}){1,4}(?![\d:])")
_SIGN = r"[\s$€£¥]{0,3}"
_N = rf"{_SIGN}({numbers.NUMBER}(?:/\d{{1,9}})?)\s?\\?%?"
_UNIT_WORD = r"(?!(?:in|for|of|at|per|from|with|after|by|on|to|each|out|than|as|is|are|and|or|times|en|de|por|pro|par|dans|con|mit|von|für|auf)\b)[A-Za-z.°]{1,15}"
_RANGE = re.compile(
    rf"(?P<opening>between|from)?\s?{_N}(?:\s?{_UNIT_WORD})?(?P<link>\s?(?:–|—|-|to\b|through\b|until\b|and\b)\s?){_N}(?![\w^*/(\\.=:])",
    re.IGNORECASE,
)
_AND_OR = f"(?:{pattern(f'{CLEAR_AND_WORDS}|{CLEAR_OR_WORDS}|i')}|&)"
_GAP = re.compile(rf"\s?(?:[,;/]|(?:{_UNIT_WORD}\s?){{0,2}},?\s?\(?{_AND_OR}|{_UNIT_WORD}\s?)\s?{_SIGN}", re.IGNORECASE)
_CONJUNCTION = re.compile(_AND_OR, re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"\s*\d{1,40},\d{1,40}\s*")
_STATEMENT_END = re.compile(
    r"\s{0,3}(?:,|;|\\text\{\s?,?\s?(?:or|and)\s?\}|\\(?:quad|lor|vee)|\bor\b|\band\b)[\s,]{0,3}(?:(?:or|and)\s)?"
)
_NAME = r"\\?[A-Za-z][A-Za-z]{0,30}(?:_\{?\w{1,9}\}?)?'{0,2}(?:\([\w, ]{1,20}\))?"
_NAMED_VALUE = re.compile(
    r"\W{0,9}(?P<name>\\?(?<![A-Za-z])(?:[A-Za-z]|(?<=\\)[a-z]{1,9}))(?:_\{?\w{1,9}\}?)?'{0,2}\s?=\s?(?P<value>[^=]{1,200})"
)
_CONSEQUENCE = re.compile(
    r"\b(?:so|then|thus|hence|therefore|gives|implies|means)\b|\\(?:Rightarrow|implies|to)(?![a-z])|[→⇒]", re.IGNORECASE
)
_STATES_WORD = re.compile(r"\b(?:is|are|was)\b|(?<!\d):|:(?!\d)", re.IGNORECASE)
_COMPARISON = re.compile(r"[<>≤≥≠]|\\(?:leq?|geq?|neq?|lt|gt)(?![a-z])|!=")
_ARTICLE = re.compile(r"\b[Aa]\s+(?=[A-Za-z]{2})|(?<=[A-Za-z])\s[A-Z](?=\s[a-z]{2})")
_OPERATION = r"(?:[-+*/^]|\\(?:cdot|times|div)(?![a-z]))"
_VARIABLE = r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])"
_ALGEBRA = re.compile(
    rf"{_VARIABLE}\s?(?:{_OPERATION}|\()|{_OPERATION}\s?\(?{_VARIABLE}|\d{_VARIABLE}|\)\s?\^|(?<![A-Za-z])[xyz]{{2,3}}(?![A-Za-z])"
    rf"|\\(?:frac|sqrt|log|ln|sin|cos|tan)[^=]{{0,40}}{_VARIABLE}"
)
_LIST_OR_RANGE = re.compile(r"[-\d./$%,]{1,60}(?:(?:, | to )[-\d./$%,]{1,60}){1,40}")
_FUNCTION_OF = re.compile(rf"\s?(?:{_NAME})\s?")
_SENTENCE_END = re.compile(r"[.!?]\s")
_SOME_TIMES = re.compile(r"(?<=\d)\s?[xX]\s?(?=[$€£¥]?\d)")


def extract_value(text: str, language: str = "english") -> str | None:
    """The number, formula, list or range that a short text gives, in English notation; None where it gives none.

    In this order: the complete text, a box, the result of an equation (of 48 + 16 = 64 it is 64; x = 1 or x = 2 is the list 1, 2;
    an equation of variables stays whole), a range (5 to 7), a list, the complete text as a formula, the last formula of the
    sentence, the number that the text begins with, what follows the last "is" or similar, the last number.
    """
    text = number_words.words_to_digits(text[-MAX_VALUE_CHARACTERS:], language)
    text = normalize(plain_numbers(text, language))
    return _value(text, math_spans(text))


def value_in_text(text: str, language: str = "english") -> str | None:
    """The last number of a text, or the range, list of solutions or equation that it ends; None where there is no number."""
    text = normalize(plain_numbers(text[-MAX_CHARACTERS:], language))
    found = numbers.find(text)
    if not found:
        return None
    for match in _RANGE.finditer(text, found[-2].start()) if len(found) > 1 else ():
        if match.end() >= found[-1].end() and (both := _range_of(match)):
            return both
    start = max(text.rfind(mark, 0, found[-1].start()) for mark in ("\n", ". ", "! ", "? ")) + 1
    sentence = text[start:].partition("\n")[0]
    sentence = _SENTENCE_END.split(sentence.strip(), maxsplit=1)[0]
    if len(sentence) <= MAX_VALUE_CHARACTERS and "=" in sentence and not _COMPARISON.search(sentence):
        value = _of_equation(sentence.rstrip("."), math_spans(sentence)) or ""
        if "=" in value or _LIST_OR_RANGE.fullmatch(value):
            return value
    return found[-1][0]


def is_value(text: str, language: str = "english") -> bool:
    """Whether a text is nothing but a value: a number in any notation, a formula, a list, a range."""
    plain = normalize(plain_numbers(number_words.words_to_digits(text, language), language))
    if numbers.parse(plain) is not None or as_formula(text) or last_box(text):
        return True
    value = extract_value(text, language) or ""
    return numbers.parse(words_to_digits(plain)) is not None or _LIST_OR_RANGE.fullmatch(value) is not None


def is_algebraic(text: str) -> bool:
    """Whether a side of an equation has variables in an expression: 2x, x + 1, (x+1)^2; a name alone, or f(2), is none."""
    text = _ARTICLE.sub(" ", text)
    return _FUNCTION_OF.fullmatch(text) is None and _ALGEBRA.search(text) is not None


def _value(text: str, spans: list[str] | None = None) -> str | None:
    text = text.strip("$*` ").removesuffix(".")
    if numbers.parse(text) is not None:
        return text
    if (box := last_box(text)) and box[0]:
        return _value(box[0])
    text = _without_surroundings(text)
    if numbers.parse(text) is not None:
        return text
    if STRICT_BOUND.match(text):
        return text
    if "=" in text and not _COMPARISON.search(text):
        return _of_equation(text, spans or [])
    if (both := _RANGE.match(text)) and (found := _range_of(both)):
        return found
    if several := _enumerated(text):
        return several
    for formula in (text, _TRAILING_WORDS.sub("", text)):
        if as_formula(formula):
            return formula
    # A formula stays intact: of $2\\sqrt{3}$ cm neither the 2 nor the 3 is the answer.
    if spans and (numbers.parse(spans[-1]) is not None or as_formula(spans[-1])):
        return _value(spans[-1])
    return _of_sentence(text)


def _without_surroundings(text: str) -> str:
    """A text without hedges ("about"), remarks, reasons, and commands for text around a number; number words as digits."""
    if (hedge := _HEDGE.match(text)) and hedge.end() < len(text):
        text = text[hedge.end() :]
    if mixed := _HYPHENATED_MIXED.fullmatch(text):
        return f"{mixed[1]} {mixed[2]}"
    if (reason := _REASON.search(text)) and any(c.isdigit() for c in text[: reason.start()]):
        text = text[: reason.start()]
    if (remark := _REMARK.search(text)) and any(c.isdigit() for c in text[: remark.start()]):
        text = text[: remark.start()]
    if _TEXT_COMMAND.search(text) and numbers.parse(_TEXT_COMMAND.sub(" ", text).strip()) is not None:
        text = plain_numbers(" ".join(_TEXT_COMMAND.sub(r" \1 ", text).split()))
    return words_to_digits(_SOME_TIMES.sub(r" \\times ", text)).strip("$*` ").removesuffix(".")


def _of_equation(text: str, spans: list[str]) -> str | None:
    concluded = _CONSEQUENCE.split(text)[-1]
    text = concluded if "=" in concluded else text
    pieces = [piece for piece in _STATEMENT_END.split(text) if piece.strip()]
    if solutions := _solutions(pieces):
        return solutions
    last = next(piece for piece in reversed(["=", *pieces]) if "=" in piece)
    left, _, right = last.rpartition("=")
    if is_algebraic(left) or (is_algebraic(right) and "=" in left):
        formula = _STATES_WORD.split(last)[-1]
        return next((span for span in reversed(spans) if "=" in span), formula if "=" in formula else last).strip("$ ")
    right = (text if last == pieces[-1] else last).rpartition("=")[2].strip(" $*`")
    if numbers.parse(right) is not None:
        return right
    first = left.rpartition("=")[2].strip(" $*`")
    if numbers.parse(first) is not None and as_formula(right):
        return first  # 7 = 3 + 4
    return text if as_formula(text) else _value(right)


def _solutions(pieces: list[str]) -> str | None:
    """The values of one variable as a list, values of several variables as they are written: of x = 1 or x = 2, of x = 1, y = 2.
    None where the text does not end in such a list."""
    if len(pieces) < 2:
        return None
    ending: list[tuple[str, str]] = []
    for piece in reversed(pieces):
        if named := _NAMED_VALUE.fullmatch(piece):
            ending.append((named["name"], named["value"].strip("$ .")))
        elif numbers.parse(piece) is not None and not any(name for name, _ in ending):
            ending.append(("", piece.strip("$ .")))
        else:
            break
    while ending and not ending[-1][0]:
        ending.pop()
    if len(ending) < 2:
        return None
    ending.reverse()
    names = {name for name, _ in ending if name}
    return ", ".join(f"{n} = {v}" for n, v in ending) if len(names) > 1 else _joined([value for _, value in ending])


def _of_sentence(text: str) -> str | None:
    if time := _TIME_OR_RATIO.search(text):
        return time[0]
    found = numbers.find(text)
    if not found:
        return None
    if not text[: found[0].start()].strip(" ($€£¥"):
        return text if text[found[0].end() : found[0].end() + 1] in _PART_OF_FORMULA else found[0][0]
    for match in reversed(list(_STATES_VALUE.finditer(text))):
        if numbers.find(text[match.end() :]):
            return _value(text[match.end() :])
    if len(found) > 1 and _CONJUNCTION.search(text, found[-2].end(), found[-1].start()):
        return _joined([match[0] for match in found[-2:]])
    return found[-1][0]


def _range_of(match: re.Match[str]) -> str | None:
    """A range as "5 to 7"; None where "and" or a hyphen makes none."""
    low, high, link = match[2], match[4], match["link"].strip().lower()
    if link == "and" and (match["opening"] or "").lower() != "between":
        return None
    first, last = numbers.parse(low), numbers.parse(high.removeprefix("-") if link == "-" else high)
    if first is None or last is None or (link == "-" and not 0 <= first < last):
        return None
    if link == "and" and numbers.find(match.string[match.end() :]):
        return None  # between $5 and $10 she pays $7
    return f"{low} to {high}"


def _enumerated(text: str) -> str | None:
    """The numbers of a text that lists them: 5 and 7, 5, 7 or 9, 5 feet 3 inches."""
    found = numbers.find(text)
    if len(found) < 2 or text[: found[0].start()].strip("$€£¥ ") or _DECIMAL_COMMA.fullmatch(text):
        return None
    gaps = [text[a.end() : b.start()] for a, b in itertools.pairwise(found)]
    if not all(map(_GAP.fullmatch, gaps)):
        return None
    after = text[found[-1].end() :]
    is_compound = not any(_CONJUNCTION.search(gap) or "," in gap for gap in gaps)
    is_remainder = any("rem" in gap.lower() for gap in gaps)
    if after[:1] in set("^*/+-(\\=:") or (is_compound and not after.strip() and not is_remainder):
        return None
    return _joined([match[0] for match in found])


def _joined(values: list[str]) -> str:
    """Several values as a list, one value if all are the same: 0.5 or 1/2."""
    parsed = [numbers.parse(value) for value in values]
    return values[0] if parsed[0] is not None and len(set(parsed)) == 1 else ", ".join(values)
