"""Macro-averaged F1 of labels, with intervals."""

from collections.abc import Sequence
from itertools import product
from typing import Any

DRAWS = 1000
"""Draws of an interval."""
WEIGHTS_AT_ONCE = 2_000_000
"""Weights of rows held in memory."""

Labels = frozenset[str]
"""The labels of a row: one, any number for a multi-label task, none for an answer that is no label."""


def macro_f1(golds: Sequence[Labels], answers: Sequence[Labels], labels: Sequence[str]) -> float:
    """Mean over ``labels`` of F1 = 2 TP / (2 TP + FP + FN); nan for no labels.

    The same labels for all systems make their scores comparable. F1 of a label that neither gold nor an answer has is 1: nothing
    is wrong about it. An answer without any of the labels is a miss for the labels of its gold.
    """
    gold, answer = _matrices(golds, answers, labels)
    return float(_macro_f1(gold, answer, _ones(len(golds)))[0])


def macro_f1_interval(
    golds: Sequence[Labels], answers: Sequence[Labels], labels: Sequence[str], confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of `macro_f1` by the Bayesian bootstrap (Rubin 1981, Ann. Statist. 9:130), always with the same draws.

    Where each row has one gold label, rows are weighted within those of the same gold label, so that no label drops out of the
    mean; each gold label also gets one imagined correct answer and one miss, without which a label with few rows would seem
    certain (a uniform prior, as in Goutte and Gaussier 2005, ECIR). Simulated coverage of 95 % intervals is 86 to 95 % for 50
    to 100 rows of three to six skewed labels, and 73 to 87 % without the imagined rows.
    """
    (draws,) = _draws(golds, [answers], labels)
    return _percentiles(draws, confidence, macro_f1(golds, answers, labels))


def macro_f1_difference(
    golds: Sequence[Labels], a: Sequence[Labels], b: Sequence[Labels], labels: Sequence[str], confidence: float = 0.95
) -> tuple[float, float, float]:
    """Difference of `macro_f1`, a - b, and its interval: as `macro_f1_interval`, with the same weights for both."""
    of_a, of_b = _draws(golds, [a, b], labels)
    difference = macro_f1(golds, a, labels) - macro_f1(golds, b, labels)
    return (difference, *_percentiles(of_a - of_b, confidence, difference))


def _matrices(golds: Sequence[Labels], answers: Sequence[Labels], labels: Sequence[str]) -> tuple[Any, Any]:
    """Gold and answers as 0 and 1, each [rows, labels]."""
    import numpy as np

    return tuple(
        np.array([[label in row for label in labels] for row in rows], dtype=float).reshape(len(rows), len(labels))
        for rows in (golds, answers)
    )  # type: ignore[return-value]


def _ones(n: int) -> Any:
    import numpy as np

    return np.ones((1, n))


def _macro_f1(gold: Any, answer: Any, weights: Any) -> Any:
    """Macro F1 [draws] of rows that are counted as often as ``weights`` [draws, rows] says."""
    import numpy as np

    hits, total = weights @ (gold * answer), weights @ (gold + answer)
    f1 = np.divide(2 * hits, total, out=np.ones_like(total), where=total > 0)
    return f1.mean(1) if f1.shape[1] else np.full(len(weights), np.nan)


def _draws(golds: Sequence[Labels], systems: Sequence[Sequence[Labels]], labels: Sequence[str]) -> Any:
    """Macro F1 [systems, draws] of the systems' answers, for the same weights of the rows."""
    import numpy as np

    rng = np.random.default_rng(0)
    gold, answers, prior = list(golds), [list(rows) for rows in systems], [1.0] * len(golds)
    if all(len(of) == 1 for of in golds):
        keys = [next(iter(of)) for of in golds]
        for label in dict.fromkeys(keys):
            for correct in product((True, False), repeat=len(systems)):  # each system has 1 correct answer and 1 miss
                gold.append(frozenset([label]))
                prior.append(2 / 2 ** len(systems))
                for rows, is_correct in zip(answers, correct, strict=True):
                    rows.append(frozenset([label] if is_correct else []))
    else:
        keys = [""] * len(golds)
    strata = [np.array([i for i, of in enumerate(gold) if not keys[0] or one in of]) for one in dict.fromkeys(keys)]
    matrices = [_matrices(gold, rows, labels) for rows in answers]
    n_draws = max(1, min(DRAWS, WEIGHTS_AT_ONCE // len(gold)))
    parts = []
    for start in range(0, DRAWS, n_draws):
        weights = rng.gamma(prior, size=(min(n_draws, DRAWS - start), len(gold)))
        for stratum in strata:
            weights[:, stratum] *= (stratum < len(golds)).sum() / weights[:, stratum].sum(1, keepdims=True)
        parts.append([_macro_f1(*pair, weights) for pair in matrices])
    return np.concatenate(parts, axis=1)


def _percentiles(draws: Any, confidence: float, estimate: float) -> tuple[float, float]:
    """The central interval of the draws, extended to the estimate: the imagined rows pull the draws away from 0 and 1."""
    import numpy as np

    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return min(float(low), estimate), max(float(high), estimate)
