"""Every completion that was ever paid for, in one SQLite file, by what was asked."""

import hashlib
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import orjson
from filelock import FileLock

from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind, Request, Sampling

T = TypeVar("T")
FILE_NAME = "completions.sqlite"
KEY_VERSION = 2
LAYOUT = 3
"""Version of the tables, as SQLite's ``user_version``."""
LONGEST_LOCK = 60.0
"""Seconds to wait for another process that writes."""
KEYS_PER_LOOKUP = 500
"""Keys looked up together."""
LOG_PAGES = 16_384
"""Pages of 4 KiB of SQLite's log after which it is copied into the file: a commit that does so waits for the disk."""
COLUMNS = (
    "text", "reasoning", "finish_reason", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens",
    "logprobs", "seconds", "cost", "key",
)  # fmt: skip
"""Columns of a completion in the order of `Completion`; the table has ``checksum``, ``model``, ``run`` and ``time`` as well."""
_TABLES = """
CREATE TABLE completions (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, text TEXT NOT NULL, reasoning TEXT NOT NULL,
    finish_reason TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL, logprobs TEXT NOT NULL, seconds REAL NOT NULL,
    cost REAL NOT NULL, checksum INTEGER NOT NULL, model TEXT NOT NULL, run TEXT NOT NULL, time REAL NOT NULL);
CREATE TABLE failures (
    key BLOB NOT NULL PRIMARY KEY, kind TEXT NOT NULL, detail TEXT NOT NULL, model TEXT NOT NULL, run TEXT NOT NULL,
    time REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE batches (
    mark TEXT PRIMARY KEY, server TEXT NOT NULL, id TEXT, keys BLOB NOT NULL, time REAL NOT NULL) WITHOUT ROWID;
"""


def key_function(identity: Mapping[str, Any]) -> Callable[[Request], bytes]:
    """A function from a request to the model of that identity to its key in the store.

    A key is the SHA-256 of everything that decides the answer, and of nothing else: neither the row's id nor its place.
    """
    begun: dict[tuple[Sampling, int], Any] = {}

    def key(request: Request) -> bytes:
        which = (request.sampling, request.sample)
        if (hasher := begun.get(which)) is None:
            sampling = asdict(request.sampling)
            if request.sampling.temperature == 0:
                del sampling["top_p"], sampling["seed"]
            asked = {"version": KEY_VERSION, "model": identity, "sampling": sampling, "sample": request.sample}
            hasher = begun[which] = hashlib.sha256(_json(asked))
        hasher = hasher.copy()
        hasher.update(_json([request.schema, *request.messages]))
        return bytes(hasher.digest())

    return key


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


class Store:
    """Completions by key, for several threads and processes at once (WAL).

    What was put outlives the process from then on, and a power cut after `sync`.
    """

    def __init__(self, path: Path) -> None:
        path = path.resolve()  # SQLite puts its log beside the file itself, not beside a link to it
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        # SQLite does not wait for another process that is changing the mode at the same time.
        with FileLock(f"{path}.lock"), self.connection() as connection:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables and layout != LAYOUT:
                raise PotstillError(
                    f"{path} was not written by this version of potstill. Move it away, or name another file in POTSTILL_STORE."
                )
            connection.execute("PRAGMA journal_mode=WAL")  # also of a copy, which SQLite makes without
            if not tables:
                connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={LAYOUT}; COMMIT")

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time, in autocommit mode. Raises `PotstillError` for a damaged file."""
        with self._lock, diagnosed(self.path):
            if not hasattr(self, "_connection"):
                self._connection = connect(self.path)
            yield self._connection

    def existing(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those of ``keys`` that have a completion."""
        with self.connection() as connection:
            return {row[0] for row in connection.execute(_where("SELECT key FROM completions", keys), keys)}

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        """The stored completions among ``keys``, without id; for the others, what they failed with."""
        with self.connection() as connection:
            rows = connection.execute(_where(f"SELECT checksum, {','.join(COLUMNS)} FROM completions", keys), keys)
            found: dict[bytes, Completion] = {}
            for written, *row in rows:
                if written != checksum(row):
                    raise _damaged(self.path, "an answer is not as it was written")
                found[row[-1]] = Completion("", 0, *row)
            if missing := [key for key in keys if key not in found]:
                failed = connection.execute(_where("SELECT key, kind, detail FROM failures", missing), missing)
                for key, kind, detail in failed:
                    found[key] = Completion("", 0, key=key, error=ErrorKind(kind), detail=detail)
        return found

    def put(
        self, completions: Sequence[Completion], model: str = "", run: str = "", seconds: float = LONGEST_LOCK
    ) -> None:
        """Commit completions, and failures apart from them; a completion that is there already stays.

        Raises `Locked` when another process has the file locked for ``seconds``.
        """
        now = time.time()
        rows = [
            (c.text, c.reasoning, c.finish_reason, c.prompt_tokens, c.cached_tokens, c.completion_tokens,
             c.reasoning_tokens, c.logprobs, c.seconds, c.cost, c.key)
            for c in completions if c.error is None
        ]  # fmt: skip
        answered = [(*row, checksum(row), model, run, now) for row in rows]
        failed = [(c.key, c.error.value, c.detail, model, run, now) for c in completions if c.error is not None]
        into = f"INSERT OR IGNORE INTO completions ({','.join(COLUMNS)}, checksum, model, run, time)"
        with self.connection() as connection:
            connection.execute(f"PRAGMA busy_timeout={seconds * 1000:.0f}")
            try:
                _insert(connection, into, answered)
                _insert(connection, "INSERT OR REPLACE INTO failures", failed)
            finally:
                connection.execute(f"PRAGMA busy_timeout={LONGEST_LOCK * 1000:.0f}")

    def begin_batch(self, mark: str, server: str, keys: Sequence[bytes]) -> None:
        """Note that these requests are about to be handed in; ``mark`` goes with them, to find them again."""
        with self.connection() as connection:
            row = (mark, server, b"".join(keys), time.time())
            connection.execute("INSERT INTO batches (mark, server, keys, time) VALUES (?, ?, ?, ?)", row)

    def name_batch(self, mark: str, id_: str) -> None:
        """Note the name that the server gave it."""
        with self.connection() as connection:
            connection.execute("UPDATE batches SET id = ? WHERE mark = ?", [id_, mark])

    def end_batch(self, mark: str) -> None:
        """Its answers are kept, or it never came to be."""
        with self.connection() as connection:
            connection.execute("DELETE FROM batches WHERE mark = ?", [mark])

    def open_batches(self, server: str) -> list[tuple[str, str | None, set[bytes]]]:
        """Mark, name and keys of the batches that were handed in to a server and not ended."""
        with self.connection() as connection:
            rows = connection.execute("SELECT mark, id, keys FROM batches WHERE server = ? ORDER BY time", [server])
            return [(mark, id_, {keys[i : i + 32] for i in range(0, len(keys), 32)}) for mark, id_, keys in rows]

    def sync(self) -> None:
        """Return when all that was put is on the disk."""
        # Not by SQLite's synchronous=FULL, which would wait for the disk at every commit.
        descriptor = os.open(f"{self.path}-wal", os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def spent(self, run: str, model: str) -> tuple[int, int, float]:
        """Requests answered, tokens of prompts and completions, and US dollars that ``run`` has spent on ``model``."""
        with self.connection() as connection:
            requests, tokens, cost = connection.execute(
                "SELECT count(*), total(prompt_tokens + completion_tokens), total(cost) FROM completions WHERE run = ? AND model = ?",
                [run, model],
            ).fetchone()
        return requests, int(tokens), cost


class Locked(PotstillError):  # noqa: N818
    """Another process holds the store."""


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=LONGEST_LOCK, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-65536")
    connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
    return connection


@contextmanager
def diagnosed(path: Path) -> Iterator[None]:
    """Say what SQLite's errors mean for the user. Raises `PotstillError`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "decode to UTF-8" in str(error):
            raise _damaged(path, str(error)) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Locked(
                f"{path} has been locked by another process for too long. Wait for it, or stop it; then run again."
            ) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise PotstillError(f"{path} cannot be written ({error}). Mend its permissions.") from error
        raise


def _damaged(path: Path, why: str) -> PotstillError:
    return PotstillError(
        f"{path} is damaged ({why}); nothing in it was changed. `potstill store export FILE` saves what is whole; then move "
        "the damaged file away and `potstill store import FILE`."
    )


def checksum(row: Sequence[Any]) -> int | None:
    """CRC-32 of what matters in a row of `COLUMNS`: bits flip on disks unseen. None where the row cannot be one."""
    try:
        return zlib.crc32(row[-1], zlib.crc32(orjson.dumps(row[:8])))
    except TypeError:
        return None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """One statement for many rows, its own transaction: it needs Python's lock once, not once for each row."""
    for some in batched(rows, KEYS_PER_LOOKUP):
        values = ",".join([f"({_marks(len(some[0]))})"] * len(some))
        connection.execute(f"{into} VALUES {values}", [value for row in some for value in row])


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _where(select: str, keys: Sequence[bytes]) -> str:
    return f"{select} WHERE key IN ({_marks(len(keys))})"


def _marks(n: int) -> str:
    return ",".join("?" * n)
