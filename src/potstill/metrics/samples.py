"""Scores of one question out of several sampled answers."""

from collections import Counter
from collections.abc import Hashable, Sequence
from math import ceil, comb


def avg_at_k(correct: Sequence[bool], k: int) -> float:
    """The fraction of the first k answers that are correct."""
    _require(0 < k <= len(correct), f"k is {k}; it must be 1 to the number of answers, {len(correct)}")
    return sum(map(bool, correct[:k])) / k


def maj_at_k(answers: Sequence[Hashable], gold: Hashable, k: int) -> float:
    """1 if the most frequent of the first k answers is gold (self-consistency, Wang et al. 2023, arXiv 2203.11171), otherwise 0;
    of equally frequent ones the first counts. None is no answer, and no candidate."""
    _require(0 < k <= len(answers), f"k is {k}; it must be 1 to the number of answers, {len(answers)}")
    votes = Counter(answer for answer in answers[:k] if answer is not None)
    return float(bool(votes) and votes.most_common(1)[0][0] == gold)


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The probability that at least one of k answers is correct, out of n of which ``correct`` are (Chen et al. 2021, arXiv
    2107.03374, equation 1, the unbiased estimator)."""
    _require_sample(n, correct, k)
    return 1 - comb(n - correct, k) / comb(n, k)


def g_pass_at_k(n: int, correct: int, k: int, threshold: float) -> float:
    """The probability that at least ``threshold`` of k answers, and at least one, are correct, out of n of which ``correct`` are
    (Liu et al. 2024, arXiv 2412.13147, equation 3)."""
    _require_sample(n, correct, k)
    _require(0 <= threshold <= 1, f"threshold is {threshold}; it must be 0 to 1")
    return _at_least(max(ceil(threshold * k), 1), n, correct, k)


def mean_g_pass_at_k(n: int, correct: int, k: int) -> float:
    """mG-Pass@k: twice the area under `g_pass_at_k` over thresholds from 0.5 to 1 (ibid., equation 6)."""
    _require_sample(n, correct, k)
    return 2 / k * sum(_at_least(i, n, correct, k) for i in range(ceil(k / 2) + 1, k + 1))


def _at_least(m: int, n: int, correct: int, k: int) -> float:
    """The upper tail of the hypergeometric distribution."""
    return sum(comb(correct, j) * comb(n - correct, k - j) for j in range(m, min(correct, k) + 1)) / comb(n, k)


def _require_sample(n: int, correct: int, k: int) -> None:
    _require(0 < k <= n, f"k is {k}; it must be 1 to n, {n}")
    _require(0 <= correct <= n, f"correct is {correct}; it must be 0 to n, {n}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
