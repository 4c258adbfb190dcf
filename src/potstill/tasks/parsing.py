"""The status of a completion: refusals, abstentions and other texts without an answer."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from potstill.answers.extraction import ExtractedAnswer
from potstill.answers.folding import fold
from potstill.models import repetition
from potstill.tasks import evasions


class Status(StrEnum):
    """What a completion's text is. Anything but ``ok`` counts as incorrect, and is counted separately.

    ``truncated`` and ``repeating`` texts have no finished answer (`finished_answer`); only the former might have had
    one later.
    """

    OK = "ok"
    ABSTAINED = "abstained"
    UNPARSEABLE = "unparseable"
    TRUNCATED = "truncated"
    REPEATING = "repeating"
    EMPTY = "empty"
    REFUSED = "refused"


@dataclass(frozen=True)
class Parsed:
    """A parsed completion. ``answer`` is None unless ``status`` is ok; ``rule`` names the rule that extracted it."""

    status: Status
    answer: str | None = None
    rationale: str = ""
    rule: str = ""


FINISHED = ("stop", "")
"""Finish reasons of complete texts; all others, unknown ones too, are of texts that would have gone on."""
CLOSED = ("boxed", "json")
"""Rules whose answer a bracket ends, so that it may stand in the unfinished last line of a cut text."""
CONTINUATION = "0 = 31415.9 or not, and so on"
"""How a cut text might have gone on: an answer that this would change was not finished."""
MAX_CHARACTERS = 100_000
"""Characters of a completion that are parsed, counted from its end."""
MAX_EVASION_CHARACTERS = 20_000
"""Characters of a completion in which abstentions and refusals are searched, counted from its end."""
_REFUSAL = re.compile(r"\bi(?:'m| am) (?:sorry|unable)\b|\bi (?:can't|cannot|won't)\b")
"""What refuses in English, in a text without an answer. Where any text is an answer, `evasions.opens_with_refusal` is narrower:
"I'm sorry to hear that" is an answer."""
_CONCLUSION = re.compile(
    r"[.!?。！？।]|(?<!\w)(?:so|thus|therefore|hence|but|also|daher|aber|donc|mais|por lo tanto|pero|quindi|ma|portanto|mas|dus|maar|więc|ale|"
    r"поэтому|но|тому|але)(?!\w)|所以|因此|但|したがって|따라서"
)
WHOLE_TEXT = "whole"
"""The rule by which the complete text is the answer."""


def status_without_parsing(text: str, finish_reason: str) -> Status | None:
    """The status of a completion that is not worth parsing; None for one to parse."""
    if finish_reason in ("content_filter", "refused"):
        return Status.REFUSED
    if finish_reason not in FINISHED or text.strip():
        return None
    return Status.EMPTY


def cut_status(text: str, finish_reason: str) -> Status:
    """The status of a cut text without a finished answer."""
    if finish_reason == "repeating" or repetition.repeats_but_for_numbers(text):
        return Status.REPEATING
    return Status.TRUNCATED


def status_without_answer(text: str) -> Status:
    """The status of a text from which no answer was extracted."""
    folded = fold(text[-MAX_EVASION_CHARACTERS:])
    if evasions.abstained(folded):
        return Status.ABSTAINED
    return Status.REFUSED if _REFUSAL.search(folded) or evasions.declined(folded) else Status.UNPARSEABLE


def is_conclusion(text: str, extracted: ExtractedAnswer) -> bool:
    """Whether a leniently extracted answer counts: a sentence end or a word such as "so" must separate it from any abstention
    or refusal, which must come first.

    "Not enough information is given. So it is neutral" answers; "I don't know if it is neutral" does not. An answer that is
    itself the abstention counts: a label may be "don't know".
    """
    begin = max(0, len(text) - MAX_EVASION_CHARACTERS)
    folded, place = fold(text[begin:]), len(fold(text[begin : max(begin, extracted.start)]))
    refusal = _REFUSAL.search(folded)
    for evasion in (evasions.abstained(folded), refusal.span() if refusal else evasions.declined(folded)):
        if evasion is None or evasion[0] - 1 <= place < evasion[1]:
            continue
        if _CONCLUSION.search(folded, evasion[1], max(place, evasion[1])) is None:
            return False
    return True


def finished_answer(text: str, find: Callable[[str], ExtractedAnswer | None]) -> ExtractedAnswer | None:
    """The answer that ``find`` finds in a cut text, if it is complete: in a line that ended, or in closed brackets.

    An answer that more text would extend (the complete text, its last word) is not finished.
    """
    lines = text[: text.rfind("\n") + 1]
    for part, rules in ((text, CLOSED), (lines, None)):
        found = find(part)
        if found and (rules is None or found.rule in rules) and found == find(part + CONTINUATION):
            return found
    return None
