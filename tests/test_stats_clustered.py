"""Standard errors, differences and tests by clusters, and intervals by seeds: independent formulas, symmetry, degenerate
data."""

from itertools import product
from math import inf, isnan, sqrt

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import fractional_matrix_power
from scipy.stats import chi2, t, ttest_rel

from potstill import stats

answers = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=40)
Z2 = 3.841459
"""1.959964^2."""


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def unequal(rng, clusters=9):
    labels = np.repeat(np.arange(clusters), rng.integers(1, 8, clusters))
    return rng.normal(size=len(labels)) + rng.normal(size=clusters)[labels], labels


def by_matrices(values, labels):
    """CR2 of an intercept and its degrees of freedom, with the matrices of Pustejovsky and Tipton 2018."""
    n = len(values)
    hat = np.full((n, n), 1 / n)
    residual = (np.eye(n) - hat) @ values
    variance, columns = 0.0, []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        block = np.eye(len(rows)) - hat[np.ix_(rows, rows)]
        adjustment = fractional_matrix_power(block, -0.5).real
        variance += (np.ones(len(rows)) @ adjustment @ residual[rows] / n) ** 2
        columns.append((np.eye(n) - hat)[:, rows] @ adjustment @ np.ones(len(rows)) / n)
    gram = np.array(columns) @ np.array(columns).T
    eigenvalues = np.linalg.eigvalsh(gram)
    return sqrt(variance), eigenvalues.sum() ** 2 / (eigenvalues**2).sum()


def test_cr2_and_its_degrees_of_freedom_by_matrices(rng):
    values, labels = unequal(rng)
    found = stats.clustered_standard_error(values, labels)
    assert (found.cr2, found.df) == pytest.approx(by_matrices(values, labels))


def test_cr1_by_statsmodels(rng):
    """Its small-sample factor is G / (G - 1) (n - 1) / (n - k), where k = 1."""
    values, labels = unequal(rng)
    fitted = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": labels})
    found = stats.clustered_standard_error(values, labels)
    assert (found.mean, found.cr1) == pytest.approx((fitted.params[0], fitted.bse[0]))
    assert found.cr0 == pytest.approx(found.cr1 * sqrt(8 / 9))


def test_clusters_of_one_size_by_hand():
    # Means of clusters 0, 1, 1/2: residual sums -1, 1, 0 of 6 questions.
    found = stats.clustered_standard_error([0, 0, 1, 1, 1, 0], list("aabbcc"))
    assert (found.mean, found.cr0, found.cr1, found.cr2, found.df) == pytest.approx(
        (0.5, sqrt(2) / 6, sqrt(3) / 6, sqrt(3) / 6, 2)
    )


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_questions_of_their_own_have_the_paired_t_test(rng, confidence):
    a, b = rng.normal(size=(2, 40)) + np.array([[0.3], [0.0]])
    expected = ttest_rel(a, b)
    limits = expected.confidence_interval(confidence)
    for clusters in (None, list(range(40))):
        found = stats.clustered_difference(a, b, clusters, confidence)
        assert (found.low, found.high, found.p_value) == pytest.approx((limits.low, limits.high, expected.pvalue))
        assert (found.df, found.design_effect, found.clusters, found.sign_flip_p_value) == (
            pytest.approx(39),
            pytest.approx(1),
            40,
            None,
        )


def test_the_design_effect_of_copied_questions_is_their_number(rng):
    a, b = rng.integers(0, 2, (2, 40)).astype(float)
    once, thrice = (
        stats.clustered_difference(a, b, None),
        stats.clustered_difference(np.tile(a, 3), np.tile(b, 3), np.tile(np.arange(40), 3)),
    )
    assert (thrice.low, thrice.high, thrice.p_value) == pytest.approx((once.low, once.high, once.p_value))
    assert thrice.design_effect == pytest.approx(3 * 119 / 117)


def test_sign_flips_by_all_signs(rng):
    a, labels = unequal(rng)
    found = stats.clustered_difference(a, np.zeros(len(a)), labels)
    sums = [a[labels == label].sum() for label in range(9)]
    totals = [abs(np.dot(signs, sums)) for signs in product((1, -1), repeat=9)]
    assert found.sign_flip_p_value == pytest.approx(np.mean(np.array(totals) >= abs(sum(sums)) - 1e-9))


def test_random_sign_flips_come_near_all_of_them():
    """20 clusters, of which 15 are won by one question and 5 lost: a binomial test."""
    a = np.array([1.0] * 15 + [0.0] * 5)
    found = stats.clustered_difference(a, 1 - a, None)
    assert found.sign_flip_p_value == pytest.approx(0.04139, abs=0.003)


@given(answers, st.sampled_from([0.8, 0.95]))
def test_swapping_the_systems_mirrors_what_is_found(rows, confidence):
    a, b, clusters = zip(*rows, strict=True)
    found, mirrored = (
        stats.clustered_difference(a, b, clusters, confidence),
        stats.clustered_difference(b, a, clusters, confidence),
    )
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
    assert mirrored.p_value == pytest.approx(found.p_value)
    assert mirrored.sign_flip_p_value == pytest.approx(found.sign_flip_p_value)
    assert found.low <= found.difference + 1e-12
    assert found.difference - 1e-12 <= found.high
    assert 0 <= found.p_value <= 1
    for method in ("durkalski", "obuchowski"):
        assert stats.clustered_mcnemar(a, b, clusters, method) == stats.clustered_mcnemar(b, a, clusters, method)


@given(answers)
def test_names_of_clusters_and_the_order_of_rows_do_not_count(rows):
    a, b, clusters = zip(*rows, strict=True)
    found = stats.clustered_difference(a, b, clusters)
    other = stats.clustered_difference(a[::-1], b[::-1], [f"g{9 - one}" for one in clusters[::-1]])
    assert (other.low, other.high, other.df) == pytest.approx((found.low, found.high, found.df))


def test_mcnemar_by_clusters():
    """Three clusters of 2, 4 and 4 questions with 1, 2 and -1 more won than lost."""
    a = [1, 0, 1, 1, 1, 0, 0, 0, 1, 0]
    b = [0, 0, 0, 0, 1, 0, 1, 0, 1, 0]
    clusters = [1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    durkalski, obuchowski = (stats.clustered_mcnemar(a, b, clusters, m) for m in ("durkalski", "obuchowski"))
    assert durkalski.statistic == pytest.approx((0.5 + 0.5 - 0.25) ** 2 / (0.25 + 0.25 + 0.0625))
    assert obuchowski.statistic == pytest.approx(2**2 * 2 / 3 / (1 + 4 + 1))
    assert durkalski.p_value == pytest.approx(chi2.sf(1.0, 1))
    # Single questions: McNemar's own test.
    assert stats.clustered_mcnemar(a, b, None).statistic == pytest.approx(
        stats.mcnemar([[2, 3], [1, 4]], "asymptotic").statistic
    )


@pytest.mark.parametrize(("a", "b", "difference", "low", "high"), [
    (1, 1, 0, -Z2 / (10 + Z2), Z2 / (10 + Z2)), (0, 0, 0, -Z2 / (10 + Z2), Z2 / (10 + Z2)), (1, 0, 1, 0.44493, 1), (0, 1, -1, -1, -0.44493),
])  # fmt: skip
def test_equal_differences_are_not_certain(a, b, difference, low, high):
    """Ten clusters count as ten questions: the limits of Tango."""
    rows, clusters = np.ones(30), np.repeat(np.arange(10), 3)
    found = stats.clustered_difference(a * rows, b * rows, clusters)
    assert (found.difference, found.low, found.high) == pytest.approx((difference, low, high), abs=1e-5)
    assert found.p_value == (2**-9 if difference else 1)
    again = stats.paired_bootstrap(a * rows, b * rows, clusters)
    assert (again.low, again.high) == (found.low, found.high)
    crossed = stats.crossed_interval(np.full((3, 30), float(difference)), clusters)
    assert (crossed.low, crossed.high) == (found.low, found.high)
    assert stats.clustered_mcnemar(a * rows, b * rows, clusters).p_value == (1 if a == b else chi2.sf(10, 1))


def test_one_cluster_says_nothing_about_others():
    error = stats.clustered_standard_error([0, 1, 1], ["a"] * 3)
    assert isnan(error.cr1)
    assert isnan(error.cr2)
    assert error.df == 0
    found = stats.clustered_difference([0, 1, 1], [0, 0, 1], ["a"] * 3)
    assert (found.low, found.high, found.p_value, found.clusters) == (-1, 1, 1, 1)
    found = stats.clustered_difference([0, 10, 1], [0, 0, 1], ["a"] * 3)
    assert (found.low, found.high) == (-inf, inf)
    assert stats.clustered_mcnemar([1, 1], [0, 1], ["a", "a"], "obuchowski").p_value == 1
    assert stats.crossed_interval([[0, 1], [1, 1]], ["a", "a"]).high == inf


# Seeds


def test_seeds_and_questions_by_the_analysis_of_variance(rng):
    """Searle, Casella and McCulloch 1992: (MS seeds + MS questions - MS rest) / (seeds questions)."""
    scores = rng.normal(size=(5, 40)) + rng.normal(size=(5, 1)) + rng.normal(size=40)
    mean, rows, columns = scores.mean(), scores.mean(1), scores.mean(0)
    squares = [40 * ((rows - mean) ** 2).sum() / 4, 5 * ((columns - mean) ** 2).sum() / 39]
    squares.append(((scores - rows[:, None] - columns + mean) ** 2).sum() / 156)
    variance = (squares[0] + squares[1] - squares[2]) / 200
    df = (200 * variance) ** 2 / (squares[0] ** 2 / 4 + squares[1] ** 2 / 39 + squares[2] ** 2 / 156)
    found = stats.crossed_interval(scores, confidence=0.9)
    assert (found.mean, found.standard_error, found.df) == pytest.approx((mean, sqrt(variance), df))
    half = t.ppf(0.95, df) * sqrt(variance)
    assert (found.low, found.high, found.seeds, found.clusters) == (
        pytest.approx(mean - half),
        pytest.approx(mean + half),
        5,
        40,
    )


def test_students_that_agree_leave_the_variance_of_questions(rng):
    values, labels = unequal(rng)
    found = stats.crossed_interval([values] * 4, labels)
    expected = stats.clustered_standard_error(values, labels)
    assert (found.standard_error, found.df) == pytest.approx((expected.cr2, expected.df))


def test_questions_that_agree_leave_the_variance_of_seeds():
    found = stats.crossed_interval([[0.2] * 20, [0.4] * 20, [0.9] * 20])
    assert (found.mean, found.standard_error, found.df) == pytest.approx(
        (0.5, np.std([0.2, 0.4, 0.9], ddof=1) / sqrt(3), 2)
    )


def test_one_seed_says_nothing_about_the_recipe():
    found = stats.crossed_interval([[0, 1, 1]])
    assert (found.low, found.high, found.seeds) == (-inf, inf, 1)
    assert found.mean == pytest.approx(2 / 3)
