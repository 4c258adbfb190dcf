"""Rows that cannot be used: left out, counted by reason, and too many of them stop the run."""

from collections import Counter
from dataclasses import dataclass, field

from potstill.errors import RecipeError

UNUSABLE_AT_FIRST = 100
"""A file of which none of this many first rows can be used is not read to its end."""


class OddRowError(Exception):
    """A row that cannot be used; ``reason`` is what the summary counts, the message says what is wrong where."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class LeftOut:
    """The rows of a file or split that cannot be used. ``where`` names it in messages; ``limit``: the largest allowed
    fraction of its rows."""

    where: str
    limit: float
    rows: int = 0
    """Rows that were read."""
    reasons: Counter[str] = field(default_factory=Counter)
    first: str = ""
    """What is wrong with the first one."""

    def add(self, odd: OddRowError) -> None:
        """Count a row. Raises `RecipeError` where none of the first `UNUSABLE_AT_FIRST` rows can be used."""
        self.reasons[odd.reason] += 1
        self.first = self.first or str(odd)
        if self.limit < 1 and self.reasons.total() == self.rows == UNUSABLE_AT_FIRST:
            raise self._too_many(f"none of the first {self.rows} rows can be used")

    def require_few(self) -> None:
        """Raises `RecipeError` where too many rows are left out."""
        n = self.reasons.total()
        if n > self.limit * self.rows:
            raise self._too_many(f"{n} of {self.rows} rows cannot be used, and data.most_left_out is {self.limit:g}")

    def _too_many(self, what: str) -> RecipeError:
        if self.rows == 1:
            return RecipeError(self.first)
        return RecipeError(f"{self.first}\n{self.where}: {what} ({summary(self.reasons)}). Above is the first one.")


def summary(reasons: Counter[str]) -> str:
    """The reasons with their numbers, the most frequent first."""
    return ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
