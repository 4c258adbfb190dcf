"""Looking after a store: what is in it, taking it along, making it smaller, and saving what is whole of a damaged one."""

import gzip
import io
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from potstill.errors import PotstillError, RecipeError
from potstill.models import encodable
from potstill.models.store.store import COLUMNS, Store, checksum, diagnosed, transaction
from potstill.models.store.wal import log_is_whole

EXPORTED = (*COLUMNS, "model", "run", "time")
_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("text", "reasoning", "finish_reason", "logprobs", "model", "run"), str),
    **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"), int),
    **dict.fromkeys(("seconds", "cost", "time"), int | float),
}


@dataclass(frozen=True)
class ModelUsage:
    """What one model has answered, or failed to."""

    model: str
    completions: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    failures: dict[str, int]
    """Requests by kind of error that were answered neither then nor later."""


def open_existing(path: Path) -> Store:
    """The store that is there. Raises `RecipeError` where there is none: one that is only looked at is not made."""
    _there(path)
    return Store(path)


def _there(path: Path) -> None:
    if not path.is_file():
        raise RecipeError(f"{path}: {'this is no file' if path.exists() else 'there is no store yet'}.")


def stats(path: Path) -> list[ModelUsage]:
    """What is in the store, by model."""
    _there(path)
    with diagnosed(path), closing(_only_read(path)) as connection:
        if not _has_tables(connection):
            return []
        answered = {
            row[0]: row
            for row in connection.execute(
                "SELECT model, count(*), total(prompt_tokens), total(completion_tokens), total(cost) FROM completions GROUP BY model"
            )
        }
        failures: dict[str, dict[str, int]] = {}
        for model, kind, n in connection.execute(
            "SELECT model, kind, count(*) FROM failures WHERE key NOT IN (SELECT key FROM completions) GROUP BY model, kind"
        ):
            failures.setdefault(model, {})[kind] = n
    return [
        ModelUsage(model, n, int(read), int(written), cost, failures.get(model, {}))
        for model in sorted({*answered, *failures})
        for _, n, read, written, cost in [answered.get(model, (model, 0, 0, 0, 0.0))]
    ]


def verify(path: Path) -> list[str]:
    """What is wrong with the file, in SQLite's words; empty when it is whole. Nothing is changed."""
    _there(path)
    found = (
        [] if log_is_whole(Path(f"{path.resolve()}-wal")) else ["answers in its log are damaged, and those after them"]
    )
    try:
        with closing(_only_read(path)) as connection:
            found += [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            if not found and _has_tables(connection) and (lost := sum(row is None for row in _readable(connection))):
                found.append(f"{lost} completions cannot be read")
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            with diagnosed(path):
                raise
        found.append(str(error))
    return [line for said in found for line in said.splitlines()]


def export(path: Path, target: Path) -> tuple[int, int]:
    """Write every completion as a line of JSON (gzipped if the name ends with ``.gz``); returns rows written and lost.

    Of a damaged file what can be read is written, and row numbers that cannot be read are counted.
    """
    _there(path)
    if target.exists():
        raise RecipeError(f"{target} exists already; name a new file.")
    if not target.absolute().parent.is_dir():
        raise RecipeError(f"{target}: there is no folder {target.parent}. Make it, or name another.")
    part = target.with_name(target.name + ".part")
    written = lost = 0
    try:
        with closing(_only_read(path)) as connection, _writing(part, gzipped=target.suffix == ".gz") as file:
            # Whatever the file's header says of its length: the pages that are there can be read.
            connection.execute("PRAGMA writable_schema=1")
            for row in _readable(connection):
                if row is None:
                    lost += 1
                    continue
                row["key"] = row["key"].hex()
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                written += 1
        part.replace(target)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            with diagnosed(path):
                raise
        raise PotstillError(f"{path}: nothing in it can be read ({error}).") from error
    finally:
        part.unlink(missing_ok=True)
    return written, lost


def import_(store: Store, source: Path) -> tuple[int, int]:
    """Add the completions of an exported file; returns rows added, and rows that were there already.

    Raises `RecipeError` for a line that is no exported completion; then nothing is added.
    """
    if not source.exists() or source.is_dir():
        raise RecipeError(f"{source}: there is no such file.")
    columns = (*EXPORTED, "checksum")
    insert = f"INSERT OR IGNORE INTO completions ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"
    read = 0
    with store.connection() as connection, transaction(connection):
        before = connection.total_changes
        for row in _imported(source):
            connection.execute(insert, row)
            read += 1
        added = connection.total_changes - before
    return added, read - added


def prune(store: Store, model: str | None, before: float | None, *, really: bool) -> int:
    """Remove completions of a model, or older than a time (seconds since 1970); returns how many, removed or not."""
    where = " AND ".join(["1", *["model = ?"] * (model is not None), *["time < ?"] * (before is not None)])
    values = [value for value in (model, before) if value is not None]
    with store.connection() as connection:
        (n,) = connection.execute(f"SELECT count(*) FROM completions WHERE {where}", values).fetchone()
        if really:
            with transaction(connection):
                connection.execute(f"DELETE FROM completions WHERE {where}", values)
                connection.execute(f"DELETE FROM failures WHERE {where}", values)
            connection.execute("VACUUM")
    return int(n)


def _only_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing: at its end another would copy the log into the file and remove it."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.OperationalError as error:
        if _is_damage(error) or Path(f"{path.resolve()}-wal").exists():
            return connection
        connection.close()  # on a disk that is read only, where SQLite cannot lock
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    except sqlite3.DatabaseError:
        pass  # whoever reads will see it
    return connection


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "decode to UTF-8" in str(error)


def _has_tables(connection: sqlite3.Connection) -> bool:
    """Raises `PotstillError` for a database of somebody else's."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if names and "completions" not in names:
        raise PotstillError("This is a database, and no store of potstill's.")
    return bool(names)


def _readable(connection: sqlite3.Connection) -> Iterator[dict[str, Any] | None]:
    """Every row in order, None for one that cannot be read; around damage the range is halved until it stands alone."""
    ranges = [(1, _numbered(connection))]
    while ranges:
        low, high = ranges.pop()
        if low > high:
            continue
        last = low - 1
        try:
            query = f"SELECT id, checksum, {','.join(EXPORTED)} FROM completions WHERE id BETWEEN ? AND ? ORDER BY id"
            for number, written, *values in connection.execute(query, [low, high]):
                last = number
                row = dict(zip(EXPORTED, values, strict=True))
                yield None if _wrong(row) or written != checksum(values[: len(COLUMNS)]) else row
        except sqlite3.DatabaseError:
            # What came before the damage has been given; the rest is tried in halves.
            low = last + 1
            if low == high:
                yield None
            else:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _numbered(connection: sqlite3.Connection) -> int:
    """The highest number that a row has, or may have where the way to it is damaged."""
    try:
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM completions").fetchone()[0])
    except sqlite3.DatabaseError:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        return int(pages) * 64


def _wrong(row: Mapping[str, Any]) -> str:
    """The first column that is not what it should be; empty if all are."""
    if not isinstance(row["key"], bytes) or len(row["key"]) != 32:
        return "key"
    for name, kind in _TYPES.items():
        value = row[name]
        if not isinstance(value, kind) or (isinstance(value, str) and encodable(value) != value):
            return name
        if kind is not str and (isinstance(value, bool) or not 0 <= value < 1 << 63):
            return name
    return ""


@contextmanager
def _writing(path: Path, *, gzipped: bool) -> Iterator[IO[str]]:
    with gzip.open(path, "wt", encoding="utf-8") if gzipped else path.open("w", encoding="utf-8") as file:
        yield file


@contextmanager
def _reading(path: Path) -> Iterator[IO[str]]:
    """A file of text, gzipped or not, whatever it is called; a pipe too."""
    with path.open("rb") as file:
        unpacked: Any = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == b"\x1f\x8b" else file
        with io.TextIOWrapper(unpacked, encoding="utf-8-sig") as text:
            yield text


def _imported(source: Path) -> Iterator[list[Any]]:
    try:
        with _reading(source) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    row["key"] = bytes.fromhex(row["key"])
                    wrong = _wrong(row)
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise RecipeError(f"{source}, line {number}: no exported completion: {error!r}.") from error
                if wrong:
                    raise RecipeError(f"{source}, line {number}: '{wrong}' is not what it should be.")
                yield [*(row[name] for name in EXPORTED), checksum([row[name] for name in COLUMNS])]
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise RecipeError(f"{source}: it cannot be read to its end: {error}.") from error
