"""The interval of a proportion: published values, the score equation that defines it, degenerate counts, symmetry."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from potstill.stats import wilson_interval

PUBLISHED = [
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3 (score, no continuity correction).
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]
Z = {0.8: 1.2815515655, 0.9: 1.6448536270, 0.95: 1.9599639845, 0.99: 2.5758293035, 0.999: 3.2905267315}
"""Two-sided quantiles of the normal distribution (Abramowitz and Stegun 1964, table 26.5, to the digits that it has)."""

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from(list(Z))


def wilson(*arguments):
    interval = wilson_interval(*arguments)
    return interval.low, interval.high


@pytest.mark.parametrize(("successes", "n", "low", "high"), PUBLISHED)
def test_published_intervals(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize("confidence", list(Z))
@pytest.mark.parametrize(("successes", "n"), [(1, 10), (3, 7), (15, 148), (81, 263), (999, 1000)])
def test_bounds_solve_the_score_equation(successes, n, confidence):
    """A bound p is where the observed proportion lies z standard errors away, the error being that of p itself."""
    observed, z = successes / n, Z[confidence]

    def distance(p):
        return (observed - p) ** 2 - z * z * p * (1 - p) / n

    low = brentq(distance, 1e-12, observed, xtol=1e-14)
    high = brentq(distance, observed, 1 - 1e-12, xtol=1e-14)
    assert wilson(successes, n, confidence) == pytest.approx((low, high), abs=1e-9)


def test_no_trials_leave_every_proportion_possible():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 0, 0.5) == (0.0, 1.0)


@pytest.mark.parametrize("confidence", list(Z))
@pytest.mark.parametrize("n", [1, 2, 20, 1000])
def test_none_and_all_of_n(n, confidence):
    """With 0 of n the score equation is n p = z^2 (1 - p), so the upper bound is z^2 / (n + z^2)."""
    z = Z[confidence]
    assert wilson(0, n, confidence) == pytest.approx((0.0, z * z / (n + z * z)), abs=1e-9)
    assert wilson(n, n, confidence) == pytest.approx((n / (n + z * z), 1.0), abs=1e-9)


@given(counts, levels)
def test_an_interval_lies_within_0_and_1_and_contains_the_proportion(count, confidence):
    successes, n = count
    low, high = wilson(successes, n, confidence)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1


@given(counts, levels)
def test_failures_have_the_mirrored_interval(count, confidence):
    successes, n = count
    low, high = wilson(successes, n, confidence)
    assert wilson(n - successes, n, confidence) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(counts)
def test_a_higher_level_and_fewer_trials_give_a_wider_interval(count):
    successes, n = count
    widths = [high - low for low, high in (wilson(successes, n, level) for level in sorted(Z))]
    assert widths == sorted(widths)
    low, high = wilson(4 * successes, 4 * n)
    assert high - low < widths[2]


def test_the_default_level_is_95_percent():
    assert wilson(30, 100) == wilson(30, 100, 0.95) != wilson(30, 100, 0.9)
    # Brown, Cai and DasGupta 2001, Statistical Science 16:101, formula (4), with z = 1.96 written out.
    z = 1.959963985
    centre, half = (30 + z * z / 2) / (100 + z * z), z * sqrt(100) / (100 + z * z) * sqrt(0.3 * 0.7 + z * z / 400)
    assert wilson(30, 100) == pytest.approx((centre - half, centre + half), abs=1e-8)
