"""Two facts of each question compared: how much more often the one holds than the other, with interval and test."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from potstill import stats


@dataclass(frozen=True)
class Excess:
    """``difference`` of the shares of questions, with its interval and the p-value of no difference."""

    difference: float
    low: float
    high: float
    p_value: float


NOTHING = Excess(0.0, -1.0, 1.0, 1.0)


def excess(a: Sequence[bool], b: Sequence[bool], groups: Sequence[Hashable], confidence: float) -> Excess:
    """How much more often ``a`` holds than ``b`` [questions].

    Where groups hold several questions, by groups (`potstill.stats.clustered_difference`, and below 30 groups the larger p-value
    of its two tests), otherwise by Tango's interval and the exact McNemar test. No question shows nothing.
    """
    if not a:
        return NOTHING
    if len(set(groups)) < len(groups):
        of_groups = stats.clustered_difference(list(map(float, a)), list(map(float, b)), groups, confidence)
        p_value = max(of_groups.p_value, of_groups.sign_flip_p_value or 0.0)
        return Excess(of_groups.difference, of_groups.low, of_groups.high, p_value)
    pairs = list(zip(a, b, strict=True))
    table = [[pairs.count((x, y)) for y in (True, False)] for x in (True, False)]
    found = stats.paired_difference(table, method="tango", confidence=confidence)
    return Excess(found.difference, found.low, found.high, stats.mcnemar(table, method="exact").p_value)


def adjusted(p_values: Sequence[float], tests: int) -> list[float]:
    """p-values of the tests that are of interest among ``tests`` of one table, by Benjamini and Hochberg; the others count as 1."""
    if not p_values:
        return []
    found: list[float] = stats.adjust_p_values([*p_values, *[1.0] * (tests - len(p_values))], method="bh").tolist()
    return found[: len(p_values)]
