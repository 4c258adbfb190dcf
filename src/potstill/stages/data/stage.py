"""Create the examples: examples.parquet, and data.json, which says what was left out and which answers contradict."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from potstill.data.examples import Counts, examples
from potstill.data.left_out import summary
from potstill.errors import RecipeError
from potstill.progress import echo
from potstill.recipe.curating import Filter
from potstill.recipe.recipe import Recipe
from potstill.stages import sealed
from potstill.stages.data.contradictions import Contradictions
from potstill.stages.data.synthesize import synthesize
from potstill.tasks import Example
from potstill.workspace import artifacts
from potstill.workspace.artifacts import DATA, TEST_SPLITS
from potstill.workspace.run import Run


def make_examples(recipe: Recipe, run: Run) -> None:
    """Write examples.parquet and data.json. Memory holds only the test questions and two numbers for each row, and all examples
    where new inputs are synthesized.

    Raises `RecipeError` for unusable data, `PotstillError` when the test questions differ from those of earlier evaluations.
    """
    test = [row for row in examples(recipe) if row["split"] in TEST_SPLITS]
    for split in TEST_SPLITS:
        sealed.require_unchanged(run, split, test)
    source = recipe.data.synthesis
    new = synthesize(recipe, run, source, list(examples(recipe))) if source else []
    test_questions = {recipe.task.question_key(row) for row in test}
    test_groups = set() if recipe.data.real.shares_groups else {row["group"] for row in test}
    n_train = n_shared = n_group = 0
    without_gold: Counter[str] = Counter()
    counts: Counts = {}
    contradictions = Contradictions(recipe.task)

    def counted() -> Iterator[Example]:
        nonlocal n_train, n_shared, n_group
        for row in chain(examples(recipe, counts), new):
            if row["split"] == "train":
                n_train += 1
                is_shared = recipe.task.question_key(row) in test_questions
                n_shared += is_shared
                n_group += not is_shared and row["group"] in test_groups
            without_gold[row["split"]] += row["gold"] is None
            contradictions.add(row)
            yield row
        if n_train and n_shared == n_train and Filter.IN_TEST_SET in recipe.curate.filters:
            raise RecipeError(
                f"data: each of the {n_train} training questions is also in a test split, so none can be trained on. "
                "Name other files, or have the test split drawn from the training rows: test: 100."
            )

        if n_group and n_shared + n_group == n_train and Filter.GROUP_IN_TEST_SET in recipe.curate.filters:
            raise RecipeError(
                f"data: each of the {n_train} training rows has a group that is also in a test split, so none can be trained on. "
                "Name a finer group in data.columns, such as a passage or a chat, or leave group-in-test-set out of curate.filters."
            )

    run.write(artifacts.examples(recipe.task), counted())
    left_out = {split: {"rows": of.rows, "reasons": dict(of.reasons)} for split, of in counts.items() if of.reasons}
    for split in left_out:
        n = counts[split].reasons.total()
        echo(f"  data.{split}: {n} of {counts[split].rows} rows left out: {summary(counts[split].reasons)}")
    contradictory = contradictions.found(run.examples())
    for line in contradictory:
        echo(f"  {line}")
    run.write_json(DATA, {"left_out": left_out, "contradictory": contradictory})
    if n_shared:
        echo(f"  {n_shared} training questions are also in a test split; curation drops them (in-test-set)")
    if n_group:
        echo(
            f"  {n_group} training rows have a group that is also in a test split; curation drops them (group-in-test-set)"
        )
    if recipe.task.gradable and without_gold.total():
        echo("  without gold: " + ", ".join(f"{n} of {split}" for split, n in without_gold.items() if n))
