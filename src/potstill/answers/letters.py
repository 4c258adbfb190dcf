"""The letter that a text chooses among the options of a question."""

import re

from potstill.answers.text import ANSWER_WORDS

_ALONE = r"(?<![A-Za-z0-9'’])(?P<letter>[A-Z])(?![A-Za-z0-9'’])"
_CLOSED = r"(?<![A-Za-z0-9'’])(?P<small>[a-z])(?=[ \t]{0,3}(?:[.,;:)\]}\"'*。，、\n]|$))"
_BEFORE = r"[\s*_(\[{\"'“‘`$]{0,6}(?:\\boxed\{|\\text\{|\(){0,3}"
_WORDS = f"(?i:{ANSWER_WORDS})"
_FINAL = re.compile(rf"{_WORDS}\s{{0,3}}[*_]{{0,3}}\s{{0,3}}[:：]{_BEFORE}(?:{_ALONE}|{_CLOSED})")
_BOXED = re.compile(rf"\\boxed\{{[^{{}}A-Z]{{0,3}}(?:\\(?:text|mathrm|mathbf|textbf)\{{)?[^{{}}A-Za-z]{{0,3}}{_ALONE}")
_SAID = re.compile(
    rf"(?:{_WORDS}|\b(?i:correct|right|best)\b)[^\n.。]{{0,60}}?(?:\b(?:is|est|es|ist|è|é)\b|是|为|:|：|\n){_BEFORE}{_ALONE}"
)
_START = re.compile(rf"^[\s*(\[\"']{{0,4}}{_ALONE}(?=[\s.,:;)\]。、，：]|$)")
_ANY = re.compile(_ALONE)
_WORD = re.compile(r"A\s+[a-z]|I\s+[a-z]|I['’]")


def read(text: str, location: str = "end") -> str | None:
    """The letter that a text settles on, as a capital; None where it settles on none.

    The last one after "answer:" counts most, then the last in a box, then the last after "the answer is", then one that
    opens the text, then the last that stands alone and is no word ("A bird", "I think").
    """
    if location == "exact":
        return text.strip("()[]. ").upper() if re.fullmatch(r"[\s(\[]{0,9}[A-Za-z][\s.)\]]{0,9}", text) else None
    for pattern in (_FINAL, _BOXED, _SAID):
        if found := [match for match in pattern.finditer(text) if not _is_word(text, match)]:
            groups = found[-1].groupdict()
            return (groups["letter"] or groups["small"]).upper()
    opening = _START.search(text)
    if opening and not _is_word(text, opening):
        return opening["letter"]
    alone = [match["letter"] for match in _ANY.finditer(text) if not _is_word(text, match)]
    if not alone:
        return None
    return alone[0] if location == "begin" else alone[-1]


def _is_word(text: str, match: re.Match[str]) -> bool:
    return match["letter"] is not None and _WORD.match(text, match.start("letter")) is not None
