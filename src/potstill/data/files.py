"""Rows of the user's files: JSON Lines, JSON, CSV, TSV, Parquet, folders of these, and standard input."""

import atexit
import gzip
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from potstill.data import csv_files, json_files, parquet_files
from potstill.data.texts import LocatedRows
from potstill.errors import RecipeError
from potstill.recipe.data import STDIN

EXTENSIONS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".tsv", ".parquet")
COPY_CHUNK_BYTES = 1 << 20

RowReader = Callable[[], LocatedRows]
"""Reads the rows again from the start at each call."""
SplitSources = Mapping[str, RowReader | int]
"""For each split its rows, or the number of rows to draw from `train`."""


def read_rows(path: Path, split: str = "train") -> LocatedRows:
    """Rows of a file, of all files of a folder in order of their paths, or of standard input. Raises `RecipeError`.

    Of a JSON file with one object of several splits, the rows of ``split``. Files and folders whose name begins with a dot
    are not read.
    """
    if path == STDIN:
        yield from json_files.read(stdin_file(), "standard input", split)
        return
    require_rows(path)
    for file in _files_in(path):
        yield from _read_file(file, split)


def splits_of(path: Path) -> list[str]:
    """The splits whose rows a JSON file holds in one object; none for any other file."""
    is_json = path.is_file() and _extension(path).startswith(".json")
    return json_files.splits_of(path) if is_json else []


def require_rows(path: Path) -> None:
    """Raises `RecipeError` for a file that does not exist, or a folder without a file of a known kind."""
    if path == STDIN:
        return
    if not path.exists():
        raise RecipeError(f"{path}: there is no such file. Paths in a recipe are relative to its folder.")
    if path.is_dir() and not _files_in(path):
        raise RecipeError(
            f"{path}: there is no {_EXTENSIONS_TEXT} file in this folder; names that begin with a dot are not read."
        )


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
    return sorted(file for file in path.rglob("*") if _is_data(file.relative_to(path)) and file.is_file())


def _is_data(name: Path) -> bool:
    """Whether a file of a folder is one of its data. Hidden ones are copies of editors (.ipynb_checkpoints) and systems (._)."""
    return _extension(name) in EXTENSIONS and not any(part.startswith(".") for part in name.parts)


def _extension(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _read_file(path: Path, split: str) -> LocatedRows:
    try:
        match _extension(path):
            case ".jsonl" | ".jsonl.gz" | ".json" | ".json.gz":
                yield from json_files.read(path, str(path), split)
            case ".csv" | ".tsv" as extension:
                yield from csv_files.read(path, "," if extension == ".csv" else "\t")
            case ".parquet":
                yield from parquet_files.read(path)
            case _:
                raise RecipeError(f"{path}: files must be {_EXTENSIONS_TEXT}.")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecipeError(f"{path}: not a complete gzip file: {error}.") from error
