"""How often the intervals of macro F1 hold the truth where questions come in groups, simulated with fixed seeds."""

from math import sqrt

import numpy as np
import pytest

from potstill import stats

LABELS = ["a", "b", "c"]
SETS = [frozenset([label]) for label in LABELS]
SHARES = np.array([0.6, 0.3, 0.1])
RIGHT = np.array([0.85, 0.7, 0.5])
"""The share of correct answers of the better system to questions of each label; the other's is 0.08 lower."""
TO_NEXT = 0.6
"""Of wrong answers, those that are the next label, and not the one after it."""


def truth():
    """The macro F1 of both systems: of each label 2 TP / (all of its gold + all of its answers)."""
    found = []
    for right in (RIGHT, RIGHT - 0.08):
        wrong = SHARES * (1 - right)
        answered = SHARES * right + np.roll(wrong * TO_NEXT, 1) + np.roll(wrong * (1 - TO_NEXT), 2)
        found.append((2 * SHARES * right / (SHARES + answered)).mean())
    return found


def draw(rng, clusters, icc):
    """Groups of 3 to 11 questions, gold labels and both systems' answers; with the probability sqrt(icc) a draw of a question is
    that of its group."""
    group = np.repeat(np.arange(clusters), [3 + 5 * i % 9 for i in range(clusters)])

    def uniform():
        common, own = rng.random(clusters)[group], rng.random(len(group))
        return np.where(rng.random(len(group)) < sqrt(icc), common, own)

    gold = np.searchsorted(np.cumsum(SHARES)[:-1], uniform())
    answers = []
    for right in (RIGHT, RIGHT - 0.08):
        other = (gold + np.where(uniform() < TO_NEXT, 1, 2)) % 3
        answers.append(np.where(uniform() < right[gold], gold, other))
    return group.tolist(), *([SETS[i] for i in of] for of in (gold, *answers))


def coverage(clusters, icc, simulations, by_group=True):
    """Of the intervals of one system and of the difference; not ``by_group``: of those that take questions for independent."""
    a, b = truth()
    rng = np.random.default_rng(clusters)
    hits = np.zeros(2)
    for _ in range(simulations):
        group, *table = draw(rng, clusters, icc)
        groups = group if by_group else None
        low, high = stats.macro_f1_interval(*table[:2], LABELS, clusters=groups)
        hits[0] += low <= a <= high
        _, low, high = stats.macro_f1_difference(*table, LABELS, clusters=groups)
        hits[1] += low <= a - b <= high
    return hits / simulations


@pytest.mark.parametrize(("clusters", "icc"), [(15, 0.1), (15, 0.44), (30, 0.44)])
def test_intervals_of_macro_f1_by_group(clusters, icc):
    of_one, of_difference = coverage(clusters, icc, 300)
    assert 0.88 <= of_one <= 0.98
    assert 0.9 <= of_difference <= 0.98


def test_intervals_that_take_questions_for_independent_cover_too_little():
    assert coverage(30, 0.44, 200, by_group=False).max() < 0.85
