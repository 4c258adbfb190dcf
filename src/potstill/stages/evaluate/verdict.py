"""The verdict: what the comparisons show, in words."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from potstill.recipe.systems import Role, System

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
    "equal": "it is equal within the margin",
    "not distinguishable": "it is not distinguishable",
}
STUDENT = System.STUDENT.value
OTHERS = (Role.BASE, Role.TEACHER)
"""The roles that the student is compared with."""


def verdict(splits: Mapping[str, Any]) -> str:
    """One paragraph about the student, split by split, unseen templates first."""
    return " ".join(of_split(split, values) for split, values in splits.items())


def of_split(split: str, values: Mapping[str, Any]) -> str:
    """What one split shows, in sentences."""
    systems = values["systems"]
    if STUDENT not in systems:
        return f"{WHERE[split]} ({split}) the student was not evaluated."
    if not decided(values):
        return _described(split, values)
    accuracy = systems[STUDENT]["metrics"]["accuracy"]
    text = (
        f"{WHERE[split]} ({split}, {systems[STUDENT]['n']} questions) the student answers {accuracy['estimate']:.0%} "
        f"correctly [{accuracy['low'] * 100:.0f}, {accuracy['high'] * 100:.0f}]"
    )
    for role in OTHERS:
        if comparison := strongest(values["comparisons"], role):
            only_one = sum(system["role"] == role for system in systems.values()) == 1
            text += "; " + _against(comparison, systems[comparison["b"]], only_one=only_one)
    return text + "." + _caution(systems, values["comparisons"])


def decided(values: Mapping[str, Any]) -> bool:
    """Whether gold answers decide which answers are correct."""
    return all("accuracy" in system["metrics"] for system in values["systems"].values())


def strongest(comparisons: Sequence[Mapping[str, Any]], role: Role) -> Mapping[str, Any] | None:
    """The comparison with the best system of the base or the teacher; None if there is none."""
    of_role = [c for c in comparisons if c["role"] == role and "difference" in c]
    return min(of_role, key=lambda c: float(c["difference"])) if of_role else None


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
    for comparison in (c for role in OTHERS for c in values["comparisons"] if c["role"] == role):
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


def _against(comparison: Mapping[str, Any], other: Mapping[str, Any], *, only_one: bool) -> str:
    accuracy = other["metrics"]["accuracy"]["estimate"]
    which = "" if only_one else f", the strongest {comparison['role']} system,"
    text = (
        f"compared with {comparison['b']} ({accuracy:.0%}){which} {FINDINGS[comparison['finding']]}: "
        f"{points(comparison)} points, p = {comparison['p_value']:.2g}"
    )
    if generous := comparison["truncated_as_correct"]:
        text += f" ({points(generous)} if every truncated answer counted as correct)"
    return text
