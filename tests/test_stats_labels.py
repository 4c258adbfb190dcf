"""Macro-F1: published values, F1 by precision and recall, answers that are no label, degenerate tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.stats import labels as stats
from potstill.stats.labels import macro_f1_difference, macro_f1_interval

labels = st.sampled_from("abcd")
tables = st.lists(st.tuples(labels, labels | st.none()), min_size=1, max_size=60)


def sets(pairs):
    """Gold and answers as sets of labels, from pairs; None is no label."""
    return tuple(
        [frozenset(() if label is None else [label]) for label in column] for column in zip(*pairs, strict=True)
    )


def named(*columns):
    return sorted({label for column in columns for row in column for label in row})


def macro_f1(pairs, labels=None):
    golds, answers = sets(pairs) if pairs else ([], [])
    return stats.macro_f1(golds, answers, named(golds, answers) if labels is None else labels)


def by_precision_and_recall(pairs):
    """F1 of a label as the harmonic mean of precision and recall, 0 where nothing is correct."""
    scores = []
    for label in {label for pair in pairs for label in pair if label is not None}:
        correct = sum(gold == answer == label for gold, answer in pairs)
        answered, present = sum(a == label for _, a in pairs), sum(g == label for g, _ in pairs)
        precision, recall = (correct / n if n else 0.0 for n in (answered, present))
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


def test_a_missing_answer_costs_recall():
    """Gold a, a, b; answers a, none, b: F1 of a is 2 / (2 + 1), of b 1."""
    assert macro_f1([("a", "a"), ("a", None), ("b", "b")]) == pytest.approx((2 / 3 + 1) / 2)


def test_a_label_that_gold_does_not_have_is_a_class_that_is_wrong():
    """Gold a, a, a; answers a, b, b: F1 of a is 2 / (2 + 2), of b 0."""
    assert macro_f1([("a", "a"), ("a", "b"), ("a", "b")]) == pytest.approx(0.25)


def test_the_labels_are_those_of_the_task_whatever_is_answered():
    """Gold a, b; both right: nothing is wrong about c either. An answer c instead of b: a 1, b 0, c 0."""
    assert macro_f1([("a", "a"), ("b", "b")], "abc") == 1
    assert macro_f1([("a", "a"), ("b", "c")], "abc") == pytest.approx(1 / 3)
    assert macro_f1([("a", "a"), ("b", None)], "abc") == pytest.approx(2 / 3)


@pytest.mark.parametrize(("answer", "estimate"), [("right", 1), ("none", 0)])
def test_an_interval_contains_its_estimate(answer, estimate):
    golds = [frozenset([label]) for label in "aaaaabbbbbc"]
    answers = golds if answer == "right" else [frozenset()] * len(golds)
    low, high = macro_f1_interval(golds, answers, "abc")
    assert low <= estimate <= high
    assert high - low > 0.05


def test_rows_with_several_labels():
    """Gold {a}, {a, b}, {}; answers {a, b}, {b}, {}: a has 1 hit, 1 miss; b 1 hit, 1 false positive."""
    golds, answers = [frozenset(row) for row in ("a", "ab", "")], [frozenset(row) for row in ("ab", "b", "")]
    assert stats.macro_f1(golds, answers, "ab") == pytest.approx((2 / 3 + 2 / 3) / 2)
    low, high = macro_f1_interval(golds, answers, "ab")
    assert 0 <= low < high <= 1


def test_rows_of_a_kind_are_counted_together():
    """A million rows take as long as nine; more rows of the same kinds narrow the interval by the root of their number."""
    rows = [(gold, answer) for gold in "abc" for answer in "abc"] + [(gold, gold) for gold in "abc"] * 4
    few, many = (macro_f1_interval(*sets(rows * n), "abc") for n in (10, 1000))
    assert (few[1] - few[0]) / (many[1] - many[0]) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(
    ("n", "labels", "accuracy"), [(50, (0.5, 0.2, 0.12, 0.09, 0.06, 0.03), 0.6), (100, (0.8, 0.15, 0.05), 0.7)]
)
def test_intervals_cover_the_true_value(n, labels, accuracy):
    """Skewed labels of which each is answered correctly with the same probability, and otherwise not at all: F1 of each is
    2 p / (p + 1). Without the imagined rows it is covered in 70 to 80 percent of samples of the first kind."""
    rng = np.random.default_rng(1)
    true, covered = 2 * accuracy / (accuracy + 1), 0
    for _ in range(100):
        golds = [frozenset([str(label)]) for label in rng.choice(len(labels), size=n, p=labels)]
        answers = [gold if rng.random() < accuracy else frozenset() for gold in golds]
        low, high = macro_f1_interval(golds, answers, [str(i) for i in range(len(labels))])
        covered += low <= true <= high
    assert covered >= 84


@pytest.mark.parametrize("n", [3, 30, 300])
def test_equal_answers_leave_a_difference_open_that_narrows_with_their_number(n):
    """As Tango's interval does for a table without discordant pairs: 3 of 300 could differ unseen, not 3 of 3."""
    golds, answers = sets([("a", "a"), ("b", "a"), ("c", "c")] * n)
    estimate, low, high = macro_f1_difference(golds, answers, answers, "abc")
    assert estimate == 0
    assert 0.2 / n < -low < 1.2 / n**0.5
    assert high == pytest.approx(-low, rel=0.4)


@settings(max_examples=20)
@given(tables)
def test_the_difference_is_that_of_the_scores_and_changes_its_sign(pairs):
    golds, a = sets(pairs)
    b = [frozenset(["a"])] * len(golds)
    estimate, low, high = macro_f1_difference(golds, a, b, "abcd")
    assert estimate == pytest.approx(stats.macro_f1(golds, a, "abcd") - stats.macro_f1(golds, b, "abcd"))
    assert (-low, -high) == pytest.approx(macro_f1_difference(golds, b, a, "abcd")[:0:-1], abs=0.1)  # other draws


@given(tables, st.randoms())
def test_order_names_and_repetition_do_not_matter(pairs, rng):
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    renamed = [(gold + "!", answer and answer + "!") for gold, answer in shuffled]
    assert macro_f1(renamed * 3) == pytest.approx(macro_f1(pairs))
    assert 0 <= macro_f1(pairs) <= 1
