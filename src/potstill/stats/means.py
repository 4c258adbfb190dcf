"""The interval of a mean."""

from collections.abc import Sequence
from math import inf

from scipy.special import stdtrit

from potstill.stats.clustered import Clusters, clustered_standard_error


def mean_interval(
    values: Sequence[float], confidence: float = 0.95, clusters: Clusters | None = None
) -> tuple[float, float, float]:
    """Mean and its t interval with CR2 and its degrees of freedom (`clustered_standard_error`); without ``clusters`` that is
    Student's (1908, Biometrika 6:1). One value, or one cluster, leaves every mean possible."""
    errors = clustered_standard_error(values, clusters)
    if errors.df == 0:
        return errors.mean, -inf, inf
    half = float(stdtrit(errors.df, (1 + confidence) / 2)) * errors.cr2
    return errors.mean, errors.mean - half, errors.mean + half
