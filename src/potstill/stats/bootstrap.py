"""The interval of a paired difference by resampling."""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from potstill.stats.checks import Floats, codes, fraction, sums_by, vectors
from potstill.stats.clustered import Clusters, degrees_of_freedom, limits_without_variation

DISTINCT = 1000
"""Kinds of clusters up to which a resample is a draw of how many there are of each kind."""
BLOCK = 2**16
"""Clusters from which those of a resample are drawn together: their sums fit in a cache of the processor, all may not."""


@dataclass(frozen=True)
class BootstrapDifference:
    """A - B, and how many resamples its limits come from."""

    difference: float
    low: float
    high: float
    draws: int


def paired_bootstrap(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    clusters: Clusters | None = None,
    seeds: Clusters | None = None,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> BootstrapDifference:
    """Mean paired difference of the scores ``a`` - ``b`` [rows], from resamples of whole ``clusters`` [rows], and of training
    ``seeds`` [rows] independently of them where a row is a question under a seed (Owen 2007, Ann. Appl. Stat. 1:386).

    The limits are percentiles (Efron 1979, Ann. Statist. 7:1) further out than the level says, because percentiles are too
    narrow for few clusters: tails of Phi(-t CR2 / CR0), with t of the degrees of freedom of CR2 (Hesterberg 2015, Am. Stat.
    69:371: the expanded percentile interval, here for clusters of unequal size). With seeds, both variances
    are sums over seeds and clusters, with Satterthwaite degrees of freedom. None for ``clusters``: each row is its own
    (with seeds, they must be given). One cluster or one seed says nothing about others: every difference is possible. Where
    no difference varies, each cluster counts as one question, as in `clustered_difference`. ``seed`` is that of the
    resampling, and the same seed gives the same limits.
    """
    first, second = vectors(a=a, b=b)
    level = fraction("confidence", confidence)
    if draws < 1:
        raise ValueError(f"draws must be at least 1, and is {draws}")
    if seeds is not None and clusters is None:
        raise ValueError("give clusters beside seeds: the id of each row's question where questions are in no group")
    differences = first - second
    groups, n_groups = codes("clusters", clusters, len(differences))
    kinds, n_kinds = codes("seeds", seeds if seeds is not None else np.zeros(len(differences), int), len(differences))
    difference = float(differences.mean())
    if n_groups == 1 or (seeds is not None and n_kinds == 1):
        return BootstrapDifference(difference, -inf, inf, 0)
    cell = kinds * n_groups + groups
    shape = n_kinds, n_groups
    sums = sums_by(cell, n_kinds * n_groups, differences).reshape(shape)
    sizes = sums_by(cell, n_kinds * n_groups).reshape(shape)
    residuals = sums - difference * sizes
    if np.abs(residuals).max() < 1e-12 * (1 + np.abs(sums).max()):
        bounded = bool(min(first.min(), second.min()) >= 0 and max(first.max(), second.max()) <= 1)
        return BootstrapDifference(difference, *limits_without_variation(difference, n_groups, level, bounded), 0)
    generator = np.random.default_rng(seed)
    means = _crossed(sums, sizes, draws, generator) if seeds is not None else _draw(sums[0], sizes[0], draws, generator)
    tail = _tail(residuals, sizes, level)
    low, high = np.quantile(means, [tail, 1 - tail])
    return BootstrapDifference(difference, float(low), float(high), draws)


def _draw(sums: Floats, sizes: Floats, draws: int, generator: np.random.Generator) -> Floats:
    """Means [draws] of resamples of clusters."""
    if len(np.unique(sums)) <= DISTINCT:
        kinds, counts = np.unique(np.stack([sums, sizes]), axis=1, return_counts=True)
        weights = generator.multinomial(len(sums), counts / len(sums), size=draws)
        return np.asarray((weights @ kinds[0]) / (weights @ kinds[1]))
    same = bool((sizes == sizes[0]).all())
    # Where sizes differ, they stand beside the sums as imaginary parts, so that one gather finds both.
    values = sums if same else sums + 1j * sizes
    blocks = [values[start : start + BLOCK] for start in range(0, len(values), BLOCK)]
    share = np.array([len(block) for block in blocks]) / len(values)
    means = np.empty(draws)
    for i in range(draws):
        total = 0.0 + 0.0j
        for block, n in zip(blocks, generator.multinomial(len(values), share), strict=True):
            total += block[generator.integers(0, len(block), size=n, dtype=np.uint16)].sum()
        means[i] = total.real / (len(values) * sizes[0] if same else total.imag)
    return means


def _crossed(sums: Floats, sizes: Floats, draws: int, generator: np.random.Generator) -> Floats:
    """Means [draws] of resamples of seeds and, independently, of clusters; sums and sizes are [seeds, clusters]."""
    n_seeds, n_groups = sums.shape
    means = np.empty(draws)
    for i in range(draws):
        of_seeds = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds)).astype(float)
        chosen = np.bincount(generator.integers(0, n_groups, size=n_groups), minlength=n_groups)
        size = of_seeds @ (sizes @ chosen)
        means[i] = of_seeds @ (sums @ chosen) / size if size else np.nan
    return means[np.isfinite(means)]


def _tail(residuals: Floats, sizes: Floats, level: float) -> float:
    """The part of the resamples to cut off at each end; residuals and sizes are [seeds, clusters]."""
    parts = []
    for axis in (0, 1):
        if residuals.shape[1 - axis] > 1:
            share = sizes.sum(axis) / sizes.sum()
            squares = residuals.sum(axis) ** 2
            parts.append((float(squares.sum()), float((squares / (1 - share)).sum()), degrees_of_freedom(share)))
    resampled, corrected = (sum(part[i] for part in parts) for i in (0, 1))
    if not resampled:
        return (1 - level) / 2
    df = corrected**2 / sum(variance**2 / df for _, variance, df in parts)
    return float(ndtr(-sqrt(corrected / resampled) * stdtrit(df, (1 + level) / 2)))
