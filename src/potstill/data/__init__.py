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
    rows = []
    seen, unseen = questions(recipe.seed), questions(recipe.seed, unseen=True)
    for split, stream, n in (
        ("train", seen, source.train),
        ("validation", seen, source.validation),
        ("test", seen, source.test),
        ("test_unseen", unseen, source.test_unseen),
    ):
        rows += [{"id": f"{split}-{i}", "split": split, **row} for i, row in enumerate(islice(stream, n))]
    return rows
