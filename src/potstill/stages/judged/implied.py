"""Preferences that follow from labels of single answers, so that people and judges who labelled in different forms can be compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from potstill.labels.table import Form, State
from potstill.rubrics.rubric import OVERALL
from potstill.stages.judged.series import ALL_CRITERIA, PAIR_SCALE, Series, Value

Of = tuple[str, str, str]
"""Rater, rubric, split."""


def implied(series: Sequence[Series]) -> Iterator[Series]:
    """Preferences between two answers by those who labelled each of them alone, where people compared the two and the judge did not, or
    the reverse.

    Whoever gives an answer more than another one prefers it; equal labels are a tie. Of scores the mean of all criteria counts. This is
    sound for a correction by people's labels: prediction-powered inference needs no judge that is right, nor one that was asked the
    same, only a number that was found in the same way for all questions; where people gave the scores, what is estimated is how often people
    score the one higher. It is done by the same rubric only, and for nobody who compared answers by this rubric.
    """
    pairs = [one for one in series if one.form == Form.PAIRWISE]
    compared = {_of(one) for one in pairs}
    alone = _alone([one for one in series if one.form != Form.PAIRWISE and _of(one) not in compared])
    done = set()
    for pair in pairs:
        for of, systems in alone.items():
            key = of, pair.target
            fits = of[1:] == (pair.rubric, pair.split) and all(name in systems for name in pair.target)
            if fits and key not in done:
                a, b = (systems[name] for name in pair.target)
                if (a.kind == "people") != (pair.kind == "people"):
                    done.add(key)
                    yield _preference(a, b)


def _of(one: Series) -> Of:
    return one.rater, one.rubric, one.split


def _alone(series: Sequence[Series]) -> Mapping[Of, Mapping[str, Series]]:
    """By rater the series of each system that says how good its answers are as a whole; of several forms the first."""
    found: dict[Of, dict[str, Series]] = {}
    for one in series:
        if one.criterion == (ALL_CRITERIA if one.form == Form.SCORES else OVERALL):
            of_rater = found.setdefault(_of(one), {})
            if all(other.form == one.form for other in of_rater.values()):
                of_rater.setdefault(one.target[0], one)
    return found


def _preference(a: Series, b: Series) -> Series:
    values = {question: _better(one, b.values[question]) for question, one in a.values.items() if question in b.values}
    drawn = {question: p for question, p in a.probabilities.items() if question in b.probabilities}
    return replace(
        a, form=Form.PAIRWISE.value, criterion=OVERALL, target=a.target + b.target, scale=PAIR_SCALE, values=values, probabilities=drawn,
        rows={}, implied_by=a.form,
    )  # fmt: skip


def _better(one: Value, other: Value) -> Value:
    low, high = _sign(one.low - other.high), _sign(one.high - other.low)
    if one.value is None or other.value is None:
        return Value(None, low, high, one.state if one.value is None else other.state)
    value = _sign(one.value - other.value)
    return Value(value, value, value, State.GIVEN.value)


def _sign(difference: float) -> float:
    return 0.5 if difference == 0 else float(difference > 0)
