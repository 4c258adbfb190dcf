"""review.sqlite: what a review asks and everything that reviewers answered.

Reviewers are served by one process. One thread writes: it takes all writes that wait, carries them out in one transaction, and only
then reports each as done. So an answer is on the disk before a page says so, and a hundred reviewers share the cost of one commit.
"""

import json
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from potstill.errors import PotstillError

FILE = "review.sqlite"
VERSION = "2"
SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- place: in the order of the review; NULL for a question that is not in the draw. holder: who labels it where not all do.
CREATE TABLE questions (id TEXT PRIMARY KEY, place INTEGER, shared INTEGER NOT NULL, items INTEGER NOT NULL, holder TEXT, held_since REAL);
-- All that `reviewing.progress` reads of a question.
CREATE INDEX questions_holder ON questions (holder, shared, place, items);
-- place: NULL where the answer is no longer the system's. content: the item as JSON. is_check: 1 for a check of attention.
CREATE TABLE items (id TEXT PRIMARY KEY, question TEXT NOT NULL, place INTEGER, is_check INTEGER NOT NULL, content TEXT NOT NULL);
CREATE INDEX items_place ON items (place);
CREATE INDEX items_question ON items (question);
CREATE TABLE reviewers (name TEXT PRIMARY KEY, joined TEXT NOT NULL, stopped INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE sessions (digest TEXT PRIMARY KEY, reviewer TEXT) WITHOUT ROWID;
CREATE TABLE answers (reviewer TEXT, item TEXT, answer TEXT NOT NULL, seconds REAL NOT NULL, time TEXT NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (reviewer, item)) WITHOUT ROWID;
CREATE INDEX answers_n ON answers (reviewer, n);
CREATE INDEX answers_item ON answers (item);
-- Every answer that was ever given; NULL where it was undone.
CREATE TABLE history (n INTEGER PRIMARY KEY, reviewer TEXT NOT NULL, item TEXT NOT NULL, answer TEXT, time TEXT NOT NULL);
CREATE INDEX history_item ON history (item, reviewer);
"""
Result = TypeVar("Result")
Write = Callable[[sqlite3.Connection], Result]


def connect(file: Path) -> sqlite3.Connection:
    """A connection to an existing or new file. Raises `PotstillError` for a file that is no database."""
    try:
        # One thread at a time uses a connection.
        connection = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: with NORMAL a power cut could take back answers that a page has called saved.
        connection.execute("PRAGMA synchronous = FULL")
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.executescript(
                f"BEGIN IMMEDIATE; {SCHEMA} INSERT INTO settings VALUES ('version', '{VERSION}'); COMMIT;"
            )
        found = setting(connection, "version")
    except sqlite3.Error as error:
        raise PotstillError(
            f"{file} cannot be used as the database of a review: {error}. Move it away to begin a new review."
        ) from error
    if found != VERSION:
        raise PotstillError(
            f"{file} is of version {found}, and this potstill reads version {VERSION}. Move it away to begin a new review."
        )
    return connection


def setting(connection: sqlite3.Connection, name: str) -> str:
    """A setting; empty where there is none."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return row["value"] if row else ""


def put_setting(connection: sqlite3.Connection, name: str, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, text))


class Database:
    """The file of one review, opened by the server. ``read`` is for one thread, which is that of the event loop."""

    def __init__(self, file: Path) -> None:
        self.read = connect(file)
        self._writer = connect(file)
        self._waiting: SimpleQueue[tuple[Write[Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="review writer", daemon=True)
        self._thread.start()

    def write(self, function: Write[Result]) -> "Future[Result]":
        """Carry out ``function`` with a connection in a transaction; done when it is committed. An error in it undoes what it did,
        and nothing else."""
        future: Future[Result] = Future()
        self._waiting.put((function, future))
        return future

    def close(self) -> None:
        """Wait for all writes, then close the file."""
        self._waiting.put(None)
        self._thread.join()
        self._writer.close()
        self.read.close()

    def _write(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while not self._waiting.empty():
                if (one := self._waiting.get()) is None:
                    self._waiting.put(None)
                    break
                batch.append(one)
            self._commit(batch)

    def _commit(self, batch: list[tuple[Write[Any], Future[Any]]]) -> None:
        done: list[Callable[[], None]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            done = [self._one(function, future) for function, future in batch]
            self._writer.execute("COMMIT")
        except BaseException as error:  # a full disk: whoever waits must know
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            for _, future in batch:
                future.set_exception(error)
        else:
            for report in done:
                report()

    def _one(self, function: Write[Any], future: "Future[Any]") -> Callable[[], None]:
        """Carry out one write; returns what reports its result once it is committed."""
        self._writer.execute("SAVEPOINT one")
        try:
            result = function(self._writer)
        except Exception as error:
            failed = error
            self._writer.execute("ROLLBACK TO one")
            self._writer.execute("RELEASE one")
            return lambda: future.set_exception(failed)
        self._writer.execute("RELEASE one")
        return lambda: future.set_result(result)
