"""What a user can cause: one clear message that says what is wrong, where, and how to mend it."""

import difflib
from collections.abc import Sequence


class PotstillError(Exception):
    """A failed run (exit code 1)."""

    exit_code = 1


class RecipeError(PotstillError):
    """A recipe or an argument that cannot be used (exit code 2)."""

    exit_code = 2


def did_you_mean(word: str, choices: Sequence[str]) -> str:
    """A question that follows a message about ``word``; empty when nothing is like it."""
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
