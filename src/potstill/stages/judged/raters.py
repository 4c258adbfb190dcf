"""What is measured about judges, and about people: consistency, order, length, agreement, unreadable answers."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import isnan
from typing import Any

from potstill import stats
from potstill.labels.table import Form, State
from potstill.stages.evaluate.result import Metric
from potstill.stages.judged.estimates import Level, share
from potstill.stages.judged.inputs import Question
from potstill.stages.judged.result import PEOPLE, AboutRater, Agreement, OrderBias, Rating, Ratings, Share
from potstill.stages.judged.series import Row, Series

CATEGORIES = 40
"""Distinct values up to which agreement is measured on the values themselves."""
Key = tuple[str, str, str, str, str]
"""Rater, rubric, form, criterion, and the form of labels that imply it."""


def about(
    series: Sequence[Series], people: Sequence[Series], level: Level, questions: Mapping[str, Question]
) -> Iterator[AboutRater]:
    """What is measured about each judge and the jury, over all splits, and about ``people``, whose series are those of each person apart."""
    together: dict[tuple[Any, ...], Series] = {one.about: one for one in series if one.kind == "people"}
    for several in _by_rater([one for one in series if one.kind != "people"]).values():
        first = several[0]
        pairs = [(one, together[one.about]) for one in several if one.about in together]
        yield AboutRater(
            rater=first.rater,
            kind=first.kind,
            rubric=first.rubric,
            form=first.form,
            criterion=first.criterion,
            implied_by=first.implied_by,
            requests=_states(several),
            parse_failures=_parse_failures(several, level),
            consistency=_consistency(several, level),
            order=_order_bias(several, level),
            longer=_longer(several, level, questions),
            agreement=list(_agreements(pairs, level)),
        )
    for several in _by_criterion(people).values():
        yield _about_people(several, level, questions)


def ratings(series: Sequence[Series], people: Sequence[Series], level: Level) -> Iterator[Ratings]:
    """Strengths of the systems on one split, of each judge and of people, where more than two systems were compared in pairs."""
    for several in [
        *_by_rater([one for one in series if one.rows and one.kind == "judge"]).values(),
        *_by_criterion(people).values(),
    ]:
        first = several[0]
        systems = sorted({name for one in several for name in one.target})
        if first.form == Form.PAIRWISE and len(systems) > 2:
            found, why_not = _strengths(several, systems, level)
            yield Ratings(
                rater=PEOPLE if first.kind == "people" else first.rater,
                kind=first.kind,
                rubric=first.rubric,
                systems=[] if found is None else _rated(systems, found),
                order=None if found is None else _finite(found.order, found.order_low, found.order_high),
                why_not=why_not,
            )


def _rated(systems: Sequence[str], found: Any) -> list[Rating]:
    rows = zip(systems, found.strengths, found.low, found.high, strict=True)
    rated = [Rating(system=name, estimate=float(s), low=float(low), high=float(high)) for name, s, low, high in rows]
    return sorted(rated, key=lambda one: -one["estimate"])


def _strengths(several: Sequence[Series], systems: Sequence[str], level: Level) -> tuple[Any, str]:
    """Davidson's model of all comparisons, or why there is none; questions are resampled by group."""
    import numpy as np

    place = {name: i for i, name in enumerate(systems)}
    groups: dict[str, int] = {}
    cells: list[tuple[int, int, int, int]] = []
    known = True
    for one in several:
        for question, rows in one.rows.items():
            group = groups.setdefault(level.groups[question], len(groups))
            for row in rows:
                if row.value is not None and row.repeat == 0:
                    a, b = one.target
                    known = known and row.first in one.target
                    turned = row.first == b
                    value = 1 - row.value if turned else row.value
                    outcome = 0 if value > 0.5 else 1 if value < 0.5 else 2
                    cells.append((group, outcome, place[b if turned else a], place[a if turned else b]))
    if not any(outcome != 2 for _, outcome, _, _ in cells):
        return None, "there are only ties" if cells else "no comparison could be read"
    counts = np.zeros((len(groups), 3, len(systems), len(systems)))
    np.add.at(counts, tuple(np.array(cells).T), 1.0)
    if len(groups) < 2:
        return None, "all questions are in one group"
    try:
        return stats.ranked(counts, level.confidence, known), ""
    except ValueError as error:
        return None, str(error)


def _order_bias(several: Sequence[Series], level: Level) -> OrderBias | None:
    """Over the pairs that were judged in both orders."""
    first: dict[str, bool] = {}
    second: dict[str, bool] = {}
    for one in several:
        for question, rows in one.rows.items():
            won = _won_by_place(rows, one.target)
            if len(won) == 2:
                key = "\n".join((question, *one.target))
                first[key], second[key] = all(value == 1 for value in won), all(value == 0 for value in won)
    if not first:
        return None
    groups = {key: level.groups[key.split("\n")[0]] for key in first}
    of_pairs = Level(groups, level.confidence, level.margin)
    systems = sorted({name for one in several for name in one.target})
    found, _ = _strengths(several, systems, level)
    return OrderBias(
        first=_share(first, of_pairs),
        second=_share(second, of_pairs),
        effect=None if found is None else _finite(found.order, found.order_low, found.order_high),
    )


def _won_by_place(rows: Sequence[Row], target: tuple[str, ...]) -> list[float]:
    """What the answer shown first got in each order; empty unless both could be read."""
    by_first = {row.first: row for row in sorted(rows, key=lambda row: -row.repeat)}
    found = [(name, by_first[name].value) for name in target if name in by_first and len(target) == 2]
    values = [(name, value) for name, value in found if value is not None]
    return [value if name == target[0] else 1 - value for name, value in values] if len(values) == 2 else []


def _consistency(several: Sequence[Series], level: Level) -> Share | None:
    """Of the repeated judgements the share that is the same as the first, question by question."""
    same: dict[str, list[bool]] = defaultdict(list)
    for one in several:
        for question, rows in one.rows.items():
            for first in {row.first for row in rows}:
                values = [row.value for row in sorted(rows, key=lambda row: row.repeat) if row.first == first]
                readable = [value for value in values if value is not None]
                same[question] += [value == readable[0] for value in readable[1:]]
    rates = {question: sum(of) / len(of) for question, of in same.items() if of}
    return _share_of(rates, sum(len(of) for of in same.values()), level) if rates else None


def _longer(several: Sequence[Series], level: Level, questions: Mapping[str, Question]) -> Share | None:
    """Of the pairs with a winner and answers of different lengths, the share that the longer one won."""
    won: dict[str, list[bool]] = defaultdict(list)
    for one in several:
        if one.form == Form.PAIRWISE:
            for question, value in one.given.items():
                a, b = (len(questions[question].answers.get(name, "")) for name in one.target)
                if a != b and value != 0.5:
                    won[question].append((value > 0.5) == (a > b))
    rates = {question: sum(of) / len(of) for question, of in won.items()}
    return _share_of(rates, sum(len(of) for of in won.values()), level) if rates else None


def _agreements(pairs: Sequence[tuple[Series, Series]], level: Level) -> Iterator[Agreement]:
    """Of two raters' series of the same, all systems together and each apart."""
    rated = [
        (one.target, question, value, other.given[question])
        for one, other in pairs
        for question, value in one.given.items()
        if question in other.given
    ]
    by_system: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for target, question, first, second in rated:
        for name in ("", " vs ".join(target)):
            by_system[name].append((question, first, second))
    for name, both in by_system.items():
        if name == "" or len(by_system) > 2:
            yield _agreement(name, both, level)


def _agreement(system: str, both: Sequence[tuple[str, float, float]], level: Level) -> Agreement:
    first, second = _rounded([one for _, one, _ in both], [other for _, _, other in both])
    groups = [level.groups[question] for question, _, _ in both]
    found = stats.two_raters(first, second, groups, level.confidence)
    equal = {str(i): one == other for i, (one, other) in enumerate(zip(first, second, strict=True))}
    same = share(equal, Level({str(i): group for i, group in enumerate(groups)}, level.confidence, level.margin))
    kappa, ac1, alpha = (_finite(one.estimate, one.low, one.high) for one in (found.kappa, found.ac1, found.alpha))
    return Agreement(system=system, n=len(both), same=same, kappa=kappa, ac1=ac1, alpha=alpha)


def _rounded(first: list[float], second: list[float]) -> tuple[list[float], list[float]]:
    """Means of several scores on 40 steps, where there would be too many categories."""
    every = sorted({*first, *second})
    if len(every) <= CATEGORIES:
        return first, second
    step = (every[-1] - every[0]) / CATEGORIES
    return [round((one - every[0]) / step) * step for one in first], [
        round((one - every[0]) / step) * step for one in second
    ]


def _about_people(several: Sequence[Series], level: Level, questions: Mapping[str, Question]) -> AboutRater:
    """What is measured about people: agreement of any two of them on what both labelled."""
    first = several[0]
    pairs = [
        (one, other) for one, other in combinations(several, 2) if one.rater != other.rater and one.about == other.about
    ]
    return AboutRater(
        rater=PEOPLE,
        kind="people",
        rubric=first.rubric,
        form=first.form,
        criterion=first.criterion,
        implied_by="",
        requests=_states(several),
        parse_failures=None,
        consistency=_consistency(several, level),
        order=None,
        longer=_longer(several, level, questions),
        agreement=list(_agreements(pairs, level)),
    )


def _by_rater(series: Sequence[Series]) -> dict[Key, list[Series]]:
    by_key: dict[Key, list[Series]] = defaultdict(list)
    for one in series:
        by_key[one.rater, one.rubric, one.form, one.criterion, one.implied_by].append(one)
    return by_key


def _by_criterion(series: Sequence[Series]) -> dict[Key, list[Series]]:
    by_key: dict[Key, list[Series]] = defaultdict(list)
    for one in series:
        by_key[PEOPLE, one.rubric, one.form, one.criterion, ""].append(one)
    return by_key


def _states(several: Sequence[Series]) -> dict[str, int]:
    return dict(Counter(row.state for one in several for rows in one.rows.values() for row in rows))


def _parse_failures(several: Sequence[Series], level: Level) -> Share | None:
    """Of the answers of a judge, those that were unreadable; a request that failed has none."""
    answered: dict[str, list[bool]] = defaultdict(list)
    for one in several:
        for question, rows in one.rows.items():
            answered[question] += [
                row.state == State.UNREADABLE for row in rows if row.state in (State.GIVEN, State.UNREADABLE)
            ]
    rates = {question: sum(of) / len(of) for question, of in answered.items() if of}
    return _share_of(rates, sum(len(of) for of in answered.values()), level) if rates else None


def _share_of(rates: Mapping[str, float], n: int, level: Level) -> Share:
    """The mean of shares by question, of ``n`` in all."""
    from potstill.stages.judged.estimates import mean, metric

    return Share(**metric(mean(rates, (0.0, 1.0), level)), n=n)


def _share(holds: Mapping[str, bool], level: Level) -> Share:
    return Share(**share(holds, level), n=len(holds))


def _finite(estimate: float, low: float, high: float) -> Metric | None:
    values = float(estimate), float(low), float(high)
    return (
        None
        if any(isnan(one) or one in (float("inf"), -float("inf")) for one in values)
        else Metric(estimate=values[0], low=values[1], high=values[2])
    )
