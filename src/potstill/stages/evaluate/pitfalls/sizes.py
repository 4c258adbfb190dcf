"""Too few questions, or too few groups of them."""

from math import isfinite

from potstill import stats
from potstill.stages.evaluate.pitfalls.evidence import Evidence
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall

DISCORDANT = 0.3
"""Fraction of the questions on which two systems commonly differ; it decides what a test set can show."""
FEW_QUESTIONS = 100
"""Below which the sentence says what cannot be shown."""
FEW_GROUPS = 30
"""Below which standard errors by groups are rough: fewer than about 42 clusters may be too few (Angrist and Pischke 2009, Mostly
Harmless Econometrics, section 8.2.3); `potstill.stats.clustered` adds another test below 30."""


def sizes(evidence: Evidence) -> list[Pitfall]:
    """Fewer than 100 questions; where groups hold more than one question, fewer than 30 groups."""
    n = len(evidence.questions)
    groups = len({example["group"] for example in evidence.questions})
    return [*_questions(n), *(_groups(groups, n) if groups < n else [])]


def _questions(n: int) -> list[Pitfall]:
    if not 0 < n < FEW_QUESTIONS:
        return []
    difference = stats.minimum_detectable_difference(n, DISCORDANT)
    found = isfinite(difference)
    shown = f"only differences of at least {100 * difference:.0f} points are" if found else "no difference is"
    return [
        Pitfall(
            "few-questions",
            f"{n} question{'s are' if n > 1 else ' is'} few: where two systems differ on {100 * DISCORDANT:.0f} % of the questions, {shown} found with a "
            f"probability of 80 %, so ask at least {FEW_QUESTIONS}.",
            {"n": n, "least": FEW_QUESTIONS, "discordance": DISCORDANT, "power": 0.8, "difference": difference if found else None},
        )
    ]  # fmt: skip


def _groups(groups: int, n: int) -> list[Pitfall]:
    if groups >= FEW_GROUPS:
        return []
    figures = {"groups": groups, "n": n, "least": FEW_GROUPS}
    if groups == 1:
        text = f"All {n} questions are of one group, so that nothing shows what another group would give: add questions of other groups."
        return [Pitfall("few-groups", text, figures)]
    return [
        Pitfall(
            "few-groups",
            f"The {n} questions are of {groups} groups only, and questions of one group are nearly one question: add groups, not questions, "
            f"until there are at least {FEW_GROUPS}.",
            figures,
        )
    ]
