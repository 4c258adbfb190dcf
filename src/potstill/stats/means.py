"""Intervals of a mean, and of any statistic by resampling."""

from collections.abc import Callable, Sequence
from math import sqrt
from random import Random
from statistics import fmean, stdev
from typing import TypeVar

T = TypeVar("T")


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student's t interval (Student 1908, Biometrika 6:1) of at least two values."""
    n, centre = len(values), fmean(values)
    from scipy.stats import t

    half = float(t.ppf((1 + confidence) / 2, n - 1)) * stdev(values) / sqrt(n)
    return centre, centre - half, centre + half


def bootstrap(
    rows: Sequence[T], statistic: Callable[[Sequence[T]], float], confidence: float = 0.95, draws: int = 1000
) -> tuple[float, float]:
    """Percentile interval of a statistic of rows (Efron 1979, Ann. Statist. 7:1), always from the same draws."""
    rng = Random(0)
    values = sorted(statistic(rng.choices(rows, k=len(rows))) for _ in range(draws))
    cut = round((1 - confidence) / 2 * draws)
    return values[cut], values[draws - 1 - cut]
