"""Rows of the user's files: JSON Lines, JSON arrays, CSV, TSV, Parquet, folders of these, and standard input."""

import atexit
import gzip
import json
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from potstill.errors import RecipeError
from potstill.recipe.data import STDIN

EXTENSIONS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".tsv", ".parquet")
MAX_LINE_CHARACTERS = 64 << 20
"""Longest JSON line or CSV cell; anything longer is not a question."""
COPY_CHUNK_BYTES = 1 << 20

LocatedRows = Iterator[tuple[str, Mapping[str, Any]]]
"""Rows, each with its location for messages, such as ``rows.jsonl, line 3``."""
RowReader = Callable[[], LocatedRows]
"""Reads the rows again from the start at each call."""
SplitSources = Mapping[str, RowReader | int]
"""For each split its rows, or the number of rows to draw from `train`."""


def read_rows(path: Path) -> LocatedRows:
    """Rows of a file, of all files of a folder in order of their paths, or of standard input. Raises `RecipeError`."""
    if path == STDIN:
        yield from _read_json_lines(stdin_file(), "standard input")
        return
    require_rows(path)
    for file in _files_in(path):
        yield from _read_file(file)


def require_rows(path: Path) -> None:
    """Raises `RecipeError` for a file that does not exist, or a folder without a file of a known kind."""
    if path == STDIN:
        return
    if not path.exists():
        raise RecipeError(f"{path}: there is no such file. Paths in a recipe are relative to its folder.")
    if path.is_dir() and not _files_in(path):
        raise RecipeError(f"{path}: there is no {_EXTENSIONS_TEXT} file in this folder.")


def data_files(path: Path) -> list[Path]:
    """The files whose bytes determine the rows."""
    return [stdin_file()] if path == STDIN else _files_in(path) if path.exists() else []


@cache
def stdin_file() -> Path:
    """Standard input, copied to a file that this process deletes at its end: data is read more than once."""
    if sys.stdin.isatty():
        raise RecipeError("data.train is '-', but nothing is piped in. Use: potstill run RECIPE < rows.jsonl")
    with tempfile.NamedTemporaryFile(suffix=".jsonl", delete=False) as file:
        path = Path(file.name)
        atexit.register(path.unlink, missing_ok=True)
        while chunk := sys.stdin.buffer.read(COPY_CHUNK_BYTES):
            file.write(chunk)
    return path


_EXTENSIONS_TEXT = f"{', '.join(EXTENSIONS[:-1])} or {EXTENSIONS[-1]}"


def _files_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if _extension(file) in EXTENSIONS and file.is_file())


def _extension(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _read_file(path: Path) -> LocatedRows:
    try:
        match extension := _extension(path):
            case ".jsonl" | ".jsonl.gz" | ".json" | ".json.gz":
                yield from _read_json_lines(path, str(path))
            case ".csv" | ".tsv":
                yield from _read_csv(path, "," if extension == ".csv" else "\t")
            case ".parquet":
                yield from _read_parquet(path)
            case _:
                raise RecipeError(f"{path}: files must be {_EXTENSIONS_TEXT}.")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecipeError(f"{path}: not a complete gzip file: {error}.") from error


def _read_json_lines(path: Path, name: str) -> LocatedRows:
    with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
        number = 0
        try:
            if file.read(1) == "[":
                yield from _read_json_array(path, name)
                return
            file.seek(0)
            while line := file.readline(MAX_LINE_CHARACTERS):
                number += 1
                location = f"{name}, line {number}"
                if len(line) >= MAX_LINE_CHARACTERS:
                    raise RecipeError(f"{location}: longer than {MAX_LINE_CHARACTERS >> 20} million characters.")
                if line.strip():
                    yield location, _json_object(_parse_json(line, location), location)
        except UnicodeDecodeError as error:
            raise _not_utf8(name, number, error) from error


def _read_json_array(path: Path, name: str) -> LocatedRows:
    """Rows of a file that is one JSON array."""
    with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
        values = _parse_json(file.read(), name)
    for number, row in enumerate(values, 1):
        location = f"{name}, element {number}"
        yield location, _json_object(row, location)


def _parse_json(text: str, location: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{location}: not JSON: {error}.") from error


def _json_object(value: Any, location: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RecipeError(f"{location}: must be a JSON object with a key for each column.")
    return value


def _read_csv(path: Path, delimiter: str) -> LocatedRows:
    import csv

    csv.field_size_limit(MAX_LINE_CHARACTERS)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True, delimiter=delimiter)
        try:
            repeated = [name for name, n in Counter(reader.fieldnames or ()).items() if n > 1]
            if repeated:
                raise RecipeError(f"{path}, line 1: two columns have the name '{repeated[0]}'; rename one.")
            for row in reader:
                location = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise RecipeError(
                        f"{location}: more or fewer cells than in the first line. Quote cells with commas."
                    )
                yield location, row
        except csv.Error as error:
            raise RecipeError(f"{path}, line {reader.line_num}: not CSV: {error}.") from error
        except UnicodeDecodeError as error:
            raise _not_utf8(str(path), reader.line_num, error) from error


def _not_utf8(name: str, last_line: int, error: UnicodeDecodeError) -> RecipeError:
    return RecipeError(f"{name}, after line {last_line}: not UTF-8 text ({error.reason}). Save it as UTF-8.")


def _read_parquet(path: Path) -> LocatedRows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        number = 0
        for batch in pq.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise RecipeError(f"{path}: not a readable Parquet file: {error}.") from error
