"""The outcome of a test question."""

from enum import StrEnum

from potstill.models import Completion
from potstill.tasks import Parsed


class Outcome(StrEnum):
    """Correct or incorrect; answered, where neither is known; the status of a text without an answer; or what kept a text from
    coming: an error, or the moderation of a server, which no model is to blame for."""

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

    @property
    def excluded(self) -> bool:
        """Whether the question is left out of both systems of a pair, and counted."""
        return self in (Outcome.FILTERED, Outcome.ERROR)


def outcome_of(completion: Completion, parsed: Parsed, correct: bool | None) -> Outcome:
    """``correct`` is None where it is not known."""
    if completion.error:
        return Outcome.ERROR
    if completion.finish_reason == "content_filter":
        return Outcome.FILTERED
    if parsed.answer is None:
        return Outcome(parsed.status.value)
    if correct is None:
        return Outcome.ANSWERED
    return Outcome.CORRECT if correct else Outcome.INCORRECT
