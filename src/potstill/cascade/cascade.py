"""Choose the threshold of a run's cascade, confirm it, and write cascade.json."""

from collections.abc import Sequence

from potstill.cascade import asking, choosing, words
from potstill.cascade.choosing import Questions, Terms
from potstill.cascade.result import Cascade, Chosen, Confirmed, State
from potstill.cascade.signals import SIGNALS, thresholds
from potstill.errors import RecipeError
from potstill.recipe.systems import System
from potstill.stages import sealed
from potstill.workspace.artifacts import CASCADE, STUDENT, TEST_SPLITS
from potstill.workspace.digests import Part
from potstill.workspace.run import Run


def cascade(run: Run, signals: Sequence[str] = tuple(SIGNALS), samples: int = 0) -> Cascade:
    """The threshold with which the student answers instead of the teacher; ``samples`` is the number of answers that the signal `agreement`
    draws. The test questions are looked at once, for the threshold that was
    chosen on validation questions, and not at all where none was.

    Raises `RecipeError` for a run without a student, a teacher, or validation questions, `PotstillError` as
    `potstill.models.complete.complete` does.
    """
    weights = run.digest(Part(STUDENT))
    if not weights:
        raise RecipeError(f"{run.folder}: there is no student yet. Train it first: potstill run RECIPE")
    with run.locked():
        teacher = asking.teacher_of(run)
        options = run.recipe.evaluate
        terms = Terms(options.margin, options.confidence, run.recipe.teacher.model.charged)
        questions = asking.validation(run, teacher, signals, samples)
        curves = [choosing.curve(questions, name, thresholds(name, samples), len(signals), terms) for name in signals]
        chosen = choosing.choose(curves, samples)
        splits = _confirmed(run, teacher, chosen, weights, terms) if chosen else {}
        confidence = curves[0]["confidence"]
        points = [point for curve in curves for point in curve["points"][curve["rejected"] :]]
        n, groups = questions.n, len(set(questions.groups))
        found = Cascade(
            weights=weights,
            teacher=teacher.name,
            state=_state(chosen, splits),
            margin=options.margin,
            confidence=options.confidence,
            validation=choosing.measured(questions, terms),
            curves=curves,
            chosen=chosen,
            needed=None if chosen else choosing.needed(points, n, groups, confidence, options.margin),
            splits=splits,
            lines=[],
            notes=[],
        )
        found["lines"], found["notes"] = words.lines(found), words.notes(found)
        run.write_json(CASCADE, found)
    return found


def _state(chosen: Chosen | None, splits: dict[str, Confirmed]) -> State:
    if not chosen:
        return "no threshold"
    holds = splits and all(one["point"]["holds"] for one in splits.values())
    return "confirmed" if holds else "not confirmed"


def _confirmed(run: Run, teacher: System, chosen: Chosen, weights: str, terms: Terms) -> dict[str, Confirmed]:
    """The chosen threshold on each test split, all of which must confirm it. A look is recorded before."""
    examples = list(run.examples(*TEST_SPLITS))
    confirmed = {}
    for split in TEST_SPLITS:
        of_split = [example for example in examples if example["split"] == split]
        if any(example["gold"] is not None for example in of_split):
            what = f"{chosen['signal']} {chosen['threshold']:.6g} {teacher.name}"
            looks = sealed.look_again(run, split, of_split, weights, "cascade", what)
            questions = asking.test(run, teacher, of_split, [chosen["signal"]], chosen["samples"])
            confirmed[split] = _on_split(questions, chosen, terms, looks)
    return confirmed


def _on_split(questions: Questions, chosen: Chosen, terms: Terms, looks: int) -> Confirmed:
    point = choosing.point(questions, chosen["signal"], chosen["threshold"], terms.confidence, terms)
    n, groups = questions.n, len(set(questions.groups))
    needed = None if point["holds"] else choosing.needed([point], n, groups, terms.confidence, terms.margin)
    return Confirmed(**choosing.measured(questions, terms), point=point, needed=needed, looks_before=looks)
