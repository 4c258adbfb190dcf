"""The user's rows as examples of a task, each validated before any request is sent."""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from potstill.data.files import RowReader
from potstill.data.texts import LocatedRows
from potstill.data.presets import Preset
from potstill.errors import RecipeError, did_you_mean
from potstill.recipe.data import Rows
from potstill.tasks import Column, Task
from potstill.tasks.columns import is_missing, parse_text, parse_verbatim

OPTIONAL = ("id", "group", "system", "prompt", "rationale", "steps")
"""Columns that any data may have beside the task's own and gold."""


@dataclass(frozen=True)
class RowFormat:
    """How the user's rows become examples."""

    task: Task
    source: Rows
    preset: Preset | None
    seed: int
    """Of what the task draws for an example, such as the order of its options."""


def examples(open_rows: RowReader, where: str, row_format: RowFormat) -> Iterator[dict[str, Any]]:
    """Examples in the order of the rows: id, group, gold, the optional columns, the task's columns.

    A row without an id gets its number. ``where`` names the rows in messages about all of them. Raises `RecipeError` for an
    unusable row; at the end for a duplicate id.
    """
    mapper = _ColumnMapper(row_format)
    limit = row_format.source.limit

    def located_examples() -> Iterator[tuple[str, dict[str, Any]]]:
        numbered = ((location, mapper.example(row, location, n)) for n, (location, row) in enumerate(open_rows(), 1))
        for location, unexpanded in islice(((where, row) for where, row in numbered if row is not None), limit):
            for example in row_format.task.expand(unexpanded, row_format.seed):
                if example["gold"] is not None or not mapper.drops_unlabelled:
                    yield location, example

    id_hashes = array("Q")  # hashes, since a million of them take 8 MB
    for _, example in located_examples():
        id_hashes.append(hash64(example["id"]))
        yield example
    mapper.require_gold_column(where)
    if not id_hashes:
        with_gold = " with gold" if mapper.drops_unlabelled else ""
        raise RecipeError(f"{where}: there are no rows{with_gold}.")
    _require_unique_ids(located_examples, id_hashes)


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


def hash64(text: str) -> int:
    """The first 64 bits of the text's SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class _ColumnMapper:
    """Maps the user's columns to potstill's."""

    def __init__(self, row_format: RowFormat) -> None:
        task, source, preset = row_format.task, row_format.source, row_format.preset
        self.task, self.preset, self.system = task, preset, source.system
        known = (*task.columns, "gold", *OPTIONAL)
        if unknown := [name for name in source.columns if name not in known]:
            raise RecipeError(
                f"data.columns: '{unknown[0]}' is not a column of potstill; the columns are {', '.join(known)}."
                f"{did_you_mean(unknown[0], known)}"
            )
        self.theirs = {name: source.columns.get(name, name) for name in known}
        """The user's column for each of potstill's."""
        self.named = set(source.columns)
        # {question: prompt} says that the column is the question, and not the student's own prompt as well.
        elsewhere = {theirs for name, theirs in source.columns.items() if name != theirs}
        self.optional = [n for n in OPTIONAL if n in self.named or n == "id" or n not in elsewhere]
        self.rows, self.rows_with_gold_column = 0, 0
        missing_gold = "refuse" if task.gradable else "keep"
        self.unlabelled = source.unlabelled or (preset.unlabelled if preset else None) or missing_gold
        self.drops_unlabelled = self.unlabelled == "drop"

    def example(self, row: Mapping[str, Any], location: str, number: int) -> dict[str, Any] | None:
        """The row as an example; None for a row that its preset leaves out."""
        if self.preset:
            converted = self._converted(self.preset, row, location)
            if converted is None:
                return None
            row = converted
        example: dict[str, Any] = {}
        for name, column in self.task.columns.items():
            example[name] = self._value(row, name, column, location)
        for name in self.optional:
            value = row.get(self.theirs[name])
            if name in self.named and self.theirs[name] not in row:
                raise self._no_column(row, name, location)
            if not is_missing(value):
                example[name] = self._parsed(parse_verbatim, value, location, self.theirs[name])
        example |= {name: None for name in OPTIONAL if name not in example}
        example["system"] = example["system"] or self.system
        if "logged" in row:
            example["logged"] = row["logged"]
        # From its question, not from its id: ids of two files may be equal, and a line number says nothing.
        own_group = f"{hash64(self.task.question_key(example)):016x}"
        example["group"] = example["group"] or self.task.group(example) or own_group
        example["id"] = example["id"] or str(number)
        example["gold"] = self._gold(row, example, location)
        return example

    def _converted(self, preset: Preset, row: Mapping[str, Any], location: str) -> dict[str, Any] | None:
        """The preset's columns, with the user's own optional columns beside them."""
        try:
            columns = preset.convert(row)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise RecipeError(
                f"{location}: not in the format of the data set '{preset.name}' ({type(error).__name__}: {error}). "
                f"Its rows have {', '.join(preset.schema)}."
            ) from error
        if columns is None:
            return None
        kept = {n for n in OPTIONAL if n in self.named or n in ("group", "system", "prompt")}
        own = {self.theirs[n]: row[self.theirs[n]] for n in kept if self.theirs[n] in row}
        own = {theirs: value for theirs, value in own.items() if theirs not in preset.schema}
        return own | {name: value for name, value in columns.items() if value is not None or name not in own}

    def require_gold_column(self, where: str) -> None:
        """Raises `RecipeError` when the recipe names a column of gold that no row has."""
        if "gold" in self.named and self.rows and not self.rows_with_gold_column:
            raise RecipeError(
                f"{where}: no row has the column '{self.theirs['gold']}', which data.columns names for gold. Name yours, or "
                "leave it out."
            )

    def _value(self, row: Mapping[str, Any], name: str, column: Column, location: str) -> Any:
        theirs = self.theirs[name]
        if theirs not in row:
            raise self._no_column(row, name, location)
        return self._parsed(column.parse, row[theirs], location, theirs)

    def _parsed(self, parse: Callable[[Any], Any], value: Any, location: str, theirs: str) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise RecipeError(f"{location}: column '{theirs}' {error}.") from error

    def _gold(self, row: Mapping[str, Any], example: dict[str, Any], location: str) -> str | None:
        theirs = self.theirs["gold"]
        value = row.get(theirs)
        self.rows += 1
        self.rows_with_gold_column += theirs in row
        if is_missing(value):
            if self.unlabelled != "refuse":
                return None
            if theirs not in row:
                raise self._no_column(row, "gold", location, " Without gold answers, set data.unlabelled: keep.")
            raise RecipeError(
                f"{location}: column '{theirs}' is empty. To leave such rows out, set data.unlabelled: drop; to send them to "
                "the teacher nevertheless, keep."
            )
        try:
            gold = self.task.parse_gold(value, example)
            parse_text(gold)
        except ValueError as error:
            raise RecipeError(f"{location}: column '{theirs}': {error}.") from error
        return gold

    def _no_column(self, row: Mapping[str, Any], name: str, location: str, advice: str = "") -> RecipeError:
        theirs = self.theirs[name]
        names = [str(column) for column in row]
        return RecipeError(
            f"{location}: there is no column '{theirs}'.{did_you_mean(theirs, names)} The columns are: "
            f"{', '.join(names[:20])}. Name yours under data.columns.{advice}"
        )
