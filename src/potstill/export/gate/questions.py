"""The questions that an export is asked."""

from collections.abc import Iterator
from itertools import islice

from potstill.models import Request
from potstill.recipe.systems import Role, system
from potstill.stages.evaluate.asking import requests
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.limits import TokenLimits
from potstill.workspace.artifacts import TEST_SPLITS
from potstill.workspace.run import Run

QUESTIONS = 50
"""For which the answers are compared word for word."""


def questions(run: Run) -> list[Request]:
    """What the student is asked: the first test questions, and where these are too few those of validation and training."""
    recipe, splits = run.recipe, (*TEST_SPLITS, "validation", "train")
    examples = list(islice((one for split in splits for one in run.examples(split)), QUESTIONS))
    shots = FewShotExamples(recipe, run.examples, lambda: iter(()))
    return requests(recipe, system(Role.STUDENT), examples, shots, TokenLimits(recipe))


def prompts(run: Run) -> Iterator[Request]:
    """All test questions, and those of `questions`."""
    recipe = run.recipe
    shots = FewShotExamples(recipe, run.examples, lambda: iter(()))
    asked = requests(recipe, system(Role.STUDENT), run.examples(*TEST_SPLITS), shots, TokenLimits(recipe))
    known = {request.id for request in asked}
    yield from asked
    yield from (request for request in questions(run) if request.id not in known)
