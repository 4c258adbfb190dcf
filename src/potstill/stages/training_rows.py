"""The rows that the student is trained on, as solved examples: what else could be made of them?"""

from collections import defaultdict
from collections.abc import Iterator

from potstill.recipe.recipe import Recipe
from potstill.stages.curate import WITH_RATIONALE
from potstill.tasks import Example
from potstill.workspace.artifacts import CURATED, CuratedRow
from potstill.workspace.run import Run


def training_rows(recipe: Recipe, run: Run) -> Iterator[Example]:
    """The kept rows of curated.parquet in the order of the examples: each training example with the row's answer as its gold, and
    with the row's rationale where the student is trained on it. A question with several kept samples comes several times."""
    kept: dict[str, list[CuratedRow]] = defaultdict(list)
    for row in run.read(CURATED):
        if row["kept"]:
            kept[row["id"]].append(row)
    shows_rationale = recipe.condition in WITH_RATIONALE
    for example in run.examples("train"):
        for row in kept.get(example["id"], ()):
            yield {**example, "gold": row["answer"], "rationale": row["rationale"] if shows_rationale else None}
