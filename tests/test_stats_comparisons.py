"""The bootstrap, several tests, recovered gaps, planning, tests at every look: independent formulas and properties."""

from itertools import combinations
from math import comb, inf, isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, false_discovery_control, t

from potstill import stats

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# The bootstrap


def test_the_bootstrap_of_many_questions_is_near_the_t_interval(rng):
    for kind in ("continuous", "answers", "clusters of unequal size"):
        a, b = rng.random((2, 3000))
        if kind == "answers":
            a, b = (a < 0.6).astype(float), (b < 0.5).astype(float)
        clusters = None if kind != "clusters of unequal size" else rng.integers(0, 2000, 3000)
        found, expected = stats.paired_bootstrap(a, b, clusters, draws=4000), stats.clustered_difference(a, b, clusters)
        assert found.difference == pytest.approx(expected.difference)
        assert (found.low, found.high) == pytest.approx(
            (expected.low, expected.high), abs=0.06 * (expected.high - expected.low)
        )


def test_the_bootstrap_of_seeds_and_questions_is_near_the_crossed_interval(rng):
    scores = rng.normal(size=(12, 200)) + rng.normal(size=(12, 1)) + rng.normal(size=200)
    seeds, questions = (index.ravel() for index in np.indices(scores.shape))
    found = stats.paired_bootstrap(scores.ravel(), np.zeros(2400), questions, seeds, draws=4000)
    expected = stats.crossed_interval(scores)
    assert (found.low, found.high) == pytest.approx(
        (expected.low, expected.high), abs=0.1 * (expected.high - expected.low)
    )


def test_the_bootstrap_repeats_itself_and_needs_more_than_one_of_everything(rng):
    a, b = rng.random((2, 30))
    assert stats.paired_bootstrap(a, b) == stats.paired_bootstrap(a, b) != stats.paired_bootstrap(a, b, seed=1)
    assert stats.paired_bootstrap(a, b, ["a"] * 30).high == inf
    assert stats.paired_bootstrap(a, b, range(30), ["s"] * 30).low == -inf
    with pytest.raises(ValueError, match="clusters beside seeds"):
        stats.paired_bootstrap(a, b, seeds=range(30))


# Several tests


@given(p_lists)
def test_benjamini_hochberg_by_scipy(p):
    assert stats.adjust_p_values(p, "bh") == pytest.approx(false_discovery_control(p, method="bh"), abs=1e-12)


@given(p_lists)
def test_holm_by_all_subsets(p):
    """Closed testing: a hypothesis falls where every set that contains it does, by Bonferroni."""
    p = p[:7]
    for i, adjusted in enumerate(stats.adjust_p_values(p)):
        others = [j for j in range(len(p)) if j != i]
        sets = [(i, *chosen) for n in range(len(p)) for chosen in combinations(others, n)]
        assert adjusted == pytest.approx(max(min(1, len(one) * min(p[j] for j in one)) for one in sets))


def test_partial_conjunctions_by_hand():
    p = [0.04, 0.001, 0.03, 0.2]
    assert stats.partial_conjunction(p, 2) == pytest.approx(3 * 0.03)
    assert stats.partial_conjunction(p, 2, "simes") == pytest.approx(min(3 * 0.03, 1.5 * 0.04, 0.2))
    assert stats.partial_conjunction(p, 2, "fisher") == pytest.approx(chi2.sf(-2 * np.log(0.03 * 0.04 * 0.2), 6))
    assert stats.intersection_union(p) == 0.2


@given(p_lists, st.data())
def test_claims_of_more_are_harder_to_show(p, data):
    k = data.draw(st.integers(1, len(p)))
    for method in ("bonferroni", "simes", "fisher"):
        found = stats.partial_conjunction(p, k, method)
        assert 0 <= found <= 1
        assert stats.partial_conjunction(p, len(p), method) == pytest.approx(stats.intersection_union(p))
        worse = [min(1, one + 0.1) for one in p]
        assert stats.partial_conjunction(worse, k, method) >= found - 1e-12
    # By definition, the largest combination of the p-values of any m - k + 1 of them.
    sets = combinations(p, len(p) - k + 1)
    assert stats.partial_conjunction(p, k) == pytest.approx(max(min(1, len(one) * min(one)) for one in sets))


# Gaps


def test_fiellers_set_holds_the_ratios_that_t_does_not_reject(rng):
    base, student, teacher = rng.random((3, 60)) + np.array([[0.0], [0.3], [0.5]])
    found = stats.recovered_gap(base, student, teacher, confidence=0.9)
    limit = t.ppf(0.95, 59)
    assert found.bounded
    assert found.estimate == pytest.approx((student - base).mean() / (teacher - base).mean())
    for ratio in (found.low, found.high):
        assert distance(base, student, teacher, ratio) == pytest.approx(limit)
    assert distance(base, student, teacher, found.estimate) == pytest.approx(0, abs=1e-9)


def distance(base, student, teacher, ratio):
    values = student - base - ratio * (teacher - base)
    return abs(values.mean()) / (values.std(ddof=1) / sqrt(len(values)))


def test_a_gap_that_may_be_none_has_an_unbounded_set(rng):
    base, teacher = rng.random((2, 40))
    student = base + 0.5 + 0.1 * rng.random(40)
    found = stats.recovered_gap(base, student, teacher)
    assert (found.bounded, found.low, found.high) == (False, -inf, inf)
    low, high = found.excluded
    limit = t.ppf(0.975, 39)
    for ratio in (low, high):
        assert distance(base, student, teacher, ratio) == pytest.approx(limit)
    assert distance(base, student, teacher, (low + high) / 2) > limit > distance(base, student, teacher, high + 9)
    everything = stats.recovered_gap(base, rng.random(40), teacher)
    assert (everything.bounded, everything.excluded) == (False, None)


def test_gaps_without_a_denominator_or_with_one_cluster():
    found = stats.recovered_gap([0, 1, 1], [1, 1, 1], [1, 0, 1])
    assert isnan(found.estimate)
    assert not found.bounded
    found = stats.recovered_gap([0, 0, 0], [0, 1, 1], [1, 1, 1], ["a"] * 3)
    assert (found.bounded, found.excluded) == (False, None)


def test_the_gap_of_clusters_is_wider_for_copied_questions(rng):
    rows = (rng.random((3, 50)) < [[0.2], [0.5], [0.7]]).astype(float)
    once, copied = stats.recovered_gap(*rows), stats.recovered_gap(*np.tile(rows, 4), np.tile(np.arange(50), 4))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


# Planning


@given(st.floats(0.05, 0.9), st.floats(0.03, 0.3), st.sampled_from([0.8, 0.9]), st.floats(1, 4))
def test_what_is_planned_is_what_is_detected(discordance, margin, power, effect):
    n = stats.required_sample_size(discordance, margin=margin, power=power, design_effect=effect)
    found = stats.minimum_detectable_difference(n, discordance, margin=margin, power=power, design_effect=effect)
    before = stats.minimum_detectable_difference(
        max(n - 1, 1), discordance, margin=margin, power=power, design_effect=effect
    )
    assert found <= 1e-9
    assert before > -1e-9 or n == 1
    difference = min(margin, discordance)
    n = stats.required_sample_size(discordance, difference, power=power, design_effect=effect)
    assert stats.minimum_detectable_difference(n, discordance, power=power, design_effect=effect) <= difference + 1e-9


def test_groups_and_power_take_more_questions():
    sizes = [stats.required_sample_size(0.3, 0.1, design_effect=d) for d in (1, 2, 4.4)]
    # 233.09 questions, times the design effect, rounded up.
    assert sizes == [234, 467, 1026]
    assert stats.required_sample_size(0.3, 0.1, power=0.9) > 234
    assert (
        stats.required_sample_size(0.3, 0.02, margin=0.05) < 742 < stats.required_sample_size(0.3, -0.02, margin=0.05)
    )
    assert stats.minimum_detectable_difference(5, 0.1) == inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discordance": 0.3}, "difference to be found"),
        ({"discordance": 0.1, "difference": 0.2}, "takes a discordance"),
        ({"discordance": 0.3, "difference": -0.1, "margin": 0.05}, "no number of questions"),
        ({"discordance": 0.0, "margin": 0.05}, "discordance must"),
        ({"discordance": 0.3, "margin": 5}, "five points as 0.05"),
        ({"discordance": 0.3, "margin": 0.05, "power": 80}, "power must"),
        ({"discordance": 0.3, "margin": 0.05, "design_effect": 0}, "design_effect must"),
        ({"discordance": float("nan"), "margin": 0.05}, "discordance must"),
    ],
)
def test_plans_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        stats.required_sample_size(**options)


# Looks


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_e_value_in_integers(wins, losses):
    n = wins + losses
    found = stats.anytime_mcnemar(wins, losses)
    assert found.e_value == pytest.approx(2**n / ((n + 1) * comb(n, wins)))
    assert found.p_value == pytest.approx(min(1, 1 / found.e_value))
    mirrored = stats.anytime_mcnemar(losses, wins)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low))
    assert (found.low <= 0.5 <= found.high) == (found.p_value > 0.05)
    # It is wider than the interval for one look.
    once = stats.wilson_interval(wins, n)
    assert found.high - found.low >= once.high - once.low - 1e-9


def test_an_e_value_is_1_on_average_where_systems_are_equal():
    for n in (0, 1, 7, 40):
        average = sum(comb(n, w) / 2**n * stats.anytime_mcnemar(w, n - w).e_value for w in range(n + 1))
        assert average == pytest.approx(1)
