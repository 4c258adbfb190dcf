"""Which epoch becomes the student, and what is said of the choice."""

import math

import pytest

from potstill.stages.train.choosing import choose_epoch, in_words, summary


def questions(correct, n=10):
    """The scores of n questions of which the first are correct."""
    return [1.0] * correct + [0.0] * (n - correct)


@pytest.mark.parametrize(
    ("scores", "epoch"),
    [
        ([questions(1), questions(5), questions(3)], 2),  # 2 of 10 more: .2 with a standard error of .133
        ([questions(1), questions(4), questions(3)], 3),  # 1 of 10 more: .1 with a standard error of .1
        ([questions(4, 7), questions(3, 7)], 2),  # the same, where rounding finds the error smaller
        ([questions(5), questions(1), questions(5)], 3),
        ([questions(6), questions(6), questions(3)], 2),  # of equals the later
        ([questions(6), questions(5), questions(3)], 1),  # of several the best
        ([[0.5, 0.6, 0.7], [0.4, 0.5, 0.6]], 1),  # always better by the same
        ([[1.0], [0.0]], 2),  # one question has no standard error
        ([[], []], 2),
        ([questions(4)], 1),
    ],
)
def test_the_last_epoch_unless_another_is_better_by_more_than_a_standard_error(scores, epoch):
    assert choose_epoch(scores) == epoch


def test_the_difference_is_paired_by_question():
    """Both pairs of epochs have means of .4 and .2; only where the same questions are correct is the difference certain."""
    last = questions(2)
    same, other = questions(4), [0.0] * 6 + [1.0] * 4
    assert choose_epoch([same, last]) == 1
    assert choose_epoch([other, last]) == 2


def test_the_standard_error_is_that_of_the_mean_difference():
    """Differences of 1, 1, 0, -1 and so on: mean m, standard error s / sqrt(n)."""
    differences = [1.0] * 30 + [-1.0] * 20 + [0.0] * 50
    mean = sum(differences) / 100
    error = math.sqrt(sum((d - mean) ** 2 for d in differences) / 99) / 10
    assert mean > error
    assert choose_epoch([differences, [0.0] * 100]) == 1
    fewer = differences[:27] + differences[30:] + [0.0] * 3  # 27 against 20: .07 with a standard error of .069
    assert choose_epoch([fewer, [0.0] * 100]) == 1
    fewer[0] = 0.0  # 26 against 20: .06 with a standard error of .068
    assert choose_epoch([fewer, [0.0] * 100]) == 2


def test_scores_have_intervals():
    """Wilson's interval of 5 of 10 is .237 to .763; Student's of 0, .5 and 1 is .5 -+ 4.303 * .5 / sqrt(3)."""
    correct = summary(2, questions(5), True)
    assert correct == {"epoch": 2, "score": 0.5, "low": pytest.approx(0.2366, abs=1e-3), "high": pytest.approx(0.7634, abs=1e-3), "n": 10}  # fmt: skip
    mean = summary(1, [0.0, 0.5, 1.0], False)
    half = 4.3027 * 0.5 / math.sqrt(3)
    assert (mean["score"], mean["low"], mean["high"]) == (
        0.5,
        pytest.approx(0.5 - half, abs=1e-3),
        pytest.approx(0.5 + half, abs=1e-3),
    )
    assert summary(1, [0.5], False) == {"epoch": 1, "score": 0.5, "low": None, "high": None, "n": 1}
    assert summary(1, [], True) == {"epoch": 1, "score": None, "low": None, "high": None, "n": 0}


def test_intervals_the_choice_and_a_small_set_are_said():
    validation = [summary(1, questions(5), True), summary(2, questions(3), True)]
    assert in_words(validation, 1, True) == [
        "correct validation answers after each epoch: 50 % [24, 76], 30 % [11, 60]; epoch 1 is chosen, better than the last by "
        "more than one standard error",
        "the validation set is small: 10 questions can hardly tell epochs apart; 100 or more would (data.validation)",
    ]
    many = [summary(1, questions(50, 100), True), summary(2, questions(50, 100), True)]
    (line,) = in_words(many, 2, True)
    assert line.endswith("epoch 2 is chosen, the last")
    assert len(in_words([summary(1, questions(5), True)], 1, True)) == 1  # one epoch: there is nothing to choose
    scores = [0.25, 0.5] * 50
    assert "0.375 [0.350, 0.400], 0.375 [0.350, 0.400];" in in_words([summary(1, scores, False)] * 2, 2, False)[0]


def test_without_gold_the_last_epoch_is_used():
    (line,) = in_words([summary(1, [], True), summary(2, [], True)], 2, True)
    assert "no answer to a validation question has a score" in line
