"""Ask student and base the shipped prompts, compare them, and write regressed.json."""

from potstill.errors import RecipeError
from potstill.regress import asking, comparing, words
from potstill.regress.result import Regressed
from potstill.regress.shipped import version
from potstill.workspace.artifacts import REGRESSED, STUDENT
from potstill.workspace.digests import Part
from potstill.workspace.run import Run


def regress(run: Run) -> Regressed:
    """What the student lost, and gained, outside its task. Raises `RecipeError` for a run without a student, `PotstillError` as
    `potstill.models.complete.complete` does."""
    weights = run.digest(Part(STUDENT))
    if not weights:
        raise RecipeError(f"{run.folder}: there is no student yet. Train it first: potstill run RECIPE")
    with run.locked():
        student, base = asking.student(run), asking.base(run)
        found = _regressed(run, weights, student, base)
        run.write_json(REGRESSED, found)
    return found


def _regressed(run: Run, weights: str, student: asking.Answers, base: asking.Answers) -> Regressed:
    options = run.recipe.evaluate
    has_form = comparing.in_form(run.task, next(run.examples()))
    overall, kinds = comparing.compared(student, base, options)
    failed = comparing.failed(student, base, options.confidence)
    form = comparing.fell_into_form(student, base, has_form, options.confidence)
    likelihood = comparing.likelihood(student, base, options.confidence)
    return Regressed(
        weights=weights,
        base=str(run.recipe.student.model),
        prompts=version(),
        confidence=options.confidence,
        margin=options.margin,
        overall=overall,
        kinds=kinds,
        failed=failed,
        in_form=form,
        likelihood=likelihood,
        asked=comparing.asked(student, base, has_form),
        lines=words.lines(overall, kinds, failed, form, likelihood, options.margin, run.task.name),
        notes=words.notes(overall, options.confidence),
    )
