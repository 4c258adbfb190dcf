"""Seal a test set at its first use: its questions, and how they are judged. Record who looks at them.

Whoever evaluates on a test set again and again, or sets a margin after seeing a result, ends up selecting for it: the scores
become optimistic. A look is recorded before the first question is asked, so that an evaluation that is stopped counts too.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from potstill.errors import PotstillError
from potstill.models.store.store import KEYS_PER_LOOKUP, batched, transaction
from potstill.tasks import Example, Task
from potstill.workspace.lock import now
from potstill.workspace.run import Run

TABLES = (
    "CREATE TABLE IF NOT EXISTS seals (run TEXT NOT NULL, split TEXT NOT NULL, data TEXT NOT NULL, test_set TEXT NOT NULL,"
    " settings TEXT NOT NULL, time TEXT NOT NULL, PRIMARY KEY (run, split, test_set))",
    "CREATE TABLE IF NOT EXISTS looks (question BLOB NOT NULL, student TEXT NOT NULL, time TEXT NOT NULL,"
    " PRIMARY KEY (question, student)) WITHOUT ROWID",
)

_FOR = " for "
"""Between the digest of a student and a further purpose of a look."""
Settings = Mapping[str, Any]
"""What decides how answers are judged: values that JSON can hold, by name."""


def question_digests(task: Task, split: str, examples: Iterable[Example]) -> list[bytes]:
    """SHA-256 of question and gold of each example of a split, sorted. No other column is part of a question's identity."""
    return sorted(
        hashlib.sha256(json.dumps([task.question_key(example), example["gold"]]).encode()).digest()
        for example in examples
        if example["split"] == split
    )


def require_unchanged(run: Run, split: str, examples: Sequence[Example]) -> None:
    """Raises `PotstillError` when the run, with the same task and data section, used other test questions before."""
    test_set = _test_set(question_digests(run.recipe.task, split, examples))
    seals = [seal for seal in _seals(run, split) if seal["data"] == _config_digest(run)]
    if seals and all(seal["test_set"] != test_set for seal in seals):
        raise PotstillError(
            f"The questions of the split '{split}' changed since {seals[0]['time']}, when they were first used: a test set is "
            "fixed at its first use. Restore the file, or give the recipe another 'name' to start a new run."
        )


def sealed_settings(run: Run, split: str, examples: Sequence[Example]) -> Settings:
    """The settings with which the run used these test questions first; empty before that."""
    seal = _seal(run, split, _test_set(question_digests(run.recipe.task, split, examples)))
    return json.loads(seal["settings"]) if seal else {}


def record_look(run: Run, split: str, examples: Sequence[Example], student: str, settings: Settings) -> dict[str, Any]:
    """Seal the split if this is its first use, and record that the student with the digest ``student`` looks at its questions.

    Returns:
        ``sha256`` of the test set and the time ``first_used``; ``looked_at_before``, the number of its questions that other
        students of this store looked at before, and the number of these ``students``; ``test_sets``, the number of test
        sets of this run; the sealed ``settings``; ``set_after_looking``, those that are no longer as they were sealed, each
        with the values ``sealed`` and ``now``.
    """
    questions = question_digests(run.recipe.task, split, examples)
    with run.store.connection() as connection, transaction(connection):
        for table in TABLES:
            connection.execute(table)
        connection.execute(
            "INSERT OR IGNORE INTO seals VALUES (?, ?, ?, ?, ?, ?)",
            [run.id, split, _config_digest(run), _test_set(questions), json.dumps(settings, sort_keys=True), now()],
        )
        looked_at, students = 0, set()
        for some in batched(dict.fromkeys(questions), KEYS_PER_LOOKUP):
            marks = ", ".join("?" * len(some))
            looks = connection.execute(
                f"SELECT question, student FROM looks WHERE question IN ({marks})", [*some]
            ).fetchall()
            others = [(question, of) for question, looked in looks if (of := _student(looked)) != student]
            looked_at += len({question for question, _ in others})
            students |= {other for _, other in others}
        connection.executemany(
            "INSERT OR IGNORE INTO looks VALUES (?, ?, ?)", [(question, student, now()) for question in questions]
        )
        (test_sets,) = connection.execute(
            "SELECT count(DISTINCT test_set) FROM seals WHERE run = ? AND split = ?", [run.id, split]
        ).fetchone()
    seal = _seal(run, split, _test_set(questions))
    first: Settings = json.loads(seal["settings"])
    changed = {name: value for name, value in settings.items() if _as_json(value) != first.get(name)}
    return {
        "sha256": seal["test_set"],
        "first_used": seal["time"],
        "looked_at_before": looked_at,
        "students": len(students),
        "test_sets": test_sets,
        "settings": first,
        "set_after_looking": {name: {"sealed": first.get(name), "now": value} for name, value in changed.items()},
    }


def look_again(run: Run, split: str, examples: Sequence[Example], student: str, purpose: str, what: str) -> int:
    """Record that the answers of the student with the digest ``student`` are looked at for a further ``purpose`` (one word), about ``what``:
    a threshold that was chosen elsewhere, an exported form. Returns about how many others they were looked at before for the same purpose,
    on any of these questions."""
    questions = question_digests(run.recipe.task, split, examples)
    same = f"{student}{_FOR}{purpose} "
    looked = f"{same}{what}"
    with run.store.connection() as connection, transaction(connection):
        for table in TABLES:
            connection.execute(table)
        found = set()
        for some in batched(dict.fromkeys(questions), KEYS_PER_LOOKUP):
            marks = ", ".join("?" * len(some))
            rows = connection.execute(f"SELECT DISTINCT student FROM looks WHERE question IN ({marks})", [*some])
            found |= {before for (before,) in rows if before.startswith(same) and before != looked}
        connection.executemany(
            "INSERT OR IGNORE INTO looks VALUES (?, ?, ?)", [(question, looked, now()) for question in questions]
        )
    return len(found)


def _student(looked: str) -> str:
    """The student of a look, for whatever purpose."""
    return looked.partition(_FOR)[0]


def _seals(run: Run, split: str) -> list[dict[str, str]]:
    """The seals of a split, the first one first."""
    with run.store.connection() as connection, transaction(connection):
        for table in TABLES:
            connection.execute(table)
        rows = connection.execute(
            "SELECT data, test_set, settings, time FROM seals WHERE run = ? AND split = ? ORDER BY rowid",
            [run.id, split],
        ).fetchall()
    return [dict(zip(("data", "test_set", "settings", "time"), row, strict=True)) for row in rows]


def _seal(run: Run, split: str, test_set: str) -> dict[str, str]:
    return next((seal for seal in _seals(run, split) if seal["test_set"] == test_set), {})


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _test_set(questions: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(questions)).hexdigest()


def _config_digest(run: Run) -> str:
    """Digest of the configuration that determines the test set: task and data section, its seed included."""
    recipe = run.recipe
    task = f"{recipe.task.model_dump_json(exclude={'prompts'})} {list(recipe.task.columns)}"
    return hashlib.sha256(f"{task} {recipe.data.model_dump_json()}".encode()).hexdigest()
