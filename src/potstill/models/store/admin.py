"""Store maintenance: statistics, export/import, pruning, recovery."""

import gzip
import io
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from potstill.errors import PotstillError, RecipeError
from potstill.models.store import salvage
from potstill.models.store.store import COLUMNS, Store, checksum, is_corruption, transaction, translate_errors
from potstill.models.store.wal import wal_is_intact


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
    with translate_errors(path), closing(salvage.connect_read_only(path)) as connection:
        if not salvage.has_tables(connection):
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
        with closing(salvage.connect_read_only(path)) as connection:
            faults += [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            if (
                not faults
                and salvage.has_tables(connection)
                and (lost := sum(row is None for row in salvage.salvage(connection)))
            ):
                faults.append(f"{lost} completions cannot be read")
    except sqlite3.DatabaseError as error:
        if not is_corruption(error):
            with translate_errors(path):
                raise
        faults.append(str(error))
    return [line for fault in faults for line in fault.splitlines()]


def export(path: Path, target: Path) -> tuple[int, int]:
    """Write every completion as a line of JSON (gzipped if the name ends with ``.gz``), and one for each server that does not
    take some fields: ``{server, left_out}``. Returns completions written and lost.

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
            closing(salvage.connect_read_only(path)) as connection,
            _open_for_writing(part, gzipped=target.suffix == ".gz") as file,
        ):
            # A truncated file: without this SQLite refuses all of it, although the remaining pages can be read.
            connection.execute("PRAGMA writable_schema=1")
            for row in salvage.salvage(connection):
                if row is None:
                    lost += 1
                    continue
                row["key"] = row["key"].hex()
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                written += 1
            for server, fields in _dialects(connection).items():
                file.write(json.dumps({"server": server, "left_out": fields}, ensure_ascii=False) + "\n")
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
    """Add the completions of an exported file, and what its servers do not take; returns the numbers of completions added, and
    of those already stored.

    Raises `RecipeError` for a line that is not an exported completion; then nothing is added.
    """
    if not source.exists() or source.is_dir():
        raise RecipeError(f"{source}: there is no such file.")
    columns = (*salvage.EXPORTED_COLUMNS, "checksum")
    insert = f"INSERT OR IGNORE INTO completions ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})"
    n = 0
    left_out: dict[str, list[str]] = {}
    with store.connection() as connection, transaction(connection):
        before = connection.total_changes
        for row in _parse_export(source, left_out):
            connection.execute(insert, row)
            n += 1
        added = connection.total_changes - before
    for server, fields in left_out.items():
        store.leave_out(server, list(dict.fromkeys((*store.left_out(server), *fields))))
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


def _dialects(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The fields that each server does not take, in the order of their refusals; none where they cannot be read."""
    left_out: dict[str, list[str]] = {}
    with suppress(sqlite3.DatabaseError):
        for server, field in connection.execute("SELECT server, field FROM dialects ORDER BY server, number"):
            left_out.setdefault(server, []).append(field)
    return left_out


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


def _parse_export(source: Path, left_out: dict[str, list[str]]) -> Iterator[list[Any]]:
    """The completions of an exported file; what its servers do not take is added to ``left_out``."""
    try:
        with _open_for_reading(source) as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    if row.keys() == {"server", "left_out"}:
                        left_out[row["server"]] = _fields(row)
                        continue
                    row["key"] = bytes.fromhex(row["key"])
                    invalid = salvage.invalid_column(row)
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                    raise RecipeError(f"{source}, line {number}: not an exported completion: {error!r}.") from error
                if invalid:
                    raise RecipeError(f"{source}, line {number}: '{invalid}' has a wrong type or is out of range.")
                yield [*(row[name] for name in salvage.EXPORTED_COLUMNS), checksum([row[name] for name in COLUMNS])]
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise RecipeError(f"{source}: it is truncated or corrupt: {error}.") from error


def _fields(row: Mapping[str, Any]) -> list[str]:
    """The fields that a line says a server does not take. Raises `ValueError` where it does not say so."""
    server, fields = row["server"], row["left_out"]
    if not isinstance(server, str) or not isinstance(fields, list) or not all(isinstance(one, str) for one in fields):
        raise ValueError("neither a completion nor the fields that a server does not take")
    return list(fields)
