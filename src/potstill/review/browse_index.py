"""browse.sqlite: all rows of a run, in the form in which they are searched, filtered and shown.

It is made of the run's tables, and made again when one of them has changed.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from potstill.errors import PotstillError
from potstill.labels.items import shown_answer
from potstill.progress import echo
from potstill.stages.curate import in_words
from potstill.tasks import Example, Task
from potstill.workspace import artifacts
from potstill.workspace.artifacts import CURATED, EXAMPLES, TEST_SPLITS, Prediction
from potstill.workspace.run import ROWS_PER_BATCH, Run

FILE = "browse.sqlite"
VERSION = 3
MAX_TITLE, MAX_SEARCHED = 300, 20_000
"""Characters of a row's title, and of its text that is searched."""
SCHEMA = """
CREATE TABLE about (stamp TEXT);
CREATE TABLE rows (n INTEGER PRIMARY KEY, id TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, states TEXT NOT NULL, content TEXT NOT NULL);
CREATE TABLE states (state TEXT, n INTEGER, PRIMARY KEY (state, n)) WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5 (text, content = '', tokenize = "unicode61 remove_diacritics 2");
"""


@dataclass(frozen=True)
class Row:
    """A row as it is indexed: ``states`` are what it can be filtered by, ``content`` is what its page shows."""

    id: str
    kind: str
    title: str
    states: tuple[str, ...]
    text: str
    content: Mapping[str, Any]


def index(run: Run) -> sqlite3.Connection:
    """A connection for reading, from any thread, to the index of a run, which is made if it is missing or out of date.

    Raises `PotstillError` where the run has no examples yet.
    """
    file, stamp = run.path(FILE), _stamp(run)
    if not run.path(EXAMPLES).exists():
        raise PotstillError(f"{run.folder}: no {EXAMPLES} yet; run the earlier stages first (potstill run).")
    if _stamp_of(file) != stamp:
        echo("Browse: all rows are being indexed")
        part = run.path(FILE + ".part")
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(part, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.executescript(SCHEMA)
            connection.execute("BEGIN")
            _write(connection, _rows(run))
            connection.execute("INSERT INTO search (search) VALUES ('optimize')")
            connection.execute("CREATE INDEX rows_id ON rows (id)")
            connection.execute("INSERT INTO about VALUES (?)", (stamp,))
            connection.execute("COMMIT")
        os.replace(part, file)
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def _stamp(run: Run) -> str:
    """What the index is made of: version, names, sizes and times of the tables."""
    files = [EXAMPLES, CURATED.file, *(artifacts.predictions(system.name).file for system in run.recipe.systems)]
    known = [(file, run.path(file).stat()) for file in files if run.path(file).exists()]
    return json.dumps([VERSION, *((file, stat.st_size, stat.st_mtime_ns) for file, stat in known)])


def _stamp_of(file: os.PathLike[str]) -> str:
    if not os.path.exists(file):
        return ""
    try:
        with closing(sqlite3.connect(file)) as connection:
            return str(connection.execute("SELECT stamp FROM about").fetchone()[0])
    except (sqlite3.Error, TypeError):  # cut off or damaged: it is made again
        return ""


def _write(connection: sqlite3.Connection, rows: Iterator[Row]) -> None:
    for n, row in enumerate(rows, 1):
        content = json.dumps(row.content, ensure_ascii=False)
        connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)",
            (n, row.id, row.kind, row.title, " · ".join(row.states), content),
        )
        connection.executemany(
            "INSERT OR IGNORE INTO states VALUES (?, ?)", [(state, n) for state in (row.kind, *row.states)]
        )
        connection.execute("INSERT INTO search (rowid, text) VALUES (?, ?)", (n, f"{row.id} {row.text}"[:MAX_SEARCHED]))


def _rows(run: Run) -> Iterator[Row]:
    """Test questions with all answers, then the training rows, then examples that nothing was made of."""
    task = run.task
    examples: dict[str, Example] = {example["id"]: example for example in run.examples()}
    yield from _questions(run, task, examples)
    asked = set()
    if run.path(CURATED.file).exists():
        with pq.ParquetFile(run.path(CURATED.file)) as file:
            for batch in file.iter_batches(ROWS_PER_BATCH):
                for curated in batch.to_pylist():
                    asked.add(curated["id"])
                    yield _training(task, examples.get(curated["id"]), curated)
    for example in examples.values():
        if example["split"] not in TEST_SPLITS and example["id"] not in asked:
            title = _question(task, example)
            content = {"example": _shown(task, example)}
            yield Row(example["id"], "other example", title[:MAX_TITLE], (f"split {example['split']}",), title, content)


def _questions(run: Run, task: Task, examples: Mapping[str, Example]) -> Iterator[Row]:
    tables = [artifacts.predictions(system.name) for system in run.recipe.systems]
    names = [system.name for system in run.recipe.systems]
    predicted = {
        name: {row["id"]: row for row in run.read(table)}
        for name, table in zip(names, tables, strict=True)
        if run.path(table.file).exists()
    }
    for split in TEST_SPLITS:
        for example in examples.values():
            if example["split"] == split:
                answers = {name: rows[example["id"]] for name, rows in predicted.items() if example["id"] in rows}
                states = (f"split {split}", *(f"{name}: {answer['outcome']}" for name, answer in answers.items()))
                title = _question(task, example)
                texts = [title, str(example["gold"] or ""), *(answer["text"] for answer in answers.values())]
                content = {"example": _shown(task, example), "answers": _with_turns(task, example, answers)}
                yield Row(example["id"], "test question", title[:MAX_TITLE], states, "\n".join(texts), content)


def _with_turns(task: Task, example: Example, answers: Mapping[str, Prediction]) -> dict[str, dict[str, Any]]:
    """The answers, each with what the system said in the turns before."""
    return {
        name: {**answer, "earlier": shown_answer(task, example, answer, name).earlier}
        for name, answer in answers.items()
    }


def _training(task: Task, example: Example | None, curated: Mapping[str, Any]) -> Row:
    title = (
        _question(task, example)
        if example
        else curated["student_messages"][-1]["content"]
        if curated["student_messages"]
        else ""
    )
    kept = bool(curated["kept"])
    state = "training row, kept" if kept else f"training row, dropped: {in_words(curated['reason'])}"
    text = "\n".join(
        str(part) for part in (title, curated["text"], curated["reasoning"], curated["completion"]) if part
    )
    content = {"example": _shown(task, example) if example else None, "row": curated}
    return Row(f"{curated['id']}/{curated['sample']}", "training row", title[:MAX_TITLE], (state,), text, content)


def _question(task: Task, example: Example) -> str:
    return "\n".join(column.display(example[name]) for name, column in task.columns.items())


def _shown(task: Task, example: Example) -> dict[str, Any]:
    *_, reference = task.references(example) or (None,)
    return {
        "id": example["id"], "split": example["split"], "group": example["group"], "gold": example["gold"],
        "question": "\n\n".join(message["content"] for message in task.asked(example)), "rationale": example["rationale"], "system": example["system"],
        "reference": reference,
    }  # fmt: skip
