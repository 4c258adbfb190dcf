"""What does not fit is a ValueError that names the argument; tests of two systems, the score test and its limits."""

from math import inf, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from potstill import stats

TABLE = [[30, 12], [5, 20]]
cells = st.integers(0, 60)
VALUES = {
    "clustered_standard_error": lambda bad: stats.clustered_standard_error(bad, None),
    "clustered_difference": lambda bad: stats.clustered_difference([0.0] * len(bad), bad, None),
    "clustered_mcnemar": lambda bad: stats.clustered_mcnemar(bad, [0.0] * len(bad), None),
    "crossed_interval": lambda bad: stats.crossed_interval([bad, bad]),
    "paired_bootstrap": lambda bad: stats.paired_bootstrap(bad, [0.0] * len(bad)),
    "recovered_gap": lambda bad: stats.recovered_gap(bad, [0.0] * len(bad), [1.0] * len(bad)),
    "ppi_mean": lambda bad: stats.ppi_mean([0.0] * len(bad), bad, [1.0]),
    "ppi_mean, rest": lambda bad: stats.ppi_mean([0.0], [1.0], bad),
    "expected_calibration_error": lambda bad: stats.expected_calibration_error(bad, [1] * len(bad)),
    "adjust_p_values": stats.adjust_p_values,
    "intersection_union": stats.intersection_union,
    "partial_conjunction": lambda bad: stats.partial_conjunction(bad, 1),
    "cohen_kappa": lambda bad: stats.cohen_kappa([bad, bad]),
    "fleiss_kappa": lambda bad: stats.fleiss_kappa([bad, bad]),
}


@pytest.mark.parametrize("values", [[nan, 1.0], [1.0, inf], [], ["x", "y"]], ids=["nan", "infinite", "empty", "text"])
@pytest.mark.parametrize("name", VALUES)
def test_missing_and_infinite_values(name, values):
    with pytest.raises(ValueError, match=r"missing or infinite|not empty|numbers only|square"):
        VALUES[name](values)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.wilson_interval(5, 4), "5 successes among 4"),
        (lambda: stats.wilson_interval(-1, 4), "successes must be a whole number"),
        (lambda: stats.wilson_interval(1, nan), "n must be a whole number"),
        (lambda: stats.clopper_pearson_interval(1.5, 4), "whole number"),
        (lambda: stats.wilson_interval(1, 4, 95), "write 95 % as 0.95"),
        (lambda: stats.mcnemar([[1, 2]]), "a table is"),
        (lambda: stats.mcnemar([[1, 2], [nan, 4]]), "a cell of the table"),
        (lambda: stats.mcnemar([[1, -2], [3, 4]]), "a cell of the table"),
        (lambda: stats.mcnemar(TABLE, "mid-p"), "one of exact, midp, asymptotic, corrected"),
        (lambda: stats.paired_difference(TABLE, "wald"), "one of newcombe, tango"),
        (lambda: stats.paired_difference([[0, 0], [0, 0]], confidence=1), "confidence"),
        (lambda: stats.noninferiority(TABLE, -0.1), "margin must"),
        (lambda: stats.equivalence(TABLE, 5), "five points as 0.05"),
        (lambda: stats.clustered_difference([1, 0], [1], None), "one length"),
        (lambda: stats.clustered_difference([1, 0], [1, 1], ["a"]), "1 labels for 2 rows"),
        (lambda: stats.clustered_difference([1, 0], [1, 1], ["a", None]), "missing label"),
        (lambda: stats.clustered_difference([1, 0], [1, 1], [1.0, nan]), "missing label"),
        (lambda: stats.clustered_mcnemar([0.5, 0], [1, 1], None), "1 for a right answer"),
        (lambda: stats.crossed_interval([1, 0, 1]), "list of rows"),
        (lambda: stats.crossed_interval([[1, 0], [1]]), "rows of equal length"),
        (lambda: stats.paired_bootstrap([1, 0], [1, 1], draws=0), "draws"),
        (lambda: stats.adjust_p_values([0.1, 1.2]), "between 0 and 1"),
        (lambda: stats.adjust_p_values([0.1], "bonferroni"), "one of holm, bh"),
        (lambda: stats.partial_conjunction([0.1], 2), "k must lie"),
        (lambda: stats.partial_conjunction([0.1], 0), "k must lie"),
        (lambda: stats.minimum_detectable_difference(0, 0.3), "n must be"),
        (lambda: stats.anytime_mcnemar(-1, 2), "wins must be"),
        (lambda: stats.anytime_mean([0.5, 1.2]), "between 0 and 1"),
        (lambda: stats.anytime_mean([0.5, nan]), "missing or infinite"),
        (lambda: stats.anytime_mean([1], 1.5), "confidence"),
        (lambda: stats.fleiss_kappa([[1, 2], [2, 2]]), "one number of ratings"),
        (lambda: stats.fleiss_kappa([[1, 0], [0, 1]]), "at least 2"),
        (lambda: stats.krippendorff_alpha([[1, 2]]), "at least two raters"),
        (lambda: stats.krippendorff_alpha([[1, 2], [1]]), "raters"),
        (lambda: stats.krippendorff_alpha([["x", "y"], ["x", "x"]], "interval"), "must be numbers"),
        (lambda: stats.krippendorff_alpha([[1, 2], [1, 1]], "metric"), "one of nominal"),
        (lambda: stats.gwet_ac1([[1, nan], [1, 1]]), "None for a missing one"),
        (lambda: stats.gwet_ac1([[1, "x"], [1, 1]]), "all numbers or all texts"),
        (lambda: stats.gwet_ac1([list(range(2001))] * 2), "2001 distinct ratings"),
        (lambda: stats.ppi_mean([1, 0], [1], [1]), "one length"),
        (lambda: stats.expected_calibration_error([1.2], [1]), "between 0 and 1"),
        (lambda: stats.expected_calibration_error([0.2], [1], bins=0), "bins"),
    ],
)
def test_arguments_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# The score test of paired differences


def score(only_a, only_b, n, difference):
    """Tango's statistic with the restricted maximum likelihood found numerically."""
    from numpy import log

    def loss(p):
        a, b, rest = p + difference, p, 1 - 2 * p - difference
        terms = ((only_a, a), (only_b, b), (n - only_a - only_b, rest))
        return -sum(k * log(max(q, 1e-300)) for k, q in terms if k)

    limits = max(0.0, -difference), (1 - difference) / 2
    p = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-12}).x
    return (only_a - only_b - n * difference) / sqrt(n * (2 * p + difference - difference**2))


@pytest.mark.parametrize("table", [(30, 12, 5, 20), (40, 4, 5, 1), (3, 1, 2, 4), (80, 9, 0, 11), (0, 20, 30, 0)])
def test_tangos_limits_by_numerical_likelihood(table):
    both, only_a, only_b, neither = table
    found = stats.paired_difference([[both, only_a], [only_b, neither]], "tango")
    for limit, z in ((found.low, 1.959964), (found.high, -1.959964)):
        assert score(only_a, only_b, sum(table), limit) == pytest.approx(z, abs=1e-3)


@given(cells, cells, cells, cells, st.sampled_from([0.9, 0.95]), st.floats(0.01, 0.5))
def test_statements_about_margins_agree_with_their_limits(both, only_a, only_b, neither, confidence, margin):
    table, mirrored = [[both, only_a], [only_b, neither]], [[both, only_b], [only_a, neither]]
    found, other = stats.noninferiority(table, margin, confidence), stats.noninferiority(mirrored, margin, confidence)
    two_sided = stats.paired_difference(table, "tango", 2 * confidence - 1)
    assert found.low == pytest.approx(two_sided.low)
    if abs(found.low + margin) > 1e-9:
        assert found.noninferior == (found.low > -margin)
    assert stats.noninferiority(table, margin + 0.1, confidence).p_value <= found.p_value + 1e-12
    both_ways = stats.equivalence(table, margin, confidence)
    assert both_ways.equivalent == (found.noninferior and other.noninferior)
    assert (both_ways.low, both_ways.high) == pytest.approx((two_sided.low, two_sided.high))
    assert -1 <= two_sided.low <= found.difference + 1e-12
    assert found.difference - 1e-12 <= two_sided.high <= 1


def test_no_questions_show_nothing():
    none = [[0, 0], [0, 0]]
    assert not stats.noninferiority(none, 0.5).noninferior
    assert not stats.equivalence(none, 0.5).equivalent
    found = stats.paired_difference(none, "tango")
    assert (found.low, found.high) == (-1, 1)
    assert {stats.mcnemar(none, m).p_value for m in ("exact", "midp", "asymptotic", "corrected")} == {1.0}


@given(cells, cells)
def test_tests_of_the_same_table_are_ordered(only_a, only_b):
    """Exact is above mid-p; corrected is above asymptotic; no test knows which system is which."""
    p = {m: stats.mcnemar([[1, only_a], [only_b, 1]], m).p_value for m in ("exact", "midp", "asymptotic", "corrected")}
    assert 0 <= p["midp"] <= p["exact"] <= 1
    assert p["asymptotic"] <= p["corrected"] <= 1
    for method, value in p.items():
        assert stats.mcnemar([[1, only_b], [only_a, 1]], method).p_value == pytest.approx(value)
