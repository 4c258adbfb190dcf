"""Two systems against each other: win rates, and paired differences of scores."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from potstill import stats
from potstill.labels.table import Form
from potstill.recipe.systems import STUDENT
from potstill.stages.evaluate.result import Metric
from potstill.stages.judged.estimates import (
    FEW_GROUPS,
    Level,
    correction,
    difference,
    estimate,
    metric,
    shown,
    tests,
    worst_means,
)
from potstill.stages.judged.inputs import Question
from potstill.stages.judged.result import Compared, LengthControlled, WinRate
from potstill.stages.judged.series import Series

EVEN = 0.5
"""Win rate of systems that are equally good."""


def win_rate(series: Series, people: Series | None, level: Level, questions: Mapping[str, Question]) -> WinRate:
    """How often the first system of a pair wins, ties half."""
    given = series.given
    return WinRate(
        **_compared(series, people, level, EVEN),
        wins=sum(value > EVEN for value in given.values()),
        ties=sum(value == EVEN for value in given.values()),
        losses=sum(value < EVEN for value in given.values()),
        disagreed=sum(one.disagreed for one in series.values.values()),
        length_controlled=None if series.kind == "people" else _length_controlled(series, level, questions),
    )


def differences(series: Sequence[Series], people: Mapping[object, Series], level: Level) -> Iterator[Compared]:
    """The paired differences of scores: of the student minus each other system; of all pairs where the student has none."""
    by_what: dict[tuple[object, ...], dict[str, Series]] = {}
    for one in series:
        if one.form != Form.PAIRWISE:
            what = one.rater, one.kind, one.rubric, one.form, one.criterion, one.split
            by_what.setdefault(what, {})[one.target[0]] = one
    for systems in by_what.values():
        pairs = (
            [(STUDENT, name) for name in systems if name != STUDENT] if STUDENT in systems else combinations(systems, 2)
        )
        for a, b in pairs:
            both = [people.get((*systems[a].about[:-1], (name,))) for name in (a, b)]
            gold = difference(both[0], both[1]) if both[0] and both[1] else None
            yield _difference(difference(systems[a], systems[b]), gold, level)


def _difference(series: Series, people: Series | None, level: Level) -> Compared:
    found = _compared(series, people, level, 0.0)
    found["measure"] = "difference"
    return found


def _compared(series: Series, people: Series | None, level: Level, null: float) -> Compared:
    a, b = series.target
    # Differences are up to twice as large as the scale of the scores.
    margin = level.margin * (series.scale[1] - series.scale[0]) * (1.0 if series.form == Form.PAIRWISE else 0.5)
    lower, upper = worst_means(series, level)
    p_value = max(tests(one, null, margin, level.confidence)[0] for one in (lower, upper))
    _, not_worse, _ = tests(lower, null, margin, level.confidence)
    _, _, matched = tests(upper, null, margin, level.confidence)
    groups = {level.groups[question] for question in series.given}
    if 1 < len(groups) < FEW_GROUPS:
        p_value = max(p_value, _sign_flip(series, level, null))
    base = estimate(series, people, level)
    if people is not None and base["corrected"]:
        fixed = correction(series, people, level)
        if fixed:
            p, below, above = tests(fixed, null, margin, level.confidence)
            base["corrected"] |= {
                "p_value": p,
                "not_worse": below,
                "matched": above,
                "shown": shown([base["corrected"]], null, p, below, above, level.confidence),
            }
    possible = [metric(lower), metric(upper)]
    return Compared(
        **base,
        a=a,
        b=b,
        p_value=p_value,
        not_worse=not_worse,
        matched=matched,
        shown=shown(possible, null, p_value, not_worse, matched, level.confidence),
    )


def _sign_flip(series: Series, level: Level, null: float) -> float:
    """p-value of the test that flips the signs of whole groups."""
    import numpy as np

    from potstill.stats.clustered import sign_flip_p_value

    sums: dict[str, float] = {}
    for question, value in series.given.items():
        group = level.groups[question]
        sums[group] = sums.get(group, 0.0) + value - null
    return sign_flip_p_value(np.array(list(sums.values())))


def _length_controlled(series: Series, level: Level, questions: Mapping[str, Question]) -> LengthControlled | None:
    """By the lengths of the two answers in characters."""
    a, b = series.target
    given = series.given
    longer_by = [_length(questions[question], a) - _length(questions[question], b) for question in given]
    if len(set(longer_by)) < 2:
        return None
    groups = [level.groups[question] for question in given]
    found = stats.length_controlled(list(given.values()), longer_by, groups, level.confidence)
    known = len(set(groups)) > 1
    return LengthControlled(
        estimate=found.rate,
        low=found.low,
        high=found.high,
        coefficient=Metric(estimate=found.coefficient, low=found.coefficient_low, high=found.coefficient_high)
        if known
        else None,
    )


def _length(question: Question, system: str) -> int:
    return len(question.answers.get(system, ""))
