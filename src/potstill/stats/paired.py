"""Two systems on the same questions: tests and intervals of the difference of their proportions of right answers.

A table is ``[[both right, only A], [only B, both wrong]]``, in questions. Questions in groups belong to
`potstill.stats.clustered`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from scipy.special import bdtr, chdtrc, ndtr, ndtri

from potstill.stats import tango
from potstill.stats.checks import cells, choice, fraction
from potstill.stats.proportions import wilson_interval

Table = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Test:
    statistic: float
    p_value: float

    __test__ = False  # pytest collects classes of this name


@dataclass(frozen=True)
class Difference:
    """A - B, with the limits of its interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class NonInferiority:
    """``low`` is the one-sided lower limit of A - B, ``p_value`` that of the hypothesis that A is worse by ``margin``."""

    difference: float
    low: float
    margin: float
    p_value: float
    noninferior: bool


@dataclass(frozen=True)
class Equivalence:
    """``low`` and ``high`` are the one-sided limits of A - B, ``p_value`` the larger of the two tests'."""

    difference: float
    low: float
    high: float
    margin: float
    p_value: float
    equivalent: bool


def mcnemar(table: Table, method: Literal["exact", "midp", "asymptotic", "corrected"] = "exact") -> Test:
    """Two-sided test that A and B are right equally often (McNemar 1947, Psychometrika 12:153), from the discordant counts b
    (only A) and c (only B).

    ``exact``: twice the binomial tail of min(b, c) in b + c at 1/2, at most 1. ``midp``: the same less the probability of
    min(b, c), and 1 - P(b) / 2 for b = c (Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91). The
    statistic of both is min(b, c). ``asymptotic``: (b - c)^2 / (b + c) by chi-squared with 1 degree of freedom.
    ``corrected``: (max(|b - c| - 1, 0))^2 / (b + c) (Edwards 1948, Psychometrika 13:185). Without discordant questions p is 1.
    """
    _, only_a, only_b, _ = cells(table)
    choice("method", method, ("exact", "midp", "asymptotic", "corrected"))
    fewer, n = min(only_a, only_b), only_a + only_b
    if method in ("exact", "midp"):
        point = float(bdtr(fewer, n, 0.5) - (bdtr(fewer - 1, n, 0.5) if fewer else 0.0))
        p_value = min(2 * float(bdtr(fewer, n, 0.5)), 1.0)
        if method == "midp" and n:
            p_value -= point / 2 if only_a == only_b else point
        return Test(float(fewer), p_value)
    distance = abs(only_a - only_b)
    if method == "corrected":
        distance = max(distance - 1, 0)
    statistic = distance**2 / n if n else 0.0
    return Test(statistic, float(chdtrc(1, statistic)))


def paired_difference(
    table: Table, method: Literal["newcombe", "tango"] = "newcombe", confidence: float = 0.95
) -> Difference:
    """(b - c) / n of b (only A) and c (only B), with a two-sided interval.

    ``newcombe``: Wilson limits of both proportions, combined by a correlation phi whose numerator is corrected (Newcombe 1998,
    Stat. Med. 17:2635, method 10). ``tango``: the differences that the score test does not reject (Tango 1998, Stat. Med.
    17:891); the wider and the more honest one where few questions are discordant. No questions: 0 between -1 and 1.
    """
    both, only_a, only_b, neither = cells(table)
    choice("method", method, ("newcombe", "tango"))
    n = both + only_a + only_b + neither
    level = fraction("confidence", confidence)
    if n == 0:
        return Difference(0.0, -1.0, 1.0)
    difference = (only_a - only_b) / n
    if method == "newcombe":
        low, high = _newcombe(both, only_a, only_b, neither, level)
    else:
        low, high = tango.limits(only_a, only_b, n, float(ndtri((1 + level) / 2)))
    return Difference(difference, max(low, -1.0), min(high, 1.0))


def noninferiority(table: Table, margin: float, confidence: float = 0.95) -> NonInferiority:
    """Whether A is worse than B by less than ``margin`` (a difference of proportions: 0.05 is five points), by Tango's
    one-sided score test of ``difference <= -margin`` at the level 1 - confidence (Tango 1998, Stat. Med. 17:891).

    ``low`` is the limit of the same test: A is not inferior exactly where it lies above -margin. No questions show nothing.
    """
    both, only_a, only_b, neither = cells(table)
    n = both + only_a + only_b + neither
    level, margin = fraction("confidence", confidence), checked_margin(margin)
    low, _ = tango.limits(only_a, only_b, n, float(ndtri(level)))
    p_value = float(ndtr(-tango.score(only_a, only_b, n, -margin))) if n else 1.0
    return NonInferiority((only_a - only_b) / n if n else 0.0, low, margin, p_value, p_value < 1 - level)


def equivalence(table: Table, margin: float, confidence: float = 0.95) -> Equivalence:
    """Whether A differs from B by less than ``margin`` either way, by two one-sided score tests, each at the level
    1 - confidence (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657; Tango 1998, Stat. Med. 17:891)."""
    both, only_a, only_b, neither = cells(table)
    lower = noninferiority([[both, only_a], [only_b, neither]], margin, confidence)
    upper = noninferiority([[both, only_b], [only_a, neither]], margin, confidence)
    return Equivalence(
        lower.difference,
        lower.low,
        -upper.low,
        lower.margin,
        max(lower.p_value, upper.p_value),
        lower.noninferior and upper.noninferior,
    )


def checked_margin(margin: float) -> float:
    """Raises `ValueError` for a margin that is no difference of proportions."""
    if not 0 <= margin < 1:
        raise ValueError(f"margin must be at least 0 and below 1, and is {margin}; write five points as 0.05")
    return float(margin)


def _newcombe(both: int, only_a: int, only_b: int, neither: int, confidence: float) -> tuple[float, float]:
    n = both + only_a + only_b + neither
    a, b = (both + only_a) / n, (both + only_b) / n
    of_a, of_b = wilson_interval(both + only_a, n, confidence), wilson_interval(both + only_b, n, confidence)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    phi = 0.0
    if margins:
        excess = both * neither - only_a * only_b
        phi = (max(excess - n / 2, 0.0) if excess > 0 else excess) / sqrt(margins)
    down, up = (a - of_a.low, of_b.high - b), (of_a.high - a, b - of_b.low)
    low = a - b - sqrt(max(0.0, down[0] ** 2 - 2 * phi * down[0] * down[1] + down[1] ** 2))
    high = a - b + sqrt(max(0.0, up[0] ** 2 - 2 * phi * up[0] * up[1] + up[1] ** 2))
    return low, high
