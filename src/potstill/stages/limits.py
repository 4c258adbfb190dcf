"""Limits on the new tokens of validation and test answers."""

from collections.abc import Sequence

from potstill.recipe.recipe import Recipe
from potstill.tasks import Parsed, Prompting, Status

MAX_TRUNCATED = 0.02
"""Fraction of a system's answers that a limit may truncate before it is doubled."""


class TokenLimits:
    """The limit of each prompt, the same for all models. It is doubled once where it truncates too many answers.

    An answer that ended within a limit is the same under a larger one, so only the truncated ones are requested again.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._doubled: set[str] = set()

    def __call__(self, prompting: Prompting) -> int:
        """The limit, in tokens."""
        return self._recipe.max_tokens(prompting) * (2 if prompting.prompt in self._doubled else 1)

    def can_double(self, prompting: Prompting) -> bool:
        return prompting.prompt not in self._doubled

    def double(self, prompting: Prompting) -> None:
        self._doubled.add(prompting.prompt)


def truncated(answers: Sequence[Parsed]) -> list[int]:
    """The indices of the truncated answers."""
    return [i for i, parsed in enumerate(answers) if parsed.status is Status.TRUNCATED]


def truncates_too_many(answers: Sequence[Parsed]) -> bool:
    """Whether more than `MAX_TRUNCATED` of the answers are truncated."""
    return len(truncated(answers)) > MAX_TRUNCATED * len(answers)
