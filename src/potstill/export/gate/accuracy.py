"""Whether an export answers the run's own test questions as well as the student's safetensors."""

from collections.abc import Sequence
from typing import Any

from potstill import stats
from potstill.recipe.recipe import Evaluate
from potstill.recipe.systems import Role, System, system
from potstill.stages.evaluate.asking import Asker
from potstill.stages.evaluate.compare import Compared, compare
from potstill.stages.evaluate.stage import evaluated_system
from potstill.workspace.artifacts import TEST_SPLITS, Prediction
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


def compared(run: Run, name: str) -> Compared:
    """The accuracy of an export minus that of the safetensors in the student's number format, on the test questions with gold."""
    recipe = run.recipe
    examples = [example for example in run.examples(*TEST_SPLITS) if example["gold"] is not None]
    systems = [System(name="export", export=name), system(Role.STUDENT)]
    answers = Asker(recipe, run).ask(systems, examples)
    export, student = (evaluated_system(recipe, run, one, examples, answers[one.name]).rows for one in systems)
    options = recipe.evaluate.model_copy(update={"margin": MARGIN})
    return compare((export, student), run.task, _labels(run, [*export, *student]), options)


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


def as_json(found: Compared) -> dict[str, Any]:
    """The numbers of a comparison for `export.json`."""
    return {
        "margin": MARGIN,
        **{key: found[key] for key in ("n", "groups", "difference", "low", "high", "only_a", "only_b", "excluded")},
        "not_worse": found["not_worse"],
    }
