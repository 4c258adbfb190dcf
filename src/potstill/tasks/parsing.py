"""What the text of a completion is, before and beside the answer that a task finds in it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from potstill.answers.reading import Found


class Status(StrEnum):
    """What a completion's text is. Anything but ``ok`` counts as incorrect, and is counted separately."""

    OK = "ok"
    ABSTAINED = "abstained"
    UNPARSEABLE = "unparseable"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    REFUSED = "refused"


@dataclass(frozen=True)
class Parsed:
    """A completion as the task reads it. ``answer`` is None unless ``status`` is ok; ``rule`` names how it was found."""

    status: Status
    answer: str | None = None
    rationale: str = ""
    rule: str = ""


MAX_CHARACTERS = 100_000
"""Characters of a completion that are read, counted from its end."""
REFUSAL = re.compile(r"\bI(?:['’]m| am) (?:sorry|unable)\b|\bI (?:can['’]t|cannot|won['’]t)\b", re.IGNORECASE)
ABSTENTION = re.compile(
    r"\b(?:not enough information|cannot be determined|can['’]t be determined|I don['’]t know)\b", re.IGNORECASE
)
_DECLINED = re.compile(
    r"\W{0,5}(?:(?:I['’]m|I am) (?:(?:very|really|so|truly) )?(?:sorry|afraid)|Sorry|Unfortunately|As an AI\b[^.\n]{0,60})?"
    r"[,.;]?\s{0,3}(?:but )?(?:I (?:can['’]t|cannot|can not|won['’]t)|I(?:['’]m| am) (?:unable|not able) to)"
    r" (?:\w+ )?(?:assist|help|provide|comply|fulfil+|summari[sz]e|create|generate|answer|continue|discuss|write|engage|do that)\b",
    re.IGNORECASE,
)
"""How a text begins that declines. Where any text is an answer, "I'm sorry to hear that" is an answer."""
_CONCLUDES = re.compile(r"[.!?\n]|\b(?:so|thus|therefore|hence|but)\b", re.IGNORECASE)
WHOLE_TEXT = "whole"
"""The rule by which the whole text is the answer."""


def status_of_unread(text: str, finish_reason: str) -> Status | None:
    """The status of a completion that no answer is looked for in; None for one to read."""
    if finish_reason == "content_filter":
        return Status.REFUSED
    if finish_reason == "length":
        return Status.TRUNCATED
    return None if text.strip() else Status.EMPTY


def declines(text: str) -> bool:
    """Whether a text begins by declining the request."""
    return _DECLINED.match(text) is not None


def status_of_unanswered(text: str) -> Status:
    """The status of a text without an answer."""
    if ABSTENTION.search(text):
        return Status.ABSTAINED
    return Status.REFUSED if REFUSAL.search(text) else Status.UNPARSEABLE


def concludes_with(text: str, found: Found) -> bool:
    """Whether an answer counts that was found leniently: words of abstention or refusal come before it, if at all, and a
    sentence or a conclusion lies between.

    "Not enough information is given. So it is neutral" answers; "I don't know if it is neutral" does not.
    """
    evasions = (ABSTENTION.search(text), REFUSAL.search(text))
    return all(not words or _CONCLUDES.search(text, words.end(), found.start) for words in evasions)
