"""The statistics of a cascade: signals, the choice of a threshold, and that what is shown holds as often as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill import stats
from potstill.cascade.choosing import Questions, Terms, choose, curve, needed, point
from potstill.cascade.signals import SIGNALS, THRESHOLDS, UNSURE, agreement, signal, thresholds
from potstill.models.prices import Price

TERMS = Terms(margin=0.1, confidence=0.95, price=None)
TOKENS = st.lists(st.tuples(st.text(max_size=3), st.floats(-50, 0)), min_size=1, max_size=30)


def test_signals_of_a_chain_and_its_answer():
    tokens = [("3", -0.2), ("+", -0.4), ("\n", -0.1), ("Answer:", -0.3), (" 5", -1.2), ("\n", 0.0)]
    assert signal("mean", tokens, "stop") == pytest.approx(-2.2 / 6)
    assert signal("minimum", tokens, "stop") == -1.2
    assert signal("last-line", tokens, "stop") == pytest.approx(-1.5 / 3), "an end of line after it belongs to it"
    assert signal("last-line", tokens[3:5], "stop") == pytest.approx(-0.75)


@pytest.mark.parametrize("name", SIGNALS)
def test_an_answer_without_an_end_or_tokens_is_never_sure(name):
    assert signal(name, [("a", 0.0)], "length") == UNSURE
    assert signal(name, [("a", 0.0)], "repeating") == UNSURE
    assert signal(name, [], "stop") == UNSURE
    assert min(THRESHOLDS) > UNSURE


def test_agreement_of_drawn_answers_reaches_each_of_its_thresholds():
    drawn = ["7", "7", None, "8", "7"]
    assert agreement("7", drawn, lambda a, b: a == b) == 0.6
    assert agreement(None, drawn, lambda a, b: a == b) == UNSURE
    assert thresholds("agreement", 5) == [1.0, 0.8, 0.6, 0.4, 0.2]


@given(TOKENS)
def test_no_signal_is_below_the_least_likely_token_or_above_the_likeliest(tokens):
    values = [value for _, value in tokens]
    for name in SIGNALS:
        assert min(values) - 1e-9 <= signal(name, tokens, "stop") <= max(values) + 1e-9


def questions(student, teacher, sure, groups=None, at_best=None):
    n = len(student)
    return Questions(
        groups=groups or [str(i) for i in range(n)],
        excluded=0,
        student=np.array(student, float),
        teacher=np.array(teacher, float),
        teacher_at_best=np.array(teacher if at_best is None else at_best, float),
        prompt_tokens=np.full(n, 100.0),
        completion_tokens=np.full(n, 50.0),
        signals={"mean": np.array(sure, float)},
    )


def test_a_point_by_hand():
    asked = questions([1, 0, 0, 1], [0, 1, 1, 1], [-0.1, -0.1, -2.0, -3.0])
    found = point(asked, "mean", -0.5, 0.95, Terms(0.1, 0.95, Price(input=10, output=20)))
    assert found["escalated"]["estimate"] == 0.5
    assert found["accuracy"]["estimate"] == 0.75
    assert found["difference"] == 0.0
    assert (found["only_cascade"], found["only_teacher"]) == (1, 1)
    assert found["cost"]["teacher_tokens"]["estimate"] == 75
    assert found["cost"]["dollars_per_1000"]["estimate"] == pytest.approx(0.5 * (100 * 10 + 50 * 20) / 1e3)


def test_the_teachers_truncated_answer_is_lost_as_a_correct_one_where_the_student_answers():
    asked = questions([0, 0], [0, 0], [-0.1, -5.0], at_best=[1, 1])
    assert point(asked, "mean", -1.0, 0.95, TERMS)["difference"] == -0.5
    assert point(asked, "mean", -0.01, 0.95, TERMS)["difference"] == 0.0


def test_testing_ends_at_the_first_threshold_that_does_not_hold():
    assert stats.fixed_sequence([0.01, 0.02, 0.2, 0.001], 0.05) == 2
    assert stats.fixed_sequence([0.2, 0.001], 0.05) == 0
    assert stats.fixed_sequence([0.05, 0.05], 0.05) == 2
    n = 200
    sure = np.linspace(-0.01, -5, n)
    asked = questions((sure > -1).astype(int), np.ones(n), sure)
    found = curve(asked, "mean", THRESHOLDS, 1, TERMS)
    last = found["points"][found["rejected"] - 1]
    assert last["holds"]
    assert not found["points"][found["rejected"]]["holds"]
    assert choose([found]) == {"signal": "mean", "threshold": last["threshold"], "samples": 0}


def test_a_threshold_with_which_the_student_answers_nothing_is_none():
    asked = questions(np.zeros(200), np.ones(200), np.full(200, UNSURE))
    found = curve(asked, "mean", THRESHOLDS, 1, TERMS)
    assert found["rejected"] == len(THRESHOLDS)
    assert choose([found]) is None


def test_the_questions_that_it_takes():
    asked = questions([1] * 18 + [0] * 2, [1] * 20, [-0.1] * 20)
    found = point(asked, "mean", -1.0, 0.95, Terms(0.2, 0.95, None))
    assert not found["holds"]
    assert needed([found], 20, 20, 0.95, 0.2) == stats.required_sample_size(0.1, -0.1, 0.2)
    assert needed([found], 20, 20, 0.95, 0.1) is None, "a difference of 10 points is never within 10"


RATES = [  # n, groups, correlation within groups, share that only A, and that only B answers correctly: the difference is -0.05
    (60, 60, 0.0, 0.0, 0.05),
    (200, 200, 0.0, 0.0, 0.05),
    (200, 200, 0.0, 0.05, 0.10),
    (200, 130, 0.3, 0.0, 0.05),
    (200, 50, 0.3, 0.05, 0.10),
    (300, 100, 0.5, 0.02, 0.07),
]


@pytest.mark.parametrize(("n", "groups", "correlation", "gain", "loss"), RATES)
def test_non_inferiority_at_the_margin_is_shown_no_oftener_than_its_level(n, groups, correlation, gain, loss):
    """Simulated at the margin itself, where a t test shows it in up to 21 % of the draws."""
    rng, sims, shown = np.random.default_rng(0), 400, 0
    for _ in range(sims):
        of = np.arange(n) if groups == n else rng.integers(0, groups, n)
        of_loss = np.full(groups, loss)
        if correlation:
            k = (1 - correlation) / correlation
            of_loss = rng.beta(loss * k, (1 - loss) * k, groups)
        u = rng.random(n)
        only_b, only_a = u < of_loss[of], u > 1 - gain
        shown += stats.clustered_noninferiority(only_a & ~only_b, only_b, of, 0.05).noninferior
    assert shown / sims <= 0.05 + 3 * (0.05 * 0.95 / sims) ** 0.5


def test_of_independent_questions_it_is_tangos_test():
    a, b = [1] * 90 + [0] * 10, [1] * 85 + [0] * 5 + [1] * 8 + [0] * 2
    both, only_a = sum(x and y for x, y in zip(a, b, strict=True)), sum(x > y for x, y in zip(a, b, strict=True))
    only_b = sum(x < y for x, y in zip(a, b, strict=True))
    tango = stats.noninferiority([[both, only_a], [only_b, 100 - both - only_a - only_b]], 0.1)
    found = stats.clustered_noninferiority(a, b, None, 0.1)
    assert (found.low, found.p_value) == pytest.approx((tango.low, tango.p_value))


def test_one_group_shows_nothing_and_equal_answers_count_once_by_group():
    assert not stats.clustered_noninferiority([1] * 50, [1] * 50, ["g"] * 50, 0.05).noninferior
    few = stats.clustered_noninferiority([1] * 400, [1] * 400, [i % 10 for i in range(400)], 0.05)
    many = stats.clustered_noninferiority([1] * 400, [1] * 400, None, 0.05)
    assert many.noninferior
    assert not few.noninferior


def test_the_chosen_threshold_violates_the_margin_no_oftener_than_the_level():
    """Learn then Test: over draws of validation questions, a threshold whose true loss is above the margin is rarely chosen."""
    rng, sims, wrong = np.random.default_rng(1), 150, 0
    thresholds = THRESHOLDS[14:32:2]

    def true_loss(threshold):  # the student is wrong with a probability of 1 - exp(signal), signals are exponential
        s = -np.linspace(0, 20, 20_001)[1:]
        weights = np.exp(s) / np.exp(s).sum()
        return float((weights * (s >= threshold) * (1 - np.exp(s))).sum())

    for _ in range(sims):
        sure = -rng.exponential(1.0, 150)
        asked = questions(rng.random(150) < np.exp(sure), np.ones(150), sure)
        if chosen := choose([curve(asked, "mean", thresholds, 1, TERMS)]):
            wrong += true_loss(chosen["threshold"]) > TERMS.margin
    assert wrong / sims <= 0.05 + 3 * (0.05 * 0.95 / sims) ** 0.5
