"""Limits on the new tokens of validation and test answers."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from potstill.recipe.recipe import Recipe
from potstill.tasks import Parsed, Prompting, Status

T = TypeVar("T")
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

    def is_too_low(self, prompting: Prompting, answers: Sequence[Parsed]) -> bool:
        """Whether the limit truncates more than `MAX_TRUNCATED` of the answers, and is not doubled yet."""
        too_many = sum(map(_is_truncated, answers)) > MAX_TRUNCATED * len(answers)
        return too_many and prompting.prompt not in self._doubled

    def double(self, prompting: Prompting) -> None:
        self._doubled.add(prompting.prompt)


def replace_truncated(
    answers: list[T], parsed: Callable[[T], Parsed], ask: Callable[[list[int]], Iterable[T | None]]
) -> None:
    """Put longer answers in place of the truncated ones, whose indices ``ask`` gets; None leaves the truncated one."""
    again = [i for i, answer in enumerate(answers) if _is_truncated(parsed(answer))]
    for i, answer in zip(again, ask(again) if again else (), strict=True):
        if answer is not None:
            answers[i] = answer


def _is_truncated(parsed: Parsed) -> bool:
    return parsed.status is Status.TRUNCATED
