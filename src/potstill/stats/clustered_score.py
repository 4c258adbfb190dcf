"""Non-inferiority of right and wrong answers to questions in groups, where few questions tell two systems apart."""

from math import inf

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from potstill.stats import tango
from potstill.stats.checks import codes, fraction, sums_by, vectors
from potstill.stats.clustered import Clusters, errors_of_mean
from potstill.stats.paired import NonInferiority, checked_margin

IMAGINED = 0.5
"""Weight of each of two imagined clusters in the design effect: one more that only A, and one that only B answers correctly."""


def clustered_noninferiority(
    a: npt.ArrayLike, b: npt.ArrayLike, clusters: Clusters | None, margin: float, confidence: float = 0.95
) -> NonInferiority:
    """Whether the answers ``a`` (1 right, 0 wrong) [questions] are worse than ``b`` by less than ``margin``, one-sided, for questions
    in ``clusters``: Tango's score test (`noninferiority`) of the counts divided by the design effect (Rao and Scott 1992, Biometrics
    48:577), with t's quantile for the degrees of freedom of CR2.

    A t test of the mean difference shows it too often where few questions are discordant, as where two systems give mostly the same
    answers: simulated at the margin itself in up to 28 % of the draws instead of 5 %, and this test in up to 7 %, for 12 to 100
    clusters of 2 to 13 questions, an intra-class correlation of 0.1 or 0.44 and 5 to 30 % discordant questions. The design effect is at least 1, and estimated with imagined discordant clusters: a few
    that happen to agree would seem certain otherwise. Without discordant questions, each cluster counts as one. One cluster shows nothing.
    """
    level, margin = fraction("confidence", confidence), checked_margin(margin)
    first, second = vectors(a=a, b=b)
    if not (np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        raise ValueError("a and b must be 1 for a right answer and 0 for a wrong one")
    groups, n_groups = codes("clusters", clusters, len(first))
    n, differences = len(first), first - second
    only_a, only_b = float((differences > 0).sum()), float((differences < 0).sum())
    difference = (only_a - only_b) / n
    if (n_groups == 1 and n > 1) or n == 1:
        return NonInferiority(difference, -1.0, margin, 1.0, False)
    independent = n_groups == n
    if independent:
        effect, df = 1.0, inf
    else:
        effect, df = _design_effect(sums_by(groups, n_groups, differences), sums_by(groups, n_groups), only_a + only_b)
    counts = only_a / effect, only_b / effect, n / effect
    quantile = float(ndtri(level)) if independent else float(stdtrit(df, level))
    low, _ = tango.limits(*counts, quantile)
    score = tango.score(*counts, -margin)
    p_value = float(ndtr(-score) if independent else stdtr(df, -score))
    return NonInferiority(difference, low, margin, p_value, p_value < 1 - level)


def _design_effect(
    sums: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], discordant: float
) -> tuple[float, float]:
    """The design effect of the difference and the degrees of freedom, from the ``sums`` of differences and the ``sizes`` [clusters]."""
    n, average = sizes.sum(), sizes.mean()
    _, _, _, _, df = errors_of_mean(sums, sizes)
    if not discordant:
        return float(n / len(sizes)), df
    # Each imagined cluster is as discordant as a whole cluster can be, and counts as a part of one.
    mean = sums.sum() / n
    residuals = float(((sums - mean * sizes) ** 2 / (1 - sizes / n)).sum()) + 2 * IMAGINED * average**2
    independent = discordant - n * mean**2 + 2 * IMAGINED * average
    return max(1.0, residuals / independent), df
