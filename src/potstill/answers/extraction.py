"""Extract answers from a text: the text after "Answer:", and the reasoning before the answer. Linear time.

Labels, letters, numbers and replies in JSON have their own modules: `labels`, `letters`, `numbers`, `json_replies`.
"""

import re
from dataclasses import dataclass

from potstill.answers import languages
from potstill.answers.folding import PUNCTUATION


@dataclass(frozen=True)
class ExtractedAnswer:
    """An answer, the name of the rule that extracted it, and the index in the text where it starts."""

    answer: str
    rule: str
    start: int = 0


_MARK = re.compile("[:：]|<answer>", re.IGNORECASE)
_BEFORE_ANSWER = re.compile(r"[\s*_`\"']{0,8}")
_ITEM = re.compile(r"(?:[-*•–+]|\d{1,2}[.)])\s")
_ITEM_LINE = re.compile(r"[ \t*_`]{0,8}\n\s{0,8}([^\n]{1,200})(?=\n|\Z)")
_MAX_ITEMS = 50
_MAX_LINE_CHARACTERS = 2000
_ANSWER_WORDS = languages.spellings(languages.ANSWER_WORDS + "|answers")
_MAX_MARK_CHARACTERS = 40
"""Characters before a colon in which the answer word is searched."""
_BEFORE_COLON = " \t*_\u00a0\u202f"
_FINAL_WORD_AFTER = re.compile(rf"[ *_(]{{1,4}}{languages.pattern(languages.FINAL_WORDS)}\)?\Z")
_ANNOUNCEMENT = re.compile(
    rf"{languages.pattern(languages.ANSWER_WORDS)}(?:\s+(?:{languages.COPULAS}))?[ \t*_]{{0,6}}[:：]?[\s*_]*\Z",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    rf"(?:{languages.pattern(languages.LEAD_IN_WORDS + '|' + languages.FINAL_WORDS)}|\\boxed|[^\w.!?)\]}}\"'%])+\Z",
    re.IGNORECASE,
)
_MAX_LEAD_IN_CHARACTERS = 60
"""Characters before an answer that may only introduce it."""


def answer_lines(text: str) -> list[tuple[str, int]]:
    """The rest of the line after each "Answer:", in any of the languages of `languages.ANSWER_WORDS`, and the index where that
    "Answer:" starts. An answer line ends where the next one starts."""
    return [(line, start) for line, start, *_ in _answer_spans(text)]


def answer_lists(text: str) -> list[tuple[str, int]]:
    """As `answer_lines`, with the lines of a list that begins there."""
    lists = []
    for line, start, begin, at, end in _answer_spans(text):
        following: list[str] = []
        if _ITEM.match(line) or "\n" in text[start:begin]:
            while (item := _ITEM_LINE.match(text, at, end)) and len(following) < _MAX_ITEMS:
                following.append(item[1])
                at = item.end()
        lists.append(("\n".join([line, *following]), start))
    return lists


def _answer_spans(text: str) -> list[tuple[str, int, int, int, int]]:
    """Each answer line, where its "Answer:" starts, where the line begins and ends, and where the next "Answer:" starts."""
    marks = _answer_marks(text)
    ends = [start for start, _ in marks[1:]] + [len(text)]
    spans = []
    for (start, colon), end in zip(marks, ends, strict=False):
        before = _BEFORE_ANSWER.match(text, colon, end)
        begin = before.end() if before else colon
        line = text[begin : min(end, begin + _MAX_LINE_CHARACTERS)].partition("\n")[0].partition("</answer>")[0]
        if stripped := line.strip().rstrip("*_`\"'"):
            spans.append((stripped, start, begin, begin + len(line), end))
    return spans


def text_after_answer(text: str, unit: str) -> str | None:
    """What follows the last "ANSWER:": a letter, a word, or the rest of the line, by ``unit``; None where that is missing."""
    marks = _answer_marks(text)
    if not marks:
        return None
    line = text[marks[-1][1] :].partition("\n")[0].strip()
    if unit == "line":
        return line or None
    word = line.strip(PUNCTUATION + "()[]")
    if " " in word or (unit == "letter" and len(word) != 1):
        return None
    return word or None


def _answer_marks(text: str) -> list[tuple[int, int]]:
    """Where each "Answer:" starts and ends."""
    marks = []
    for match in _MARK.finditer(text):
        if len(match[0]) > 1:
            marks.append(match.span())
        elif (start := _answer_word_start(text, match.start())) is not None:
            marks.append((start, match.end()))
    return marks


def _answer_word_start(text: str, colon: int) -> int | None:
    """The index of the answer word before a colon; None where there is another word."""
    window = text[max(0, colon - _MAX_MARK_CHARACTERS) : colon]
    near = window.rstrip(_BEFORE_COLON).lower()
    if not near or near[-1] in ".,;:!?":
        return None
    dropped = len(window) - len(window.rstrip(_BEFORE_COLON))
    if not near.endswith(_ANSWER_WORDS):
        after = _FINAL_WORD_AFTER.search(near)
        if not after or not near[: after.start()].endswith(_ANSWER_WORDS):
            return None
        dropped += len(near) - after.start()
        near = near[: after.start()]
    start = colon - dropped - next(len(word) for word in _ANSWER_WORDS if near.endswith(word))
    is_part = start > 0 and near[-1] < "\u0530" and (text[start - 1].isalnum() or text[start - 1] == "_")
    return None if is_part else start


def rationale_before(text: str, start: int) -> str:
    """The reasoning before the answer that starts at ``start``, without the words that introduce the answer ("The final",
    "It is $")."""
    near_start = max(0, start - _MAX_LEAD_IN_CHARACTERS)
    head, near = text[:near_start], text[near_start:start]
    lines_before, newline, line = _ANNOUNCEMENT.sub("", near).rpartition("\n")
    return f"{head}{lines_before}{newline}{_LEAD_IN.sub('', line)}".strip("*_#> \t\n")
