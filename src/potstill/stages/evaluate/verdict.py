"""The verdict: what the comparisons show, in words."""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Any

from potstill.recipe.systems import STUDENT, Role
from potstill.stages.evaluate.choosing import COMPARED
from potstill.stages.evaluate.compare import NOT_DISTINGUISHABLE, NOT_TOLD

WHERE = {
    "test_unseen": "On questions of a kind never trained on",
    "test": "On new questions of the kind trained on",
}
SMALL_TEST = 100
"""Number of questions below which the verdict says how little they can show."""
DISCORDANT = 0.3
"""Fraction of the questions on which two systems commonly differ; it decides what a test set can show."""
FINDINGS = {
    "better": "it is better",
    "worse": "it is worse",
    "equal": "it is equal within the margin of {margin:.3g} points",
    NOT_DISTINGUISHABLE: "it is not distinguishable",
}


def verdict(splits: Mapping[str, Any]) -> str:
    """One paragraph about the student, split by split, unseen templates first."""
    return " ".join(of_split(split, values) for split, values in splits.items())


def of_split(split: str, values: Mapping[str, Any]) -> str:
    """What one split shows, in sentences."""
    systems = values["systems"]
    if STUDENT not in systems:
        return f"{WHERE[split]} ({split}) the student was not evaluated."
    if not values["decided"]:
        return _described(split, values) + _looks(values)
    accuracy = systems[STUDENT]["metrics"]["accuracy"]
    text = (
        f"{WHERE[split]} ({split}, {systems[STUDENT]['n']} questions) the student answers {accuracy['estimate']:.0%} "
        f"correctly [{accuracy['low'] * 100:.0f}, {accuracy['high'] * 100:.0f}]"
    )
    text += "".join(f"; {clause}" for clause in _clauses(values))
    return text + "." + _caution(systems, values["comparisons"]) + _looks(values)


def spoken_of(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The comparisons that a verdict rests on: with the chosen way to ask the base and the teacher, and with each other model."""
    told = [c for c in values["comparisons"] if c["chosen"] and c["finding"] != NOT_TOLD]
    return [c for c in told if not why_not(values, c["role"])]


def why_not(values: Mapping[str, Any], role: str) -> str:
    """Why the student cannot be compared with a role, in words; empty if it can, or if the role has no system."""
    systems = {name: system for name, system in values["systems"].items() if system["role"] == role}
    if not systems or role in (Role.STUDENT, Role.OTHER):
        return ""
    if not any(system["tells_task"] for system in systems.values()):
        return f"the {role} was never told the task, its labels or its schema; add {role}-direct to evaluate.systems"
    if role == Role.TEACHER and not any(system["zero_shot"] for system in systems.values()):
        return "the teacher was never asked to reason without solved examples; add teacher-plain or teacher-cot to evaluate.systems"
    return ""


def _clauses(values: Mapping[str, Any]) -> Iterator[str]:
    """What the comparison with each role, and with each other model, shows."""
    for role in COMPARED:
        if reason := why_not(values, role):
            yield f"it is not compared with the {role}: {reason}"
    for comparison in values["comparisons"]:
        if comparison["role"] == Role.OTHER and comparison["finding"] == NOT_TOLD:
            yield f"it is not compared with {comparison['b']}, which was never told the task, its labels or its schema"
    for comparison in spoken_of(values):
        ways = [c for c in values["comparisons"] if c["role"] == comparison["role"] and c["finding"] != NOT_TOLD]
        yield _against(comparison, values, [comparison] if comparison["role"] == Role.OTHER else ways)


def detectable_difference(n: int, confidence_quantile: float = 1.96) -> float:
    """The smallest difference of two accuracies whose interval would exclude 0 with ``n`` questions, at most 1.

    Half the width of the interval of a paired difference d with discordant fraction q is z sqrt((q - d^2) / n).
    """
    return min(confidence_quantile * sqrt(DISCORDANT / n), 1.0)


def points(comparison: Mapping[str, Any]) -> str:
    """A difference with its interval, in percentage points."""
    return f"{comparison['difference'] * 100:+.0f} [{comparison['low'] * 100:+.0f}, {comparison['high'] * 100:+.0f}]"


def interval(metric: Mapping[str, float]) -> str:
    """A fraction with its interval, in percent."""
    return f"{100 * metric['estimate']:.0f} [{100 * metric['low']:.0f}, {100 * metric['high']:.0f}]"


def score(metric: Mapping[str, float]) -> str:
    """A mean score, or a difference of two, with its interval."""
    return f"{metric['estimate']:.3g} [{metric['low']:.3g}, {metric['high']:.3g}]"


def _described(split: str, values: Mapping[str, Any]) -> str:
    """What can be said of a split where nothing decides."""
    n = values["systems"][STUDENT]["n"]
    text = f"{WHERE[split]} ({split}, {n} examples) no score says which answers are correct; the scores are descriptive only."
    for comparison in values["comparisons"]:
        parts = [f"{name} {score(difference)}" for name, difference in comparison["scores"].items()]
        if comparison.get("agreement"):
            parts.insert(0, f"the same answer to {interval(comparison['agreement'])} % of the questions")
        text += f" Student minus {comparison['b']}: {', '.join(parts)}." if parts else ""
    return text


def _caution(systems: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> str:
    """What the test set cannot show, in sentences."""
    text = ""
    n = systems[STUDENT]["n"]
    if comparisons and n < SMALL_TEST:
        text += (
            f" With {n} questions this test is too small to show differences of less than about "
            f"{100 * detectable_difference(n):.0f} points; use more."
        )
    estimates = {system["metrics"]["accuracy"]["estimate"] for system in systems.values()}
    if len(systems) > 1 and estimates <= {1.0}:
        text += " Every system answered all of them correctly: harder questions are needed to distinguish the systems."
    if len(systems) > 1 and estimates <= {0.0}:
        text += " No system answered any of them correctly: easier questions are needed to distinguish the systems."
    return text


def _looks(values: Mapping[str, Any]) -> str:
    """What was known of the test questions before, and what was set after looking at them, in sentences."""
    sealed, text = values["sealed"], ""
    if sealed["looked_at_before"]:
        students = "another student" if sealed["students"] == 1 else f"{sealed['students']} other students"
        text += f" {sealed['looked_at_before']} of these questions were looked at before, by {students}."
    if sealed["set_after_looking"]:
        text += f" Set after looking at these questions: {', '.join(sealed['set_after_looking'])}."
    return text


def _against(comparison: Mapping[str, Any], values: Mapping[str, Any], ways: Sequence[Mapping[str, Any]]) -> str:
    """``ways`` are the comparisons with every way of asking the same model that was told the task."""
    accuracy = values["systems"][comparison["b"]]["metrics"]["accuracy"]["estimate"]
    which = ""
    if len(ways) > 1:
        how = "that validation chose" if comparison["chosen_on"] else "that the recipe lists first"
        which = f", the way of asking the {comparison['role']} {how},"
    finding = FINDINGS[comparison["finding"]].format(margin=100 * values["margin"])
    text = (
        f"compared with {comparison['b']} ({accuracy:.0%}){which} {finding}: "
        f"{points(comparison)} points, p = {comparison['p_value']:.2g}"
    )
    if bounds := comparison["bounds"]:
        text += f" (from {points(bounds['lower'])} to {points(bounds['upper'])}, whatever the truncated answers would have been)"
    if comparison["excluded"]:
        text += f" ({comparison['excluded']} questions without an answer of both are left out)"
    if len(ways) > 1 and all(way["finding"] == "better" for way in ways):
        p_value = max(way["p_value"] for way in ways)  # an intersection-union test (Berger 1982, Technometrics 24:295)
        text += f"; it is better than every way of asking the {comparison['role']}, p = {p_value:.2g}"
    return text
