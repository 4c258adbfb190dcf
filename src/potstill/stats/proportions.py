"""Intervals of a proportion."""

from dataclasses import dataclass
from math import sqrt

from scipy.special import betaincinv, ndtri

from potstill.stats.checks import count, fraction


@dataclass(frozen=True)
class Interval:
    """Limits of a proportion."""

    low: float
    high: float


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval (Wilson 1927, JASA 22:209; Newcombe 1998, Stat. Med. 17:857, method 3): the proportions p with
    ``(successes / n - p)^2 <= z^2 p (1 - p) / n``.

    Its coverage varies around the level with n and p. 0 of n has the lower limit 0, n of n the upper limit 1, and n = 0
    leaves every proportion possible: (0, 1).
    """
    successes, n = _successes(successes, n)
    z = float(ndtri((1 + fraction("confidence", confidence)) / 2))
    return wilson_limits(successes / n, n, z) if n else Interval(0.0, 1.0)


def wilson_limits(p: float, n: float, quantile: float) -> Interval:
    """Wilson's limits of the observed proportion ``p`` of ``n`` questions, which may be an effective number."""
    z = quantile
    centre = (p * n + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * sqrt(n * p * (1 - p) + z * z / 4)
    return Interval(max(0.0, centre - half) if p > 0 else 0.0, min(1.0, centre + half) if p < 1 else 1.0)


def clopper_pearson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Exact interval (Clopper and Pearson 1934, Biometrika 26:404): the proportions that neither one-sided binomial test at
    half of 1 - confidence rejects, which are quantiles of the beta distribution.

    Its coverage is never below the level, for any n and p. 0 of n has the lower limit 0, n of n the upper limit 1, and n = 0
    leaves every proportion possible: (0, 1).
    """
    successes, n = _successes(successes, n)
    tail = (1 - fraction("confidence", confidence)) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return Interval(low, high)


def _successes(successes: int, n: int) -> tuple[int, int]:
    successes, n = count("successes", successes), count("n", n)
    if successes > n:
        raise ValueError(f"there cannot be {successes} successes among {n}")
    return successes, n
