"""Test sets are locked when they are first used, and every evaluation on them is counted.

A test set that is looked at again and again is trained on in the end, by the one who looks.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from potstill.errors import PotstillError
from potstill.models.store.store import transaction
from potstill.workspace.digests import Part, digest_of_rows
from potstill.workspace.lock import now
from potstill.workspace.run import Run

TABLE = (
    "CREATE TABLE IF NOT EXISTS evaluations (test_set TEXT NOT NULL, run TEXT NOT NULL, split TEXT NOT NULL,"
    " data TEXT NOT NULL, student TEXT NOT NULL, time TEXT NOT NULL)"
)


def check(run: Run, split: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises `PotstillError` when the run, with the same data section and task, was evaluated on another test set before."""
    with run.store.connection() as connection, transaction(connection):
        connection.execute(TABLE)
        found = connection.execute(
            "SELECT test_set, time FROM evaluations WHERE run = ? AND split = ? AND data = ? ORDER BY time",
            [run.id, split, _data(run)],
        ).fetchone()
    if found and found[0] != _digest(split, rows):
        raise PotstillError(
            f"The questions of the split '{split}' changed since {found[1]}, when they were first used: a test set is "
            "chosen once. Restore the file, or give the recipe another 'name' to start a new run."
        )


def count(run: Run, split: str, rows: Sequence[Mapping[str, Any]], student: str) -> dict[str, str | int]:
    """Record an evaluation of the student with the digest ``student``.

    Returns the test set's ``sha256``, ``first_used``, and the numbers of ``evaluations`` and ``students`` on it;
    ``test_sets`` is the number of test sets that this run was evaluated on.
    """
    digest = _digest(split, rows)
    with run.store.connection() as connection, transaction(connection):
        connection.execute(TABLE)
        connection.execute(
            "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?)",
            [digest, run.id, split, _data(run), student, now()],
        )
        first, evaluations, students = connection.execute(
            "SELECT min(time), count(*), count(DISTINCT student) FROM evaluations WHERE test_set = ?", [digest]
        ).fetchone()
        (test_sets,) = connection.execute(
            "SELECT count(DISTINCT test_set) FROM evaluations WHERE run = ? AND split = ?", [run.id, split]
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


def _data(run: Run) -> str:
    """Digest of what decides the test set, except for the data itself."""
    recipe = run.recipe
    task = f"{recipe.task.model_dump_json(exclude={'prompts'})} {list(recipe.task.columns)}"
    return hashlib.sha256(f"{recipe.seed} {task} {recipe.data.model_dump_json()}".encode()).hexdigest()
