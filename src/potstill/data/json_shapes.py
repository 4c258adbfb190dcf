"""The usual forms of a JSON file that is one value: a list of rows, rows under a key, by column, by id, or by split.

Forms with a source: pandas' `to_json` with `orient` records, split, index, columns, table
(pandas.pydata.org, DataFrame.to_json); the rows of Hugging Face's data set viewer (`row_idx`, `row`); SQuAD
(rajpurkar.github.io/SQuAD-explorer: data, paragraphs, qas).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.data.texts import LocatedRows
from potstill.errors import RecipeError

ROWS_KEYS = (
    "data", "rows", "examples", "items", "records", "instances", "samples", "questions", "entries", "results", "dataset",
    "train_data", "annotations", "tickets", "documents",
)  # fmt: skip
"""Keys under which files keep their rows, beside those that describe them."""
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development", "eval"),
    "test": ("test", "testing"),
    "test_unseen": ("test_unseen",),
}
"""For each split the keys that name it."""
_ALL_SPLITS = {name for names in SPLIT_NAMES.values() for name in names}
MAX_DEPTH = 4


def rows(value: Mapping[str, Any], name: str, split: str, line: int = 1, depth: int = 0) -> LocatedRows:
    """The rows of a file that is one object, which begins in ``line``; an object of no known form is the only row.

    ``name`` names the file in messages. Raises `RecipeError` for a form that cannot be read.
    """
    if keys := splits_in(value):
        yield from _rows_of_split(value, keys, name, split)
    elif (key := _rows_key(value)) and depth < MAX_DEPTH:
        inner, where = value[key], f"{name}, under '{key}'"
        if isinstance(inner, Mapping):
            yield from rows(inner, where, split, line, depth + 1)
        elif inner and all(isinstance(row, list) for row in inner):
            names = value.get("columns", [])
            yield from _by_cells(inner, names if isinstance(names, list) else [], where)
        else:
            yield from rows_of_list(inner, where)
    elif _is_by_column(value):
        yield from _by_column({column: list(of) for column, of in value.items()}, name)
    elif _is_table(value) and all(str(key).isdecimal() for of in value.values() for key in of):
        yield from _by_column({column: list(of.values()) for column, of in value.items()}, name)
    elif _is_table(value) and len(value) > 1:
        for id_, row in value.items():
            yield f"{name}, under '{id_}'", {"id": id_, **row}
    else:
        yield f"{name}, line {line}", value


def splits_in(value: Any) -> dict[str, str]:
    """For each split that an object holds rows of, its key; empty for an object of another form."""
    if not isinstance(value, Mapping) or not value or any(str(key).lower() not in _ALL_SPLITS for key in value):
        return {}
    if not all(isinstance(of, list | Mapping) and of for of in value.values()):
        return {}
    return {
        split: key for split, names in SPLIT_NAMES.items() for key in value if str(key).lower() in names
    }  # fmt: skip


def _rows_of_split(value: Mapping[str, Any], keys: Mapping[str, str], name: str, split: str) -> LocatedRows:
    if split not in keys:
        raise RecipeError(
            f"{name}: it holds rows under {', '.join(map(repr, value))}, and none for data.{split}. Name another file, or a number "
            "of rows, which are drawn from the training rows."
        )
    inner, where = value[keys[split]], f"{name}, under '{keys[split]}'"
    yield from rows_of_list(inner, where) if isinstance(inner, list) else rows(inner, where, split, depth=MAX_DEPTH)


def rows_of_list(values: Sequence[Any], name: str) -> LocatedRows:
    """The rows of a list: objects, whose row may stand under `row`, or SQuAD's articles. Raises `RecipeError`."""
    if values and all(isinstance(value, dict) and isinstance(value.get("paragraphs"), list) for value in values):
        yield from _squad(values, name)
        return
    for number, row in enumerate(values, 1):
        location = f"{name}, element {number}"
        if not isinstance(row, dict):
            raise RecipeError(f"{location}: must be a JSON object with a key for each column.")
        inner = row.get("row")
        yield location, inner if isinstance(inner, dict) and "row_idx" in row else row


def _rows_key(value: Mapping[str, Any]) -> str | None:
    """The key under which an object keeps its rows; None where it is a row itself."""
    for key, of in value.items():
        if str(key).lower() in ROWS_KEYS and _holds_rows(of, value):
            return key
    if len(value) == 1:
        [(key, of)] = value.items()
        if (
            isinstance(of, list)
            and len(of) > 1
            and _holds_rows(of, value)
            and not any("content" in row or "value" in row for row in of)
        ):
            return key
    return None


def _holds_rows(of: Any, value: Mapping[str, Any]) -> bool:
    if isinstance(of, Mapping):
        return bool(splits_in(of)) or _is_by_column(of) or _rows_key(of) is not None
    if not isinstance(of, list) or not of:
        return False
    is_split = isinstance(value.get("columns"), list) and all(isinstance(row, list) for row in of)
    return is_split or all(isinstance(row, dict) for row in of)


def _is_by_column(value: Mapping[str, Any]) -> bool:
    """Whether each value is a list with a row's value of that column; the lists of one row would be of several kinds."""
    lists = list(value.values())
    if len(lists) < 2 or not all(isinstance(of, list) and of for of in lists):
        return False
    return len({len(of) for of in lists}) == 1 and len(lists[0]) > 1 and not any(_is_chat(of) for of in lists)


def _is_chat(values: Sequence[Any]) -> bool:
    return all(isinstance(value, dict) and ("role" in value or "from" in value) for value in values)


def _is_table(value: Mapping[str, Any]) -> bool:
    """Whether all values are records of the same keys."""
    records = list(value.values())
    return bool(records) and all(isinstance(of, dict) and of and of.keys() == records[0].keys() for of in records)


def _by_column(columns: Mapping[str, Sequence[Any]], name: str) -> LocatedRows:
    for number, values in enumerate(zip(*columns.values(), strict=True), 1):
        yield f"{name}, row {number}", dict(zip(columns, values, strict=True))


def _by_cells(table: Sequence[Sequence[Any]], names: Sequence[Any], name: str) -> LocatedRows:
    for number, cells in enumerate(table, 1):
        if len(cells) != len(names):
            raise RecipeError(f"{name}, row {number}: it has {len(cells)} cells, and 'columns' names {len(names)}.")
        yield f"{name}, row {number}", dict(zip(map(str, names), cells, strict=True))


def _squad(articles: Sequence[Mapping[str, Any]], name: str) -> LocatedRows:
    """A row for each question, with its context; `answer` is the first one, None for a question without any."""
    number = 0
    for article in articles:
        for paragraph in article["paragraphs"]:
            number += 1
            location = f"{name}, paragraph {number}"
            if not isinstance(paragraph, dict) or not isinstance(paragraph.get("qas"), list):
                raise RecipeError(f"{location}: it has no 'qas', as SQuAD's paragraphs have.")
            yield from ((location, _squad_row(article, paragraph, question)) for question in paragraph["qas"])


def _squad_row(article: Mapping[str, Any], paragraph: Mapping[str, Any], question: Any) -> dict[str, Any]:
    question = question if isinstance(question, dict) else {"question": question}
    answers = [answer.get("text") for answer in question.get("answers") or () if isinstance(answer, dict)]
    known = {name: question[name] for name in ("id", "question") if name in question}
    return known | {
        "title": article.get("title"),
        "context": paragraph.get("context"),
        "answer": answers[0] if answers else None,
    }
