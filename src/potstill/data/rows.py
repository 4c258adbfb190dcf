"""A user's rows as examples of a task, checked one by one before anything is asked."""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from potstill.data.files import Placed
from potstill.data.presets import Preset
from potstill.errors import RecipeError, did_you_mean
from potstill.recipe.data import Rows
from potstill.tasks import Column, Task
from potstill.tasks.columns import is_missing, parse_text, parse_verbatim

OPTIONAL = ("id", "group", "system", "prompt", "rationale")
"""Columns that any data may have beside the task's own and gold."""


def examples(
    origin: Callable[[], Placed], where: str, task: Task, source: Rows, preset: Preset | None, seed: int
) -> Iterator[dict[str, Any]]:
    """Examples as the rows are read: id, group, gold, what is optional, the task's columns.

    An id is the row's number where there is none. Raises `RecipeError` for a row that cannot be used; at the end for an
    id that stands there twice.
    """
    mapped = _Mapping(task, source, preset)

    def shown() -> Iterator[tuple[str, dict[str, Any]]]:
        for number, (place, row) in enumerate(islice(origin(), source.limit), 1):
            if (example := mapped.example(row, place, number)) is not None:
                for one in task.expand(example, seed):
                    if one["gold"] is not None or not mapped.drops:
                        yield place, one

    ids = array("Q")  # of hashes: a million ids take 8 MB
    for _, one in shown():
        ids.append(hash64(one["id"]))
        yield one
    mapped.check_gold(where)
    if not ids:
        raise RecipeError(f"{where}: there are no rows in it{' that have gold' if mapped.drops else ''}.")
    hashes, counts = np.unique(np.frombuffer(ids, dtype=np.uint64), return_counts=True)
    if len(suspects := set(hashes[counts > 1].tolist())):
        seen: set[str] = set()
        for place, one in shown():
            if one["id"] in seen:
                raise RecipeError(f"{place}: the id '{one['id']}' stands there twice; each row needs its own.")
            if hash64(one["id"]) in suspects:
                seen.add(one["id"])


def hash64(text: str) -> int:
    """The first 64 bits of a text's SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class _Mapping:
    """From a user's columns to potstill's."""

    def __init__(self, task: Task, source: Rows, preset: Preset | None) -> None:
        self.task, self.preset = task, preset
        known = (*task.columns, "gold", *OPTIONAL)
        if unknown := [name for name in source.columns if name not in known]:
            raise RecipeError(
                f"data.columns: '{unknown[0]}' is no column of potstill's; those are {', '.join(known)}."
                f"{did_you_mean(unknown[0], known)}"
            )
        self.theirs = {name: source.columns.get(name, name) for name in known}
        self.named = set(source.columns)
        # {question: prompt} says that the column is the question, and not the student's own prompt as well.
        elsewhere = {theirs for name, theirs in source.columns.items() if name != theirs}
        self.optional = [n for n in OPTIONAL if n in self.named or n == "id" or n not in elsewhere]
        self.rows, self.rows_with_gold = 0, 0
        """How many rows were read, and of them had the column of gold, empty or not."""
        missing_gold = "refuse" if task.gradable else "keep"
        self.unlabelled = source.unlabelled or (preset.unlabelled if preset else None) or missing_gold
        self.drops = self.unlabelled == "drop"

    def example(self, row: Mapping[str, Any], place: str, number: int) -> dict[str, Any] | None:
        """The row as an example; None for one that its preset leaves out."""
        if self.preset:
            try:
                preset = self.preset.row(row)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                raise RecipeError(
                    f"{place}: not of the form of the data set '{self.preset.name}' ({type(error).__name__}: {error}). "
                    f"Its rows have {', '.join(self.preset.schema)}."
                ) from error
            if preset is None:
                return None
            kept = {n for n in OPTIONAL if n in self.named or n in ("group", "system", "prompt")}
            own = {self.theirs[n]: row[self.theirs[n]] for n in kept if self.theirs[n] in row}
            own = {theirs: value for theirs, value in own.items() if theirs not in self.preset.schema}
            row = own | {name: value for name, value in preset.items() if value is not None or name not in own}
        example: dict[str, Any] = {}
        for name, column in self.task.columns.items():
            example[name] = self._value(row, name, column, place)
        for name in self.optional:
            given = row.get(self.theirs[name])
            if name in self.named and self.theirs[name] not in row:
                raise self._no_column(row, name, place)
            if not is_missing(given):
                example[name] = self._read(parse_verbatim, given, place, self.theirs[name])
        example |= {name: None for name in OPTIONAL if name not in example}
        if "logged" in row:
            example["logged"] = row["logged"]
        group = example["group"] or self.task.group(example) or example["id"]
        # Without a name a row is known by what it asks, so that its place in the file says nothing of its split.
        example["group"] = group or f"{hash64(self.task.question_key(example)):016x}"
        example["id"] = example["id"] or str(number)
        example["gold"] = self._gold(row, example, place)
        return example

    def check_gold(self, where: str) -> None:
        """Raises `RecipeError` when the recipe names a column of gold that no row has."""
        if "gold" in self.named and self.rows and not self.rows_with_gold:
            raise RecipeError(
                f"{where}: no row has the column '{self.theirs['gold']}', which data.columns names for gold. Name yours, or "
                "leave it out."
            )

    def _value(self, row: Mapping[str, Any], name: str, column: Column, place: str) -> Any:
        theirs = self.theirs[name]
        if theirs not in row:
            raise self._no_column(row, name, place)
        return self._read(column.parse, row[theirs], place, theirs)

    def _read(self, read: Callable[[Any], Any], value: Any, place: str, theirs: str) -> Any:
        try:
            return read(value)
        except ValueError as error:
            raise RecipeError(f"{place}: column '{theirs}' {error}.") from error

    def _gold(self, row: Mapping[str, Any], example: dict[str, Any], place: str) -> str | None:
        theirs = self.theirs["gold"]
        value = row.get(theirs)
        self.rows += 1
        self.rows_with_gold += theirs in row
        if is_missing(value):
            if self.unlabelled != "refuse":
                return None
            if theirs not in row:
                raise self._no_column(row, "gold", place, " Without gold answers, say data.unlabelled: keep.")
            raise RecipeError(
                f"{place}: column '{theirs}' is empty. To leave such rows out, say data.unlabelled: drop; to ask the teacher "
                "all the same, keep."
            )
        try:
            gold = self.task.parse_gold(value, example)
            parse_text(gold)
        except ValueError as error:
            raise RecipeError(f"{place}: column '{theirs}': {error}.") from error
        return gold

    def _no_column(self, row: Mapping[str, Any], name: str, place: str, more: str = "") -> RecipeError:
        theirs = self.theirs[name]
        have = [str(column) for column in row]
        return RecipeError(
            f"{place}: there is no column '{theirs}'.{did_you_mean(theirs, have)} There are: {', '.join(have[:20])}. "
            f"Name yours under data.columns.{more}"
        )
