"""Rows of Parquet files, with the names of labels that Hugging Face's metadata holds."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from potstill.data.texts import LocatedRows
from potstill.errors import RecipeError


class LabelName(str):
    """The name of a label that the data hold as a number."""

    number: int

    def __new__(cls, name: str, number: int) -> "LabelName":
        label = super().__new__(cls, name)
        label.number = number
        return label


def read(path: Path) -> LocatedRows:
    """The rows of a file; maps are records. Raises `RecipeError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = label_names(_features(file.schema_arrow.metadata))
            number = 0
            for batch in file.iter_batches():
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    number += 1
                    yield f"{path}, row {number}", with_label_names(row, names)
    except (pa.ArrowException, OSError) as error:
        raise RecipeError(f"{path}: not a readable Parquet file: {error}.") from error
    except KeyError as error:
        raise RecipeError(f"{path}, row {number + 1}: a map has the key {error} twice.") from error


def _features(metadata: Mapping[bytes, bytes] | None) -> Any:
    """The features of a data set of Hugging Face, which `datasets` writes into the schema of its Parquet files."""
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        return json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    return {}


def label_names(features: Any) -> dict[str, list[str]]:
    """The names of the labels of each column of labels, or of lists of labels."""
    named: dict[str, list[str]] = {}
    for column, feature in features.items() if isinstance(features, Mapping) else ():
        while isinstance(feature, list | Mapping) and (inner := _inner(feature)) is not None:
            feature = inner
        if isinstance(feature, Mapping) and isinstance(names := feature.get("names"), list):
            named[column] = [str(name) for name in names]
    return named


def _inner(feature: Any) -> Any:
    """The feature of a list's elements; None where it is no list."""
    if isinstance(feature, list):
        return feature[0] if feature else None
    return feature.get("feature") if feature.get("_type") in ("Sequence", "List", "LargeList") else None


def with_label_names(row: dict[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    """The row with the names of its labels; -1 is Hugging Face's number of no label."""
    return {column: _named(value, names[column]) if column in names else value for column, value in row.items()}


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and -1 <= value < len(names):
        return LabelName(names[value], value) if value >= 0 else None
    return value
