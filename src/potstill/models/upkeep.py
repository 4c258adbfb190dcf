"""Looking after a store: what is in it, taking it along, making it smaller, and saving what is whole of a damaged one."""

import gzip
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.errors import PotstillError, RecipeError
from potstill.models.store import COLUMNS, Store, connect, transaction

EXPORTED = (*COLUMNS, "model", "run", "time")
_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("text", "reasoning", "finish_reason", "logprobs", "model", "run"), str),
    **dict.fromkeys(("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"), int),
    **dict.fromkeys(("seconds", "cost", "time"), int | float),
}


@dataclass(frozen=True)
class Share:
    """What one model has answered, or failed to."""

    model: str
    completions: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    failures: dict[str, int]
    """Requests by kind of error that were answered neither then nor later."""


def opened(path: Path) -> Store:
    """The store that is there. Raises `RecipeError` where there is none: one that is only looked at is not made."""
    if not path.is_file():
        raise RecipeError(f"{path}: there is no store yet.")
    return Store(path)


def stats(store: Store) -> list[Share]:
    """What is in the store, by model."""
    with store.connection() as connection:
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
        Share(model, n, int(read), int(written), cost, failures.get(model, {}))
        for model in sorted({*answered, *failures})
        for _, n, read, written, cost in [answered.get(model, (model, 0, 0, 0, 0.0))]
    ]


def verify(path: Path) -> list[str]:
    """What is wrong with the file, in SQLite's words; empty when it is whole. Nothing is changed."""
    if not path.is_file():
        raise RecipeError(f"{path}: there is no store yet.")
    try:
        with closing(_only_read(path)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            if found == ["ok"] and (unreadable := sum(row is None for row in _readable(connection))):
                return [f"{unreadable} completions cannot be read"]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else [line for said in found for line in said.splitlines()]


def export(path: Path, target: Path) -> tuple[int, int]:
    """Write every completion as a line of JSON (gzipped if the name ends with ``.gz``); returns rows written and lost.

    Of a damaged file what can be read is written, and row numbers that cannot be read are counted.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: there is no store yet.")
    if target.exists():
        raise RecipeError(f"{target} exists already; name a new file.")
    if not target.absolute().parent.is_dir():
        raise RecipeError(f"{target}: there is no folder {target.parent}. Make it, or name another.")
    part = target.with_name(target.name + ".part")
    written = lost = 0
    try:
        with closing(_only_read(path)) as connection, _open(part, ".gz" in target.suffixes, "wt") as file:
            for row in _readable(connection):
                if row is None:
                    lost += 1
                    continue
                row["key"] = row["key"].hex()
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                written += 1
        part.replace(target)
    except sqlite3.DatabaseError as error:
        raise PotstillError(f"{path}: nothing in it can be read ({error}).") from error
    finally:
        part.unlink(missing_ok=True)
    return written, lost


def import_(store: Store, source: Path) -> tuple[int, int]:
    """Add the completions of an exported file; returns rows added, and rows that were there already.

    Raises `RecipeError` for a line that is no exported completion; then nothing is added.
    """
    if not source.is_file():
        raise RecipeError(f"{source}: there is no such file.")
    insert = f"INSERT OR IGNORE INTO completions ({','.join(EXPORTED)}) VALUES ({','.join('?' * len(EXPORTED))})"
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
    connection = connect(path)
    connection.execute("PRAGMA query_only=1")
    return connection


def _readable(connection: sqlite3.Connection) -> Iterator[dict[str, Any] | None]:
    """Every row in order, None for one that cannot be read; around damage the range is halved until it stands alone."""
    ranges = [(1, _numbered(connection))]
    while ranges:
        low, high = ranges.pop()
        if low > high:
            continue
        last = low - 1
        try:
            query = f"SELECT id, {','.join(EXPORTED)} FROM completions WHERE id BETWEEN ? AND ? ORDER BY id"
            for number, *values in connection.execute(query, [low, high]):
                last = number
                yield dict(zip(EXPORTED, values, strict=True))
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


def _open(path: Path, gzipped: bool, mode: str) -> Any:
    return gzip.open(path, mode, encoding="utf-8") if gzipped else open(path, mode, encoding="utf-8")


def _imported(source: Path) -> Iterator[list[Any]]:
    try:
        with _open(source, source.suffix == ".gz", "rt") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    wrong = [name for name, kind in _TYPES.items() if not isinstance(row[name], kind)]
                    row["key"] = bytes.fromhex(row["key"])
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise RecipeError(f"{source}, line {number}: no exported completion: {error!r}.") from error
                if wrong or len(row["key"]) != 32:
                    raise RecipeError(f"{source}, line {number}: '{(wrong or ['key'])[0]}' is not what it should be.")
                yield [row[name] for name in EXPORTED]
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
        raise RecipeError(f"{source}: it cannot be read to its end: {error}.") from error
