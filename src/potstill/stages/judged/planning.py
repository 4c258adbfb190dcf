"""How many labels by people give which width, before they are given."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from potstill.labels.table import Form, Label
from potstill.recipe.systems import STUDENT
from potstill.rubrics.rubric import OVERALL
from potstill.stages.judged.decision import FEW_LABELLED
from potstill.stages.judged.estimates import difference
from potstill.stages.judged.inputs import Question, Setting
from potstill.stages.judged.series import ALL_CRITERIA, Series, all_series, current
from potstill.stages.judged.words import who

LABELS = (25, 50, 100, 200, 400, 800)
"""Numbers of questions that are labelled."""
SUPPOSED = (0.3, 0.6, 0.9)
"""Correlations of a judge with people that are shown where none was measured."""


@dataclass(frozen=True)
class Width:
    """Half of the width of an interval: from people's labels of so many questions alone, and with the judge, by its correlation with people."""

    labels: int
    alone: float
    corrected: Mapping[float, float]


@dataclass(frozen=True)
class Plan:
    """The widths of one estimate. ``correlation``: as measured on people's labels; None where too few are there, and then widths are for those of
    `SUPPOSED`. ``spread``: standard deviation of labels, by people where enough are there, else by the judge."""

    split: str
    rater: str
    kind: str
    form: str
    target: tuple[str, ...]
    questions: int
    spread: float
    correlation: float | None
    widths: tuple[Width, ...]


def plan(labels: Iterable[Label], questions: Sequence[Question], setting: Setting) -> list[Plan]:
    """Widths of the means of each system and of the win rates or paired differences, of the jury, or else the judge.

    With the standard deviation s of labels, N questions, n of them labelled, and the correlation r: half = t s sqrt(d_n (1 - r^2) / n + d_N r^2 / N), with the
    design effects d = 1 + (m - 1) ICC of groups of which m questions are labelled on average (weighted by size; Kish 1965, Survey Sampling, section 5.4). The
    intra-class correlation ICC is that of the judge's labels, by analysis of variance.
    """
    by_id = {one.id: one for one in questions}
    found = all_series(list(current(labels, by_id)), by_id, setting)
    people = {one.about: one for one in found if one.kind == "people"}
    plans = []
    kind = "jury" if any(one.kind == "jury" for one in found) else "judge"
    for one, gold in _estimates([s for s in found if s.kind == kind], people):
        if len(one.given) > 1:
            plans.append(_plan(one, gold, by_id, setting.confidence))
    return plans


def words(plans: Sequence[Plan]) -> Iterator[str]:
    """The plans as lines of text, with a table each."""
    for one in plans:
        about = " minus ".join(one.target) if one.form != Form.PAIRWISE else " against ".join(one.target)
        known = (
            f"correlation with people {one.correlation:.2f}, as measured"
            if one.correlation is not None
            else "its correlation with people is not known yet"
        )
        yield f"{one.split}, {about} ({one.form}), {who(one.rater, one.kind)}, {one.questions:,} questions; {known}:"
        columns = list(one.widths[0].corrected) if one.widths else []
        yield "  labels by people  people alone" + "".join(f"  with the judge (r = {r:.2f})" for r in columns)
        for width in one.widths:
            cells = "".join(f"  {'± ' + format(width.corrected[r], '.3f'):>25}" for r in columns)
            yield f"  {width.labels:>16,}  {'± ' + format(width.alone, '.3f'):>12}{cells}"


def _estimates(series: Sequence[Series], people: Mapping[Any, Series]) -> Iterator[tuple[Series, Series | None]]:
    """Each series that is planned for, with people's: of scores that of all criteria, and the differences from the student."""
    chosen = [one for one in series if one.criterion == (ALL_CRITERIA if one.form == Form.SCORES else OVERALL)]
    for one in chosen:
        yield one, people.get(one.about)
    students = {(*one.about[:-1], one.rater): one for one in chosen if one.target == (STUDENT,)}
    for one in chosen:
        student = students.get((*one.about[:-1], one.rater))
        if student is not None and one is not student and one.form != Form.PAIRWISE:
            both = people.get(student.about), people.get(one.about)
            yield difference(student, one), difference(both[0], both[1]) if both[0] and both[1] else None


def _plan(series: Series, people: Series | None, questions: Mapping[str, Question], confidence: float) -> Plan:
    import numpy as np
    from scipy.special import stdtrit

    given = series.given
    values = np.array(list(given.values()))
    groups = np.unique([questions[question].group for question in given], return_inverse=True)[1]
    sizes = np.bincount(groups).astype(float)
    total, typical = len(values), float((sizes**2).sum() / len(values))
    gold = {q: value for q, value in people.given.items() if q in given} if people else {}
    enough = len({questions[question].group for question in gold}) >= FEW_LABELLED
    correlation = None
    spread = float(values.std(ddof=1))
    if enough:
        y, f = np.array(list(gold.values())), np.array([given[question] for question in gold])
        spread = float(y.std(ddof=1))
        if spread > 0 and f.std() > 0:
            correlation = float(np.corrcoef(y, f)[0, 1])
    icc = _icc(values, groups, sizes)
    widths = []
    for n in sorted({*(n for n in LABELS if n < total), total}):
        within = 1 + (typical - 1) * (n - 1) / (total - 1)
        effects = 1 + (within - 1) * icc, 1 + (typical - 1) * icc
        quantile = float(stdtrit(max(n / within - 1, 1), (1 + confidence) / 2))

        def half(r: float, n: int = n, effects: tuple[float, float] = effects, quantile: float = quantile) -> float:
            return quantile * spread * sqrt(effects[0] * (1 - r**2) / n + effects[1] * r**2 / total)

        rs = SUPPOSED if correlation is None else (round(correlation, 2),)
        widths.append(Width(n, half(0.0), {r: min(half(r), half(0.0)) for r in rs}))
    return Plan(
        series.split, series.rater, series.kind, series.form, series.target, total, spread, correlation, tuple(widths)
    )


def _icc(values: Any, groups: Any, sizes: Any) -> float:
    """Intra-class correlation by one-way analysis of variance (Fisher 1925), at least 0; 0 where each question is its own group."""
    import numpy as np

    n, n_groups = len(values), len(sizes)
    if n_groups in (1, n):
        return 0.0
    means = np.bincount(groups, values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum()) / (n_groups - 1)
    within = float(((values - means[groups]) ** 2).sum()) / (n - n_groups)
    typical = (n - float((sizes**2).sum()) / n) / (n_groups - 1)
    scale = between + (typical - 1) * within
    return min(max((between - within) / scale, 0.0), 1.0) if scale > 0 else 0.0
