"""Means of labels with intervals, worst cases, and corrections by people's labels."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan, nan
from typing import TYPE_CHECKING

from potstill import stats
from potstill.labels.table import Form, State
from potstill.stages.evaluate.result import Metric, OneSided
from potstill.stages.judged.result import Corrected, Estimate, Mean, Measure, OfTurn, Rates, Score, Shown, WorstCase
from potstill.stages.judged.series import Series, Value

if TYPE_CHECKING:
    from potstill.stats.corrected import Corrected as Clustered

FEW_GROUPS = 30
"""Below which a comparison also needs the sign-flip test, as that of gold answers."""
MEASURES: dict[str, Measure] = {
    Form.SCORES: "score",
    Form.REFERENCE: "judged_right",
    Form.PASS: "pass rate",
    Form.PAIRWISE: "win rate",
}


@dataclass(frozen=True)
class Level:
    """``groups``: of each question. ``margin``: as a part of the range of the values. ``turns``: of each question, its number in its chat."""

    groups: Mapping[str, str]
    confidence: float
    margin: float
    turns: Mapping[str, int] = field(default_factory=dict)


def mean(values: Mapping[str, float], scale: tuple[float, float], level: Level) -> "Clustered":
    """Mean of values by question, clustered by group; of no values anything within the scale."""
    gold = list(values.values()) or [nan]
    groups = [level.groups[question] for question in values] or [""]
    found: Clustered = stats.corrected_mean(gold, None, groups, None, scale, level.confidence)
    return found


def metric(found: "Clustered") -> Metric:
    return Metric(estimate=found.mean, low=found.low, high=found.high)


def share(values: Mapping[str, bool], level: Level) -> Metric:
    """The fraction of questions of which something holds."""
    return metric(mean({question: float(holds) for question, holds in values.items()}, (0.0, 1.0), level))


def score(series: Series, people: Series | None, level: Level) -> Score:
    """The mean label of one system."""
    return Score(**estimate(series, people, level), system=series.target[0])


def estimate(series: Series, people: Series | None, level: Level) -> Estimate:
    """The mean of a series, clustered by group, and what it is where ``people`` correct it; and the same by turn."""
    return Estimate(
        **_mean(series, people, level),
        rater=series.rater,
        kind=series.kind,
        rubric=series.rubric,
        form=series.form,
        criterion=series.criterion,
        measure=MEASURES[series.form],
        turns=list(_by_turn(series, people, level)),
        implied_by=series.implied_by,
    )


def _by_turn(series: Series, people: Series | None, level: Level) -> Iterator[OfTurn]:
    """The means by the turn of the questions, as MT-Bench reports them (FastChat, `llm_judge/show_result.py`); none of one turn."""
    by_turn: dict[int, dict[str, Value]] = defaultdict(dict)
    for question, one in series.values.items():
        by_turn[level.turns.get(question, 1)][question] = one
    if len(by_turn) > 1:
        for turn, values in sorted(by_turn.items()):
            yield OfTurn(**_mean(replace(series, values=values), people, level), turn=turn)


def _mean(series: Series, people: Series | None, level: Level) -> Mean:
    left_out = Counter(one.state for one in series.values.values() if one.value is None)
    return Mean(
        **metric(mean_of(series, level)),
        n=len(series.given),
        groups=len({level.groups[question] for question in series.given}),
        left_out=dict(sorted(left_out.items())),
        bounds=worst_case(series, level),
        corrected=corrected(series, people, level) if people and series.kind != "people" else None,
    )


def mean_of(series: Series, level: Level) -> "Clustered":
    """The mean of a series; of people's labels of a random draw, each counts by the inverse of its probability."""
    given = series.given
    weighted = series.kind == "people" and given and all(question in series.probabilities for question in given)
    if not weighted:
        return mean(given, series.scale, level)
    weights = [1 / series.probabilities[question] for question in given]
    groups = [level.groups[question] for question in given]
    found: Clustered = stats.corrected_mean(list(given.values()), None, groups, weights, series.scale, level.confidence)
    return found


def worst_case(series: Series, level: Level) -> WorstCase | None:
    """The means if every missing value were the lowest, and the highest, that it may be; None where none is missing."""
    if not missing(series):
        return None
    lower, upper = worst_means(series, level)
    return WorstCase(lower=metric(lower), upper=metric(upper))


def worst_means(series: Series, level: Level) -> "tuple[Clustered, Clustered]":
    """The same with what tests need; the mean twice where no value is missing."""
    if not missing(series):
        found = mean_of(series, level)
        return found, found
    low = mean({question: one.low for question, one in series.values.items()}, series.scale, level)
    return low, mean({question: one.high for question, one in series.values.items()}, series.scale, level)


def missing(series: Series) -> bool:
    """Whether values are missing: what a judge did not answer readably, or people skipped or could not tell. What they did not reach is not, since its order
    is random."""
    return any(one.value is None for one in series.values.values())


def correction(series: Series, people: Series, level: Level) -> "Clustered | None":
    """The mean that people would give, from their labels of a random draw; None where there are none that the judge also labelled."""
    given, of_people = series.given, people.given
    gold = {q: value for q, value in of_people.items() if q in given and q in people.probabilities}
    if not gold:
        return None
    low, high = (
        choose(pair) for choose, pair in zip((min, max), zip(series.scale, people.scale, strict=True), strict=True)
    )
    found: Clustered = stats.corrected_mean(
        [gold.get(question, nan) for question in given],
        list(given.values()),
        [level.groups[question] for question in given],
        [1 / people.probabilities.get(question, 1.0) for question in given],
        (low, high),
        level.confidence,
    )
    return found


def corrected(series: Series, people: Series, level: Level) -> Corrected | None:
    """The correction of a judge's mean by people's labels, beside what these say alone."""
    found = correction(series, people, level)
    if found is None:
        return None
    labelled = [q for q in people.given if q in series.given and q in people.probabilities]
    alone = mean_of(replace(people, values={question: people.values[question] for question in labelled}), level)
    return Corrected(
        **metric(found),
        labels=len(labelled),
        groups=len({level.groups[question] for question in labelled}),
        weight=found.weight,
        correlation=None if isnan(found.correlation) else found.correlation,
        people_alone=metric(alone),
        rates=_rates(series, people, level) if series.form in (Form.PASS, Form.REFERENCE) else None,
        p_value=None,
        not_worse=None,
        matched=None,
        shown=None,
    )


def _rates(series: Series, people: Series, level: Level) -> Rates:
    """Sensitivity and specificity on what both labelled."""
    both = {
        question: (series.given[question], value)
        for question, value in people.given.items()
        if question in series.given
    }
    rates = []
    for says in (1.0, 0.0):
        agree = {question: judge == says for question, (judge, gold) in both.items() if gold == says}
        rates.append(share(agree, level) if agree else None)
    return Rates(sensitivity=rates[0], specificity=rates[1])


def difference(a: Series, b: Series) -> Series:
    """The series of differences a - b of the questions that both have."""
    low, high = a.scale
    values = {question: _minus(one, b.values[question]) for question, one in a.values.items() if question in b.values}
    drawn = {question: p for question, p in a.probabilities.items() if question in b.probabilities}
    return replace(a, target=a.target + b.target, scale=(low - high, high - low), values=values, probabilities=drawn)


def _minus(one: Value, other: Value) -> Value:
    low, high = one.low - other.high, one.high - other.low
    if one.value is None or other.value is None:
        return Value(None, low, high, one.state if one.value is None else other.state)
    return Value(one.value - other.value, low, high, State.GIVEN.value)


def tests(found: "Clustered", null: float, margin: float, confidence: float) -> tuple[float, OneSided, OneSided]:
    """Two-sided p-value of the mean being ``null``; that it is not lower by the margin, and not higher."""
    p_value = min(1.0, 2 * min(found.p_value_above(null), found.p_value_below(null)))
    low, high = found.limits(2 * confidence - 1)
    below, above = found.p_value_above(null - margin), found.p_value_below(null + margin)
    level = 1 - confidence
    return (
        p_value,
        OneSided(limit=low, p_value=below, shown=below < level),
        OneSided(limit=high, p_value=above, shown=above < level),
    )


def shown(
    possible: Sequence[Metric], null: float, p_value: float, not_worse: OneSided, matched: OneSided, confidence: float
) -> Shown:
    """What a comparison shows; interval (of each of the ``possible`` means) and test must agree."""
    if p_value < 1 - confidence:
        if all(one["low"] > null for one in possible):
            return "better"
        if all(one["high"] < null for one in possible):
            return "worse"
    return "equivalent" if not_worse["shown"] and matched["shown"] else "not distinguishable"
