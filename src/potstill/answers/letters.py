"""Extract the letter that a text chooses among the options of a question."""

import re

from potstill.answers.languages import ANSWER_WORDS, CLEAR_AND_WORDS, CLEAR_COPULAS, CLEAR_OR_WORDS
from potstill.answers.languages import pattern as any_of

_STANDALONE = r"(?<![A-Za-z0-9'’])(?P<letter>[A-Z])(?![A-Za-z0-9'’])"
_LOWER_CASE = r"(?<![A-Za-z0-9'’])(?P<lower>[a-z])(?=[ \t]{0,3}(?:[.,;:)\]}\"'*。，、\n]|$))"
_OPENING_MARKS = r"[\s*_(\[{（【「\"'“‘`$]{0,6}(?:\\boxed\{|\\text\{|\(){0,3}"
_ANSWER = f"(?i:{ANSWER_WORDS})"
_FINAL = re.compile(rf"{_ANSWER}\s{{0,3}}[*_]{{0,3}}\s{{0,3}}[:：]{_OPENING_MARKS}(?:{_STANDALONE}|{_LOWER_CASE})")
_BOXED = re.compile(
    rf"\\boxed\{{[^{{}}A-Z]{{0,3}}(?:\\(?:text|mathrm|mathbf|textbf)\{{)?[^{{}}A-Za-z]{{0,3}}{_STANDALONE}"
)
_STATED = re.compile(
    rf"(?:{_ANSWER}|\b(?i:correct|right|best|choice|choose|pick|select)\b)[^\n.。]{{0,60}}?(?:{any_of(CLEAR_COPULAS)}|:|：|\n){_OPENING_MARKS}{_STANDALONE}"
)
_AT_START = re.compile(rf"^[\s*(\[\"']{{0,4}}{_STANDALONE}(?=[\s.,:;)\]。、，：]|$)")
_ANYWHERE = re.compile(_STANDALONE)
_JOINT = any_of(f"{CLEAR_OR_WORDS}|{CLEAR_AND_WORDS}|o|of|en|か")
_SECOND = re.compile(
    rf"[)\]\"'*`}}$.]{{0,4}}\s{{0,2}}(?:[,;]\s?{_JOINT}|[,;/&+|]|{_JOINT})\s{{0,2}}"
    r"(?:either )?[(\[\"'*`$]{0,3}(?P<letter>[A-Z]|\d{1,2})(?![\w'’])"
)
_ENGLISH_WORD = re.compile(r"A\s+(?!(?:because|since|is|as|was|and|or|but|if|while|over)\b)[a-z]|I\s+[a-z]|I['’]")
_REJECTED_BEFORE = re.compile(
    r"(?:\b(?:not|nor|neither|over|than|nicht|weder|noch|inte|ikke|nie|niet|no|non|pas|não|ni|tidak|bukan|không|не|ни)"
    r"|instead of|不选|不是|非|وليس|ليس)[\s*_(\[\"'“‘]{0,4}\Z"
)
_REJECTED_AFTER = re.compile(
    r"[)\]\"'”’*_]{0,3}\s{0,3}(?:は|が|是)?\s{0,2}(?:(?:is|was|are)\s{1,3})?(?:not\b|n['’]t\b|wrong|incorrect|false|too\b|isn['’]t|不|错|で(?:は|わ)?(?:あり|ない)|नहीं|ليس)"
)


def extract(text: str, location: str = "end") -> str | None:
    """The letter that a text chooses, as a capital; None where it chooses none.

    In order of priority: the last letter after "answer:", the last in a box, the last after "the answer is", the letter that
    opens the text, the only separate one (`begin`: the first). Words ("A bird", "I think"), two at once ("A or B"), and rejected
    letters ("not A") do not count. With the location `exact` the text must be nothing but the letter.
    """
    if location == "exact":
        return text.strip("()[]. ").upper() if re.fullmatch(r"[\s(\[]{0,9}[A-Za-z][\s.)\]]{0,9}", text) else None
    for pattern in (_FINAL, _BOXED, _STATED):
        if matches := [
            match
            for match in pattern.finditer(text)
            if not _is_word(text, match) and not (match["letter"] and _is_rejected(text, match))
        ]:
            groups = matches[-1].groupdict()
            mark = (groups["letter"] or groups["lower"]).upper()
            return None if has_second(text, matches[-1].end(), mark) else mark
    opening = _AT_START.search(text)
    if opening and not _is_word(text, opening):
        return opening["letter"]
    matches = [match for match in _ANYWHERE.finditer(text) if not _is_word(text, match)]
    chosen = [match["letter"] for match in matches if not _is_rejected(text, match)]
    if not chosen or (location == "end" and len(set(chosen)) > 1):
        return None
    return chosen[0] if location == "begin" else chosen[-1]


def has_second(text: str, end: int, mark: str) -> bool:
    """Whether another letter or number is joined to the mark that ends at ``end``: "A or B", "A, B"."""
    second = _SECOND.match(text, end)
    return second is not None and second["letter"] != mark and not _REJECTED_AFTER.match(text, second.end())


def _is_rejected(text: str, match: re.Match[str]) -> bool:
    """Whether the words next to a letter reject it: "not A", "A is wrong"."""
    before = text[max(0, match.start("letter") - 20) : match.start("letter")]
    return bool(_REJECTED_BEFORE.search(before) or _REJECTED_AFTER.match(text, match.end("letter")))


def _is_word(text: str, match: re.Match[str]) -> bool:
    return match["letter"] is not None and _ENGLISH_WORD.match(text, match.start("letter")) is not None
