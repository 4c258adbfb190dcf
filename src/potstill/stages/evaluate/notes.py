"""What the verdict says of itself: what it rests on, and what it does not cover."""

from collections.abc import Iterator, Mapping
from typing import cast

from potstill.recipe.curating import Filter
from potstill.recipe.recipe import Condition, Recipe
from potstill.recipe.systems import STUDENT, Role, system
from potstill.stages.evaluate.choosing import COMPARED
from potstill.stages.evaluate.compare import NOT_TOLD
from potstill.stages.evaluate.decision import spoken_of, why_not
from potstill.stages.evaluate.result import About, Comparison, Seal, Split
from potstill.tasks import Prompting


def about(recipe: Recipe, tests: int) -> About:
    """What the verdict rests on besides the questions; ``tests`` is the number of tests that it speaks of."""
    trained_on = recipe.condition in (Condition.GOLD, Condition.GOLD_RATIONALE) or recipe.data.has_answers
    graded = recipe.task.gradable and (not recipe.task.judged or recipe.curate.judge is not None)
    filtered = graded and Filter.CORRECT in recipe.curate.filters
    cheaper = [system(Role.BASE, Prompting.RETRIEVED), system(Role.LINEAR)]
    return About(
        train_seed=recipe.train_seed,
        training_seeds=1,
        student=recipe.student.model.name,
        student_dtype=recipe.student.dtype,
        base_quantization=recipe.student.model.quantization,
        condition=recipe.condition.value,
        extraction=recipe.evaluate.extraction,
        tests=tests,
        gold="trained on" if trained_on else "filtered by" if filtered else "not used",
        prompts={one.name: one.prompting.value for one in recipe.systems if one.asks_model},
        judges=recipe.judge_relatives if recipe.task.judged else {},
        not_asked=[one.name for one in cheaper if not one.why_not(recipe.task) and one not in recipe.systems],
        forms={one.name: one.form for one in recipe.systems if one.form},
    )


def notes(splits: Mapping[str, Split], about: About) -> Iterator[str]:
    """Sentences, those about single splits first."""
    for split, values in splits.items():
        if STUDENT in values["systems"]:
            yield from (f"{split}: {note}" for note in _of_split(values))
    if any(values["decided"] for values in splits.values()):
        yield from _of_decided(splits, about)
    yield f"One student was trained, with seed {about['train_seed']}: another seed gives another student, and these intervals do not cover that."
    yield from (f"The system {name} is the student as {form}." for name, form in about["forms"].items())
    if about["base_quantization"]:
        yield f"The base was dequantized from {about['base_quantization']}; its original weights may be better."
    yield {
        "trained on": "The student was trained on gold answers.",
        "filtered by": "Gold answers of training questions were used: they filtered the teacher's answers.",
        "not used": "Gold answers of training questions were not used.",
    }[about["gold"]]


def _of_decided(splits: Mapping[str, Split], about: About) -> Iterator[str]:
    confidence = next(iter(splits.values()))["confidence"]
    if about["tests"]:
        yield (
            f"Intervals are at {100 * confidence:.3g} %. The verdict rests on {about['tests']} test{'s' if about['tests'] > 1 else ''}, corrected by "
            "Holm's method; the others of the tables are corrected by Benjamini and Hochberg's."
        )
    yield f"Answers were read by {about['extraction']} extraction."
    if judges := about["judges"]:
        yield f"Which answers are correct is what {' and '.join(judges)} said. Judges err, so this is no accuracy."
        for judge, relatives in judges.items():
            if relatives:
                yield f"The judge {judge} is of the family of {', '.join(relatives)}: judges prefer answers like their own."
    if about["not_asked"]:
        yield f"Cheaper ways that were not evaluated: {', '.join(about['not_asked'])} (add them to evaluate.systems)."
    ways = {name: way for name, way in about["prompts"].items() if way != about["prompts"].get(STUDENT, way)}
    spoken = {c["b"] for values in splits.values() for c in spoken_of(values)}
    if named := [f"{name} with {way}" for name, way in ways.items() if name in spoken]:
        yield f"The prompts differ: the student was asked with {about['prompts'][STUDENT]}, {', '.join(named)}."


def _of_split(values: Split) -> Iterator[str]:
    for role in COMPARED:
        if reason := why_not(values, role):
            yield f"the student is not compared with the {role}: {reason}."
    yield from _of_comparisons(values)
    if values["decided"]:
        yield from _of_accuracies(values)
    if "sealed" in values:
        yield from _looks(values["sealed"])


def _of_comparisons(values: Split) -> Iterator[str]:
    for c in values["comparisons"]:
        if c["role"] not in COMPARED and c["finding"] == NOT_TOLD:
            yield f"the student is not compared with {c['b']}, which was never told the task, its labels or its schema."
    for c in spoken_of(values):
        ways = [
            way
            for way in cast(list[Comparison], values["comparisons"])
            if way["role"] == c["role"] and way["finding"] != NOT_TOLD
        ]
        if c["role"] in COMPARED and len(ways) > 1:
            how = "chosen on validation questions" if c["chosen_on"] else "the first that the recipe lists"
            yield f"{c['b']} is the way of asking the {c['role']} {how}, of {len(ways)}."
            if all(way["finding"] == "better" for way in ways):
                p_value = max(way["p_value"] for way in ways)
                yield f"the student is better than every way of asking the {c['role']}, p = {p_value:.2g}."
        if bounds := c["bounds"]:
            low, high = (100 * bounds[end]["difference"] for end in ("lower", "upper"))
            yield (
                f"truncated answers count as incorrect; had they been finished, the difference from {c['b']} would be {low:+.0f} to {high:+.0f} points, "
                "and what is found holds for all of these."
            )
        if c["excluded"]:
            unjudged = ", or a judgement that could not be read," if values["measure"] == "judged_right" else ""
            yield f"{c['excluded']} questions that the student or {c['b']} has no answer to{unjudged} are left out."


def _of_accuracies(values: Split) -> Iterator[str]:
    systems = values["systems"]
    if majority := values["majority"]:
        yield f"always answering {majority['label'][:60]!r} would be correct for {100 * majority['share']:.0f} % of the questions."
    estimates = {system["metrics"][values["measure"]]["estimate"] for system in systems.values()}
    if len(systems) > 1 and estimates <= {1.0}:
        yield "every system answered all questions correctly: harder questions are needed to distinguish the systems."
    if len(systems) > 1 and estimates <= {0.0}:
        yield "no system answered any question correctly: easier questions are needed to distinguish the systems."


def _looks(seal: Seal) -> Iterator[str]:
    """What was known of the test questions before, and what was set after looking at them."""
    if seal["looked_at_before"]:
        students = "another student" if seal["students"] == 1 else f"{seal['students']} other students"
        yield f"{seal['looked_at_before']} of these questions were looked at before, by {students}: each look makes the numbers less certain."
    if seal["set_after_looking"]:
        yield f"set after looking at these questions: {', '.join(seal['set_after_looking'])}."
