"""Read what can be read of a store's file, corrupt or not, without changing it."""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from potstill.errors import PotstillError
from potstill.models import encodable
from potstill.models.store.store import COLUMNS, KEY_BYTES, checksum, is_corruption

EXPORTED_COLUMNS = (*COLUMNS, "model", "run", "time")
ROW_IDS_PER_PAGE = 64
"""More rows than fit into one page of the file."""
COLUMN_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("text", "reasoning", "finish_reason", "logprobs", "model", "run"), str),
    **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"), int),
    **dict.fromkeys(("seconds", "cost", "time"), int | float),
}


def connect_read_only(path: Path) -> sqlite3.Connection:
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


def has_tables(connection: sqlite3.Connection) -> bool:
    """False for an empty file. Raises `PotstillError` for a database that is not a store."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if names and "completions" not in names:
        raise PotstillError("This database is not a store of potstill.")
    return bool(names)


def salvage(connection: sqlite3.Connection) -> Iterator[dict[str, Any] | None]:
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
                yield None if invalid_column(row) or stored_checksum != checksum(values[: len(COLUMNS)]) else row
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


def invalid_column(row: Mapping[str, Any]) -> str:
    """The name of the first column whose value has a wrong type or is out of range; empty if all are valid."""
    if not isinstance(row["key"], bytes) or len(row["key"]) != KEY_BYTES:
        return "key"
    for name, kind in COLUMN_TYPES.items():
        value = row[name]
        if not isinstance(value, kind) or (isinstance(value, str) and encodable(value) != value):
            return name
        if kind is not str and (isinstance(value, bool) or not 0 <= value < 1 << 63):
            return name
    return ""
