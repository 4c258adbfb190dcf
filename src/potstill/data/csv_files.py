"""Rows of CSV files of any separator."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from potstill.data.texts import MAX_LINE_CHARACTERS, LocatedRows, open_text
from potstill.errors import RecipeError

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_CHARACTERS, SAMPLE_RECORDS = 1 << 16, 20
"""The part of a file that shows its separator."""
_SEP_LINE = re.compile(r"\"?sep=(.)\"?[,;]*\r?\n?", re.IGNORECASE)
"""Excel's own first line, which names the separator."""


def read(path: Path, separator: str) -> LocatedRows:
    """The rows of a file, each with the line where it begins; rows without any content are skipped.

    separator: the usual one of the file's extension; the file's own is that of `sep=`, or that of its first lines. Raises
    `RecipeError`.
    """
    csv.field_size_limit(MAX_LINE_CHARACTERS)
    with open_text(path, str(path), newline="") as file:
        sample = file.read(SAMPLE_CHARACTERS)
        file.seek(0)
        first_line = 1
        if named := _SEP_LINE.fullmatch(sample.partition("\n")[0] + "\n"):
            separator, first_line = named[1], 2
            file.readline()
        else:
            separator = separator_of(sample, separator)
        spaced = re.match(rf"[^\r\n]*?{re.escape(separator)} ", sample) is not None  # in the header
        reader = csv.reader(file, strict=True, delimiter=separator, skipinitialspace=spaced)
        records = _records(reader, str(path), first_line)
        header_line, header = next(records, (first_line, []))
        names = _names(header, f"{path}, line {header_line}")
        for line, cells in records:
            location = f"{path}, line {line}"
            while len(cells) > len(names) and not cells[-1].strip():
                cells.pop()  # the empty cells that Excel adds
            if len(cells) != len(names):
                raise RecipeError(
                    f"{location}: more or fewer cells than in the first line ({len(cells)}, not {len(names)}). Quote cells "
                    f"that contain {_WORDS.get(separator, repr(separator))}."
                )
            yield location, dict(zip(names, cells, strict=True))


_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def separator_of(sample: str, usual: str) -> str:
    """The separator of a file that begins with ``sample``: the usual one if the first lines have equal numbers of cells with
    it, otherwise the one with which they have."""
    fitting = [one for one in (usual, *SEPARATORS) if _fits(sample, one)]
    return fitting[0] if fitting else usual


def _fits(sample: str, separator: str) -> bool:
    """Whether the first lines have at least two cells, and as many as the header."""
    lines = list(io.StringIO(sample, newline=""))
    complete = lines[:-1] if len(sample) == SAMPLE_CHARACTERS else lines
    try:
        records = [
            cells for cells in islice(csv.reader(complete, strict=True, delimiter=separator), SAMPLE_RECORDS) if cells
        ]
    except csv.Error:
        return False
    return bool(records) and len(records[0]) > 1 and all(len(cells) == len(records[0]) for cells in records)


def _records(reader: "Iterator[list[str]]", path: str, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """Each record that has any content, with the line where it begins."""
    while True:
        line = first_line + reader.line_num  # type: ignore[attr-defined]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise RecipeError(
                f"{path}, line {line}: not CSV: {error}. A cell with quotes, line breaks or separators must be in quotes, and a "
                'quote in it is written twice: "say ""hello""".'
            ) from error
        if any(cell.strip() for cell in cells):
            yield line, cells


def _names(header: list[str], location: str) -> list[str]:
    """The names of the columns; columns without a name at the end are Excel's and are left out."""
    while header and not header[-1].strip():
        header.pop()
    names = [name.strip() or f"column {n}" for n, name in enumerate(header, 1)]
    if repeated := [name for name, n in Counter(names).items() if n > 1]:
        raise RecipeError(f"{location}: two columns have the name '{repeated[0]}'; rename one.")
    return names
