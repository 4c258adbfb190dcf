"""What a recipe reaches, apart from what one student reached: training seeds are drawn as well as questions."""

from dataclasses import dataclass
from math import inf, nan

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from potstill.stats.checks import Floats, codes, fraction, sums_by, vector
from potstill.stats.clustered import Clusters, degrees_of_freedom, limits_without_variation


@dataclass(frozen=True)
class CrossedInterval:
    """The mean over seeds and questions, its standard error, and how many seeds and clusters there were."""

    mean: float
    low: float
    high: float
    standard_error: float
    df: float
    seeds: int
    clusters: int


def crossed_interval(
    scores: npt.ArrayLike, clusters: Clusters | None = None, confidence: float = 0.95
) -> CrossedInterval:
    """Interval of "this recipe" from ``scores`` [seeds][questions] (or paired differences of scores): the mean over other
    training seeds and other questions, both random and crossed. `potstill.stats.clustered` has the interval of "this
    student".

    The variance of the mean is that between seeds plus that between clusters (CR2) less that of their interaction, which
    both contain (Cameron, Gelbach and Miller 2011, J. Bus. Econ. Stat. 29:238; for one question a cluster
    the analysis of variance of Searle, Casella and McCulloch 1992, Variance Components), and never less than
    either. Its degrees of freedom are Satterthwaite's (1946, Biometrics Bull. 2:110). None for ``clusters``: each question
    is its own. One seed, or one cluster, says nothing about others: every mean is possible. Where no score differs, each
    cluster counts as one question, as in `clustered_difference`.
    """
    table = vector("scores", scores, dimensions=2)
    level = fraction("confidence", confidence)
    n_seeds, n = table.shape
    groups, n_groups = codes("clusters", clusters, n)
    sums = np.stack([sums_by(groups, n_groups, row) for row in table])
    sizes = sums_by(groups, n_groups)
    mean, error, df = crossed_error(sums, sizes)
    centre, half = float(mean), inf
    if n_seeds > 1 and n_groups > 1:
        half = float(error) * float(stdtrit(df, (1 + level) / 2))
    low, high = centre - half, centre + half
    if half <= 1e-12 * (1 + abs(centre)):
        low, high = limits_without_variation(centre, n_groups, level, bounded=bool(np.abs(table).max() <= 1))
    return CrossedInterval(centre, low, high, float(error), float(df), n_seeds, n_groups)


def crossed_error(sums: Floats, sizes: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, standard error and degrees of freedom from the sums [..., seeds, clusters] and the sizes [clusters]; nan and 0
    for one seed or cluster."""
    n_seeds, n_groups = sums.shape[-2:]
    n = sizes.sum()
    mean = sums.sum((-2, -1)) / (n_seeds * n)
    if n_seeds == 1 or n_groups == 1:
        return mean, np.full_like(mean, nan), np.zeros_like(mean)
    share = sizes / n
    residuals = sums - mean[..., None, None] * sizes
    by_seed, by_cluster = residuals.sum(-1), residuals.sum(-2)
    interaction = residuals - by_seed[..., None] * share - by_cluster[..., None, :] / n_seeds
    correction = n_seeds / (n_seeds - 1)
    of_seeds = (by_seed**2).sum(-1) * correction / (n_seeds * n) ** 2
    of_clusters = (by_cluster**2 / (1 - share)).sum(-1) / (n_seeds * n) ** 2
    of_both = (interaction**2 / (1 - share)).sum((-2, -1)) * correction / (n_seeds * n) ** 2
    variance = np.maximum(of_seeds + of_clusters - of_both, np.maximum(of_seeds, of_clusters))
    df_clusters = degrees_of_freedom(share)
    spread = of_seeds**2 / (n_seeds - 1) + of_clusters**2 / df_clusters + of_both**2 / ((n_seeds - 1) * df_clusters)
    df = np.divide(variance**2, spread, out=np.full_like(mean, min(n_seeds - 1, df_clusters)), where=spread > 0)
    return mean, np.sqrt(variance), df
