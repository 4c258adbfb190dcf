"""Scores by a judge, put right by gold for some questions."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from potstill.stats.checks import Codes, Floats, fraction, sums_by, vector, vectors

FEW_LABELS = 30
"""Up to which lambda comes from all labels at once; beyond, from those of the other folds."""
FOLDS = 10


@dataclass(frozen=True)
class CorrectedMean:
    """The mean that gold would have, and how much the judge was relied on: ``lambda_`` 0 is gold alone, 1 the judge
    corrected."""

    mean: float
    low: float
    high: float
    lambda_: float


def ppi_mean(
    gold: npt.ArrayLike, judge_on_gold: npt.ArrayLike, judge_on_rest: npt.ArrayLike, confidence: float = 0.95
) -> CorrectedMean:
    """Mean score of all questions, from ``gold`` [n] and the judge's scores of the same n questions, drawn at random, and
    the judge's scores [N] of the other questions: PPI++ (Angelopoulos, Duchi and Zrnic 2023, arXiv 2311.01453).

    mean = lambda mean(judge on rest) + mean(gold - lambda judge on gold), with the variance lambda^2 var(judge on rest) / N
    + var(gold - lambda judge on gold) / n and normal quantiles; lambda = cov(gold, judge) / ((1 + n / N)
    var(judge)) makes it smallest, clipped to 0 and 1. Beyond 30 labels lambda is cross-fitted: that of each
    of 10 folds (every tenth label) comes from the other labels, so that it does not depend on the errors that it corrects,
    and ``lambda_`` is their mean. A judge that gives one score to all has lambda 0. One label: every mean is possible.

    With few labels the interval is too narrow: where gold is 0 or 1, simulated coverage of 95 % intervals is 79 % for 15
    labels, 89 % for 30, 92 % for 50 and 94 % for 100.
    """
    labels, judged = vectors(gold=gold, judge_on_gold=judge_on_gold)
    rest = vector("judge_on_rest", judge_on_rest)
    z = float(ndtri((1 + fraction("confidence", confidence)) / 2))
    n = len(labels)
    if n == 1:
        return CorrectedMean(float(labels[0]), -np.inf, np.inf, 0.0)
    fold = np.arange(n) % FOLDS if n > FEW_LABELS else np.zeros(n, dtype=np.intp)
    weights = _weights(labels, judged, rest, fold)[fold]
    corrected, weight = labels - weights * judged, float(weights.mean())
    mean = weight * float(rest.mean()) + float(corrected.mean())
    half = z * sqrt(weight**2 * float(rest.var()) / len(rest) + float(corrected.var()) / n)
    return CorrectedMean(mean, mean - half, mean + half, weight)


def _weights(gold: Floats, judged: Floats, rest: Floats, fold: Codes) -> Floats:
    """For each fold [folds] the lambda that makes the variance of the mean smallest, from the labels of the other folds,
    and from all where there is one fold."""
    n_folds = int(fold.max()) + 1
    centre = float(rest.mean())
    y, f, r = gold - float(gold.mean()), judged - centre, rest - centre

    def others(values: Floats | None) -> Floats:
        sums = sums_by(fold, n_folds, values)
        return sums.sum() - sums if n_folds > 1 else sums

    n = others(None)
    sum_f, total = others(f), n + len(r)
    covariance = others(y * f) / n - others(y) * sum_f / n**2
    sum_all = sum_f + float(r.sum())
    variance = (others(f * f) + float((r * r).sum()) - sum_all**2 / total) / (total - 1)
    needed = (1 + len(gold) / len(rest)) * variance
    # What remains of rounding where the judge gives one score.
    known = variance > 1e-20 * (1 + centre**2)
    return np.clip(np.divide(covariance, needed, out=np.zeros(n_folds), where=known), 0.0, 1.0)


def expected_calibration_error(confidences: npt.ArrayLike, correct: npt.ArrayLike, bins: int = 10) -> float:
    """Mean distance between how sure answers were (``confidences``, 0 to 1) and how often they were ``correct`` (1 or 0),
    over ``bins`` of equal width, (0, 0.1] to (0.9, 1], weighed by their answers (Naeini et al. 2015, AAAI 29:2901; Guo et
    al. 2017, ICML, equation 3).

    0 lies in the first bin. It is biased upwards where bins hold few answers.
    """
    sure, right = vectors(confidences=confidences, correct=correct)
    if (sure < 0).any() or (sure > 1).any():
        raise ValueError("confidences must lie between 0 and 1")
    if bins < 1:
        raise ValueError(f"bins must be at least 1, and is {bins}")
    places = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    distances = sums_by(places, bins, right - sure)
    return float(np.abs(distances).sum() / len(sure))
