"""Agreement, strengths from comparisons, and judges: independent formulas, properties, degenerate data."""

from math import exp, inf, isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_statsmodels

from potstill import stats

squares = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=3, max_size=3)
ratings = st.lists(st.lists(st.sampled_from("abc") | st.none(), min_size=12, max_size=12), min_size=2, max_size=4)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# Agreement


@given(squares)
def test_cohens_kappa_by_statsmodels(table):
    if (np.array(table).sum(0) * np.array(table).sum(1)).sum() < np.array(table).sum() ** 2:
        assert stats.cohen_kappa(table) == pytest.approx(cohens_kappa(np.array(table)).kappa)
    else:
        assert isnan(stats.cohen_kappa(table))


def test_fleiss_kappa_by_statsmodels(rng):
    counts = rng.multinomial(6, [0.5, 0.3, 0.2], size=30)
    assert stats.fleiss_kappa(counts) == pytest.approx(fleiss_of_statsmodels(counts))


@given(ratings)
def test_alpha_by_pairs_of_ratings(table):
    """Observed disagreement of the pairs within units, over that of all pairs of ratings that have a partner."""
    units = [[row[i] for row in table if row[i] is not None] for i in range(12)]
    units = [unit for unit in units if len(unit) > 1]
    pooled = [one for unit in units for one in unit]
    different = sum(x != y for x in pooled for y in pooled)
    found = stats.krippendorff_alpha(table, "nominal")
    if not different:
        assert isnan(found)
        return
    observed = sum(sum(x != y for x in unit for y in unit) / (len(unit) - 1) for unit in units) / len(pooled)
    assert found == pytest.approx(1 - observed / (different / len(pooled) / (len(pooled) - 1)))


@given(ratings)
def test_ac1_by_pairs_of_ratings(table):
    units = [unit for i in range(12) if (unit := [row[i] for row in table if row[i] is not None])]
    pairs = [unit for unit in units if len(unit) > 1]
    names = {one for unit in units for one in unit}
    found = stats.gwet_ac1(table)
    if not pairs or len(names) < 2:
        assert isnan(found)
        return
    agreed = np.mean([(sum(x == y for x in u for y in u) - len(u)) / (len(u) * (len(u) - 1)) for u in pairs])
    shares = [np.mean([unit.count(name) / len(unit) for unit in units]) for name in names]
    chance = sum(share * (1 - share) for share in shares) / (len(names) - 1)
    assert found == pytest.approx((agreed - chance) / (1 - chance))


def test_raters_who_agree_and_raters_who_cannot_disagree():
    assert stats.cohen_kappa([[5, 0], [0, 7]]) == 1
    assert stats.fleiss_kappa([[3, 0], [0, 3]]) == 1
    assert stats.krippendorff_alpha([["x", "y"], ["x", "y"]]) == 1
    assert stats.gwet_ac1([["x", "y"], ["x", "y"]]) == 1
    for nothing in (
        stats.cohen_kappa([[5, 0], [0, 0]]),
        stats.cohen_kappa([[0, 0], [0, 0]]),
        stats.fleiss_kappa([[3, 0], [3, 0]]),
        stats.krippendorff_alpha([["x", "x"], ["x", "x"]]),
        stats.gwet_ac1([["x", "x"], ["x", "x"]]),
        stats.krippendorff_alpha([[1, None], [None, 2]], "interval"),
        stats.gwet_ac1([[1, None], [None, 2]]),
    ):
        assert isnan(nothing)


# Strengths


def test_two_systems_have_the_log_odds():
    assert stats.bradley_terry([[0, 30], [10, 0]]) == pytest.approx([log(3), 0])


@given(squares)
def test_strengths_give_the_wins_that_were_observed(wins):
    """The score equations: each system's expected number of wins is the observed one (Ford 1957)."""
    wins = np.array(wins) + 1
    np.fill_diagonal(wins, 0)
    p = np.exp(stats.bradley_terry(wins))
    expected = ((wins + wins.T) * p[:, None] / (p[:, None] + p)).sum(1)
    assert expected == pytest.approx(wins.sum(1), rel=1e-6)


def draws(rng, strengths, tie, order, n=4000):
    """Counts [first][second] of comparisons by Davidson and Beaver's model."""
    size = len(strengths)
    won, lost, tied = (np.zeros((size, size)) for _ in range(3))
    for i in range(size):
        for j in range(size):
            if i != j:
                p = np.exp([strengths[i] + order, strengths[j], tie + (strengths[i] + strengths[j]) / 2])
                won[i, j], lost[i, j], tied[i, j] = rng.multinomial(n, p / p.sum())
    return won, lost, tied


def test_strengths_ties_and_order_are_found_again(rng):
    found = stats.davidson(*draws(rng, [0.8, -0.4, 0.0], -0.5, 0.3))
    assert found.strengths == pytest.approx([0.8, -0.4, 0.0], abs=0.06)
    assert (found.tie, found.order) == pytest.approx((-0.5, 0.3), abs=0.05)
    for estimate, truth, error in ((found.tie, -0.5, found.tie_error), (found.order, 0.3, found.order_error)):
        assert abs(estimate - truth) < 4 * error < 0.2


@pytest.mark.parametrize("order_effect", [True, False])
def test_the_likelihood_is_largest_there(rng, order_effect):
    won, lost, tied = draws(rng, [0.5, 0.9, -0.3, 0.0], 0.2, -0.4 if order_effect else 0.0, n=15)

    def loss(coefficients):
        s, tie, order = np.append(coefficients[:3], 0), coefficients[3], coefficients[4] if order_effect else 0.0
        logits = np.stack(np.broadcast_arrays(s[:, None] + order, s[None, :], tie + (s[:, None] + s) / 2))
        return -(np.stack([won, lost, tied]) * (logits - np.log(np.exp(logits).sum(0)))).sum()

    best = minimize(loss, np.zeros(4 + order_effect), method="BFGS", options={"gtol": 1e-7})
    found = stats.davidson(won, lost, tied, order_effect)
    assert [*found.strengths[:3], found.tie] == pytest.approx(best.x[:4], abs=1e-4)
    assert found.order == (pytest.approx(best.x[4], abs=1e-4) if order_effect else 0.0)
    assert found.strength_errors[3] == 0


def test_two_systems_with_ties_by_hand():
    """P(tie) / sqrt(P(first) P(second)) is exp(tie), and without an order effect the odds are those of the wins."""
    found = stats.davidson([[0, 30], [0, 0]], [[0, 15], [0, 0]], [[0, 20], [0, 0]], order_effect=False)
    assert found.strengths == pytest.approx([log(2), 0])
    assert exp(found.tie) == pytest.approx(20 / sqrt(30 * 15))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 3], [0, 0]],), "infinite or unknown"),
        (([[0, 3, 0], [2, 0, 0], [0, 0, 0]],), r"systems \[2\]"),
        (([[1, 3], [2, 0]],), "with itself"),
        (([[0, 3, 1], [2, 0, 1]],), "square"),
        (([[0, -3], [2, 0]],), "negative"),
        (([[0]],), "at least two systems"),
    ],
)
def test_comparisons_without_strengths(arguments, message):
    with pytest.raises(ValueError, match=message):
        stats.bradley_terry(*arguments)


@pytest.mark.parametrize(
    ("won", "lost", "tied", "message"),
    [
        ([[0, 3], [2, 0]], [[0, 1], [2, 0]], [[0, 0], [0, 0]], "no ties"),
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 1], [0, 0]], "only ties"),
        ([[0, 3], [2, 0]], [[0, 0], [0, 0]], [[0, 1], [0, 0]], "one place"),
        ([[0, 3], [2, 0]], [[0, 0, 1], [0, 0, 1], [1, 1, 0]], [[0, 1], [0, 0]], "same systems"),
    ],
)
def test_comparisons_without_ties_or_order(won, lost, tied, message):
    with pytest.raises(ValueError, match=message):
        stats.davidson(won, lost, tied)


# Judges


@given(st.integers(2, 30), st.integers(1, 60), st.integers(0, 1000))
def test_the_mean_of_few_labels_by_its_formula(n, n_rest, seed):
    rng = np.random.default_rng(seed)
    gold = rng.random(n)
    judge, rest = gold * rng.random() + 3 * rng.random(n), 3 * rng.random(n_rest)
    covariance = np.cov(gold, judge, ddof=0)[0, 1]
    weight = np.clip(covariance / ((1 + n / n_rest) * np.var([*judge, *rest], ddof=1)), 0, 1)
    found = stats.ppi_mean(gold, judge, rest)
    assert found.lambda_ == pytest.approx(weight, abs=1e-9)
    assert found.mean == pytest.approx(weight * rest.mean() + (gold - weight * judge).mean())
    error = sqrt(weight**2 * rest.var() / n_rest + (gold - weight * judge).var() / n)
    assert (found.low, found.high) == pytest.approx((found.mean - 1.959964 * error, found.mean + 1.959964 * error))


def test_lambda_of_many_labels_comes_from_the_others(rng):
    gold, judge, rest = rng.random(57), rng.random(57), rng.random(90)
    judge = judge + gold
    weights = np.empty(57)
    for fold in range(10):
        others = np.arange(57) % 10 != fold
        variance = np.var([*judge[others], *rest], ddof=1)
        weights[~others] = np.cov(gold[others], judge[others], ddof=0)[0, 1] / ((1 + 57 / 90) * variance)
    found = stats.ppi_mean(gold, judge, rest)
    assert found.lambda_ == pytest.approx(weights.mean())
    assert found.mean == pytest.approx(weights.mean() * rest.mean() + (gold - weights * judge).mean())


def test_judges_without_use():
    gold = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    alone = stats.ppi_mean(gold, [0.5] * 6, [0.5] * 9)
    assert (alone.mean, alone.lambda_) == pytest.approx((2 / 3, 0))
    against = stats.ppi_mean(gold, [1 - g for g in gold], [0.2, 0.8])
    assert (against.mean, against.low, against.high) == pytest.approx((alone.mean, alone.low, alone.high))
    assert stats.ppi_mean([1.0], [0.3], [0.2, 0.1]).high == inf
    perfect = stats.ppi_mean(gold * 20, gold * 20, gold * 4000)
    assert perfect.high - perfect.low < 0.1 * 2 * 1.96 * sqrt(2 / 9 / 120)


def test_calibration_by_hand():
    # Guo et al. 2017, equation 3: two in (0.5, 1] with one correct, two in (0, 0.5] with none.
    assert stats.expected_calibration_error([0.9, 0.7, 0.2, 0.4], [1, 0, 0, 0], bins=2) == pytest.approx(
        0.5 * abs(0.5 - 0.8) + 0.5 * 0.3
    )
    assert stats.expected_calibration_error([0.1, 1.0, 0.0], [0, 1, 0]) == pytest.approx(0.1 / 3)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 20))
def test_calibration_is_bounded_and_never_below_that_of_one_bin(rows, bins):
    sure, correct = zip(*rows, strict=True)
    found = stats.expected_calibration_error(sure, correct, bins)
    assert abs(np.mean(correct) - np.mean(sure)) - 1e-9 <= found <= 1 + 1e-9
