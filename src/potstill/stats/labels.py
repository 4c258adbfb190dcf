"""Scores of predicted labels."""

from collections import Counter
from collections.abc import Sequence
from math import nan
from statistics import fmean


def macro_f1(pairs: Sequence[tuple[str, str | None]]) -> float:
    """Mean over the labels of gold of 2 TP / (2 TP + FP + FN), from pairs (gold, answer); nan for no pairs."""
    labels = {gold for gold, _ in pairs}
    hits = Counter(gold for gold, answer in pairs if gold == answer)
    golds, answers = Counter(gold for gold, _ in pairs), Counter(answer for _, answer in pairs)
    return fmean(2 * hits[label] / (golds[label] + answers[label]) for label in labels) if labels else nan
