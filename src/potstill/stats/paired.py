"""Two systems on the same questions: a test, and an interval of the difference."""

from math import sqrt

from potstill.stats.proportions import wilson


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value of McNemar's test (McNemar 1947, Psychometrika 12:153) from the discordant counts; 1 where
    there are none."""
    from scipy.stats import binomtest

    n = only_a + only_b
    return float(binomtest(only_a, n, 0.5).pvalue) if n else 1.0


def newcombe_paired(both: int, only_a: int, only_b: int, neither: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the difference of two paired proportions, a - b (Newcombe 1998, Stat. Med. 17:2635, method 10).
    (-1, 1) for no pairs."""
    n = both + only_a + only_b + neither
    if n == 0:
        return -1.0, 1.0
    a, b = (both + only_a) / n, (both + only_b) / n
    low_a, high_a = wilson(both + only_a, n, confidence)
    low_b, high_b = wilson(both + only_b, n, confidence)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    phi = 0.0
    if margins:
        excess = both * neither - only_a * only_b
        phi = (max(excess - n / 2, 0.0) if excess > 0 else excess) / sqrt(margins)
    down, up = (a - low_a, high_b - b), (high_a - a, b - low_b)
    low = a - b - sqrt(max(0.0, down[0] ** 2 - 2 * phi * down[0] * down[1] + down[1] ** 2))
    high = a - b + sqrt(max(0.0, up[0] ** 2 - 2 * phi * up[0] * up[1] + up[1] ** 2))
    return low, high
