"""What is decided: corrections for the number of tests, and whether distilling was worth it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from potstill import stats
from potstill.recipe.systems import STUDENT, Role
from potstill.stages.evaluate.choosing import COMPARED
from potstill.stages.evaluate.compare import NOT_TOLD, finding, largest_p_value
from potstill.stages.evaluate.result import Comparison, Decision, Split

ORDER: tuple[Decision, ...] = ("do not distil", "not yet", "not distinguishable", "undecided", "distilled")
"""The decision of a run is the first of these that one of its splits has."""


def corrected(splits: Mapping[str, Split]) -> tuple[dict[str, Split], int]:
    """The splits with findings that are corrected for the number of tests, and the number of tests that a verdict speaks of.

    Those are corrected by Holm's method over all splits, so that none of them is wrong but for the error rate; the others of the
    tables by that of Benjamini and Hochberg over all comparisons (`potstill.stats.adjust_p_values`).
    """
    keys = [(split, c["b"]) for split, values in splits.items() for c in _tested(values)]
    p_values = {(split, c["b"]): largest_p_value(c, c["bounds"]) for split, v in splits.items() for c in _tested(v)}
    spoken = [(split, c["b"]) for split, values in splits.items() for c in spoken_of(values)]
    adjusted: dict[tuple[str, str], tuple[str, float]] = {}
    for method, of in (("bh", keys), ("holm", spoken)):
        if of:
            values = stats.adjust_p_values([p_values[key] for key in of], cast(Any, method))
            adjusted |= {key: (method, float(p)) for key, p in zip(of, values, strict=True)}
    done = {}
    for split, of_split in splits.items():
        comparisons = [
            _with_finding(c, *adjusted[split, c["b"]], of_split["confidence"]) if (split, c["b"]) in adjusted else c
            for c in cast(Sequence[Comparison], of_split["comparisons"])
        ]
        done[split] = cast(Split, {**of_split, "comparisons": comparisons})
    return done, len(spoken)


def decide(values: Split) -> Decision:
    """The decision of one split.

    ``do not distil`` where something cheaper is shown to be as good (not worse than the student by the margin, corrected by Holm's
    method for the number of such systems) or better; ``distilled`` where the student is shown better than all of them and
    not worse than the teacher by the margin; ``not yet`` where the teacher is shown better, and the student not to be within the
    margin; ``not distinguishable`` where the questions show none of this; ``undecided`` where no gold decides, or base or
    teacher cannot be compared with.
    """
    if not values["decided"] or STUDENT not in values["systems"]:
        return "undecided"
    spoken = spoken_of(values)
    teachers = [c for c in spoken if c["role"] == Role.TEACHER]
    if as_good(values):
        return "do not distil"
    cheaper = [c for c in spoken if c["cheaper"]]
    if not teachers or not cheaper:
        return "undecided"
    if all(c["finding"] == "better" for c in cheaper) and all(c["not_worse"]["shown"] for c in teachers):
        return "distilled"
    if any(c["finding"] == "worse" and not c["not_worse"]["shown"] for c in teachers):
        return "not yet"
    return "not distinguishable"


def as_good(values: Split) -> list[Comparison]:
    """The cheaper systems that are shown to be as good as the student, or better."""
    cheaper = [c for c in spoken_of(values) if c["cheaper"]]
    if not cheaper:
        return []
    p_values = [(c["bounds"]["upper"] if c["bounds"] else c)["matched"]["p_value"] for c in cheaper]
    adjusted = stats.adjust_p_values(p_values, "holm")
    level = 1 - values["confidence"]
    return [c for c, p in zip(cheaper, adjusted, strict=True) if p < level or c["finding"] == "worse"]


def overall(decisions: Mapping[str, Decision]) -> Decision:
    """The decision of a run: what holds on one split only is not claimed for all."""
    return next((one for one in ORDER if one in decisions.values()), "undecided")


def spoken_of(values: Split) -> list[Comparison]:
    """The comparisons that a verdict rests on: with the chosen way to ask the base and the teacher, and with each other model."""
    return [c for c in _tested(values) if c["chosen"] and not why_not(values, c["role"])]


def why_not(values: Split, role: str) -> str:
    """Why the student cannot be compared with a role, in words; empty if it can, or if the role has no system."""
    systems = {name: system for name, system in values["systems"].items() if system["role"] == role}
    if not systems or role not in COMPARED:
        return ""
    if not any(system["tells_task"] for system in systems.values()):
        return f"the {role} was never told the task, its labels or its schema; add {role}-direct to evaluate.systems"
    if role == Role.TEACHER and not any(system["zero_shot"] for system in systems.values()):
        return "the teacher was never asked to reason without solved examples; add teacher-plain or teacher-cot to evaluate.systems"
    return ""


def _tested(values: Split) -> list[Comparison]:
    if not values["decided"]:
        return []
    return [c for c in cast(Sequence[Comparison], values["comparisons"]) if c["finding"] != NOT_TOLD]


def _with_finding(comparison: Comparison, method: str, p_adjusted: float, confidence: float) -> Comparison:
    shown = finding(comparison, comparison["bounds"], p_adjusted, confidence)
    return cast(Comparison, {**comparison, "p_adjusted": p_adjusted, "correction": method, "finding": shown})
