"""The outcome of a test question."""

import pytest

from potstill.models import Completion, ErrorKind
from potstill.stages.evaluate.outcome import Outcome, outcome_of
from potstill.tasks import Parsed, Status


@pytest.mark.parametrize(
    ("completion", "parsed", "correct", "outcome"),
    [
        ({}, Parsed(Status.OK, "7"), True, Outcome.CORRECT),
        ({}, Parsed(Status.OK, "7"), False, Outcome.INCORRECT),
        ({}, Parsed(Status.OK, "7"), None, Outcome.ANSWERED),
        ({}, Parsed(Status.TRUNCATED), False, Outcome.TRUNCATED),
        ({}, Parsed(Status.REPEATING), False, Outcome.REPEATING),
        ({}, Parsed(Status.REPEATING), None, Outcome.REPEATING),
        ({}, Parsed(Status.REFUSED), None, Outcome.REFUSED),
        ({}, Parsed(Status.UNPARSEABLE), False, Outcome.UNPARSEABLE),
        ({}, Parsed(Status.ABSTAINED), False, Outcome.ABSTAINED),
        ({"error": ErrorKind.TIMEOUT}, Parsed(Status.EMPTY), False, Outcome.ERROR),
        ({}, Parsed(Status.EMPTY), False, Outcome.EMPTY),
    ],
)
def test_the_outcome_of_an_answer(completion, parsed, correct, outcome):
    assert outcome_of(Completion("q", 0, **completion), parsed, correct) is outcome
