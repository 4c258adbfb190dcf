"""Labels as series of values: those of one rater about one system, or about two against each other, by one criterion."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from statistics import fmean, median
from typing import NamedTuple

from potstill.labels.items import digest
from potstill.labels.table import ADJUDICATION, Form, Label, Rater, State
from potstill.recipe.systems import STUDENT
from potstill.rubrics.rubric import OVERALL
from potstill.stages.judged.inputs import Question, Setting
from potstill.stages.judged.result import JURY, PEOPLE, Kind

ALL_CRITERIA = "all criteria"
"""The mean of the scores by the criteria of a rubric: no criterion has a name with a space."""
NO_ANSWER = "no answer"
"""Why a question without an answer by a system has no value."""
PAIR_SCALE = (0.0, 1.0)


class Value(NamedTuple):
    """A label of a question; None with the reason in ``state``, and then it may be anything from ``low`` to ``high``. ``disagreed``: the
    two orders of a pair had different results."""

    value: float | None
    low: float
    high: float
    state: str = State.GIVEN.value
    disagreed: bool = False


class Row(NamedTuple):
    """What of a label counts. ``value`` is about the first system of the pair."""

    value: float | None
    state: str
    first: str | None
    repeat: int
    probability: float | None


@dataclass(frozen=True)
class Series:
    """Values by question.

    Attributes:
        rater, kind, rubric, form, criterion, split: whose and of what; a rater is a judge's or person's name, `JURY` or `PEOPLE`.
        target: a system, or two of which the first is compared with the second.
        scale: the lowest and the highest value.
        values: by question.
        probabilities: of the questions to be drawn, where people labelled a random draw.
        rows: all labels, by question.
        implied_by: of preferences that follow from labels of another form (`implied`), that form.
    """

    rater: str
    kind: Kind
    rubric: str
    form: str
    criterion: str
    split: str
    target: tuple[str, ...]
    scale: tuple[float, float]
    values: Mapping[str, Value]
    probabilities: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    implied_by: str = ""

    @property
    def about(self) -> tuple[str, str, str, str, tuple[str, ...]]:
        """What two raters' series of the same have in common. People have no reference before them: that an answer passes says the same as that
        it agrees with the reference."""
        form = Form.PASS.value if self.form == Form.REFERENCE else self.form
        return self.rubric, form, self.criterion, self.split, self.target

    @property
    def given(self) -> dict[str, float]:
        return {question: one.value for question, one in self.values.items() if one.value is not None}


def current(labels: Iterable[Label], questions: Mapping[str, Question]) -> Iterator[Label]:
    """The labels of answers that have not changed since."""
    for label in labels:
        question = questions.get(label["question"])
        names = [label["system"], *([label["other"]] if label["other"] else [])]
        texts = [question.answers.get(name, "") for name in names] if question else []
        if label["shown"] in (digest(texts), digest(texts[::-1])):
            yield label


def all_series(labels: Iterable[Label], questions: Mapping[str, Question], setting: Setting) -> list[Series]:
    """The series of each judge, of the jury where there are several, and of people together; rows in the order of the labels.

    Of a request that was repeated, the first counts. Two orders of a pair that disagree make a tie; where only one could be read, the
    pair has no value. A person's decision about a disagreement replaces the other people's labels, otherwise their mean counts. A jury's
    value is the mean of its scores, and else the median: what most of its judges say.
    """
    singles = list(_of_raters(labels, questions, setting))
    judges = [one for one in singles if one.kind == "judge"]
    together = [*_together(judges, JURY, "jury")] if len({one.rater for one in judges}) > 1 else []
    people = list(_together([one for one in singles if one.kind == "people"], PEOPLE, "people"))
    found = [*judges, *together, *people]
    return [*found, *_means_of_criteria(found)]


def of_people(labels: Iterable[Label], questions: Mapping[str, Question], setting: Setting) -> list[Series]:
    """The series of each person apart, without decisions about disagreements."""
    persons = (one for one in labels if one["kind"] == Rater.PERSON and one["rater"] != ADJUDICATION)
    return list(_of_raters(persons, questions, setting))


def target(label: Label, setting: Setting) -> tuple[str, ...]:
    """The system of a label, or both: the student first, else in the recipe's order."""
    if label["other"] is None:
        return (label["system"],)
    order = [STUDENT, *setting.roles]
    names = [label["system"], label["other"]]
    return tuple(sorted(names, key=lambda name: order.index(name) if name in order else len(order)))


def _of_raters(labels: Iterable[Label], questions: Mapping[str, Question], setting: Setting) -> Iterator[Series]:
    tables: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, dict[str, list[Row]]]]] = {}
    for label in labels:
        who = label["kind"], label["rater"], label["rubric"], label["form"], label["split"]
        of_target = tables.setdefault(who, {}).setdefault(target(label, setting), {})
        of_target.setdefault(label["criterion"], defaultdict(list))[label["question"]].append(_row(label, setting))
    scales = _scales(tables, setting)
    for (kind, rater, rubric, form, split), targets in tables.items():
        for pair, criteria in targets.items():
            asked = {question for rows in criteria.values() for question in rows}
            silent = _silent(questions, split, pair, asked)
            failed = criteria.get(OVERALL, {})
            for criterion, rows in criteria.items():
                scale = scales[rubric, form]
                values = {
                    question: _value(rows.get(question) or failed.get(question, []), scale)
                    for question in questions
                    if question in rows or question in failed
                }
                values |= {question: Value(None, *scale, NO_ANSWER) for question in silent}
                drawn = {q: row.probability for q, found in rows.items() for row in found if row.probability}
                name: Kind = "judge" if kind == Rater.JUDGE else "people"
                yield Series(rater, name, rubric, form, criterion, split, pair, scale, values, drawn, rows)


def _row(label: Label, setting: Setting) -> Row:
    value = label["value"]
    readable = value is not None and isfinite(value) and label["state"] == State.GIVEN
    if value is not None and target(label, setting)[0] != label["system"]:
        value = 1.0 - value
    state = State.UNREADABLE.value if label["state"] == State.GIVEN else label["state"]
    return Row(
        value if readable else None,
        State.GIVEN.value if readable else state,
        label["first"],
        label["repeat"],
        label["probability"],
    )


def _scales(tables: Mapping, setting: Setting) -> dict[tuple[str, str], tuple[float, float]]:  # type: ignore[type-arg]
    """The scale of each rubric and form, wide enough for every value."""
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (_, _, rubric, form, _), targets in tables.items():
        known = setting.rubrics.get(rubric)
        if form != Form.SCORES:
            seen[rubric, form] += PAIR_SCALE
        elif known:
            seen[rubric, form] += [known.lowest, known.highest]
        for criteria in targets.values():
            for questions in criteria.values():
                seen[rubric, form] += [
                    row.value for rows in questions.values() for row in rows if row.value is not None
                ]
    scales = {key: (float(min(values, default=0)), float(max(values, default=1))) for key, values in seen.items()}
    return {key: (low, high if high > low else low + 1) for key, (low, high) in scales.items()}


def _silent(questions: Mapping[str, Question], split: str, pair: tuple[str, ...], asked: set[str]) -> list[str]:
    """Questions that a system has no answer to, if the rater was asked about all others."""
    of_split = [one for one in questions.values() if one.split == split]
    answerable = {one.id for one in of_split if all(one.answers.get(name) for name in pair)}
    missing = [one.id for one in of_split if one.id not in answerable and any(one.answers.get(name) for name in pair)]
    return missing if answerable and answerable <= asked else []


def _value(rows: Sequence[Row], scale: tuple[float, float]) -> Value:
    """The value of a request, or of the requests in both orders."""
    first: dict[str | None, Row] = {}
    for row in sorted(rows, key=lambda one: one.repeat):
        first.setdefault(row.first, row)
    given = [row.value for row in first.values() if row.value is not None]
    missing = next((row.state for row in first.values() if row.value is None), "")
    if missing and given:
        return Value(None, min(given[0], 0.5), max(given[0], 0.5), missing)
    if missing:
        return Value(None, *scale, missing)
    value = given[0] if len(set(given)) == 1 else 0.5
    return Value(value, value, value, disagreed=len(set(given)) > 1)


def _together(series: Sequence[Series], rater: str, kind: Kind) -> Iterator[Series]:
    """One series for all that are about the same; for a jury of two judges or more, for people of any number."""
    about: dict[tuple[object, ...], list[Series]] = defaultdict(list)
    for one in series:
        about[one.form, *one.about].append(one)
    for several in about.values():
        if len(several) < 2 and kind == "jury":
            continue
        first = several[0]
        questions = dict.fromkeys(question for one in several for question in one.values)
        values = {
            question: _combined([one for one in several if question in one.values], question, kind)
            for question in questions
        }
        drawn = {question: p for one in several for question, p in one.probabilities.items()}
        yield replace(first, rater=rater, kind=kind, values=values, probabilities=drawn, rows={})


def _combined(several: Sequence[Series], question: str, kind: Kind) -> Value:
    decided = [one.values[question] for one in several if one.rater == ADJUDICATION]
    found = [one for one in decided if one.value is not None] or [one.values[question] for one in several]
    given = [one.value for one in found if one.value is not None]
    if not given:
        return Value(None, min(one.low for one in found), max(one.high for one in found), found[0].state)
    value = median(given) if kind == "jury" and several[0].form != Form.SCORES else fmean(given)
    return Value(value, value, value)


def _means_of_criteria(series: Sequence[Series]) -> Iterator[Series]:
    """The mean of a rater's scores by all criteria of a rubric; a question that one of them is missing of has none."""
    by_rater: dict[tuple[object, ...], list[Series]] = defaultdict(list)
    for one in series:
        if one.form == Form.SCORES and one.criterion != OVERALL:
            by_rater[one.rater, one.kind, one.rubric, one.split, one.target].append(one)
    for several in by_rater.values():
        questions = dict.fromkeys(question for one in several for question in one.values)
        values = {
            question: _mean([one.values.get(question) for one in several], several[0].scale) for question in questions
        }
        yield replace(several[0], criterion=ALL_CRITERIA, values=values, rows={})


def _mean(found: Sequence[Value | None], scale: tuple[float, float]) -> Value:
    ranges = [one or Value(None, *scale, State.FAILED.value) for one in found]
    low, high = fmean(one.low for one in ranges), fmean(one.high for one in ranges)
    missing = next((one.state for one in ranges if one.value is None), "")
    return Value(None, low, high, missing) if missing else Value(low, low, high)
