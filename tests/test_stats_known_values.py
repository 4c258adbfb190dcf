"""Published values of the functions of `potstill.stats`, and those of a file of reference data."""

import json
import os
from dataclasses import is_dataclass
from pathlib import Path

import numpy as np
import pytest

from potstill import stats

DATA = os.environ.get("POTSTILL_TEST_DATA")
APPROVAL = [[794, 150], [86, 570]]
"""Agresti, Categorical Data Analysis: approval of the Prime Minister in two surveys of the same 1600 people."""
HYPERRESPONSIVE = [[1, 1], [7, 12]]
"""Bentur et al. 2009: airway hyper-responsiveness before and after stem cell transplantation, 21 children (Fagerland, Lydersen
and Laake 2013, BMC Med. Res. Methodol. 13:91, table 2)."""
RESPONSE = [[59, 6], [16, 80]]
"""Cavo et al. 2012: complete response before and after consolidation therapy, 161 patients (ibid., table 3)."""
ALPHA = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
"""Krippendorff 2011, Computing Krippendorff's Alpha-Reliability: 4 observers, 12 units."""
DIAGNOSES = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""The usual worked example of Fleiss' kappa: 10 units, 14 raters, 5 categories."""
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10], [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
]  # fmt: skip
"""Agresti, Categorical Data Analysis: American League East 1987, wins of the row against the column."""
SLOPES = [
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.324,
    0.4262,
    0.5719,
    0.6528,
    0.759,
    1.0,
]
"""Benjamini and Hochberg 1995, J. R. Statist. Soc. B 57:289, section 4: 15 end points; Holm's and Hochberg's methods reject
three at 5 %, theirs four."""


@pytest.mark.parametrize(
    ("table", "method", "statistic", "p", "tolerance"),
    [
        (APPROVAL, "asymptotic", 17.356, 3.099e-05, 5e-09),
        (APPROVAL, "corrected", 16.818, 4.115e-05, 5e-09),
        (APPROVAL, "exact", 86, 3.716e-05, 5e-09),
        (HYPERRESPONSIVE, "asymptotic", 4.5, 0.034, 5e-4),
        (HYPERRESPONSIVE, "corrected", 3.125, 0.077, 5e-4),
        (HYPERRESPONSIVE, "exact", 1, 0.070, 5e-4),
        (HYPERRESPONSIVE, "midp", 1, 0.039, 5e-4),
        (RESPONSE, "asymptotic", 4.545, 0.033, 5e-4),
        (RESPONSE, "corrected", 3.682, 0.055, 5e-4),
        (RESPONSE, "exact", 6, 0.053, 6e-4),
        (RESPONSE, "midp", 6, 0.035, 5e-4),
    ],
)
def test_mcnemar(table, method, statistic, p, tolerance):
    found = stats.mcnemar(table, method)
    assert found.statistic == pytest.approx(statistic, abs=6e-4)
    assert found.p_value == pytest.approx(p, abs=tolerance)


def test_tangos_interval():
    # Tango 1998, Stat. Med. 17:891, section 5: contact lenses, 43, 0, 1, 0 of 44, here the other way round.
    found = stats.paired_difference([[43, 1], [0, 0]], method="tango")
    assert (found.difference, found.low, found.high) == pytest.approx((1 / 44, -0.0594, 0.1181), abs=6e-5)
    # Newcombe 1998, Stat. Med. 17:2635, table II, gives method 10 for 36, 12, 2, 0.
    found = stats.paired_difference([[36, 12], [2, 0]], method="newcombe")
    assert (found.difference, found.low, found.high) == pytest.approx((0.2, 0.0569, 0.3404), abs=6e-5)


def test_clopper_pearson():
    # R's binom.test(81, 263), (15, 148), (0, 20), (1, 29); Newcombe 1998, Stat. Med. 17:857, table I, method 5.
    published = {
        (81, 263): (0.2527, 0.3676),
        (15, 148): (0.0578, 0.1617),
        (0, 20): (0, 0.1684),
        (1, 29): (0.0009, 0.1776),
    }
    for (successes, n), limits in published.items():
        found = stats.clopper_pearson_interval(successes, n)
        assert (found.low, found.high) == pytest.approx(limits, abs=6e-5)


def test_agreement():
    assert stats.cohen_kappa([[20, 5], [10, 15]]) == pytest.approx(0.4)
    # Cohen 1960, Educ. Psychol. Meas. 20:37, table 1: two judges, three diagnoses, in percent of 200 subjects.
    assert stats.cohen_kappa([[88, 14, 18], [10, 40, 10], [2, 6, 12]]) == pytest.approx(0.492, abs=5e-4)
    assert stats.fleiss_kappa(DIAGNOSES) == pytest.approx(0.20993, abs=1e-5)
    levels = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849, "ratio": 0.797}
    for level, alpha in levels.items():
        assert stats.krippendorff_alpha(ALPHA, level) == pytest.approx(alpha, abs=6e-4)
    # R's irrCAC, gwet.ac1.raw(cac.raw4raters), the same ratings.
    assert stats.gwet_ac1(ALPHA) == pytest.approx(0.77544, abs=6e-6)


def test_bradley_terry():
    strengths = [1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0.0]
    assert stats.bradley_terry(BASEBALL) == pytest.approx(strengths, abs=6e-4)


def test_adjusted_p_values_reject_what_the_paper_rejects():
    assert (stats.adjust_p_values(SLOPES, "holm") <= 0.05).sum() == 3
    assert (stats.adjust_p_values(SLOPES, "bh") <= 0.05).sum() == 4
    # R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") and "BH".
    assert stats.adjust_p_values([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert stats.adjust_p_values([0.01, 0.02, 0.03, 0.04, 0.05], "bh") == pytest.approx([0.05] * 5)


def test_sample_sizes():
    # One-sided 5 %, 80 % power, discordance .3: (1.6449 + 0.8416)^2 * .3 / margin^2.
    assert [stats.required_sample_size(0.3, margin=m) for m in (0.10, 0.07, 0.05)] == [186, 379, 742]
    # Connor 1987, Biometrics 43:207, (1.96 sqrt(.3) + 0.8416 sqrt(.3 - .01))^2 / .01.
    assert stats.required_sample_size(0.3, difference=0.1) == 234


def cases():
    file = Path(DATA or "", "stats_known_values.json")
    return json.loads(file.read_text()) if DATA and file.exists() else []


@pytest.mark.skipif(not cases(), reason="POTSTILL_TEST_DATA names no folder with stats_known_values.json")
def test_the_file_of_reference_data():
    for case in cases():
        found = getattr(stats, case["function"])(**case["input"])
        expected, tolerance = case["expected"], case["tolerance"]
        assert is_dataclass(found) == isinstance(expected, dict), case["name"]
        named = expected if isinstance(expected, dict) else {"": expected}
        for name, value in named.items():
            actual = getattr(found, name) if name else found
            within = tolerance[name] if isinstance(tolerance, dict) else tolerance
            assert np.asarray(actual) == pytest.approx(np.asarray(value), abs=within, rel=0), case["name"]


def test_every_function_is_importable_from_the_package():
    names = [name for names in stats.FUNCTIONS.values() for name in names]
    assert len(set(names)) == len(names)
    for name in names:
        assert callable(getattr(stats, name))
        assert name in dir(stats)
    with pytest.raises(AttributeError, match="newcombe_paired"):
        stats.newcombe_paired  # noqa: B018
