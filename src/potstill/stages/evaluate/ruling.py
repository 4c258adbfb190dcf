"""From comparisons to a decision, by one set of rules for gold answers and for labels, with its reason in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from potstill import stats
from potstill.recipe.systems import Role
from potstill.stages.evaluate.result import Decision

ORDER: tuple[Decision, ...] = ("do not distil", "not yet", "not distinguishable", "undecided", "distilled")
"""The decision of a run is the first of these that one of its splits has."""


@dataclass(frozen=True)
class Against:
    """The student against one other system.

    Attributes:
        system, role: the other system.
        cheaper: whether it needs no student.
        better, worse: what is shown of the student.
        not_worse: whether the student is shown not to be worse by the margin.
        p_matched: p-value of the hypothesis that the student is better by the margin or more.
    """

    system: str
    role: str
    cheaper: bool
    better: bool
    worse: bool
    not_worse: bool
    p_matched: float


def ruling(against: Sequence[Against], confidence: float) -> Decision:
    """The decision by the comparisons that a verdict rests on.

    ``do not distil`` where something cheaper is shown to be as good (`as_good`); ``distilled`` where the student is shown better than all
    that is cheaper and not worse than the teacher by the margin; ``not yet`` where the teacher is shown better, and the student not to
    be within the margin; ``not distinguishable`` where none of this is shown; ``undecided`` without something cheaper, or a teacher.
    """
    teachers, cheaper = _teachers(against), [one for one in against if one.cheaper]
    if as_good(against, confidence):
        return "do not distil"
    if not teachers or not cheaper:
        return "undecided"
    if all(one.better for one in cheaper) and all(one.not_worse for one in teachers):
        return "distilled"
    if any(one.worse and not one.not_worse for one in teachers):
        return "not yet"
    return "not distinguishable"


def as_good(against: Sequence[Against], confidence: float) -> list[Against]:
    """The cheaper systems that are shown to be better than the student, or as good: the student is not better by the margin, corrected by
    Holm's method for the number of such systems."""
    cheaper = [one for one in against if one.cheaper]
    if not cheaper:
        return []
    adjusted = stats.adjust_p_values([one.p_matched for one in cheaper], "holm")
    return [one for one, p in zip(cheaper, adjusted, strict=True) if p < 1 - confidence or one.worse]


def overall(decisions: Mapping[str, Decision]) -> Decision:
    """The decision of a run: what holds on one split only is not claimed for all."""
    return next((one for one in ORDER if one in decisions.values()), "undecided")


def reason(
    decision: Decision, against: Sequence[Against], confidence: float, margin: str, evidence: str, verb: str = "is"
) -> str:
    """Why it was decided so, unless it is undecided; ``evidence`` are what do not show enough, and the student ``verb`` better."""
    match decision:
        case "distilled":
            return f"the student {verb} better than what is cheaper, and not worse than the teacher by {margin}"
        case "do not distil":
            names = " and ".join(one.system for one in as_good(against, confidence))
            return f"{names}, which needs no student, {verb} as good or better"
        case "not yet":
            names = " and ".join(one.system for one in _teachers(against))
            return f"the student {verb} worse than the teacher ({names})"
        case _:
            return f"{evidence} do not show that {' or that '.join(_not_shown(against, margin))}"


def _teachers(against: Sequence[Against]) -> list[Against]:
    return [one for one in against if one.role == Role.TEACHER]


def _not_shown(against: Sequence[Against], margin: str) -> Iterator[str]:
    for one in against:
        if one.cheaper and not one.better:
            yield f"the student is better than {one.system}"
        if one.role == Role.TEACHER and not one.not_worse:
            yield f"the student is not worse than {one.system} by {margin}"
