"""The letter that a text chooses among the options of a question."""

import re

from potstill.answers.text import ANSWER_WORDS

_ALONE = r"(?<![A-Za-z0-9'’])(?P<letter>[A-Z])(?![A-Za-z0-9'’])"
_CLOSED = r"(?<![A-Za-z0-9'’])(?P<small>[a-z])(?=[ \t]{0,3}(?:[.,;:)\]}\"'*。，、\n]|$))"
_BEFORE = r"[\s*_(\[{（【「\"'“‘`$]{0,6}(?:\\boxed\{|\\text\{|\(){0,3}"
_WORDS = f"(?i:{ANSWER_WORDS})"
_FINAL = re.compile(rf"{_WORDS}\s{{0,3}}[*_]{{0,3}}\s{{0,3}}[:：]{_BEFORE}(?:{_ALONE}|{_CLOSED})")
_BOXED = re.compile(rf"\\boxed\{{[^{{}}A-Z]{{0,3}}(?:\\(?:text|mathrm|mathbf|textbf)\{{)?[^{{}}A-Za-z]{{0,3}}{_ALONE}")
_SAID = re.compile(
    rf"(?:{_WORDS}|\b(?i:correct|right|best|choice|choose|pick|select)\b)[^\n.。]{{0,60}}?(?:\b(?:is|est|es|ist|è|é|är|jest|adalah|là)\b|是|为|は|هو|هي|है|:|：|\n){_BEFORE}{_ALONE}"
)
_START = re.compile(rf"^[\s*(\[\"']{{0,4}}{_ALONE}(?=[\s.,:;)\]。、，：]|$)")
_ANY = re.compile(_ALONE)
_WORD = re.compile(r"A\s+(?!(?:because|since|is|as|was|and|or|but|if|while|over)\b)[a-z]|I\s+[a-z]|I['’]")
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|nor|neither|over|than|nicht|weder|noch|inte|ikke|nie|niet|no|non|pas|não|ni|tidak|bukan|không|не|ни)"
    r"|instead of|不选|不是|非|وليس|ليس)[\s*_(\[\"'“‘]{0,4}\Z"
)
_DENIED_AFTER = re.compile(
    r"[)\]\"'”’*_]{0,3}\s{0,3}(?:は|が|是)?\s{0,2}(?:(?:is|was|are)\s{1,3})?(?:not\b|n['’]t\b|wrong|incorrect|false|too\b|isn['’]t|不|错|で(?:は|わ)?(?:あり|ない)|नहीं|ليس)"
)


def read(text: str, location: str = "end") -> str | None:
    """The letter that a text settles on, as a capital; None where it settles on none.

    The last one after "answer:" counts most, then the last in a box, then the last after "the answer is", then one that
    opens the text, then the last that stands alone and is no word ("A bird", "I think").
    """
    if location == "exact":
        return text.strip("()[]. ").upper() if re.fullmatch(r"[\s(\[]{0,9}[A-Za-z][\s.)\]]{0,9}", text) else None
    for pattern in (_FINAL, _BOXED, _SAID):
        if found := [
            m for m in pattern.finditer(text) if not _is_word(text, m) and not (m["letter"] and _is_denied(text, m))
        ]:
            groups = found[-1].groupdict()
            return (groups["letter"] or groups["small"]).upper()
    opening = _START.search(text)
    if opening and not _is_word(text, opening):
        return opening["letter"]
    found = [match for match in _ANY.finditer(text) if not _is_word(text, match)]
    alone = [match["letter"] for match in found if not _is_denied(text, match)] or [match["letter"] for match in found]
    if not alone:
        return None
    return alone[0] if location == "begin" else alone[-1]


def _is_denied(text: str, match: re.Match[str]) -> bool:
    """Whether the words beside a letter say that it is not the one: "not A", "A is wrong"."""
    before = text[max(0, match.start("letter") - 20) : match.start("letter")]
    return bool(_DENIED_BEFORE.search(before) or _DENIED_AFTER.match(text, match.end("letter")))


def _is_word(text: str, match: re.Match[str]) -> bool:
    return match["letter"] is not None and _WORD.match(text, match.start("letter")) is not None
