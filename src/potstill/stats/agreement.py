"""How far raters agree beyond chance: people, judges, or a judge and gold. 1 is full agreement, 0 that of chance.

Where all ratings are one category, chance agrees fully as well, and every coefficient is nan: nothing shows that raters can
tell categories apart.
"""

from collections.abc import Hashable, Sequence
from math import nan
from typing import Literal

import numpy as np
import numpy.typing as npt

from potstill.stats import checks
from potstill.stats.checks import Floats, choice

Ratings = Sequence[Sequence[Hashable]]
MOST_CATEGORIES = 2000
"""Distinct ratings beyond which the table of counts would not fit in memory."""
LEVELS = ("nominal", "ordinal", "interval", "ratio")


def cohen_kappa(table: npt.ArrayLike) -> float:
    """Two raters (Cohen 1960, Educ. Psychol. Meas. 20:37, equation 1): (p_o - p_e) / (1 - p_e), from a square table of counts,
    [categories of one rater][categories of the other]."""
    cells = checks.counts("table", table, square=True)
    if not (n := cells.sum()):
        return nan
    observed, expected = np.trace(cells) / n, float(cells.sum(0) @ cells.sum(1)) / n**2
    return _beyond_chance(float(observed), expected)


def fleiss_kappa(counts: npt.ArrayLike) -> float:
    """Several raters, not always the same (Fleiss 1971, Psychol. Bull. 76:378): (P - P_e) / (1 - P_e), with P the mean
    share of pairs of ratings of a unit that agree and P_e the sum of squared shares of the categories, from the counts
    [units][categories] of ratings, as many for each unit."""
    cells = checks.counts("counts", counts)
    raters = cells.sum(1)
    if (raters != raters[0]).any() or raters[0] < 2:
        raise ValueError(
            "counts must have one number of ratings for each unit, at least 2; krippendorff_alpha takes others"
        )
    observed = (cells * (cells - 1)).sum() / (len(cells) * raters[0] * (raters[0] - 1))
    return _beyond_chance(float(observed), float(((cells.sum(0) / cells.sum()) ** 2).sum()))


def krippendorff_alpha(
    ratings_by_rater: Ratings, level: Literal["nominal", "ordinal", "interval", "ratio"] = "nominal"
) -> float:
    """Any number of raters, with missing ratings (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability), from
    ratings [raters][units], None for a missing one. ``level`` says what the ratings are: categories, ranks, or numbers
    whose differences or ratios count. 1 - D_o / D_e: the observed disagreement of the pairs of ratings of a unit over that
    of all pairs. nan where no unit has two ratings."""
    choice("level", level, LEVELS)
    values, cells = _counts(ratings_by_rater)
    if level != "nominal" and not all(isinstance(value, int | float) for value in values):
        raise ValueError(f"ratings must be numbers at the level {level!r}; use 'nominal' for categories")
    if len(values) < 2 or not (cells.sum(1) > 1).any():
        return nan
    from krippendorff import alpha

    domain = np.arange(len(values)) if level == "nominal" else np.array(values, dtype=float)
    paired = cells[cells.sum(1) > 1]
    if (paired.sum(0) > 0).sum() < 2:
        return nan
    return float(alpha(value_counts=paired, value_domain=domain, level_of_measurement=level))


def gwet_ac1(ratings_by_rater: Ratings) -> float:
    """Any number of raters, with missing ratings, for categories of very unequal frequency, where kappa is low in spite of
    much agreement (Gwet 2008, Br. J. Math. Stat. Psychol. 61:29; Gwet 2014, Handbook of Inter-Rater Reliability, for
    missing ratings), from ratings [raters][units], None for a missing one: (P - P_e) / (1 - P_e), with P as in
    `fleiss_kappa` over the units with two ratings or more, and P_e = sum p (1 - p) / (q - 1) over the mean shares p of the
    q categories that occur."""
    values, cells = _counts(ratings_by_rater)
    raters = cells.sum(1)
    paired = raters > 1
    if len(values) < 2 or not paired.any():
        return nan
    of, cells_of = raters[paired], cells[paired]
    observed = float(((cells_of * (cells_of - 1)).sum(1) / (of * (of - 1))).mean())
    share = (cells[raters > 0] / raters[raters > 0, None]).mean(0)
    return _beyond_chance(observed, float((share * (1 - share)).sum()) / (len(values) - 1))


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected) if expected < 1 else nan


def _counts(ratings_by_rater: Ratings) -> tuple[list[Hashable], Floats]:
    """The categories in order, and how many raters gave each unit each of them [units, categories]."""
    rows = [list(row) for row in ratings_by_rater]
    if len(rows) < 2 or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise ValueError(
            "ratings must be [raters][units]: at least two raters, each with a rating or None for every unit"
        )
    distinct = {value for row in rows for value in row if value is not None}
    if any(value != value for value in distinct):
        raise ValueError("a rating is nan; write None for a missing one")
    try:
        values: list[Hashable] = sorted(distinct)  # type: ignore[type-var]
    except TypeError:
        raise ValueError("ratings must be all numbers or all texts") from None
    if len(values) > MOST_CATEGORIES:
        raise ValueError(
            f"there are {len(values)} distinct ratings, and at most {MOST_CATEGORIES} can be compared: round them"
        )
    index = {value: place for place, value in enumerate(values)}
    n_units, width = len(rows[0]), len(values) + 1
    cells = np.zeros(n_units * width)
    for row in rows:
        places = np.fromiter((index.get(value, width - 1) for value in row), dtype=np.intp, count=n_units)
        cells += np.bincount(np.arange(n_units) * width + places, minlength=n_units * width)
    return values, cells.reshape(n_units, width)[:, :-1]
