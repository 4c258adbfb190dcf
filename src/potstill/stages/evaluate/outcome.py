"""The outcome of a test question."""

from enum import StrEnum

from potstill.models import Completion
from potstill.tasks import Parsed


class Outcome(StrEnum):
    """Correct or incorrect; answered, where neither is known; the status of a text without an answer; or, which no model is to blame
    for: what kept a text from coming (an error, or the moderation of a server), or that no judge could say whether it is correct."""

    CORRECT = "correct"
    ANSWERED = "answered"
    INCORRECT = "incorrect"
    ABSTAINED = "abstained"
    UNPARSEABLE = "unparseable"
    TRUNCATED = "truncated"
    REPEATING = "repeating"
    EMPTY = "empty"
    REFUSED = "refused"
    FILTERED = "filtered"
    ERROR = "error"
    UNJUDGED = "unjudged"

    @property
    def excluded(self) -> bool:
        """Whether the question is left out of both systems of a pair, and counted."""
        return self in (Outcome.FILTERED, Outcome.ERROR, Outcome.UNJUDGED)


def outcome_of(
    completion: Completion, parsed: Parsed, correct: bool | None = None, *, has_gold: bool = False
) -> Outcome:
    """``correct`` is None where it is not known; with gold it is a judge who could not say."""
    if completion.error:
        return Outcome.ERROR
    if completion.finish_reason == "content_filter":
        return Outcome.FILTERED
    if parsed.answer is None:
        return Outcome(parsed.status.value)
    if correct is None:
        return Outcome.UNJUDGED if has_gold else Outcome.ANSWERED
    return Outcome.CORRECT if correct else Outcome.INCORRECT
