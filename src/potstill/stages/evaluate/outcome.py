"""The outcome of a test question."""

from enum import StrEnum

from potstill.models import Completion
from potstill.tasks import Parsed


class Outcome(StrEnum):
    """Correct or incorrect; answered, where neither is known; the status of a text without an answer; or an error that kept
    the text from coming."""

    CORRECT = "correct"
    ANSWERED = "answered"
    INCORRECT = "incorrect"
    ABSTAINED = "abstained"
    UNPARSEABLE = "unparseable"
    TRUNCATED = "truncated"
    REPEATING = "repeating"
    EMPTY = "empty"
    REFUSED = "refused"
    ERROR = "error"


def outcome_of(completion: Completion, parsed: Parsed, correct: bool | None) -> Outcome:
    """``correct`` is None where it is not known."""
    if completion.error:
        return Outcome.ERROR
    if parsed.answer is None:
        return Outcome(parsed.status.value)
    if correct is None:
        return Outcome.ANSWERED
    return Outcome.CORRECT if correct else Outcome.INCORRECT
