"""Known values; sources stand beside them."""

import pytest

from potstill.stats.paired import mcnemar_exact, newcombe_paired
from potstill.stats.proportions import wilson


def test_wilson():
    # Newcombe 1998, Stat. Med. 17:857, table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_newcombe_paired():
    # Newcombe 1998, Stat. Med. 17:2635, table II, method 10: 36, 12, 2, 0 of 50.
    assert newcombe_paired(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    low, high = newcombe_paired(10, 7, 3, 20)
    assert newcombe_paired(10, 3, 7, 20) == pytest.approx((-high, -low))


def test_mcnemar_exact():
    # Agresti, Categorical Data Analysis: approval ratings 150 against 86; exact binomial p.
    assert mcnemar_exact(150, 86) == pytest.approx(3.716e-05, rel=1e-3)
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(0, 5) == pytest.approx(0.0625)
