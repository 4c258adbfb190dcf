"""Whether an export answers the run's own test questions as well as the student's safetensors."""

from collections.abc import Sequence
from typing import Any

from potstill import stats
from potstill.recipe.evaluating import Evaluate
from potstill.recipe.systems import Role, System, system
from potstill.stages import sealed
from potstill.stages.evaluate.asking import Asker
from potstill.stages.evaluate.compare import Compared, compare
from potstill.stages.evaluate.stage import evaluated_system
from potstill.workspace.artifacts import STUDENT, TEST_SPLITS, Prediction
from potstill.workspace.digests import Part
from potstill.workspace.exports import State
from potstill.workspace.run import Run

MARGIN = 0.03
"""An export counts as not worse where it is shown to answer fewer than this fraction of the questions worse."""


def why_not(run: Run) -> str:
    """Why no test question says whether an answer is correct, in words; empty where some do."""
    if run.recipe.task.judged:
        return "models judge which answers are correct, which the gate does not pay for"
    if not run.recipe.task.gradable:
        return f"the task {run.recipe.task.name} has no score that says which answers are correct"
    if not any(example["gold"] is not None for example in run.examples(*TEST_SPLITS)):
        return "no test question has gold"
    return ""


def compared(run: Run, name: str) -> tuple[Compared, int]:
    """The accuracy of an export minus that of the safetensors in the student's number format, on the test questions with gold; and how many
    other exports of the student were compared on some of them before. A look is recorded before anything is asked."""
    recipe = run.recipe
    examples = [example for example in run.examples(*TEST_SPLITS) if example["gold"] is not None]
    digest = run.digest(Part(STUDENT))
    by_split = {split: [one for one in examples if one["split"] == split] for split in TEST_SPLITS}
    looks = [sealed.look_again(run, split, some, digest, "gate", name) for split, some in by_split.items() if some]
    systems = [System(name="export", export=name), system(Role.STUDENT)]
    answers = Asker(recipe, run).ask(systems, examples)
    export, student = (evaluated_system(recipe, run, one, examples, answers[one.name]).rows for one in systems)
    options = recipe.evaluate.model_copy(update={"margin": MARGIN})
    return compare((export, student), run.task, _labels(run, [*export, *student]), options), max(looks)


def state_of(found: Compared, options: Evaluate) -> tuple[State, int | None]:
    """``passed`` where the export is shown not to be worse by the margin; ``failed`` where it is shown to be worse, or is worse by the margin
    on as many questions as would show of an equal one that it is not; else ``not shown``, with the number of questions that it would
    take."""
    if found["not_worse"]["shown"]:
        return "passed", None
    if not found["n"]:
        return "not shown", None
    discordance = max(found["only_a"] + found["only_b"], 1) / found["n"]
    enough = stats.required_sample_size(
        discordance, 0.0, MARGIN, confidence=options.confidence, design_effect=found["design_effect"] or 1.0
    )
    if found["finding"] == "worse" or (found["difference"] <= -MARGIN and found["n"] >= enough):
        return "failed", None
    return "not shown", found["needed"]["not_worse"] or enough


def _labels(run: Run, rows: Sequence[Prediction]) -> list[str]:
    task = run.task
    if not task.label_score:
        return []
    named = {label for row in rows for text in (row["gold"], row["answer"]) for label in task.labels_of(text)}
    return sorted({*task.label_set, *named})


def as_json(found: Compared, looks: int) -> dict[str, Any]:
    """The numbers of a comparison for `export.json`; ``looks_before``: other exports that were compared on these questions before."""
    return {
        "margin": MARGIN,
        "looks_before": looks,
        **{key: found[key] for key in ("n", "groups", "difference", "low", "high", "only_a", "only_b", "excluded")},
        "not_worse": found["not_worse"],
    }
