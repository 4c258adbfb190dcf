"""Errors that a user can cause: one message that says what is wrong, where, and how to fix it."""

import difflib
from collections.abc import Sequence


class PotstillError(Exception):
    """A failed run (exit code 1)."""

    exit_code = 1


class RecipeError(PotstillError):
    """An invalid recipe or argument (exit code 2)."""

    exit_code = 2


def did_you_mean(word: str, choices: Sequence[str]) -> str:
    """A suggestion to append to a message about an unknown ``word``; empty when no choice is similar."""
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
