"""Where examples come from: examples.parquet."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from potstill import tasks
from potstill.data import files, sealed, word_problems
from potstill.errors import RecipeError
from potstill.progress import say
from potstill.recipe import Files, Recipe, WordProblems

if TYPE_CHECKING:
    from potstill.run_folder import Run

TEST_SPLITS = ("test_unseen", "test")


def data(recipe: Recipe, run: "Run") -> None:
    """Write examples.parquet; only the test questions are held."""
    test = [row for row in examples(recipe) if row["split"] in TEST_SPLITS]
    tested = {tasks.question(recipe.task, row) for row in test}
    for split in TEST_SPLITS:
        sealed.check(recipe, run.store, split, test)
    shared = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal shared
        for row in examples(recipe):
            shared += row["split"] == "train" and tasks.question(recipe.task, row) in tested
            yield row

    run.write_pieces("examples.parquet", counted())
    if shared:
        say(f"  {shared} training questions also stand in a test split; curation leaves them out (in-test-set)")


def examples(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """Rows of examples.parquet: id, split, group, the task's fields, gold. Raises `RecipeError` for unusable data."""
    if isinstance(recipe.data, Files):
        return _of_files(recipe, recipe.data)
    return iter(_of_word_problems(recipe.data, recipe.seed))


def sources(recipe: Recipe) -> list[Path]:
    """The user's files that examples come from."""
    if not isinstance(recipe.data, Files):
        return []
    named = (recipe.data.train, recipe.data.validation, recipe.data.test, recipe.data.test_unseen)
    return [path for path in named if isinstance(path, Path)]


def _of_word_problems(source: WordProblems, seed: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    # Test questions come first: what is trained on gives way to them, and never the other way round.
    for split, n in (
        ("test", source.test),
        ("test_unseen", source.test_unseen),
        ("validation", source.validation),
        ("train", source.train),
    ):
        taken = {row["question"] for row in rows}
        stream = word_problems.questions(seed, split, unseen=split == "test_unseen", taken=taken)
        rows += [{"id": f"{split}-{i}", "split": split, **row} for i, row in enumerate(islice(stream, n))]
    return rows


def _of_files(recipe: Recipe, source: Files) -> Iterator[dict[str, Any]]:
    task = tasks.load(recipe.task)

    def read(path: Path, split: str) -> Iterator[dict[str, Any]]:
        for row in files.read(path, task, source.columns, source.limit):
            yield row | {"id": f"{split}-{row['id']}", "split": split}

    drawn: dict[str, int] = {}
    for split in ("test", "test_unseen", "validation"):
        wanted = getattr(source, split)
        if isinstance(wanted, Path):
            yield from read(wanted, split)
        elif wanted is not None:
            drawn[split] = wanted
    bounds = _draw(read(source.train, ""), drawn, recipe.seed, source.train) if drawn else {}
    for row in read(source.train, "train"):
        for split, bound in bounds.items():
            if _place(recipe.seed, split, row["group"]) <= bound:
                row |= {"id": f"{split}-{row['id'].removeprefix('train-')}", "split": split}
                break
        yield row


def _draw(rows: Iterable[Mapping[str, Any]], wanted: Mapping[str, int], seed: int, path: Path) -> dict[str, int]:
    """For each split the bound below which a group's place puts it there: at least so many rows, whole groups only.

    A group's place depends on nothing else, so that a row that is added later changes few of them, if any.
    """
    places = {split: array("Q") for split in wanted}
    for row in rows:
        for split, of in places.items():
            of.append(_place(seed, split, row["group"]))
    left = np.ones(len(next(iter(places.values()))), dtype=bool)
    bounds: dict[str, int] = {}
    for split, n in wanted.items():
        place = np.frombuffer(places[split], dtype=np.uint64)
        groups, sizes = np.unique(place[left], return_counts=True)
        totals = np.cumsum(sizes)
        if not len(totals) or totals[-1] <= n:
            raise _too_few(path, int(left.sum()), len(groups), n, split)
        last = int(np.searchsorted(totals, n))
        if last == len(groups) - 1:
            raise _too_few(path, int(left.sum()), len(groups), n, split)
        bounds[split] = int(groups[last])
        left &= place > groups[last]
        if totals[last] > 2 * n:
            say(f"  {split}: {totals[last]} rows instead of {n}, since groups are never torn apart")
    return bounds


def _place(seed: int, split: str, group: str) -> int:
    return files.hash64(f"{seed}:{split}:{group}")


def _too_few(path: Path, rows: int, groups: int, n: int, split: str) -> RecipeError:
    return RecipeError(
        f"{path}: {rows} rows in {groups} groups are too few to draw {n} of them for data.{split} and leave some to train "
        "on; groups are never torn apart."
    )
