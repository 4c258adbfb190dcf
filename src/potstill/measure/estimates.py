"""Percentiles, means and ratios of what was measured, and when a run has paid for itself. Pure functions."""

from collections.abc import Hashable, Mapping, Sequence
from math import ceil, inf, isfinite

from potstill import stats
from potstill.measure.result import Estimated, Times


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The smallest of the values that ``percent`` of them do not exceed (nearest rank, the inverse of the empirical distribution
    function; Hyndman and Fan 1996, Am. Stat. 50:361, definition 1). None where fewer than 100 / (100 - percent) values say nothing of
    what is rarer."""
    if len(values) * (100 - percent) < 100:
        return None
    return sorted(values)[ceil(len(values) * percent / 100) - 1]


def estimated(estimate: float, low: float, high: float) -> Estimated:
    """A value with its interval, for JSON: what is infinite is null."""
    return Estimated(estimate=estimate, low=low if isfinite(low) else None, high=high if isfinite(high) else None)


def mean(values: Sequence[float], groups: Sequence[Hashable], confidence: float) -> Estimated | None:
    """The mean with its interval, clustered by group (`stats.mean_interval`); None of no values."""
    if not values:
        return None
    return estimated(*stats.mean_interval(values, confidence, groups))


def times(values: Sequence[float], groups: Sequence[Hashable], confidence: float) -> Times | None:
    """Times with their percentiles; None of no values."""
    found = mean(values, groups, confidence)
    if found is None:
        return None
    return Times(
        n=len(values),
        mean=found,
        p50=sorted(values)[ceil(len(values) / 2) - 1],
        p90=percentile(values, 90),
        p95=percentile(values, 95),
        p99=percentile(values, 99),
    )


def ratio(
    a: Mapping[str, float], b: Mapping[str, float], groups: Mapping[str, Hashable], confidence: float
) -> Estimated | None:
    """The mean of ``a`` divided by that of ``b``, both by question, over the questions that both have; None where there are none, or
    where the mean of ``b`` is not positive.

    With r the ratio of the means, the residuals are (a - r b) / mean b, whose mean is 0 and whose standard error, clustered by group (CR2),
    is that of r (the delta method; Cochran 1977, Sampling Techniques, 6.4). The interval is t's, cut at 0.
    """
    common = [id_ for id_ in a if id_ in b]
    below = sum(b[id_] for id_ in common) / len(common) if common else 0.0
    if below <= 0:
        return None
    value = sum(a[id_] for id_ in common) / len(common) / below
    residuals = [(a[id_] - value * b[id_]) / below for id_ in common]
    _, low, high = stats.mean_interval(residuals, confidence, [groups[id_] for id_ in common])
    return estimated(value, max(value + low, 0.0), value + high)


def saved_per_call(
    teacher: Mapping[str, float], student: Mapping[str, float], groups: Mapping[str, Hashable], confidence: float
) -> Estimated | None:
    """What an answer of the teacher costs more than the student's, question by question (`stats.clustered_difference`); None without a
    question that both answered."""
    common = [id_ for id_ in teacher if id_ in student]
    if not common:
        return None
    found = stats.clustered_difference(
        [teacher[id_] for id_ in common], [student[id_] for id_ in common], [groups[id_] for id_ in common], confidence
    )
    return estimated(found.difference, found.low, found.high)


def calls_until_paid(fixed: float, saved: Estimated) -> tuple[int | None, int | None, int | None]:
    """After how many calls ``fixed`` has paid for itself, with an interval; None is never.

    What the run cost is known, so that the interval is that of the saving, turned over: fixed / high to fixed / low. Where the
    saving may be 0, nothing limits the number of calls.
    """

    def calls(saving: float | None) -> int | None:
        if saving is None:
            return 0
        return ceil(fixed / saving) if saving > 0 else None

    if saved["estimate"] <= 0:
        return None, calls(saved["high"]), None
    low = inf if saved["low"] is None else saved["low"]
    return calls(saved["estimate"]), calls(saved["high"]), None if saved["low"] is None or low <= 0 else calls(low)


def front(systems: Mapping[str, tuple[float, float]]) -> list[str]:
    """The systems, each with quality and cost, that no other one beats: at least as good and as cheap, and one of the two strictly (Pareto).
    In the order of their cost."""

    def beaten(name: str) -> bool:
        quality, cost = systems[name]
        return any(
            q >= quality and c <= cost and (q > quality or c < cost)
            for other, (q, c) in systems.items()
            if other != name
        )

    return sorted((name for name in systems if not beaten(name)), key=lambda name: systems[name][1])
