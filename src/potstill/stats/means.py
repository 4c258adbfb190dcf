"""The interval of a mean of independent values."""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

from scipy.special import stdtrit


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student's t interval (Student 1908, Biometrika 6:1) of at least two values."""
    n, centre = len(values), fmean(values)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * stdev(values) / sqrt(n)
    return centre, centre - half, centre + half
