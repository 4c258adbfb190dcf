"""Agreement of two raters, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt

from potstill.stats.checks import Floats, codes, fraction, sums_by, vectors
from potstill.stats.clustered import Clusters

DRAWS = 1000
MOST_CATEGORIES = 60
"""Distinct ratings beyond which the tables of the draws would not fit in memory."""


@dataclass(frozen=True)
class Agreement:
    """A measure of agreement, nan where nothing varies, with its interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class TwoRaters:
    """Share of equal ratings, Cohen's kappa, Gwet's AC1 and Krippendorff's alpha, ordinal."""

    same: Agreement
    kappa: Agreement
    ac1: Agreement
    alpha: Agreement


def two_raters(
    first: npt.ArrayLike, second: npt.ArrayLike, clusters: Clusters | None = None, confidence: float = 0.95
) -> TwoRaters:
    """Agreement of the ratings ``first`` and ``second`` [units], numbers of few distinct values, with intervals by resampling of
    ``clusters`` [units].

    The measures are those of `cohen_kappa`, `gwet_ac1` and `krippendorff_alpha` at the level ``ordinal``. Intervals are percentiles of the Bayesian
    bootstrap (Rubin 1981, Ann. Statist. 9:130) of the clusters, with one imagined cluster of average size that agrees by chance, without which a
    few clusters that agree would seem certain, always the same 1,000 draws, extended to the estimate. One cluster: -1 to 1 (0 to 1 for ``same``).
    """
    a, b = vectors(first=first, second=second)
    level = fraction("confidence", confidence)
    groups, n_groups = codes("clusters", clusters, len(a))
    categories, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    q = len(categories)
    cell = places[: len(a)] * q + places[len(a) :]
    kinds, kind = np.unique(cell, return_inverse=True)
    if q > MOST_CATEGORIES:
        raise ValueError(f"there are {q} distinct ratings, and at most {MOST_CATEGORIES} can be compared: round them")
    # A column for each pair of ratings that occurs, and one for each that chance makes.
    by_group = sums_by(groups * len(kinds) + kind, n_groups * len(kinds)).reshape(n_groups, len(kinds))
    table = np.zeros(q * q)
    table[kinds] = by_group.sum(0)
    square = table.reshape(q, q)
    chance = np.outer(square.sum(1), square.sum(0)).reshape(-1) / len(a) / n_groups
    weights = np.random.default_rng(0).exponential(size=(DRAWS, n_groups + 1))
    draws = weights[:, -1:] * chance
    draws[:, kinds] += weights[:, :-1] @ by_group
    of_all, of_draws = _measures(table[None], q), _measures(draws, q)
    lowest = (0.0, -1.0, -1.0, -1.0)
    found = [
        _interval(float(one[0]), many, level, low, n_groups)
        for one, many, low in zip(of_all, of_draws, lowest, strict=True)
    ]
    return TwoRaters(*found)


def _interval(estimate: float, draws: Floats, level: float, lowest: float, n_groups: int) -> Agreement:
    if np.isnan(estimate):
        return Agreement(nan, nan, nan)
    known = draws[np.isfinite(draws)]
    if n_groups == 1 or not len(known):
        return Agreement(estimate, lowest, 1.0)
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Agreement(estimate, min(float(low), estimate), max(float(high), estimate))


def _measures(tables: Floats, q: int) -> Sequence[Floats]:
    """Shares of equal ratings, kappa, AC1 and alpha [tables] of tables [tables, q * q]."""
    cells = tables.reshape(-1, q, q)
    n = cells.sum((1, 2))
    rows, columns = cells.sum(2) / n[:, None], cells.sum(1) / n[:, None]
    same = np.trace(cells, axis1=1, axis2=2) / n
    mean = (rows + columns) / 2
    nothing = np.full_like(same, nan)
    ac1 = _beyond(same, (mean * (1 - mean)).sum(1) / (q - 1)) if q > 1 else nothing
    counts = 2 * mean * n[:, None]
    between = np.cumsum(counts, axis=1) - counts / 2
    distance = (between[:, :, None] - between[:, None, :]) ** 2
    observed = (cells * distance).sum((1, 2)) / n
    expected = (counts[:, :, None] * counts[:, None, :] * distance).sum((1, 2)) / (2 * n * (2 * n - 1))
    alpha = np.divide(observed, expected, out=nothing.copy(), where=expected > 1e-12)
    return same, _beyond(same, (rows * columns).sum(1)), ac1, 1 - alpha


def _beyond(observed: Floats, expected: Floats) -> Floats:
    """Agreement beyond that by chance."""
    return np.divide(observed - expected, 1 - expected, out=np.full_like(observed, nan), where=expected < 1 - 1e-12)
