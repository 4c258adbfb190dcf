"""Where examples come from: examples.parquet."""

from itertools import islice
from typing import TYPE_CHECKING, Any

from potstill.data.word_problems import questions
from potstill.recipe import Recipe

if TYPE_CHECKING:
    from potstill.run_folder import Run


def data(recipe: Recipe, run: "Run") -> None:
    """Write examples.parquet."""
    run.write("examples.parquet", examples(recipe))


def examples(recipe: Recipe) -> list[dict[str, Any]]:
    """Rows of examples.parquet: id, split, group, the task's fields, gold."""
    source = recipe.data
    rows: list[dict[str, Any]] = []
    # Test questions come first: what is trained on gives way to them, and never the other way round.
    for split, n in (
        ("test", source.test),
        ("test_unseen", source.test_unseen),
        ("validation", source.validation),
        ("train", source.train),
    ):
        taken = {row["question"] for row in rows}
        stream = questions(recipe.seed, split, unseen=split == "test_unseen", taken=taken)
        rows += [{"id": f"{split}-{i}", "split": split, **row} for i, row in enumerate(islice(stream, n))]
    return rows
