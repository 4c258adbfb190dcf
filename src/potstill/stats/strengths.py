"""Strengths of systems with intervals, where questions are in groups."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from potstill.stats.checks import Floats, fraction, vector
from potstill.stats.ratings import davidson

DRAWS = 200


@dataclass(frozen=True)
class Ranked:
    """Log strengths [systems], whose mean is 0, and the log odds that the answer shown first gains, with limits; the order effect is nan where
    nothing tells it."""

    strengths: Floats
    low: Floats
    high: Floats
    order: float
    order_low: float
    order_high: float


def ranked(comparisons: npt.ArrayLike, confidence: float = 0.95, order_effect: bool = True) -> Ranked:
    """Strengths by Davidson's model with ties (`davidson`) from counts [groups of questions][3][system shown first][system shown second]: of
    comparisons that the first won, that the second won, and that were tied.

    One imagined tie of each two systems, in both orders, keeps strengths finite where a system always won. Limits: t of groups
    less 1, by the standard deviation over the Bayesian bootstrap of whole groups (Rubin 1981, Ann. Statist. 9:130), always the same 200 draws. A ValueError
    where there are only ties. One group says nothing: infinite limits.
    """
    counts = vector("comparisons", comparisons, dimensions=4)
    level = fraction("confidence", confidence)
    n_groups, _, n, _ = counts.shape
    total = counts.sum(0)
    knows_order = order_effect and bool(total[0].sum() and total[1].sum())
    found = _fit(total, knows_order)
    order = float(found[-1]) if knows_order else np.nan
    if n_groups == 1:
        return Ranked(found[:n], np.full(n, -np.inf), np.full(n, np.inf), order, -np.inf, np.inf)
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(n_groups), size=DRAWS) * n_groups
    draws = np.array([_fit(np.tensordot(weight, counts, axes=1), knows_order) for weight in weights])
    errors = draws.std(axis=0) * sqrt(n_groups / (n_groups - 1))
    half = float(stdtrit(n_groups - 1, (1 + level) / 2)) * errors
    low, high = found - half, found + half
    return Ranked(found[:n], low[:n], high[:n], order, float(low[-1]), float(high[-1]))


def _fit(total: Floats, order_effect: bool) -> Floats:
    """Strengths around 0, and the order effect."""
    n = total.shape[1]
    imagined = 0.5 * (1 - np.eye(n))
    model = davidson(total[0], total[1], total[2] + imagined, order_effect)
    return np.append(model.strengths - model.strengths.mean(), model.order)
