"""The t interval of a mean: published values, two values, equal values, shifts."""

from math import sqrt
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.stats import mean_interval

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Hours of sleep gained with one drug more than with another (Student 1908, Biometrika 6:1-25, section IX; R's `sleep`)."""
T = {0.9: 1.833113, 0.95: 2.262157, 0.99: 3.249836}
"""Two-sided quantiles of the t distribution with 9 degrees of freedom (printed tables: 1.833, 2.262, 3.250)."""


def test_the_interval_of_students_sleep_data():
    # R 4: with(sleep, t.test(extra[group == 2] - extra[group == 1])): mean 1.58, 95 percent interval 0.7001142, 2.4598858.
    assert mean_interval(SLEEP) == pytest.approx((1.58, 0.7001142, 2.4598858), abs=1e-6)


@pytest.mark.parametrize("confidence", list(T))
def test_other_levels_by_printed_quantiles(confidence):
    deviation = sqrt(sum((x - 1.58) ** 2 for x in SLEEP) / 9)
    half = T[confidence] * deviation / sqrt(10)
    assert mean_interval(SLEEP, confidence) == pytest.approx((1.58, 1.58 - half, 1.58 + half), abs=1e-5)


@pytest.mark.parametrize(("confidence", "quantile"), [(0.5, 1.0), (0.95, 12.7062047), (0.9, 6.3137515)])
def test_two_values(confidence, quantile):
    """With one degree of freedom t is Cauchy distributed, with the quantile tan(pi / 2 * level); the standard error of 0 and 1
    is sqrt(1/2) / sqrt(2) = 1/2."""
    assert mean_interval([0.0, 1.0], confidence) == pytest.approx(
        (0.5, 0.5 - quantile / 2, 0.5 + quantile / 2), rel=1e-7
    )


def test_equal_values_have_an_interval_without_width():
    assert mean_interval([0.25] * 5) == (0.25, 0.25, 0.25)


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=30), st.integers(-50, 50))
def test_an_interval_moves_with_its_values_and_is_mirrored_with_them(values, shift):
    centre, low, high = mean_interval(values)
    assert centre == pytest.approx(fmean(values))
    assert centre - low == pytest.approx(high - centre)
    assert mean_interval([v + shift for v in values]) == pytest.approx(
        (centre + shift, low + shift, high + shift), abs=1e-9
    )
    assert mean_interval([-v for v in values]) == pytest.approx((-centre, -high, -low), abs=1e-9)
    assert mean_interval([3 * v for v in values]) == pytest.approx((3 * centre, 3 * low, 3 * high), abs=1e-9)
