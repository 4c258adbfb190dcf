"""The win rate of answers of equal length."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import expit, stdtrit

from potstill.stats.checks import Floats, codes, fraction, vectors
from potstill.stats.clustered import Clusters

DRAWS = 200
PRIOR = 2.5
"""Standard deviation of the coefficient of length, before the data (Gelman et al. 2008, Ann. Appl. Stat. 2:1360)."""
STEPS = 50
AT_ONCE = 2_000_000
"""Weights of comparisons held in memory."""


@dataclass(frozen=True)
class LengthControlled:
    """Win rate where lengths are equal, and the coefficient of the difference of lengths, with intervals."""

    rate: float
    low: float
    high: float
    coefficient: float
    coefficient_low: float
    coefficient_high: float


def length_controlled(
    wins: npt.ArrayLike, longer_by: npt.ArrayLike, clusters: Clusters | None = None, confidence: float = 0.95
) -> LengthControlled:
    """Win rate that answers would have if they were as long as those they are compared with, from ``wins`` (1, 0.5, 0) [comparisons] and
    how much longer they are, ``longer_by`` [comparisons].

    logit P(win) = theta + phi tanh(longer_by / its standard deviation); the rate is that at equal lengths, expit(theta): Dubois et al. 2024,
    arXiv 2404.04475, equation 2, without the term of the instruction's difficulty, which takes the answers of many systems. It stays a win rate: that of the
    other system is 1 less it. A tie counts as half a win. In place of their cross-validated penalty phi has a normal prior with the standard deviation 2.5, and
    one imagined tie of equal lengths keeps theta finite. Limits: t of clusters less 1, by the standard deviation, on the scale of the logit, of the
    Bayesian bootstrap of the clusters, always the same 200 draws. One cluster leaves every rate possible. A ValueError where lengths do
    not vary.
    """
    won, length = vectors(wins=wins, longer_by=longer_by)
    if (won < 0).any() or (won > 1).any():
        raise ValueError("wins must lie between 0 and 1")
    level = fraction("confidence", confidence)
    deviation = float(length.std(ddof=1)) if len(length) > 1 else 0.0
    if deviation == 0:
        raise ValueError("longer_by does not vary: there is nothing to control for")
    x = np.tanh(length / deviation)
    groups, n_groups = codes("clusters", clusters, len(won))
    (theta,), (phi,) = _fit(won, x, np.ones((1, len(won))))
    if n_groups == 1:
        return LengthControlled(float(expit(theta)), 0.0, 1.0, float(phi), -np.inf, np.inf)
    rng, at_once = np.random.default_rng(0), max(1, AT_ONCE // len(won))
    parts = []
    for start in range(0, DRAWS, at_once):
        weights = rng.exponential(size=(min(at_once, DRAWS - start), n_groups))
        parts.append(np.stack(_fit(won, x, weights[:, groups])))
    errors = np.concatenate(parts, axis=1).std(axis=1) * sqrt(n_groups / (n_groups - 1))
    half = float(stdtrit(n_groups - 1, (1 + level) / 2)) * errors
    low, high = expit(theta - half[0]), expit(theta + half[0])
    return LengthControlled(
        float(expit(theta)), float(low), float(high), float(phi), float(phi - half[1]), float(phi + half[1])
    )


def _fit(won: Floats, x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """theta and phi [draws] for ``weights`` [draws, comparisons], by Newton's method on the penalised likelihood, which is concave."""
    theta, phi = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(STEPS):
        p = expit(theta[:, None] + phi[:, None] * x)
        at_zero = expit(theta)
        error, curve = weights * (won - p), weights * p * (1 - p)
        of_theta, of_phi = error.sum(1) + 0.5 - at_zero, error @ x - phi / PRIOR**2
        a, b, c = curve.sum(1) + at_zero * (1 - at_zero), curve @ x, curve @ x**2 + 1 / PRIOR**2
        determinant = a * c - b**2
        steps = np.stack([(c * of_theta - b * of_phi) / determinant, (a * of_phi - b * of_theta) / determinant])
        # A step of a logit by more than 1 may overshoot.
        steps /= np.maximum(1, np.abs(steps).max(0))
        theta, phi = theta + steps[0], phi + steps[1]
        if np.abs(steps).max() < 1e-8:
            break
    return theta, phi
