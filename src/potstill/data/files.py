"""Examples from a user's files, checked row by row before anything is asked."""

import gzip
import hashlib
import json
import zlib
from array import array
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from potstill.errors import RecipeError, did_you_mean
from potstill.tasks import Task

KINDS = ".jsonl, .jsonl.gz, .csv or .parquet"
LONGEST_LINE = 64 << 20
"""Characters of a JSON line; more is no question."""


def read(path: Path, task: Task, columns: Mapping[str, str], limit: int | None) -> Iterator[dict[str, Any]]:
    """Rows ``{id, group, gold, ...fields}`` as they are read; id is the row's number when the file has none.

    Raises `RecipeError` for a file or a row that cannot be used, at the end for an id that stands there twice.
    """
    wanted = {name: columns.get(name, name) for name in (*task.fields, "gold")}
    optional = {name: columns.get(name, name) for name in ("id", "group")}
    if unknown := [name for name in columns if name not in {**wanted, **optional}]:
        raise RecipeError(
            f"data.columns: '{unknown[0]}' is no column of potstill's; those are {', '.join({**wanted, **optional})}."
        )
    ids = array("Q")  # of hashes: a million ids take 8 MB
    for number, (place, row) in enumerate(islice(_rows(path), limit), 1):
        missing = [theirs for theirs in [*wanted.values(), *columns.values()] if theirs not in row]
        if missing:
            raise RecipeError(f"{place}: there is no column '{missing[0]}'.{_hint(missing[0], row)}")
        example = {name: _text(row[theirs], place, theirs) for name, theirs in wanted.items()}
        try:
            example["gold"] = task.gold(example["gold"])
        except ValueError as error:
            raise RecipeError(f"{place}: column '{wanted['gold']}': {error}") from error
        id_ = _given(row.get(optional["id"]), str(number))
        ids.append(hash64(id_))
        yield example | {"id": id_, "group": _given(row.get(optional["group"]), id_)}
    if not ids:
        raise RecipeError(f"{path}: there are no rows in it.")
    hashes, counts = np.unique(np.frombuffer(ids, dtype=np.uint64), return_counts=True)
    if len(suspects := set(hashes[counts > 1].tolist())):
        seen: set[str] = set()
        for number, (_, row) in enumerate(islice(_rows(path), limit), 1):
            id_ = _given(row.get(optional["id"]), str(number))
            if id_ in seen:
                raise RecipeError(f"{path}: the id '{id_}' stands there twice; each row needs its own.")
            if hash64(id_) in suspects:
                seen.add(id_)


def hash64(text: str) -> int:
    """The first 64 bits of a text's SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def check(path: Path) -> None:
    """Raises `RecipeError` for a file that is not there."""
    if not path.is_file():
        raise RecipeError(f"{path}: there is no such file. Paths in a recipe are relative to its folder.")


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row with its place, in words."""
    check(path)
    try:
        match "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix:
            case ".jsonl" | ".jsonl.gz":
                yield from _json_lines(path)
            case ".csv":
                yield from _csv(path)
            case ".parquet":
                yield from _parquet(path)
            case _:
                raise RecipeError(f"{path}: files must be {KINDS}.")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecipeError(f"{path}: not a whole gzip file: {error}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RecipeError(f"{path}, line {number}: not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise RecipeError(f"{path}, line {number}: must be a JSON object with a key for each column.")
            yield f"{path}, line {number}", row


def _csv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import csv

    csv.field_size_limit(LONGEST_LINE)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                place = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise RecipeError(
                        f"{place}: it has more or fewer cells than the first line. Quote cells with commas."
                    )
                yield place, row
        except csv.Error as error:
            raise RecipeError(f"{path}, line {reader.line_num}: not CSV: {error}.") from error


def _parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        number = 0
        for batch in pq.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise RecipeError(f"{path}: not a Parquet file that can be read: {error}.") from error


def _text(value: Any, place: str, column: str) -> str:
    if not isinstance(value, str | int | float | Decimal) or isinstance(value, bool):
        raise RecipeError(f"{place}: column '{column}' holds {type(value).__name__}, not text or a number.")
    if not (text := str(value).strip()):
        raise RecipeError(f"{place}: column '{column}' is empty.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecipeError(f"{place}: column '{column}' holds half of a character ({error.reason}).") from error
    return text


def _given(value: Any, otherwise: str) -> str:
    return otherwise if value is None or value == "" else str(value)


def _hint(missing: str, row: Mapping[str, Any]) -> str:
    have = [str(column) for column in row]
    return f"{did_you_mean(missing, have)} There are: {', '.join(have[:20])}. Name yours under data.columns."
