"""Scores out of the log-likelihoods that a model gives to choices and texts."""

from collections.abc import Collection, Sequence
from math import exp, isnan, log


def likelihood_accuracy(log_likelihoods: Sequence[float], golds: Collection[int]) -> float:
    """1 if the choice with the largest log-likelihood, the first of equals, is one of ``golds`` (indices), otherwise 0."""
    return recall_at_k(log_likelihoods, golds, 1)


def recall_at_k(log_likelihoods: Sequence[float], golds: Collection[int], k: int) -> float:
    """1 if one of the k choices with the largest log-likelihoods is one of ``golds``, otherwise 0; of equals the first count."""
    _require_choices(log_likelihoods, golds)
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    order = sorted(range(len(log_likelihoods)), key=lambda i: -log_likelihoods[i])
    return float(any(i in golds for i in order[:k]))


def reciprocal_rank(log_likelihoods: Sequence[float], golds: Collection[int]) -> float:
    """1 / rank of the best of ``golds`` among all choices; equals share the best rank. Its mean over questions is MRR (Voorhees
    1999, TREC-8)."""
    _require_choices(log_likelihoods, golds)
    best = max(log_likelihoods[i] for i in golds)
    return 1 / (1 + sum(value > best for value in log_likelihoods))


def any_gold_is_greedy(greedy: Sequence[bool]) -> float:
    """1 if greedy decoding would give one of the gold answers, of which ``greedy`` says so one by one, otherwise 0."""
    return float(any(greedy))


def true_mass(log_likelihoods: Sequence[float], golds: Collection[int]) -> float:
    """The probability of ``golds`` out of that of all choices: MC2 of TruthfulQA (Lin, Hilton and Evans 2022, arXiv 2109.07958).
    0 without golds."""
    _require_choices(log_likelihoods, golds or [0])
    largest = max(log_likelihoods)
    weights = [exp(value - largest) for value in log_likelihoods]
    return sum(weights[i] for i in set(golds)) / sum(weights)


def word_perplexity(log_likelihoods: Sequence[float], texts: Sequence[str]) -> float:
    """exp(-sum of the texts' log-likelihoods / words), words being what is between spaces; at least one for each text."""
    return exp(_nats(log_likelihoods, [max(1, len(text.split())) for text in texts]))


def byte_perplexity(log_likelihoods: Sequence[float], texts: Sequence[str]) -> float:
    """exp(-sum of the texts' log-likelihoods / bytes in UTF-8)."""
    return exp(_nats(log_likelihoods, [len(text.encode()) for text in texts]))


def bits_per_byte(log_likelihoods: Sequence[float], texts: Sequence[str]) -> float:
    """-sum of the texts' log-likelihoods, in bits, / bytes in UTF-8."""
    return _nats(log_likelihoods, [len(text.encode()) for text in texts]) / log(2)


def _nats(log_likelihoods: Sequence[float], units: Sequence[int]) -> float:
    if len(log_likelihoods) != len(units) or not sum(units):
        raise ValueError(
            f"texts: {len(units)} for {len(log_likelihoods)} log-likelihoods; each needs one that is not empty"
        )
    return -sum(log_likelihoods) / sum(units)


def _require_choices(log_likelihoods: Sequence[float], golds: Collection[int]) -> None:
    if not golds or not all(0 <= i < len(log_likelihoods) for i in golds):
        raise ValueError(f"golds is {sorted(golds)}; it must be indices of the {len(log_likelihoods)} choices")
    if any(map(isnan, log_likelihoods)):
        raise ValueError("log_likelihoods has nan")
