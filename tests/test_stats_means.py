"""The t interval of a mean and the bootstrap: published values, exact resampling distributions, degenerate samples."""

import random
from itertools import product
from math import sqrt
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from potstill.stats.means import bootstrap, mean_interval

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


# The bootstrap


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("successes", [100, 300, 500])
def test_the_bootstrap_of_a_proportion_is_binomial(successes, confidence):
    """The mean of n draws with replacement from k ones among n has the distribution Binomial(n, k / n) / n, so that the exact
    percentiles are known. 1000 draws come within 0.2 standard deviations of them (0.4 at the 99 percent level); the bounds of
    a 90 and a 95 percent interval differ by 0.32."""
    n = 1000
    rows = [1] * successes + [0] * (n - successes)
    low, high = bootstrap(rows, fmean, confidence)
    tail, p = (1 - confidence) / 2, successes / n
    tolerance = (0.4 if confidence == 0.99 else 0.2) * sqrt(p * (1 - p) / n)
    assert low == pytest.approx(binom.ppf(tail, n, p) / n, abs=tolerance)
    assert high == pytest.approx(binom.ppf(1 - tail, n, p) / n, abs=tolerance)


def test_the_bootstrap_of_a_median_by_all_resamples():
    """Five values have 5^5 = 3125 equally likely resamples. Of their medians 5.8 percent are the smallest value and as many
    the largest, so that an interval of 95 percent reaches from the smallest to the largest, and one of 80 percent from the
    second (37 percent cumulated) to the fourth."""
    values = [1, 2, 4, 8, 16]
    medians = sorted(median(chosen) for chosen in product(values, repeat=5))
    assert (medians[round(0.025 * 3125)], medians[round(0.975 * 3125)]) == (1, 16) == bootstrap(values, median)
    assert (medians[round(0.1 * 3125)], medians[round(0.9 * 3125)]) == (2, 8) == bootstrap(values, median, 0.8)


@pytest.mark.parametrize(
    ("confidence", "draws", "cut"), [(None, None, 25), (0.9, None, 50), (0.8, 100, 10), (0.99, 1000, 5), (0.5, 8, 2)]
)
def test_as_many_draws_are_cut_off_at_both_ends_as_the_level_says(confidence, draws, cut):
    """Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3: of B ordered values, B times the tail."""
    options = {"confidence": confidence, "draws": draws}
    options = {name: value for name, value in options.items() if value is not None}
    values = list(range(draws or 1000))
    random.Random(1).shuffle(values)
    coming = iter(values)
    low, high = bootstrap([0], lambda rows: next(coming), **options)
    assert (low, high) == (cut, len(values) - 1 - cut)


def test_a_resample_has_the_size_of_the_sample_and_repeats_rows():
    sizes, repeats = set(), 0

    def look(rows):
        nonlocal repeats
        sizes.add(len(rows))
        repeats += len(set(rows)) < len(rows)
        return 0.0

    assert bootstrap(list("abcdefg"), look, draws=200) == (0.0, 0.0)
    assert sizes == {7}
    # All 7 rows differ in 7!/7^7 = 0.6 percent of the resamples.
    assert repeats > 190


def test_draws_are_always_the_same():
    rows = list(range(50))
    random.seed(5)
    first = bootstrap(rows, fmean)
    random.seed(6)
    assert bootstrap(rows, fmean) == first


def test_one_row_and_equal_rows_have_no_width():
    assert bootstrap([3.0], fmean) == (3.0, 3.0)
    assert bootstrap([0.5] * 9, fmean) == (0.5, 0.5)
