"""Extract the label, or the labels, that a text gives as its answer. Linear time.

Where a text announces its answer, that line decides, and two labels there are none. `mentions` finds labels; this decides
which of them is the answer.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from potstill.answers import languages
from potstill.answers.extraction import ExtractedAnswer, answer_lists
from potstill.answers.folding import fold
from potstill.answers.latex import last_box
from potstill.answers.mentions import Labels, Mention, is_number

NONE = "none"
"""The answer when none of several labels fits."""
MAX_CHARACTERS = 20_000
"""Characters at the end of a text in which an answer without an answer line is searched."""
_WHOLE_NUMBER = re.compile(r"(?<=\d)\.0{1,20}\Z")
_BOOLEANS = {True: ("yes", "1"), False: ("no", "0")}
_MAX_ANNOUNCEMENTS = 20
_MAX_ANNOUNCED_CHARACTERS = 300
_MAX_LEAD_CHARACTERS = 40
"""Characters before the colon of a last line that ends with a label."""
_EDGES = " *_`\"'.,;:!()[]<>{}$#•。、"
_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|boxed)\s?\{|[{}$]|\\[()\[\]]|</?(?:answer|label|b|strong|em|br) ?/?>"
)
_LEAD = re.compile(
    r"(?:[\W_]|\d{1,2}[.)] |(?:the|a|an|it|this|that|its|it's|i|my|is|are|was|as|be|would|should|say|think|rate|classify|label|labels|class|"
    r"category|sentiment|tone|option|choice|answer|final|text|review|comment|sentence|of|clearly|mostly|definitely|certainly|"
    r"overall|very|strongly|probably|likely|most|more|rather|both|der|die|das|ist|la|le|l'|el|est|es|il|lo|è|o|é|het|jest|to|это|"
    r"eindeutig|klar|clairement|claramente|chiaramente)(?!\w))*"
)
_JOINTS = re.compile(
    rf"(?:[\W_]|\d{{1,2}}[.)] |{languages.pattern('|'.join((languages.OR_WORDS, languages.AND_WORDS)))}|"
    r"(?<!\w)(?:to|but|even|partly|somewhat|sometimes|possibly|maybe|perhaps|slightly|mostly|more|rather|yet|bordering on|leaning)(?!\w))*"
)
"""The text between two labels that are both the answer."""
_ALTERNATIVE = re.compile(rf"[)\]\"'*}}.]{{0,4}}\s?[,;(]?\s?(?:{languages.pattern(languages.CLEAR_OR_WORDS)}|\|)")
_LIST_JOINTS = re.compile(rf"(?:[^\w\-]|-(?!\w)|(?<!\w)\d{{1,2}}[.)] |{languages.pattern(languages.AND_WORDS)})*")
_ITEM = re.compile(r"\s*(?:[-*•–+]|\d{1,2}[.)])\s+")
_EXPLANATION = re.compile(
    rf"\s(?:{languages.REASON_WORDS}|as(?= (?:the|it|there|he|she|they|we|i)\b))\s.*|(?:,| -) (?:{languages.REASON_WORDS}) .*"
)
_ITEM_EXPLANATION = re.compile(r"[*_'\")\]]{0,4}(?::| -)[*_]{0,2} .*")
_PARENTHESES = re.compile(r"\([^()]{0,200}\)")
_NONE = re.compile(
    rf"(?:{languages.NONE_WORDS})"
    r"(?: (?:of|de|von|di|del?) (?:them|these|those|it|the \w{1,12}(?: \w{1,12})?|above|eux|ellos|loro|diesen|ihnen)| (?:fits?|appl(?:y|ies)|gilt|passt|label|etikett))?"
)
_ANNOUNCEMENT = re.compile(
    rf"(?:(?:{languages.pattern(fold(languages.ANSWER_WORDS))}|(?<!\w)(?:labels?|class|category|classification|sentiment|verdict|rating|score|"
    r"grade|prediction|choice|decision|conclusion|tone|kategorie|etikett|bewertung|catégorie|étiquette|categoría|etiqueta|categoria|"
    r"etichetta|категория|метка|класс|标签|類別|类别|情感|ラベル|레이블)(?!\w))"
    rf"(?: \w{{1,20}}){{0,6}}?[\"'*]{{0,3}} ?(?:(?:is|are|was|would be|should be|must be|as|{fold(languages.COPULAS)})(?!\w)|[:=]|->|是|为|為|は|が)|"
    r"(?<!#)#{2,4} |(?<!\w)(?:classif\w{1,6}|label(?:l?ed)?|rated?|categori[sz]ed?) (?:\w{1,20} ){0,6}?as )"
)
_FIRST_WORD_ENDS = re.compile(rf"[)\]\"'*}}]{{0,4}}(?:\s?(?:[.,;:!(]| - )|\s(?:{languages.REASON_WORDS}|as)(?!\w))")


class _Reading(NamedTuple):
    """The label that a piece of text gives, and whether the piece decides: one that names two labels decides for none."""

    label: str | None
    decides: bool


_OPEN, _UNDECIDED = _Reading(None, False), _Reading(None, True)


def labels_by_spelling(labels: Iterable[str]) -> dict[str, str]:
    """Each label by its folded spelling."""
    return {fold(label): label for label in labels}


def parse_gold_label(value: Any, labels: Sequence[str], spellings: Mapping[str, str]) -> str:
    """The label that a value of a data set means: one of the ``spellings``, a whole number with or without ".0", yes or no for
    true or false, or the label's index, counted from zero, unless a label is a number. Raises `ValueError` for any other
    value."""
    text = str(value).strip()
    whole = _WHOLE_NUMBER.sub("", text)
    exact = Labels.of(spellings).exact
    candidates = (text, whole, f"{whole}.0", *(_BOOLEANS[value] if isinstance(value, bool) else ()))
    if label := next((label for one in candidates if (label := exact(fold(one)))), None):
        return label
    if whole.isdecimal() and not any(map(is_number, labels)) and int(whole) < len(labels):
        return labels[int(whole)]
    raise ValueError(f"{text[:60]!r} is none of the labels {', '.join(labels)}")


def exact_label(text: str, spellings: Mapping[str, str]) -> str | None:
    """The label that a text is, apart from case, space, markup and punctuation around it."""
    return _exact(text, Labels.of(spellings))


def extract_label(text: str, spellings: Mapping[str, str], *, strict: bool) -> ExtractedAnswer | None:
    """The label of a text, by the first of these rules that decides: after the last "Answer:" that names a label, boxed, as the
    complete text; if not ``strict``, after the last "the answer is", as the first or last line, as the first word before a
    comma or full stop, and as the only label that the text names without rejecting it.

    ``spellings``: each spelling, as `labels_by_spelling` makes them, to its label.
    """
    labels = Labels.of(spellings)
    for line, start in reversed(answer_lists(text)):
        reading = _read(line, labels, strict=strict)
        if reading.decides:
            return _extracted(reading, "answer-line", start)
    if box := last_box(text):
        reading = _read(box[0], labels, strict=strict)
        if reading.decides:
            return _extracted(reading, "boxed", box[1])
    if label := _exact(text, labels):
        return ExtractedAnswer(label, "bare")
    return None if strict else _read_prose(text, labels)


def extract_labels(text: str, spellings: Mapping[str, str], *, strict: bool) -> tuple[list[str], str, int] | None:
    """The labels that a text lists (none of them: an empty list), the rule, and where the list starts: after the last
    "Answer:", boxed, or as the complete text; if not ``strict``, after the last "the labels are". None where a piece of the
    list is no label."""
    labels = Labels.of(spellings)
    for line, start in reversed(answer_lists(text)):
        if (listed := _read_list(line, labels)) is not None:
            return listed, "answer-line", start
    if (box := last_box(text)) and (listed := _read_list(box[0], labels)) is not None:
        return listed, "boxed", box[1]
    if (listed := _read_list(text, labels, bare=True)) is not None:
        return listed, "bare", 0
    for line, start in () if strict else reversed(list(_lines(text))):
        folded = labels.fold(line)
        for match in _announcements(folded):
            if (listed := _read_list(_rest(folded, match), labels)) is not None:
                return listed, "announced", start + _index(line, match.start(), labels)
    return None


def without_markup(text: str) -> str:
    """A text without the marks of LaTeX and HTML around its words."""
    return _WRAPPER.sub(" ", text)


def _extracted(reading: _Reading, rule: str, start: int) -> ExtractedAnswer | None:
    return ExtractedAnswer(reading.label, rule, start) if reading.label is not None else None


def _read(text: str, labels: Labels, *, strict: bool, announced: bool = False) -> _Reading:
    """The label that a line gives: the one that it is, or begins with; if not ``strict``, the only one that it names.

    A second label joined to the first ("A or B", "A, B") leaves it undecided; one in an explanation does not.
    """
    if label := _exact(text, labels):
        return _Reading(label, True)
    folded = labels.fold(without_markup(text))
    found = labels.mentions(folded)
    if not found:
        is_number_too = labels.are_numbers and re.match(r"[\W_]*\d", folded)
        return _UNDECIDED if is_number_too else _OPEN
    first, lead = found[0], folded[: found[0].start]
    leads = (first.complement and len(lead) <= 30) or _LEAD.fullmatch(lead[-200:]) is not None
    if leads and not first.rejected:
        if first.label is None or _is_joined(folded, found) or _is_enumeration(text, folded, first):
            return _UNDECIDED
        return _Reading(first.label, True)
    if announced:
        return _OPEN
    named = {mention.label for mention in labels.mentions(folded, prose=True) if not mention.rejected}
    if strict or len(named) != 1 or None in named or _ALTERNATIVE.match(folded, first.end):
        return _UNDECIDED
    return _Reading(named.pop(), True)


def _is_joined(folded: str, found: Sequence[Mention]) -> bool:
    """Whether another label, or an "or", is joined to the first label of a line."""
    first = found[0]
    if _ALTERNATIVE.match(folded, first.end):
        return True
    other = next((one for one in found[1:] if one.label != first.label), None)
    if other is None or other.rejected or other.start - first.end > 60:
        return False
    if re.match(r" \w", folded[other.end :]) and re.search(r"[.!?] ", folded[first.end : other.start]):
        return False  # another sentence
    return _JOINTS.fullmatch(folded, first.end, other.start) is not None


def _is_enumeration(text: str, folded: str, first: Mention) -> bool:
    """Whether a number that looks like a label only counts the lines of a list."""
    lines = [line for line in text.splitlines() if line.strip()]
    return (
        folded[first.start].isdigit() and len(lines) > 1 and all(re.match(r"\W*\d{1,2}[.)]\s", line) for line in lines)
    )


def _read_prose(text: str, labels: Labels) -> ExtractedAnswer | None:
    """The label that a text without a requested form gives."""
    lines = [(line, start) for line, start in _lines(text) if line.strip()]
    if not lines:
        return None
    for line, start in reversed(lines):
        folded = labels.fold(without_markup(line))
        for match in _announcements(folded):
            reading = _read(_rest(folded, match), labels, strict=True, announced=True)
            if reading.decides:
                return _extracted(reading, "announced", start + _index(line, match.start(), labels))
    lead, _, end = lines[-1][0].rpartition(":")
    first = _exact(lines[0][0], labels)
    last = _exact(lines[-1][0], labels) or (_exact(end, labels) if len(lead) <= _MAX_LEAD_CHARACTERS else None)
    if first or last:
        is_one = not first or not last or first == last
        return ExtractedAnswer(last or first or "", "line", lines[-1 if last else 0][1]) if is_one else None
    reading = _first_word(lines, labels)
    if reading.decides:
        return _extracted(reading, "first-word", lines[0][1])
    return _only_label(lines, labels)


def _announcements(folded: str) -> list[re.Match[str]]:
    """The last places of a line that announce an answer, the last first."""
    return list(_ANNOUNCEMENT.finditer(folded))[: -_MAX_ANNOUNCEMENTS - 1 : -1]


def _rest(folded: str, announcement: re.Match[str]) -> str:
    return folded[announcement.end() : announcement.end() + _MAX_ANNOUNCED_CHARACTERS]


def _first_word(lines: Sequence[tuple[str, int]], labels: Labels) -> _Reading:
    """The label with which a text opens, before a comma, a full stop or a "because"."""
    folded = labels.fold(without_markup(lines[0][0]))
    found = labels.mentions(folded)
    if not found or folded[: found[0].start].strip(_EDGES) or not _FIRST_WORD_ENDS.match(folded, found[0].end):
        return _OPEN
    spelling = folded[found[0].start : found[0].end]
    if (len(spelling) == 1 or is_number(spelling)) and re.match(r"[.):] ?\S", folded[found[0].end :]):
        return _OPEN
    return _read(lines[0][0], labels, strict=True)


def _only_label(lines: Sequence[tuple[str, int]], labels: Labels) -> ExtractedAnswer | None:
    """The last mention of the only label that lines name."""
    last: tuple[str, str, int, int] | None = None
    for line, start in lines:
        folded = labels.fold(without_markup(line))
        for mention in labels.mentions(folded, prose=True):
            if mention.rejected:
                continue
            if mention.label is None or (last and last[0] != mention.label):
                return None
            last = (mention.label, line, start, mention.start)
    if last is None:
        return None
    label, line, start, place = last
    return ExtractedAnswer(label, "last-label", start + _index(line, place, labels))


def _read_list(text: str, labels: Labels, *, bare: bool = False) -> list[str] | None:
    """The labels that a list names; ``bare``: nothing else may stand there. None where it is no list of labels."""
    lines = [line for line in text.splitlines() if line.strip()] if len(text) <= MAX_CHARACTERS else []
    if not lines or len(lines) > 2 * len(labels.spellings):
        return None
    named: list[str] = []
    for i, line in enumerate(lines):
        listed = _read_items(line, labels, bare=bare, is_item=len(lines) > 1)
        if listed is None:
            return named if i and not bare and not _ITEM.match(line) else None
        named += listed
    return named


def _read_items(line: str, labels: Labels, *, bare: bool, is_item: bool) -> list[str] | None:
    if label := _exact(line, labels):
        return [label]
    line = without_markup(_without_item_mark(line))
    if not line.strip(" []()."):
        return []
    for sign in "/+":
        if not any(sign in spelling for spelling in labels.spellings):
            line = line.replace(sign, ",")
    if labels.are_numbers:
        line = line.replace(",", ", ")
    folded = labels.fold(line)
    if _NONE.fullmatch(folded.strip(_EDGES)):
        return []
    if not bare:
        folded = _without_explanation(folded, labels, is_item)
    found = labels.mentions(folded)
    if not found or any(one.label is None or one.rejected for one in found):
        return None
    ends = [0, *(one.end for one in found)]
    starts = [*(one.start for one in found), len(folded)]
    if not bare and (lead := _LEAD.match(folded, 0, starts[0])):
        ends[0] = lead.end()
    if not all(_LIST_JOINTS.fullmatch(folded, end, start) for end, start in zip(ends, starts, strict=True)):
        return None
    return [one.label for one in found if one.label is not None]


def _without_explanation(folded: str, labels: Labels, is_item: bool) -> str:
    if not folded.startswith("(") and not any("(" in spelling for spelling in labels.spellings):
        folded = _PARENTHESES.sub(" ", folded)
    folded = _EXPLANATION.sub("", folded, count=1)
    found = labels.mentions(folded)
    if is_item and found and (after := _ITEM_EXPLANATION.match(folded, found[0].end)):
        return folded[: after.start()]
    return folded


def _without_item_mark(line: str) -> str:
    mark = _ITEM.match(line)
    return line[mark.end() :] if mark else line


def _exact(text: str, labels: Labels) -> str | None:
    """The label that a text is, apart from case, space, markup and punctuation around it."""
    if len(text) > MAX_CHARACTERS:
        return None
    if not labels.are_numbers:
        text = _without_item_mark(text)
    folded, unwrapped = fold(text), labels.fold(without_markup(text))
    forms = (folded, folded.strip("*_'\" •"), folded.strip(_EDGES), unwrapped.strip(_EDGES))
    return next(filter(None, map(labels.exact, forms)), None)


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """The lines of the end of a text, and where they start."""
    begin = max(0, len(text) - MAX_CHARACTERS)
    for match in re.compile(r"[^\n]+").finditer(text, begin):
        yield match[0], match.start()


def _index(line: str, folded_index: int, labels: Labels) -> int:
    """The index in a line of a character of its folded text."""
    return bisect_left(range(len(line)), folded_index + 1, key=lambda i: len(labels.fold(line[: i + 1])))
