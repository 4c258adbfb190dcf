"""The user's rows as examples of a task, each validated before any request is sent."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from potstill.data.files import RowReader
from potstill.data.left_out import LeftOut, OddRowError
from potstill.data.mapping import ColumnMapper
from potstill.data.presets import Preset
from potstill.data.texts import LocatedRows, hash64
from potstill.errors import RecipeError
from potstill.recipe.data import Rows
from potstill.tasks import Task


@dataclass(frozen=True)
class RowFormat:
    """How the user's rows become examples."""

    task: Task
    source: Rows
    preset: Preset | None
    seed: int
    """Of what the task draws for an example, such as the order of its options."""


def examples(open_rows: RowReader, left_out: LeftOut, row_format: RowFormat) -> Iterator[dict[str, Any]]:
    """Examples in the order of the rows: id, group, gold, the optional columns, the task's columns.

    A row without an id gets its number. Rows that cannot be used are counted in ``left_out``, which names the rows in messages
    about all of them. Raises `RecipeError` for too many of these, for a row without gold where that is needed, and at the end
    for a duplicate id.
    """
    where = left_out.where
    mapper = ColumnMapper(row_format.task, row_format.source, row_format.preset, row_format.seed)
    limit = row_format.source.limit

    def usable(counted: LeftOut) -> LocatedRows:
        for number, (location, row) in enumerate(open_rows(), 1):
            counted.rows += 1
            try:
                example = mapper.example(row, location, number)
            except OddRowError as odd:
                counted.add(odd)
                continue
            if example is not None:
                yield location, example

    def located_examples(counted: LeftOut) -> Iterator[tuple[str, dict[str, Any]]]:
        for location, unexpanded in islice(usable(counted), limit):
            for example in row_format.task.expand(dict(unexpanded), row_format.seed):
                if example["gold"] is not None or not mapper.drops_unlabelled:
                    yield location, example

    id_hashes = array("Q")  # hashes, since a million of them take 8 MB
    for _, example in located_examples(left_out):
        id_hashes.append(hash64(example["id"]))
        yield example
    left_out.require_few()
    mapper.require_gold_column(where)
    if not id_hashes:
        with_gold = " with gold" if mapper.drops_unlabelled else ""
        raise RecipeError(f"{where}: there are no rows{with_gold}.")
    _require_unique_ids(lambda: located_examples(LeftOut(where, 1.0)), id_hashes)


def _require_unique_ids(located_examples: Callable[[], LocatedRows], id_hashes: "array[int]") -> None:
    """Read the rows a second time, only where two ids have the same hash, to compare the ids themselves."""
    hashes, counts = np.unique(np.frombuffer(id_hashes, dtype=np.uint64), return_counts=True)
    if suspects := set(hashes[counts > 1].tolist()):
        seen: set[str] = set()
        for location, example in located_examples():
            if example["id"] in seen:
                raise RecipeError(f"{location}: the id '{example['id']}' is duplicated; each row needs its own.")
            if hash64(example["id"]) in suspects:
                seen.add(example["id"])
