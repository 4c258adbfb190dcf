"""Macro-F1: published values, F1 by precision and recall, answers that are no label, degenerate tables."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.stats.labels import macro_f1

labels = st.sampled_from("abcd")
tables = st.lists(st.tuples(labels, labels | st.none()), min_size=1, max_size=60)


def by_precision_and_recall(pairs):
    """F1 of a label as the harmonic mean of precision and recall, 0 where nothing is correct."""
    scores = []
    for label in {gold for gold, _ in pairs}:
        correct = sum(gold == answer == label for gold, answer in pairs)
        answered, present = sum(a == label for _, a in pairs), sum(g == label for g, _ in pairs)
        precision, recall = correct / answered if answered else 0.0, correct / present
        scores.append(2 * precision * recall / (precision + recall) if correct else 0.0)
    return sum(scores) / len(scores)


@pytest.mark.parametrize(
    ("golds", "answers", "expected"),
    [
        # scikit-learn's documentation of f1_score(average="macro"), its first example: 0.267 (4/5, 0 and 0 of three labels).
        ([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], 4 / 15),
        # scikit-learn's documentation of classification_report: F1 0.67, 0.00, 0.80, macro average 0.49.
        ([0, 1, 2, 2, 2], [0, 0, 2, 2, 1], (2 / 3 + 0 + 4 / 5) / 3),
    ],
)
def test_published_values(golds, answers, expected):
    pairs = [(str(gold), str(answer)) for gold, answer in zip(golds, answers, strict=True)]
    assert macro_f1(pairs) == pytest.approx(expected)


def test_it_is_not_the_mean_recall():
    """Gold a, a, a, b; answers a, a, b, b: F1 is 4/5 of a and 2/3 of b, recall 2/3 and 1."""
    pairs = [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b")]
    assert macro_f1(pairs) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_a_missing_answer_costs_recall_and_an_answer_that_is_no_label_has_no_f1_of_its_own():
    """Gold a, a, b; answers a, none, x: F1 of a is 2 / (2 + 1), of b 0; x is not a label of gold and is not averaged over."""
    assert macro_f1([("a", "a"), ("a", None), ("b", "x")]) == pytest.approx((2 / 3 + 0) / 2)


def test_degenerate_tables():
    assert isnan(macro_f1([]))
    assert macro_f1([("a", "a")]) == 1.0
    assert macro_f1([("a", None)]) == 0.0
    assert macro_f1([("a", "b"), ("b", "a")]) == 0.0
    assert macro_f1([("a", "a"), ("b", "b"), ("c", "c")]) == 1.0


@given(tables)
def test_the_mean_of_f1_by_precision_and_recall(pairs):
    assert macro_f1(pairs) == pytest.approx(by_precision_and_recall(pairs))


@given(tables, st.randoms())
def test_order_names_and_repetition_do_not_matter(pairs, rng):
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    renamed = [(gold + "!", answer and answer + "!") for gold, answer in shuffled]
    assert macro_f1(renamed * 3) == pytest.approx(macro_f1(pairs))
    assert 0 <= macro_f1(pairs) <= 1
