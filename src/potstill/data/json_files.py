"""Rows of JSON Lines, and of JSON files of any of the usual forms (`potstill.data.json_shapes`)."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from potstill.data import json_shapes
from potstill.data.texts import MAX_LINE_CHARACTERS, LocatedRows, open_text
from potstill.errors import RecipeError

RECORDED = '{"recorded":"'
"""How a row of `potstill record` begins. Its log grows while it is read, and ends within a row where the recorder was killed: the
file then ends before that row."""

_BETWEEN = re.compile(r"[\s,\x1e]*")
"""The text between objects of a file that are not in a list: space, commas, or record separators (RFC 7464)."""


def read(path: Path, name: str, split: str) -> LocatedRows:
    """The rows of a file: an object in each line, objects one after another, a list, or one object (`json_shapes.rows`).

    ``name`` names the file in messages; ``split`` is the one that is read of a file with several. Raises `RecipeError`.
    """
    with open_text(path, name) as file:
        number, line = _first_line(file, name)
        if not line:
            return
        if line.lstrip("\x1e \t")[0] == "{" and (first := _object(line)) is not None:
            second_number, second = _first_line(file, name, number)
            if not second:
                yield from json_shapes.rows(first, name, split, number)
                return
            yield f"{name}, line {number}", first
            number, line = second_number, second
            while line:
                location = f"{name}, line {number}"
                yield location, _row(parse(line, location), location)
                number, line = _first_line(file, name, number)
            return
        file.seek(0)
        text = file.read()
    yield from _rows_of_text(text, name, split)


def splits_of(path: Path) -> list[str]:
    """The splits of a file that is one object of several; none for any other file, and for one that is not JSON."""
    with open_text(path, str(path)) as file:
        number, line = _first_line(file, str(path))
        if not line.startswith("{") or (_object(line) is not None and _first_line(file, str(path), number)[1]):
            return []
        file.seek(0)
        return list(json_shapes.splits_in(_object(file.read().strip("\ufeff"))))


def _first_line(file: TextIO, name: str, number: int = 0) -> tuple[int, str]:
    """The next line with any content, and its number; an empty one at the end. ``number``: of the line before."""
    while line := file.readline(MAX_LINE_CHARACTERS):
        number += 1
        if len(line) >= MAX_LINE_CHARACTERS:
            raise RecipeError(f"{name}, line {number}: longer than {MAX_LINE_CHARACTERS >> 20} million characters.")
        stripped = line.strip("\ufeff\x1e \t\r\n")
        if stripped and (line.endswith("\n") or not _is_cut(stripped)):
            return number, stripped
    return number, ""


def _is_cut(line: str) -> bool:
    """Whether a last line is a recorded row that is not complete."""
    is_recorded = line.startswith(RECORDED) or (len(line) > 1 and RECORDED.startswith(line))
    return is_recorded and _object(line) is None


def _rows_of_text(text: str, name: str, split: str) -> LocatedRows:
    """Rows of a file whose first line is no object: a list, an object over several lines, or several of these."""
    values = list(_values(text, name))
    if not values:
        return
    [(location, first), *more] = values
    if not more:
        if isinstance(first, list):
            yield from json_shapes.rows_of_list(first, name)
        else:
            yield from json_shapes.rows(_row(first, location), name, split)
        return
    for location, value in values:
        yield location, _row(value, location)


def _values(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """The JSON values of a text, each with its location."""
    decoder = json.JSONDecoder()
    line, counted = 1, 0
    place = _after_space(text, 0)
    while place < len(text):
        line, counted = line + text.count("\n", counted, place), place
        location = f"{name}, line {line}"
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise RecipeError(f"{_place(error, name, location)}: not JSON: {_reason(error)}.") from error
        yield location, value
        place = _after_space(text, end)


def _after_space(text: str, place: int) -> int:
    match = _BETWEEN.match(text, place)
    return match.end() if match else place


def _place(error: Exception, name: str, location: str) -> str:
    return f"{name}, line {error.lineno}" if isinstance(error, json.JSONDecodeError) else location


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


def parse(text: str, location: str) -> Any:
    """The value of a JSON text. Raises `RecipeError`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{location}: not JSON: {error}.") from error


def _object(line: str) -> Mapping[str, Any] | None:
    """The object that a line is; None for any other line."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _row(value: Any, location: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RecipeError(f"{location}: must be a JSON object with a key for each column.")
    return value
