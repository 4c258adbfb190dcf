"""Choose the best way to ask base and teacher, on validation questions, before any test question is asked.

Chosen on the test questions, the best of several ways would be better than it is, and the student would seem worse
(cf. Cawley and Talbot 2010, JMLR 11:2079).
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from potstill.progress import echo
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import Role, System
from potstill.stages.evaluate.asking import Answer, Asker
from potstill.stages.evaluate.outcome import outcome_of
from potstill.stages.evaluate.result import Chosen
from potstill.stages.judge import scoring
from potstill.tasks import Example
from potstill.workspace.run import Run

COMPARED = (Role.BASE, Role.TEACHER)
"""Roles that the student is compared with, in one way of asking each."""


def contenders(recipe: Recipe, role: Role, examples: Sequence[Example]) -> list[System]:
    """The systems of a role among which one is chosen: those whose prompts say what the task is."""
    systems = [system for system in recipe.systems if system.role is role]
    return [one for one in systems if all(recipe.task.tells_task(one.prompting, example) for example in examples)]


def choose(
    recipe: Recipe, run: Run, asker: Asker, test: Sequence[Example], frozen: Mapping[str, str]
) -> dict[str, Chosen]:
    """For base and teacher the ``system`` with the best score on the validation questions, the first listed of equals.

    ``test`` are the test questions, which are not asked here. ``frozen`` names the systems that were chosen when the test set was
    first used: these stay. Each entry also has the number ``n`` of validation questions and the ``scores`` of the systems; 0 and
    empty where there was no choice, or no validation question with gold. Empty for a task whose scores decide nothing, and
    without a system whose prompts say what the task is.
    """
    chosen: dict[str, Chosen] = {}
    if not recipe.task.gradable:
        return chosen
    validation = [example for example in run.examples("validation") if example["gold"] is not None]
    for role in COMPARED:
        systems = contenders(recipe, role, test)
        if not systems:
            continue
        scores: dict[str, float] = {}
        if len(systems) > 1 and validation:
            scores = _scores(recipe, run, asker, systems, validation)
        best = max(scores, key=lambda name: scores[name]) if scores else systems[0].name
        if frozen.get(role.value) in [system.name for system in systems]:
            best = frozen[role.value]
        chosen[role.value] = {"system": best, "n": len(validation) if scores else 0, "scores": scores}
        if scores:
            listed = ", ".join(f"{name} {score:.0%}" for name, score in scores.items())
            echo(f"  validation: {listed}; {best} represents the {role.value}")
    return chosen


def _scores(
    recipe: Recipe, run: Run, asker: Asker, systems: Sequence[System], validation: Sequence[Example]
) -> dict[str, float]:
    """The mean score of each system on the validation questions, of which those are left out that a server did not answer, or whose
    answers a judge could not decide about."""
    asked = asker.ask(systems, validation, " on validation")
    together = list(zip(validation, *asked.values(), strict=True))
    usable = [all(map(_is_usable, answers)) for _, *answers in together]
    scores: dict[str, list[float | None]] = {}
    for name, answers in asked.items():
        read = [answer.parsed[recipe.evaluate.extraction].answer for answer in answers]
        pairs = [pair for pair, use in zip(zip(validation, read, strict=True), usable, strict=True) if use]
        verdicts = scoring.verdicts(scoring.of_evaluation(recipe), run, run.task, pairs, f"{name} on validation")
        task = run.task.with_verdicts(verdicts)
        scores[name] = [task.main_score(answer, example) for example, answer in pairs]
    decided = [i for i, of in enumerate(zip(*scores.values(), strict=True)) if None not in of]
    return {name: fmean(of[i] or 0.0 for i in decided) if decided else 0.0 for name, of in scores.items()}


def _is_usable(answer: Answer) -> bool:
    return not outcome_of(answer.completion, answer.parsed["strict"], None).excluded
