"""The status of a completion: refusals, abstentions and other texts without an answer."""

import re
from dataclasses import dataclass
from enum import StrEnum

from potstill.answers.extraction import ExtractedAnswer
from potstill.models import repetition


class Status(StrEnum):
    """What a completion's text is. Anything but ``ok`` counts as incorrect, and is counted separately.

    ``truncated`` and ``repeating`` texts have no finished answer (`Task.find_finished_answer`); only the former might have had
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
REFUSAL = re.compile(r"\bI(?:['’]m| am) (?:sorry|unable)\b|\bI (?:can['’]t|cannot|won['’]t)\b", re.IGNORECASE)
ABSTENTION = re.compile(
    r"\b(?:not enough information|cannot be determined|can['’]t be determined|I don['’]t know)\b", re.IGNORECASE
)
_REFUSAL_OPENING = re.compile(
    r"\W{0,5}(?:(?:I['’]m|I am) (?:(?:very|really|so|truly) )?(?:sorry|afraid)|Sorry|Unfortunately|As an AI\b[^.\n]{0,60})?"
    r"[,.;]?\s{0,3}(?:but )?(?:I (?:can['’]t|cannot|can not|won['’]t)|I(?:['’]m| am) (?:unable|not able) to)"
    r" (?:\w+ )?(?:assist|help|provide|comply|fulfil+|summari[sz]e|create|generate|answer|continue|discuss|write|engage|do that)\b",
    re.IGNORECASE,
)
"""How a refusal begins. Narrower than `REFUSAL`: where any text is an answer, "I'm sorry to hear that" is an answer."""
_CONCLUSION = re.compile(r"[.!?\n]|\b(?:so|thus|therefore|hence|but)\b", re.IGNORECASE)
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


def opens_with_refusal(text: str) -> bool:
    """Whether a text begins by refusing the request."""
    return _REFUSAL_OPENING.match(text) is not None


def status_without_answer(text: str) -> Status:
    """The status of a text from which no answer was extracted."""
    if ABSTENTION.search(text):
        return Status.ABSTAINED
    return Status.REFUSED if REFUSAL.search(text) else Status.UNPARSEABLE


def is_conclusion(text: str, extracted: ExtractedAnswer) -> bool:
    """Whether a leniently extracted answer counts: a sentence end or a word such as "so" must separate it from any abstention
    or refusal, which must come first.

    "Not enough information is given. So it is neutral" answers; "I don't know if it is neutral" does not.
    """
    evasions = (ABSTENTION.search(text), REFUSAL.search(text))
    return all(
        evasion is None or _CONCLUSION.search(text, evasion.end(), extracted.start) is not None for evasion in evasions
    )
