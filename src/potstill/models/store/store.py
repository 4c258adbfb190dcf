"""Content-addressed cache of completions in one SQLite file, keyed by request."""

import hashlib
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson
from filelock import FileLock

from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind, Request, Sampling

T = TypeVar("T")
FILE_NAME = "completions.sqlite"
KEY_VERSION = 2
DRAWN_KEY_VERSION = 3
"""Version of keys above temperature 0: since 3 the seed of a draw depends on the prompt."""
KEY_BYTES = 32
SCHEMA_VERSION = 3
"""Version of the tables, stored as SQLite's ``user_version``."""
LOCK_TIMEOUT_SECONDS = 60.0
"""How long to wait for another process that writes."""
KEYS_PER_LOOKUP = 500
"""Keys in one SQL statement."""
WAL_CHECKPOINT_PAGES = 16_384
"""Length of SQLite's write-ahead log (pages of 4 KiB) at which a commit copies it into the file, and waits for the disk."""
COLUMNS = (
    "text", "reasoning", "finish_reason", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens",
    "logprobs", "seconds", "cost", "key",
)  # fmt: skip
"""Columns of a completion in the order of `Completion`; the table has ``checksum``, ``model``, ``run`` and ``time`` as well."""
_DIALECTS = """CREATE TABLE IF NOT EXISTS dialects (
    server TEXT NOT NULL, field TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (server, field)) WITHOUT ROWID"""
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


class KeyFunction(Protocol):
    """The store key of a request, of which the server does not take the fields ``left_out``."""

    def __call__(self, request: Request, left_out: Sequence[str] = ()) -> bytes: ...


def key_function(identity: Mapping[str, Any]) -> KeyFunction:
    """A function that returns the store key (32 bytes) of a request to the model with ``identity``.

    A key is the SHA-256 of everything that decides the answer. The row's id and its position are not part of it, nor a field
    that is left out and that the request does not have.
    """
    hashers: dict[tuple[Sampling, int, tuple[str, ...]], Any] = {}
    own_fields = set(identity.get("extra_body") or ())

    def key(request: Request, left_out: Sequence[str] = ()) -> bytes:
        lacking = tuple(sorted((request.optional_fields() | own_fields).intersection(left_out))) if left_out else ()
        draw = (request.sampling, request.sample, lacking)
        if (hasher := hashers.get(draw)) is None:
            sampling, version = asdict(request.sampling), DRAWN_KEY_VERSION
            if request.sampling.temperature == 0:
                del sampling["top_p"], sampling["seed"]
                version = KEY_VERSION
            prefix = {"version": version, "model": identity, "sampling": sampling, "sample": request.sample}
            prefix |= {"left_out": lacking} if lacking else {}
            hasher = hashers[draw] = hashlib.sha256(_json(prefix))
        hasher = hasher.copy()
        hasher.update(_json([request.schema, *request.messages]))
        return bytes(hasher.digest())

    return key


def candidate_keys(key: KeyFunction, request: Request, left_out: Sequence[str]) -> list[bytes]:
    """The keys under which an answer to a request may be stored, that of the complete request first: a server refused one field
    after the other."""
    if not left_out:
        return [key(request)]
    return list(dict.fromkeys(key(request, left_out[:n]) for n in range(len(left_out) + 1)))


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


class Store:
    """Completions by key; several threads and processes can use one file concurrently (SQLite in WAL mode).

    A completion that `put` stored survives a crash of the process; after `sync` it survives a power cut.

    Opening creates the file and its folder. Raises `PotstillError` for a corrupt file or one with another schema.
    """

    def __init__(self, path: Path) -> None:
        path = path.resolve()  # SQLite writes its WAL beside the file itself, not beside a link to it
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        # SQLite does not wait for another process that changes the journal mode concurrently.
        with FileLock(f"{path}.lock"), self.connection() as connection:
            (schema_version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables and schema_version != SCHEMA_VERSION:
                raise PotstillError(
                    f"{path} was not written by this version of potstill. Move it away, or name another file in POTSTILL_STORE."
                )
            connection.execute("PRAGMA journal_mode=WAL")  # a copy that SQLite made is not in WAL mode
            if not tables:
                connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={SCHEMA_VERSION}; COMMIT")
            connection.execute(_DIALECTS)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time, in autocommit mode. Raises `PotstillError` for a corrupt file."""
        with self._lock, translate_errors(self.path):
            if not hasattr(self, "_connection"):
                self._connection = connect(self.path)
            yield self._connection

    def existing(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those of ``keys`` that have a completion."""
        with self.connection() as connection:
            return {row[0] for row in connection.execute(_where("SELECT key FROM completions", keys), keys)}

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Completion]:
        """The stored completions of ``keys``, without request ids; for the others their last failure, if there is one.

        Raises `PotstillError` for a row whose checksum does not match.
        """
        with self.connection() as connection:
            rows = connection.execute(_where(f"SELECT checksum, {','.join(COLUMNS)} FROM completions", keys), keys)
            completions: dict[bytes, Completion] = {}
            for stored_checksum, *row in rows:
                if stored_checksum != checksum(row):
                    raise _corrupt(self.path, "the checksum of a completion does not match")
                completions[row[-1]] = Completion("", 0, *row)
            if missing := [key for key in keys if key not in completions]:
                failed = connection.execute(_where("SELECT key, kind, detail FROM failures", missing), missing)
                for key, kind, detail in failed:
                    completions[key] = Completion("", 0, key=key, error=ErrorKind(kind), detail=detail)
        return completions

    def put(
        self,
        completions: Sequence[Completion],
        model: str = "",
        run: str = "",
        *,
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        """Commit completions, and failures to a table of their own; a stored completion is never replaced.

        ``run`` is the id of the run that pays. Raises `Locked` when another process holds the file's lock for longer
        than ``lock_timeout`` seconds.
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
            connection.execute(f"PRAGMA busy_timeout={lock_timeout * 1000:.0f}")
            try:
                _insert(connection, into, answered)
                _insert(connection, "INSERT OR REPLACE INTO failures", failed)
            finally:
                connection.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT_SECONDS * 1000:.0f}")

    def begin_batch(self, label: str, server: str, keys: Sequence[bytes]) -> None:
        """Record a batch before it is submitted; ``keys`` are the store keys of its requests.

        ``label`` is unique, and part of the batch itself: it identifies the batch on the server while its id is unknown.
        """
        with self.connection() as connection:
            row = (label, server, b"".join(keys), time.time())
            connection.execute("INSERT INTO batches (mark, server, keys, time) VALUES (?, ?, ?, ?)", row)

    def name_batch(self, label: str, id_: str) -> None:
        """Record the id that the server gave the batch."""
        with self.connection() as connection:
            connection.execute("UPDATE batches SET id = ? WHERE mark = ?", [id_, label])

    def end_batch(self, label: str) -> None:
        """Forget a batch: its answers are stored, or it was never created."""
        with self.connection() as connection:
            connection.execute("DELETE FROM batches WHERE mark = ?", [label])

    def open_batches(self, server: str) -> list[tuple[str, str | None, set[bytes]]]:
        """Label, id (None while unknown) and keys of the batches that were submitted to ``server`` and not ended."""
        with self.connection() as connection:
            rows = connection.execute("SELECT mark, id, keys FROM batches WHERE server = ? ORDER BY time", [server])
            return [
                (label, id_, {keys[i : i + KEY_BYTES] for i in range(0, len(keys), KEY_BYTES)})
                for label, id_, keys in rows
            ]

    def left_out(self, server: str) -> tuple[str, ...]:
        """The fields that a server does not take, in the order in which it refused them."""
        with self.connection() as connection:
            rows = connection.execute("SELECT field FROM dialects WHERE server = ? ORDER BY number", [server])
            return tuple(field for (field,) in rows)

    def leave_out(self, server: str, fields: Sequence[str]) -> None:
        """Record the fields that a server does not take."""
        rows = [(server, field, number) for number, field in enumerate(fields)]
        with self.connection() as connection:
            connection.executemany("INSERT OR IGNORE INTO dialects VALUES (?, ?, ?)", rows)

    def sync(self) -> None:
        """Return when everything that was put is on the disk."""
        # SQLite's synchronous=FULL would wait for the disk at every commit.
        descriptor = os.open(f"{self.path}-wal", os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def spent(self, run: str, model: str) -> tuple[int, int, float]:
        """What ``run`` has spent on ``model``: requests answered, tokens of prompts and completions, US dollars."""
        with self.connection() as connection:
            requests, tokens, cost = connection.execute(
                "SELECT count(*), total(prompt_tokens + completion_tokens), total(cost) FROM completions WHERE run = ? AND model = ?",
                [run, model],
            ).fetchone()
        return requests, int(tokens), cost


class Locked(PotstillError):  # noqa: N818
    """Another process holds the store's lock."""


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-65536")
    connection.execute(f"PRAGMA wal_autocheckpoint={WAL_CHECKPOINT_PAGES}")
    return connection


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Within, SQLite's errors about the file ``path`` become `PotstillError` with a remedy; others pass unchanged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_corruption(error):
            raise _corrupt(path, str(error)) from error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Locked(
                f"{path} has been locked by another process for too long. Wait for that process or stop it, then rerun."
            ) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise PotstillError(f"{path} cannot be written ({error}). Fix its permissions.") from error
        raise


def is_corruption(error: sqlite3.DatabaseError) -> bool:
    """Whether the error says that the file's content is corrupt; also for text that is not UTF-8."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "decode to UTF-8" in str(error)


def _corrupt(path: Path, reason: str) -> PotstillError:
    return PotstillError(
        f"{path} is corrupt ({reason}); nothing in it was changed. `potstill store export FILE` recovers what is intact; "
        "then move the corrupt file away and `potstill store import FILE`."
    )


def checksum(row: Sequence[Any]) -> int | None:
    """CRC-32 of a row of `COLUMNS` without seconds and cost, since disks flip bits silently; None if a type is wrong."""
    try:
        return zlib.crc32(row[-1], zlib.crc32(orjson.dumps(row[:8])))
    except TypeError:
        return None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction: committed at the end, rolled back if an exception leaves it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _insert(connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert many rows with one statement, which is its own transaction: it takes Python's lock once, not for each row."""
    for chunk in batched(rows, KEYS_PER_LOOKUP):
        values = ",".join([f"({_placeholders(len(chunk[0]))})"] * len(chunk))
        connection.execute(f"{into} VALUES {values}", [value for row in chunk for value in row])


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items, the last one shorter (itertools.batched of Python 3.12)."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _where(select: str, keys: Sequence[bytes]) -> str:
    return f"{select} WHERE key IN ({_placeholders(len(keys))})"


def _placeholders(n: int) -> str:
    return ",".join("?" * n)
