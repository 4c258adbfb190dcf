"""Lock a test set at its first use, and count every evaluation on it.

Whoever evaluates on a test set again and again ends up selecting for it: its scores become optimistic.
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


def require_unchanged(run: Run, split: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises `PotstillError` when the run, with the same task and data section, was evaluated on another test set before."""
    with run.store.connection() as connection, transaction(connection):
        connection.execute(TABLE)
        earlier = connection.execute(
            "SELECT test_set, time FROM evaluations WHERE run = ? AND split = ? AND data = ? ORDER BY time",
            [run.id, split, _config_digest(run)],
        ).fetchone()
    if earlier and earlier[0] != _digest(split, rows):
        raise PotstillError(
            f"The questions of the split '{split}' changed since {earlier[1]}, when they were first used: a test set is "
            "fixed at its first use. Restore the file, or give the recipe another 'name' to start a new run."
        )


def record_evaluation(run: Run, split: str, rows: Sequence[Mapping[str, Any]], student: str) -> dict[str, str | int]:
    """Record an evaluation of the student with the digest ``student``.

    Returns the ``sha256`` of the test set, the time ``first_used``, and the numbers of ``evaluations`` and of distinct
    ``students`` on it; ``test_sets`` is the number of test sets that this run was evaluated on.
    """
    digest = _digest(split, rows)
    with run.store.connection() as connection, transaction(connection):
        connection.execute(TABLE)
        connection.execute(
            "INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, ?)",
            [digest, run.id, split, _config_digest(run), student, now()],
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


def _config_digest(run: Run) -> str:
    """Digest of the configuration that determines the test set: task and data section, its seed included."""
    recipe = run.recipe
    task = f"{recipe.task.model_dump_json(exclude={'prompts'})} {list(recipe.task.columns)}"
    return hashlib.sha256(f"{task} {recipe.data.model_dump_json()}".encode()).hexdigest()
