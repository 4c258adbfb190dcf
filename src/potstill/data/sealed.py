"""Test sets are locked when they are first used, and every evaluation on them is counted.

A test set that is looked at again and again is trained on in the end, by the one who looks.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from potstill.errors import PotstillError
from potstill.models.store import Store, transaction
from potstill.recipe import Recipe
from potstill.run_folder import Part, digest_of_rows, now

TABLE = (
    "CREATE TABLE IF NOT EXISTS evaluations (test_set TEXT NOT NULL, run TEXT NOT NULL, split TEXT NOT NULL,"
    " data TEXT NOT NULL, student TEXT NOT NULL, time TEXT NOT NULL)"
)


def check(recipe: Recipe, store: Store, split: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises `PotstillError` when the same data section and task of the same recipe gave another test set before."""
    with store.connection() as connection, transaction(connection):
        connection.execute(TABLE)
        found = connection.execute(
            "SELECT test_set, time FROM evaluations WHERE run = ? AND split = ? AND data = ? ORDER BY time",
            [recipe.name, split, _data(recipe)],
        ).fetchone()
    if found and found[0] != _digest(split, rows):
        raise PotstillError(
            f"The questions of the split '{split}' changed since {found[1]}, when they were first used: a test set is "
            "chosen once. Restore the file, or give the recipe another 'name' and start afresh."
        )


def count(
    recipe: Recipe, store: Store, split: str, rows: Sequence[Mapping[str, Any]], student: str
) -> dict[str, str | int]:
    """Record an evaluation; returns the test set's sha256, first use, and how many evaluations and students it has seen.

    ``test_sets`` counts those that this recipe's name was evaluated on.
    """
    digest = _digest(split, rows)
    with store.connection() as connection, transaction(connection):
        connection.execute(TABLE)
        connection.execute(
            "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?)",
            [digest, recipe.name, split, _data(recipe), student, now()],
        )
        first, evaluations, students = connection.execute(
            "SELECT min(time), count(*), count(DISTINCT student) FROM evaluations WHERE test_set = ?", [digest]
        ).fetchone()
        (test_sets,) = connection.execute(
            "SELECT count(DISTINCT test_set) FROM evaluations WHERE run = ? AND split = ?", [recipe.name, split]
        ).fetchone()
    return {
        "sha256": digest,
        "first_used": first,
        "evaluations": evaluations,
        "students": students,
        "test_sets": test_sets,
    }


def _digest(split: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return digest_of_rows(rows, Part("", splits=(split,)))


def _data(recipe: Recipe) -> str:
    """What decides the test set, but for the data itself."""
    task = f"{recipe.task.model_dump_json(exclude={'prompts'})} {list(recipe.task.columns)}"
    return hashlib.sha256(f"{recipe.seed} {task} {recipe.data.model_dump_json()}".encode()).hexdigest()
