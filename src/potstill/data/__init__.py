"""Where examples come from: examples.parquet."""

import hashlib
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill import tasks
from potstill.data import files, sealed, word_problems
from potstill.errors import RecipeError
from potstill.progress import say
from potstill.recipe import Files, Recipe, WordProblems

if TYPE_CHECKING:
    from potstill.run_folder import Run

TEST_SPLITS = ("test_unseen", "test")


def data(recipe: Recipe, run: "Run") -> None:
    """Write examples.parquet."""
    rows = examples(recipe)
    tested = {tasks.question(recipe.task, row) for row in rows if row["split"] in TEST_SPLITS}
    shared = sum(row["split"] == "train" and tasks.question(recipe.task, row) in tested for row in rows)
    if shared:
        say(f"  {shared} training questions also stand in a test split; curation leaves them out (in-test-set)")
    for split in TEST_SPLITS:
        sealed.check(recipe, run.store, split, rows)
    run.write("examples.parquet", rows)


def examples(recipe: Recipe) -> list[dict[str, Any]]:
    """Rows of examples.parquet: id, split, group, the task's fields, gold. Raises `RecipeError` for unusable data."""
    if isinstance(recipe.data, Files):
        return _of_files(recipe, recipe.data)
    return _of_word_problems(recipe.data, recipe.seed)


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


def _of_files(recipe: Recipe, source: Files) -> list[dict[str, Any]]:
    task = tasks.load(recipe.task)

    def read(path: Path) -> list[dict[str, Any]]:
        return files.read(path, task, source.columns, source.limit)

    train = read(source.train)
    splits: dict[str, list[dict[str, Any]]] = {}
    for split, wanted in (
        ("test", source.test),
        ("test_unseen", source.test_unseen),
        ("validation", source.validation),
    ):
        if isinstance(wanted, Path):
            splits[split] = read(wanted)
        elif wanted is not None:
            splits[split], train = _draw(train, wanted, recipe.seed, split, source.train)
    splits["train"] = train
    return [row | {"id": f"{split}-{row['id']}", "split": split} for split, rows in splits.items() for row in rows]


def _draw(
    rows: list[dict[str, Any]], n: int, seed: int, split: str, path: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """At least ``n`` rows, whole groups only, and the others. A row that is added later changes few of them, if any."""
    sizes = Counter(row["group"] for row in rows)
    drawn: set[str] = set()
    total = 0
    for group in sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}:{split}:{group}".encode()).digest()):
        if total >= n:
            break
        drawn.add(group)
        total += sizes[group]
    if total < n or total == len(rows):
        raise RecipeError(
            f"{path}: {len(rows)} rows in {len(sizes)} groups are too few to draw {n} of them for data.{split} and leave "
            "some to train on; groups are never torn apart."
        )
    if total > 2 * n:
        say(f"  {split}: {total} rows instead of {n}, since groups are never torn apart")
    return [row for row in rows if row["group"] in drawn], [row for row in rows if row["group"] not in drawn]
