"""Several tests at once."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from potstill.stats import checks
from potstill.stats.checks import Floats, choice


def adjust_p_values(p_values: npt.ArrayLike, method: Literal["holm", "bh"] = "holm") -> Floats:
    """p-values in the same order, adjusted for their number m; each is at most 1.

    ``holm`` keeps the probability of any false rejection below the level, whatever the dependence: the running maximum of
    (m - i + 1) p_(i) (Holm 1979, Scand. J. Statist. 6:65). ``bh`` keeps the expected share of false rejections below it, for
    independent or positively dependent tests: the running minimum from the largest on of m p_(i) / i (Benjamini and
    Hochberg 1995, J. R. Statist. Soc. B 57:289).
    """
    p = checks.p_values(p_values)
    choice("method", method, ("holm", "bh"))
    m, order = len(p), np.argsort(p, kind="stable")
    rank = np.arange(1, m + 1)
    if method == "holm":
        ordered = np.maximum.accumulate((m - rank + 1) * p[order])
    else:
        ordered = np.minimum.accumulate((m / rank * p[order])[::-1])[::-1]
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(ordered, 1.0)
    return adjusted


def fixed_sequence(p_values: npt.ArrayLike, level: float) -> int:
    """How many of the first hypotheses are rejected at ``level``, up to the first that is not. The order must not depend on the data that
    the p-values are from. Then the probability of any false rejection is at most ``level``, without a correction for their number (Maurer, Hothorn and
    Lehmacher 1995; for the choice of thresholds Angelopoulos et al. 2021, arXiv 2110.01052, section 3.1)."""
    kept = checks.p_values(p_values) > checks.fraction("level", level)
    return int(kept.argmax()) if kept.any() else len(kept)


def intersection_union(p_values: npt.ArrayLike) -> float:
    """p-value of "all of these hold" (better than every one of several systems): the largest (Berger 1982, Technometrics
    24:295). No correction is needed, whatever the dependence."""
    return float(checks.p_values(p_values).max())


def partial_conjunction(
    p_values: npt.ArrayLike, k: int, method: Literal["bonferroni", "simes", "fisher"] = "bonferroni"
) -> float:
    """p-value of "at least ``k`` of these m hold" (better on at least k of m data sets), from the m - k + 1 largest p-values
    (Benjamini and Heller 2008, Biometrics 64:1215).

    ``bonferroni``: (m - k + 1) p_(k), for any dependence, as between tests of one student. ``simes``: the smallest
    (m - k + 1) p_(k - 1 + i) / i, for positive dependence. ``fisher``: chi-squared with 2 (m - k + 1) degrees of freedom of
    -2 sum log p, for independent tests. With k = m all are the largest p-value, that of `intersection_union`.
    """
    p = np.sort(checks.p_values(p_values))
    choice("method", method, ("bonferroni", "simes", "fisher"))
    if not 1 <= k <= len(p):
        raise ValueError(f"k must lie between 1 and the number of tests, {len(p)}, and is {k}")
    largest = p[k - 1 :]
    m = len(largest)
    if method == "fisher":
        return float(chdtrc(2 * m, -2 * np.log(largest).sum())) if largest[0] > 0 else 0.0
    scaled = m * largest / np.arange(1, m + 1)
    return min(float(scaled[0] if method == "bonferroni" else scaled.min()), 1.0)
