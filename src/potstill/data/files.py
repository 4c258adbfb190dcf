"""Rows of a user's files: JSON Lines or an array, CSV, TSV, Parquet, folders of these, and standard input."""

import atexit
import gzip
import json
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from potstill.errors import RecipeError
from potstill.recipe.data import STDIN

KINDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".tsv", ".parquet")
LONGEST_LINE = 64 << 20
"""Characters of a JSON line or a cell; more is no question."""

Placed = Iterator[tuple[str, Mapping[str, Any]]]
"""Rows, each with its place in words."""


def rows(path: Path) -> Placed:
    """Rows of a file, of all files of a folder by name, or of standard input. Raises `RecipeError`."""
    if path == STDIN:
        yield from _json_lines(stdin(), "standard input")
        return
    check(path)
    for file in _files(path):
        yield from _of_file(file)


def check(path: Path) -> None:
    """Raises `RecipeError` for a file that is not there, or a folder that holds none."""
    if path == STDIN:
        return
    if not path.exists():
        raise RecipeError(f"{path}: there is no such file. Paths in a recipe are relative to its folder.")
    if path.is_dir() and not _files(path):
        raise RecipeError(f"{path}: there is no {', '.join(KINDS[:-1])} or {KINDS[-1]} file in this folder.")


def contents(path: Path) -> list[Path]:
    """The files whose bytes decide the rows."""
    return [stdin()] if path == STDIN else _files(path) if path.exists() else []


@cache
def stdin() -> Path:
    """What stands on standard input, as a file until this process ends: data is gone through more than once."""
    if sys.stdin.isatty():
        raise RecipeError("data.train is '-', but nothing is piped in. Use: potstill run RECIPE < rows.jsonl")
    with tempfile.NamedTemporaryFile(suffix=".jsonl", delete=False) as file:
        path = Path(file.name)
        atexit.register(path.unlink, missing_ok=True)
        while piece := sys.stdin.buffer.read(1 << 20):
            file.write(piece)
    return path


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if _kind(file) in KINDS and file.is_file())


def _kind(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _of_file(path: Path) -> Placed:
    try:
        match kind := _kind(path):
            case ".jsonl" | ".jsonl.gz" | ".json" | ".json.gz":
                yield from _json_lines(path, str(path))
            case ".csv" | ".tsv":
                yield from _csv(path, "," if kind == ".csv" else "\t")
            case ".parquet":
                yield from _parquet(path)
            case _:
                raise RecipeError(f"{path}: files must be {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecipeError(f"{path}: not a whole gzip file: {error}.") from error


def _json_lines(path: Path, name: str) -> Placed:
    with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
        number = 0
        try:
            if file.read(1) == "[":
                yield from _array(path, name)
                return
            file.seek(0)
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) >= LONGEST_LINE:
                    raise RecipeError(f"{name}, line {number}: longer than {LONGEST_LINE >> 20} million characters.")
                if line.strip():
                    yield f"{name}, line {number}", _object(line, f"{name}, line {number}")
        except UnicodeDecodeError as error:
            raise RecipeError(
                f"{name}, after line {number}: not UTF-8 text ({error.reason}). Save it as UTF-8."
            ) from error


def _array(path: Path, name: str) -> Placed:
    """Rows of a file that is one JSON array."""
    with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
        try:
            values = json.load(file)
        except (ValueError, RecursionError) as error:
            raise RecipeError(f"{name}: not JSON: {error}.") from error
    for number, row in enumerate(values, 1):
        if not isinstance(row, dict):
            raise RecipeError(f"{name}, element {number}: must be a JSON object with a key for each column.")
        yield f"{name}, element {number}", row


def _object(line: str, place: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{place}: not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise RecipeError(f"{place}: must be a JSON object with a key for each column.")
    return row


def _csv(path: Path, delimiter: str) -> Placed:
    import csv

    csv.field_size_limit(LONGEST_LINE)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True, delimiter=delimiter)
        try:
            twice = [name for name, n in Counter(reader.fieldnames or ()).items() if n > 1]
            if twice:
                raise RecipeError(f"{path}, line 1: two columns have the name '{twice[0]}'; rename one.")
            for row in reader:
                place = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise RecipeError(
                        f"{place}: it has more or fewer cells than the first line. Quote cells with commas."
                    )
                yield place, row
        except csv.Error as error:
            raise RecipeError(f"{path}, line {reader.line_num}: not CSV: {error}.") from error
        except UnicodeDecodeError as error:
            raise RecipeError(
                f"{path}, after line {reader.line_num}: not UTF-8 text ({error.reason}). Save it as UTF-8."
            ) from error


def _parquet(path: Path) -> Placed:
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
