"""What a user can cause: one clear message that says what is wrong, where, and how to mend it."""


class PotstillError(Exception):
    """A failed run (exit code 1)."""

    exit_code = 1


class RecipeError(PotstillError):
    """A recipe or an argument that cannot be used (exit code 2)."""

    exit_code = 2
