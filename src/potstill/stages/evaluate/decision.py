"""What is decided by gold answers: corrections for the number of tests, and whether distilling was worth it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from potstill import stats
from potstill.recipe.systems import STUDENT, Role
from potstill.stages.evaluate.choosing import COMPARED
from potstill.stages.evaluate.compare import NOT_TOLD, finding, largest_p_value
from potstill.stages.evaluate.result import Comparison, Decision, Split
from potstill.stages.evaluate.ruling import Against, ruling


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
    """The decision of one split (`ruling.ruling`); ``undecided`` where no gold decides, and without a student."""
    if not values["decided"] or STUDENT not in values["systems"]:
        return "undecided"
    return ruling(against(values), values["confidence"])


def against(values: Split) -> list[Against]:
    """What the comparisons show that a verdict rests on."""
    return [
        Against(
            system=c["b"],
            role=c["role"],
            cheaper=c["cheaper"],
            better=c["finding"] == "better",
            worse=c["finding"] == "worse",
            not_worse=c["not_worse"]["shown"],
            p_matched=(c["bounds"]["upper"] if c["bounds"] else c)["matched"]["p_value"],
        )
        for c in spoken_of(values)
    ]


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
