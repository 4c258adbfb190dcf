"""McNemar's exact test and Newcombe's interval of paired proportions: published values, independent formulas, symmetry."""

from fractions import Fraction
from itertools import product
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from potstill.stats import mcnemar, paired_difference

Z = {0.8: 1.2815515655, 0.9: 1.6448536270, 0.95: 1.9599639845, 0.99: 2.5758293035}
"""Two-sided quantiles of the normal distribution."""
TABLES = [
    (36, 12, 2, 0), (10, 7, 3, 20), (40, 4, 5, 1), (3, 1, 1, 3), (1, 9, 2, 8), (0, 5, 5, 0), (20, 20, 1, 20), (700, 40, 10, 250),
    (2, 1, 1, 2), (50, 1, 0, 49), (0, 3, 1, 6), (6, 3, 1, 0), (48, 0, 2, 0), (48, 2, 0, 0), (1, 0, 0, 1), (2, 1, 1, 1),
]  # fmt: skip
"""Pairs of answers: both correct, only a, only b, neither. Both signs of the correlation, zero cells, corrections above and
below their limit."""
cells = st.integers(0, 200)
levels = st.sampled_from(list(Z))


def mcnemar_exact(only_a, only_b):
    return mcnemar([[3, only_a], [only_b, 5]]).p_value


def newcombe_paired(both, only_a, only_b, neither, confidence=0.95):
    found = paired_difference([[both, only_a], [only_b, neither]], "newcombe", confidence)
    return found.low, found.high


# The exact test


def exact_p(only_a, only_b):
    """The two-sided p-value in integers: twice the tail of the binomial distribution at 1/2, at most 1."""
    n = only_a + only_b
    tail = sum(comb(n, k) for k in range(min(only_a, only_b) + 1))
    return float(min(Fraction(2 * tail, 2**n), Fraction(1)))


@pytest.mark.parametrize(
    ("only_a", "only_b", "p", "tolerance"),
    [
        # Agresti, Categorical Data Analysis, two surveys of the Prime Minister's approval (794, 150, 86, 570); the exact
        # p-value is R's binom.test(86, 236)$p.value, and that of statsmodels' mcnemar(exact=True).
        (150, 86, 3.716e-05, 5e-09),
        # By hand: 2 * (1/2)^5.
        (0, 5, 0.0625, 1e-15),
        # By hand: 2 * (1 + 8) / 2^8.
        (1, 7, 18 / 256, 1e-15),
        # By hand: 2 * (1 + 6 + 15) / 2^6.
        (2, 4, 44 / 64, 1e-15),
    ],
)
def test_published_and_hand_computed_p_values(only_a, only_b, p, tolerance):
    assert mcnemar_exact(only_a, only_b) == pytest.approx(p, abs=tolerance)
    assert mcnemar_exact(only_b, only_a) == pytest.approx(p, abs=tolerance)


@pytest.mark.parametrize("n", [0, 1, 2, 10, 57])
def test_equal_counts_have_p_1(n):
    assert mcnemar_exact(n, n) == pytest.approx(1.0)


@given(cells, cells)
def test_p_value_in_integer_arithmetic(only_a, only_b):
    assert mcnemar_exact(only_a, only_b) == pytest.approx(exact_p(only_a, only_b), rel=1e-9)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (3, 5), (1, 8), (7, 2)])
def test_p_value_by_counting_all_signs(only_a, only_b):
    """Under the null hypothesis all 2^n ways to distribute the discordant questions are equally likely."""
    n = only_a + only_b
    extreme = [abs(2 * sum(signs) - n) >= abs(only_a - only_b) for signs in product((0, 1), repeat=n)]
    assert mcnemar_exact(only_a, only_b) == pytest.approx(sum(extreme) / 2**n)


# The interval of the difference


def score_interval(successes, n, z):
    """Wilson's interval by root finding; with 0 of n the equation is n p = z^2 (1 - p)."""
    observed, bound = successes / n, z * z / (n + z * z)
    if successes in (0, n):
        return (1 - bound, 1.0) if successes else (0.0, bound)

    def distance(p):
        return (observed - p) ** 2 - z * z * p * (1 - p) / n

    return brentq(distance, 0, observed, xtol=1e-15), brentq(distance, observed, 1, xtol=1e-15)


def newcombe_10(e, f, g, h, z):
    """Newcombe 1998, Statistics in Medicine 17:2635-2650, method 10, in the letters of the paper: delta and epsilon are the
    distances from the proportions to their score limits, phi-hat has the numerator eh - fg, reduced by n/2 towards 0 where it
    is positive."""
    n = e + f + g + h
    p1, p2 = (e + f) / n, (e + g) / n
    l1, u1 = score_interval(e + f, n, z)
    l2, u2 = score_interval(e + g, n, z)
    a = (e + f) * (g + h) * (e + g) * (f + h)
    b = e * h - f * g
    c = max(b - n / 2, 0) if b > 0 else b
    phi = 0 if a == 0 else c / sqrt(a)
    delta = sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    epsilon = sqrt((u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2)
    return p1 - p2 - delta, p1 - p2 + epsilon


def test_published_interval():
    # Newcombe 1998, Statistics in Medicine 17:2635-2650, table II, method 10: 36, 12, 2, 0 of 50.
    assert newcombe_paired(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)


@pytest.mark.parametrize("confidence", list(Z))
@pytest.mark.parametrize("table", TABLES)
def test_interval_by_the_paper_with_limits_found_numerically(table, confidence):
    assert newcombe_paired(*table, confidence) == pytest.approx(newcombe_10(*table, Z[confidence]), abs=1e-8)


def test_the_default_level_is_95_percent():
    assert newcombe_paired(10, 7, 3, 20) == newcombe_paired(10, 7, 3, 20, 0.95) != newcombe_paired(10, 7, 3, 20, 0.9)


def test_no_pairs_leave_every_difference_possible():
    assert newcombe_paired(0, 0, 0, 0) == (-1.0, 1.0)


@pytest.mark.parametrize("n", [1, 5, 50])
def test_degenerate_tables(n):
    """Where a proportion is 0 or 1 in both systems, phi is 0 by definition, and the bounds are those of independent samples
    with one Wilson bound each: z^2 / (n + z^2) away, z = 1.96."""
    z2 = Z[0.95] ** 2
    bound = z2 / (n + z2)
    assert newcombe_paired(n, 0, 0, 0) == pytest.approx((-bound, bound), abs=1e-9)  # all correct in both
    assert newcombe_paired(0, 0, 0, n) == pytest.approx((-bound, bound), abs=1e-9)  # none correct in both
    assert newcombe_paired(0, n, 0, 0) == pytest.approx((1 - sqrt(2) * bound, 1.0), abs=1e-9)  # a always, b never
    assert newcombe_paired(0, 0, n, 0) == pytest.approx((-1.0, sqrt(2) * bound - 1), abs=1e-9)


def test_answers_that_agree_on_every_question_have_a_narrow_interval_around_0():
    """30 both, 24 neither: phi = (720 - 27) / 720 = 0.9625 (b - n/2 over the product of the margins)."""
    low, high = newcombe_paired(30, 0, 0, 24)
    assert low == pytest.approx(-high)
    (low_p, high_p), p, phi = score_interval(30, 54, Z[0.95]), 30 / 54, 693 / 720
    down, up = p - low_p, high_p - p
    assert high == pytest.approx(sqrt(down**2 - 2 * phi * down * up + up**2), abs=1e-8)
    assert high < 0.05


@given(cells, cells, cells, cells, levels)
def test_swapping_the_systems_mirrors_the_interval(both, only_a, only_b, neither, confidence):
    low, high = newcombe_paired(both, only_a, only_b, neither, confidence)
    assert newcombe_paired(both, only_b, only_a, neither, confidence) == pytest.approx((-high, -low), abs=1e-9)


@given(cells, cells, cells, cells, levels)
def test_swapping_the_questions_that_both_and_none_answer_keeps_the_interval(both, only_a, only_b, neither, confidence):
    """a - b = (1 - b) - (1 - a): fewer errors are as much better as more correct answers."""
    interval = newcombe_paired(both, only_a, only_b, neither, confidence)
    assert newcombe_paired(neither, only_a, only_b, both, confidence) == pytest.approx(interval, abs=1e-9)


@given(cells, cells, cells, cells, levels)
def test_an_interval_contains_the_difference_and_is_no_wider_than_possible(both, only_a, only_b, neither, confidence):
    n = both + only_a + only_b + neither
    low, high = newcombe_paired(both, only_a, only_b, neither, confidence)
    difference = (only_a - only_b) / n if n else 0.0
    assert -1 - 1e-9 <= low <= difference + 1e-9
    assert difference - 1e-9 <= high <= 1 + 1e-9
