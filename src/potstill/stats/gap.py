"""How much of the way from base to teacher a student went."""

from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from potstill.stats.checks import codes, fraction, sums_by, vectors
from potstill.stats.clustered import Clusters, degrees_of_freedom


@dataclass(frozen=True)
class RecoveredGap:
    """(student - base) / (teacher - base): 0 is the base, 1 the teacher.

    ``bounded`` says whether the set is the interval from ``low`` to ``high``. Otherwise these are infinite, and ``excluded`` is
    what the data exclude: the open interval between its two numbers, or None where nothing is excluded.
    """

    estimate: float
    low: float
    high: float
    bounded: bool
    excluded: tuple[float, float] | None


def recovered_gap(
    base: npt.ArrayLike,
    student: npt.ArrayLike,
    teacher: npt.ArrayLike,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> RecoveredGap:
    """Ratio of the mean gains of student and teacher over the base, from their scores [questions] on the same questions.

    The set holds every ratio r for which ``(student - base) - r (teacher - base)`` has a mean that t does not tell from 0
    (Fieller 1954, J. R. Statist. Soc. B 16:175), by CR2 and its degrees of freedom (`potstill.stats.clustered`; for
    questions of their own, n - 1). It is unbounded exactly where teacher and base are not distinguishable: then everything
    outside an interval, or everything. ``estimate`` is nan where teacher and base score the same. One question or cluster
    says nothing: everything.
    """
    of_base, of_student, of_teacher = vectors(base=base, student=student, teacher=teacher)
    level = fraction("confidence", confidence)
    gains = np.stack([of_student - of_base, of_teacher - of_base])
    groups, n_groups = codes("clusters", clusters, gains.shape[1])
    n = gains.shape[1]
    gain, gap = (float(value) for value in gains.mean(1))
    estimate = gain / gap if gap else nan
    if n_groups == 1:
        return RecoveredGap(estimate, -inf, inf, False, None)
    sizes = sums_by(groups, n_groups)
    share = sizes / n
    residuals = np.stack([sums_by(groups, n_groups, row) - row.mean() * sizes for row in gains])
    covariance = (residuals / (1 - share)) @ residuals.T / n**2
    t2 = float(stdtrit(degrees_of_freedom(share), (1 + level) / 2)) ** 2
    # The ratios r with a r^2 - 2 b r + c <= 0.
    a = gap**2 - t2 * float(covariance[1, 1])
    b = gain * gap - t2 * float(covariance[0, 1])
    c = gain**2 - t2 * float(covariance[0, 0])
    inside = b * b - a * c
    if a > 0:
        root = sqrt(max(inside, 0.0))
        return RecoveredGap(estimate, (b - root) / a, (b + root) / a, True, None)
    excluded = None
    if a < 0 and inside > 0:
        root = sqrt(inside)
        excluded = (b + root) / a, (b - root) / a
    return RecoveredGap(estimate, -inf, inf, False, excluded)
