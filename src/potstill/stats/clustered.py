"""Questions in groups (templates, passages, chats): answers within a group resemble each other, so that the groups, not the
questions, are the independent observations."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, ndtri, stdtr, stdtrit

from potstill.stats import tango
from potstill.stats.checks import Floats, choice, codes, fraction, sums_by, vector, vectors
from potstill.stats.paired import Test
from potstill.stats.proportions import Interval, wilson_limits

Clusters = Sequence[Hashable] | npt.NDArray[Any]
FEW_CLUSTERS = 30
"""Below which a sign-flip test is reported beside the t test."""
ALL_FLIPS = 16
"""Clusters up to which all signs are tried; beyond, this many random ones:"""
FLIPS = 100_000


@dataclass(frozen=True)
class StandardErrors:
    """A mean with three standard errors of it; ``df`` are the degrees of freedom of ``cr2``."""

    mean: float
    cr0: float
    cr1: float
    cr2: float
    df: float


@dataclass(frozen=True)
class ClusteredDifference:
    """A - B. ``design_effect`` is the squared standard error over that of as many independent questions; ``clusters`` is their
    number. ``sign_flip_p_value`` is None where there are clusters enough."""

    difference: float
    low: float
    high: float
    p_value: float
    df: float
    design_effect: float
    clusters: int
    sign_flip_p_value: float | None


def clustered_standard_error(values: npt.ArrayLike, clusters: Clusters | None) -> StandardErrors:
    """Standard errors of the mean of ``values`` [questions], which vary together within ``clusters`` [questions].

    With n questions, of which n_g in cluster g, and r_g the sum of its residuals: CR0 = sqrt(sum r_g^2) / n (Liang and
    Zeger 1986, Biometrika 73:13), CR1 = CR0 sqrt(G / (G - 1)), CR2 = sqrt(sum r_g^2 / (1 - n_g / n)) / n, with
    Satterthwaite degrees of freedom under independence (Bell and McCaffrey 2002, Surv. Methodol. 28:169; Pustejovsky and
    Tipton 2018, J. Bus. Econ. Stat. 36:672). Where all clusters have one size, CR1 = CR2 and the
    degrees are G - 1. None for ``clusters``: each question is its own. One cluster says nothing about others: CR1 and CR2
    are nan, with 0 degrees of freedom.
    """
    array = vector("values", values)
    groups, n_groups = codes("clusters", clusters, len(array))
    sizes = sums_by(groups, n_groups)
    sums = sums_by(groups, n_groups, array)
    mean, cr0, cr1, cr2, df = errors_of_mean(sums, sizes)
    return StandardErrors(float(mean), float(cr0), float(cr1), float(cr2), df)


def errors_of_mean(sums: Floats, sizes: Floats) -> tuple[Floats, Floats, Floats, Floats, float]:
    """Mean, CR0, CR1, CR2 and the degrees of freedom, from the sums [..., clusters] of values and the sizes [clusters]."""
    n, n_groups = sizes.sum(), len(sizes)
    mean = sums.sum(-1) / n
    residuals = (sums - mean[..., None] * sizes) ** 2
    # What remains of rounding where all residuals are 0.
    residuals = np.where(residuals < (1e-13 * (np.abs(sums).max(-1, keepdims=True) + 1)) ** 2, 0.0, residuals)
    cr0 = np.sqrt(residuals.sum(-1)) / n
    if n_groups == 1:
        return mean, cr0, np.full_like(cr0, nan), np.full_like(cr0, nan), 0.0
    share = sizes / n
    cr2 = np.sqrt((residuals / (1 - share)).sum(-1)) / n
    return mean, cr0, cr0 * sqrt(n_groups / (n_groups - 1)), cr2, degrees_of_freedom(share)


def degrees_of_freedom(share: Floats) -> float:
    """Of CR2 of a mean: (sum of the eigenvalues)^2 / sum of their squares, of the matrix of a quadratic form that has h_g
    on its diagonal and -h_g h_k / sqrt((1 - h_g)(1 - h_k)) elsewhere; h is the ``share`` [clusters] of questions."""
    weight = share**2 / (1 - share)
    return float(1 / ((share**2).sum() + weight.sum() ** 2 - (weight**2).sum()))


def clustered_difference(
    a: npt.ArrayLike, b: npt.ArrayLike, clusters: Clusters | None, confidence: float = 0.95
) -> ClusteredDifference:
    """Mean paired difference of the scores ``a`` - ``b`` [questions], with an interval and a two-sided test by t with CR2
    and its degrees of freedom (`clustered_standard_error`); Miller 2024, arXiv 2411.00640.

    Below 30 clusters the test that flips the signs of whole clusters is reported beside it (Canay, Romano and Shaikh 2017,
    Econometrica 85:1013): all signs up to 16 clusters, beyond always the same 100,000. None for ``clusters``: each question
    is its own.

    Where all clusters have one difference (all right, all wrong), t would know it for certain. For scores from 0 to 1 each
    cluster then counts as one question, and the limits are Tango's. One cluster, or other scores: every difference is possible.
    """
    first, second = vectors(a=a, b=b)
    level = fraction("confidence", confidence)
    differences = first - second
    groups, n_groups = codes("clusters", clusters, len(differences))
    sums = sums_by(groups, n_groups, differences)
    sizes = sums_by(groups, n_groups)
    mean, _, _, cr2, df = errors_of_mean(sums, sizes)
    difference, error = float(mean), float(cr2)
    flips = sign_flip_p_value(sums) if n_groups < FEW_CLUSTERS else None
    if error > 0:
        half = error * float(stdtrit(df, (1 + level) / 2))
        low, high = difference - half, difference + half
        p_value = 2 * float(stdtr(df, -abs(difference) / error))
    else:
        low, high = limits_without_variation(difference, n_groups, level, _are_bounded(first, second))
        p_value = 2.0 ** (1 - n_groups) if difference else 1.0
    spread = float(differences.var(ddof=1)) / len(differences) if len(differences) > 1 else 0.0
    effect = error**2 / spread if spread > 0 else 1.0 if n_groups > 1 else nan
    return ClusteredDifference(difference, low, high, p_value, df, effect, n_groups, flips)


def clustered_proportion_interval(
    correct: npt.ArrayLike, clusters: Clusters | None, confidence: float = 0.95
) -> Interval:
    """Interval of the proportion of ``correct`` (1 or 0) [questions], in ``clusters``: Wilson's for the effective number of
    questions n / d, with the quantile of t for CR2's degrees of freedom (Korn and Graubard 1998, Surv. Methodol. 24:193, who
    use Clopper-Pearson's).

    The design effect d, at least 1, is estimated with two more clusters of average size, one all right and one all wrong: a few
    clusters that happen to agree would seem certain otherwise. Simulated coverage of 95 % intervals is 94.6 to 99.6 % for 12 to
    100 clusters of 3 to 11 questions, an intra-class correlation of 0.1 or 0.44 and proportions from 0.05 to 0.8; 85 to 98 %
    without them. One cluster says nothing about others.
    """
    level = fraction("confidence", confidence)
    values = vector("correct", correct)
    if not np.isin(values, (0, 1)).all():
        raise ValueError("correct must be 1 for a right answer and 0 for a wrong one; mean_interval takes other scores")
    groups, n_groups = codes("clusters", clusters, len(values))
    if n_groups == 1:
        return Interval(0.0, 1.0)
    n, average = len(values), len(values) / n_groups
    sizes = np.append(sums_by(groups, n_groups), [average, average])
    mean, _, _, error, _ = errors_of_mean(np.append(sums_by(groups, n_groups, values), [average, 0.0]), sizes)
    effect = max(float(error**2 * (sizes.sum() - 1) / (mean * (1 - mean))), 1.0)
    df = degrees_of_freedom(sizes[:-2] / n)
    return wilson_limits(float(values.mean()), n / effect, float(stdtrit(df, (1 + level) / 2)))


def _are_bounded(first: Floats, second: Floats) -> bool:
    """Whether all scores lie between 0 and 1."""
    return bool(min(first.min(), second.min()) >= 0 and max(first.max(), second.max()) <= 1)


def limits_without_variation(mean: float, n_groups: int, level: float, bounded: bool) -> tuple[float, float]:
    """Limits of a mean that is the same in all clusters, from -1 to 1 (``bounded``) or of unknown range: those of Tango, each
    cluster being one question, or none."""
    if not bounded:
        return -inf, inf
    if n_groups == 1:
        return -1.0, 1.0
    only_a, only_b = n_groups * max(mean, 0.0), n_groups * max(-mean, 0.0)
    return tango.limits(only_a, only_b, n_groups, float(ndtri((1 + level) / 2)))


def sign_flip_p_value(sums: Floats) -> float:
    """Two-sided p-value that clusters whose ``sums`` [clusters] of differences are as likely negative as positive sum up to as
    much as they do; sums of 0 do not change with their sign. 1 without any other."""
    moved = sums[np.abs(sums) > 1e-12]
    if not len(moved):
        return 1.0
    observed = abs(moved.sum()) * (1 - 1e-9)
    if len(moved) <= ALL_FLIPS:
        totals = np.zeros(1)
        for value in moved:
            totals = np.concatenate([totals + value, totals - value])
        return float((np.abs(totals) >= observed).mean())
    signs = np.random.default_rng(0).integers(0, 2, size=(FLIPS, len(moved)), dtype=np.int8)
    totals = 2 * (signs @ moved) - moved.sum()
    return float((np.abs(totals) >= observed).sum() + 1) / (FLIPS + 1)


def clustered_mcnemar(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    clusters: Clusters | None,
    method: Literal["durkalski", "obuchowski"] = "durkalski",
) -> Test:
    """McNemar's test for answers (1 right, 0 wrong) ``a`` and ``b`` [questions] to questions in ``clusters`` [questions], by
    chi-squared with 1 degree of freedom.

    With d_g = (only A) - (only B) of cluster g, of n_g questions and G clusters: ``durkalski`` weighs clusters equally,
    (sum d_g / n_g)^2 / sum (d_g / n_g)^2 (Durkalski et al. 2003, Stat. Med. 22:2417); ``obuchowski`` weighs
    questions equally, (sum d_g)^2 (G - 1) / (G sum d_g^2) (Obuchowski 1998, Stat. Med. 17:1495). Without a
    cluster whose d_g differs from 0 the p-value is 1; with one cluster ``durkalski`` is 1 (p = 0.32) and ``obuchowski`` 0.
    """
    first, second = vectors(a=a, b=b)
    choice("method", method, ("durkalski", "obuchowski"))
    if not (np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        raise ValueError(
            "a and b must be 1 for a right answer and 0 for a wrong one; clustered_difference takes other scores"
        )
    groups, n_groups = codes("clusters", clusters, len(first))
    sums = sums_by(groups, n_groups, first - second)
    if method == "durkalski":
        sums = sums / sums_by(groups, n_groups)
    squares = float((sums**2).sum())
    statistic = float(sums.sum()) ** 2 / squares if squares else 0.0
    if method == "obuchowski":
        statistic *= (n_groups - 1) / n_groups
    return Test(statistic, float(chdtrc(1, statistic)))
