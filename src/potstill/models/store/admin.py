"""Store maintenance: statistics, export/import, pruning, recovery."""

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
from potstill.models.store.store import (
    COLUMNS,
    KEY_BYTES,
    Store,
    checksum,
    is_corruption,
    transaction,
    translate_errors,
)
from potstill.models.store.wal import wal_is_intact

EXPORTED_COLUMNS = (*COLUMNS, "model", "run", "time")
ROW_IDS_PER_PAGE = 64
"""More rows than fit into one page of the file."""
_COLUMN_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("text", "reasoning", "finish_reason", "logprobs", "model", "run"), str),
    **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"), int),
    **dict.fromkeys(("seconds", "cost", "time"), int | float),
}


@dataclass(frozen=True)
class ModelUsage:
    """Stored completions and failures of one model; ``cost`` in US dollars."""

    model: str
    completions: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    failures: dict[str, int]
    """Number of requests by kind of error, without those that succeeded later."""


def open_existing(path: Path) -> Store:
    """Open a store without ever creating one. Raises `RecipeError` where there is none."""
    _require_file(path)
    return Store(path)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise RecipeError(f"{path}: {'this is not a file' if path.exists() else 'there is no store yet'}.")


def stats(path: Path) -> list[ModelUsage]:
    """Usage by model, sorted by name. Raises `RecipeError` where there is no store, `PotstillError` for a corrupt one."""
    _require_file(path)
    with translate_errors(path), closing(_connect_read_only(path)) as connection:
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
        ModelUsage(model, n, int(prompt_tokens), int(completion_tokens), cost, failures.get(model, {}))
        for model in sorted({*answered, *failures})
        for _, n, prompt_tokens, completion_tokens, cost in [answered.get(model, (model, 0, 0, 0, 0.0))]
    ]


def verify(path: Path) -> list[str]:
    """Faults of the file, one message each; empty when it is intact. Changes nothing."""
    _require_file(path)
    faults = []
    if not wal_is_intact(Path(f"{path.resolve()}-wal")):
        faults.append("its write-ahead log is corrupt; the completions from there on are lost")
    try:
        with closing(_connect_read_only(path)) as connection:
            faults += [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            if not faults and _has_tables(connection) and (lost := sum(row is None for row in _salvage(connection))):
                faults.append(f"{lost} completions cannot be read")
    except sqlite3.DatabaseError as error:
        if not is_corruption(error):
            with translate_errors(path):
                raise
        faults.append(str(error))
    return [line for fault in faults for line in fault.splitlines()]


def export(path: Path, target: Path) -> tuple[int, int]:
    """Write every completion as a line of JSON (gzipped if the name ends with ``.gz``); returns rows written and lost.

    Of a corrupt file every readable row is written; the other row ids count as lost, an upper bound.
    Raises `RecipeError` where ``target`` exists or has no folder, `PotstillError` where nothing can be read.
    """
    _require_file(path)
    if target.exists():
        raise RecipeError(f"{target} exists already; name a new file.")
    if not target.absolute().parent.is_dir():
        raise RecipeError(f"{target}: there is no folder {target.parent}. Create it, or name another.")
    part = target.with_name(target.name + ".part")
    written = lost = 0
    try:
        with (
            closing(_connect_read_only(path)) as connection,
            _open_for_writing(part, gzipped=target.suffix == ".gz") as file,
        ):
            # A truncated file: without this SQLite refuses all of it, although the remaining pages can be read.
            connection.execute("PRAGMA writable_schema=1")
            for row in _salvage(connection):
                if row is None:
                    lost += 1
                    continue
                row["key"] = row["key"].hex()
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                written += 1
        part.replace(target)
    except sqlite3.DatabaseError as error:
        if not is_corruption(error):
            with translate_errors(path):
                raise
        raise PotstillError(f"{path}: nothing in it can be read ({error}).") from error
    finally:
        part.unlink(missing_ok=True)
    return written, lost


def import_(store: Store, source: Path) -> tuple[int, int]:
    """Add the completions of an exported file; returns the numbers of rows added, and of rows already stored.

    Raises `RecipeError` for a line that is not an exported completion; then nothing is added.
    """
    if not source.exists() or source.is_dir():
        raise RecipeError(f"{source}: there is no such file.")
    columns = (*EXPORTED_COLUMNS, "checksum")
    insert = f"INSERT OR IGNORE INTO completions ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"
    n = 0
    with store.connection() as connection, transaction(connection):
        before = connection.total_changes
        for row in _parse_export(source):
            connection.execute(insert, row)
            n += 1
        added = connection.total_changes - before
    return added, n - added


def prune(store: Store, model: str | None, before: float | None, *, delete: bool) -> int:
    """Count completions of ``model`` stored ``before`` a time (seconds since 1970; None: any); ``delete`` removes them."""
    where = " AND ".join(["1", *["model = ?"] * (model is not None), *["time < ?"] * (before is not None)])
    values = [value for value in (model, before) if value is not None]
    with store.connection() as connection:
        (n,) = connection.execute(f"SELECT count(*) FROM completions WHERE {where}", values).fetchone()
        if delete:
            with transaction(connection):
                connection.execute(f"DELETE FROM completions WHERE {where}", values)
                connection.execute(f"DELETE FROM failures WHERE {where}", values)
                if before is None:  # what a server does not take is found out anew
                    connection.execute("DELETE FROM dialects WHERE ? IS NULL OR server LIKE '% ' || ?", [model, model])
            connection.execute("VACUUM")
    return int(n)


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; a writable one would, when closed, copy the WAL into the file and delete it."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except sqlite3.OperationalError as error:
        if is_corruption(error) or Path(f"{path.resolve()}-wal").exists():
            return connection
        connection.close()  # a read-only disk, where SQLite cannot lock
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    except sqlite3.DatabaseError:
        pass  # raised again by the first query of the caller
    return connection


def _has_tables(connection: sqlite3.Connection) -> bool:
    """False for an empty file. Raises `PotstillError` for a database that is not a store."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if names and "completions" not in names:
        raise PotstillError("This database is not a store of potstill.")
    return bool(names)


def _salvage(connection: sqlite3.Connection) -> Iterator[dict[str, Any] | None]:
    """Every row in order of ids, None for an id that cannot be read; a range with an unreadable row is bisected."""
    ranges = [(1, _highest_id(connection))]
    while ranges:
        low, high = ranges.pop()
        if low > high:
            continue
        last = low - 1
        try:
            query = f"SELECT id, checksum, {','.join(EXPORTED_COLUMNS)} FROM completions WHERE id BETWEEN ? AND ? ORDER BY id"
            for id_, stored_checksum, *values in connection.execute(query, [low, high]):
                last = id_
                row = dict(zip(EXPORTED_COLUMNS, values, strict=True))
                yield None if _invalid_column(row) or stored_checksum != checksum(values[: len(COLUMNS)]) else row
        except sqlite3.DatabaseError:
            # The rows before the unreadable one were yielded; the rest is retried in halves.
            low = last + 1
            if low == high:
                yield None
            else:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _highest_id(connection: sqlite3.Connection) -> int:
    """The highest row id; an upper bound where the pages that hold it are corrupt."""
    try:
        return int(connection.execute("SELECT coalesce(max(id), 0) FROM completions").fetchone()[0])
    except sqlite3.DatabaseError:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        return int(pages) * ROW_IDS_PER_PAGE


def _invalid_column(row: Mapping[str, Any]) -> str:
    """The name of the first column whose value has a wrong type or is out of range; empty if all are valid."""
    if not isinstance(row["key"], bytes) or len(row["key"]) != KEY_BYTES:
        return "key"
    for name, kind in _COLUMN_TYPES.items():
        value = row[name]
        if not isinstance(value, kind) or (isinstance(value, str) and encodable(value) != value):
            return name
        if kind is not str and (isinstance(value, bool) or not 0 <= value < 1 << 63):
            return name
    return ""


@contextmanager
def _open_for_writing(path: Path, *, gzipped: bool) -> Iterator[IO[str]]:
    with gzip.open(path, "wt", encoding="utf-8") if gzipped else path.open("w", encoding="utf-8") as file:
        yield file


@contextmanager
def _open_for_reading(path: Path) -> Iterator[IO[str]]:
    """A text file or pipe, gzipped or not, recognized by its content and not by its name."""
    with path.open("rb") as file:
        decompressed: Any = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == b"\x1f\x8b" else file
        with io.TextIOWrapper(decompressed, encoding="utf-8-sig") as text:
            yield text


def _parse_export(source: Path) -> Iterator[list[Any]]:
    try:
        with _open_for_reading(source) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    row["key"] = bytes.fromhex(row["key"])
                    invalid = _invalid_column(row)
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise RecipeError(f"{source}, line {number}: not an exported completion: {error!r}.") from error
                if invalid:
                    raise RecipeError(f"{source}, line {number}: '{invalid}' has a wrong type or is out of range.")
                yield [*(row[name] for name in EXPORTED_COLUMNS), checksum([row[name] for name in COLUMNS])]
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise RecipeError(f"{source}: it is truncated or corrupt: {error}.") from error
