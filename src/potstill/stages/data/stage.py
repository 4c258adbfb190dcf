"""Make the examples: examples.parquet."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from potstill.data.examples import examples
from potstill.errors import RecipeError
from potstill.progress import echo
from potstill.recipe.recipe import Filter, Recipe
from potstill.stages import sealed
from potstill.stages.data.synthesize import synthesize
from potstill.tasks import Example
from potstill.workspace import artifacts
from potstill.workspace.artifacts import TEST_SPLITS
from potstill.workspace.run import Run


def make_examples(recipe: Recipe, run: Run) -> None:
    """Write examples.parquet; only the test questions are held in memory.

    Raises `RecipeError` for unusable data, `PotstillError` when the test questions are not those of earlier evaluations.
    """
    test = [row for row in examples(recipe) if row["split"] in TEST_SPLITS]
    for split in TEST_SPLITS:
        sealed.check(run, split, test)
    source = recipe.data.synthesis
    new = synthesize(recipe, run, source, list(examples(recipe))) if source else []
    test_questions = {recipe.task.question_key(row) for row in test}
    trained = shared = 0
    without_gold: Counter[str] = Counter()

    def counted() -> Iterator[Example]:
        nonlocal trained, shared
        for row in chain(examples(recipe), new):
            if row["split"] == "train":
                trained += 1
                shared += recipe.task.question_key(row) in test_questions
            without_gold[row["split"]] += row["gold"] is None
            yield row
        if trained and shared == trained and Filter.IN_TEST_SET in recipe.curate.filters:
            raise RecipeError(
                f"data: each of the {trained} training questions is also in a test split, so none can be trained on. "
                "Name other files, or have the test split drawn out of the training rows: test: 100."
            )

    run.write(artifacts.examples(recipe.task), counted())
    if shared:
        echo(f"  {shared} training questions are also in a test split; curation drops them (in-test-set)")
    if recipe.task.gradable and without_gold.total():
        echo("  without gold: " + ", ".join(f"{n} of {split}" for split, n in without_gold.items() if n))
