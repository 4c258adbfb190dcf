"""The content of judged.json, from which its JSON Schema is made.

A *rater* is the name of a judge, `JURY` (several judges together) or `PEOPLE` (all reviewers together). Win rates, `judged_right` and
rates of passing are fractions; scores are on the scale of their rubric.
"""

from typing import Any, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from potstill.stages.evaluate.result import Decision, Metric, OneSided

JURY = "jury"
PEOPLE = "people"
Kind = Literal["judge", "jury", "people"]
Measure = Literal["score", "judged_right", "pass rate", "win rate", "difference"]
Shown = Literal["better", "worse", "equivalent", "not distinguishable"]
"""What a comparison shows of a against b."""
By = Literal["people", "judge corrected by people", "judge", "gold", "nobody"]
"""Whose labels decide. Where ``gold`` does, the decision is that of evaluation.json."""


class WorstCase(TypedDict):
    """The estimate if every missing value were the worst, and if every one were the best, with the intervals of these."""

    lower: Metric
    upper: Metric


class Rates(TypedDict):
    """How often a judge agrees with people where they say 1 (``sensitivity``) and 0 (``specificity``); null where they never do."""

    sensitivity: Metric | None
    specificity: Metric | None


class Corrected(Metric):
    """What people would say of all questions, from their ``labels`` of a random draw and the judge's of all (prediction-powered
    inference). ``people_alone``: the same from people's labels only. ``weight``: how much the judge is relied on, 0 is not at all.
    ``correlation`` of the judge with people; null where either does not vary. ``p_value``: of the hypothesis that neither of two
    systems is better; null of one system."""

    labels: int
    groups: int
    weight: float
    correlation: float | None
    people_alone: Metric
    rates: Rates | None
    p_value: float | None
    not_worse: OneSided | None
    matched: OneSided | None
    shown: Shown | None


class Mean(Metric):
    """A mean over ``n`` questions in ``groups``, clustered by group. ``left_out``: questions without a value, by reason. ``bounds``:
    null where none is left out. ``corrected``: null for people, and where people labelled none of these."""

    n: int
    groups: int
    left_out: dict[str, int]
    bounds: WorstCase | None
    corrected: Corrected | None


class OfTurn(Mean):
    """The mean over the questions that are the user's ``turn``-th one of their chat, from 1. Nothing is tested by turn."""

    turn: int


class Estimate(Mean):
    """The mean of a rater's labels. ``turns``: by turn; empty unless there are labels of several turns. ``implied_by``: the form of the labels
    of single answers that a preference follows from; empty where the rater was asked for it."""

    rater: str
    kind: Kind
    rubric: str
    form: str
    criterion: str
    measure: Measure
    turns: list[OfTurn]
    implied_by: str


class Score(Estimate):
    """Mean label of one system."""

    system: str


class Compared(Estimate):
    """``a`` against ``b``: win rate of a, ties half, or mean difference of scores a - b, question by question. ``shown`` needs both bounds.
    The margin of ``not_worse`` and ``matched`` is a part of the win rate, or of the range of the scale."""

    a: str
    b: str
    p_value: float
    not_worse: OneSided
    matched: OneSided
    shown: Shown


class LengthControlled(Metric):
    """Win rate of a where both answers were equally long. ``coefficient`` of tanh(difference of lengths / its standard deviation); null of
    one group of questions."""

    coefficient: Metric | None


class WinRate(Compared):
    """``disagreed``: questions, counted as ties, where the two orders had different winners. ``length_controlled``: null for people, and
    where lengths do not vary."""

    wins: int
    ties: int
    losses: int
    disagreed: int
    length_controlled: LengthControlled | None


class Rating(Metric):
    """Log strength of a system against the mean of all (Bradley-Terry; Davidson's with ties)."""

    system: str


class Ratings(TypedDict):
    """Strengths of several systems. ``order``: log odds that the answer shown first gains; null where the order is not known or not
    estimable. ``why_not``: why there are none, in words."""

    rater: str
    kind: Kind
    rubric: str
    systems: list[Rating]
    order: Metric | None
    why_not: str


class Split(TypedDict):
    """One test split. ``differences`` are those of scores; ``comparisons`` those of pairwise labels."""

    scores: list[Score]
    differences: list[Compared]
    comparisons: list[WinRate]
    ratings: list[Ratings]


class Share(Metric):
    """A fraction of ``n``."""

    n: int


class Agreement(TypedDict):
    """Of a judge with people on ``n`` answers (or pairs), by ``system`` ("" for all). Null where nothing varies. ``alpha`` is Krippendorff's,
    ordinal."""

    system: str
    n: int
    same: Metric
    kappa: Metric | None
    ac1: Metric | None
    alpha: Metric | None


class OrderBias(TypedDict):
    """Pairs judged in both orders: shares of those where the answer shown first won both times, and the one shown second did. ``effect``:
    Davidson's order effect, log odds."""

    first: Share
    second: Share
    effect: Metric | None


class AboutRater(TypedDict):
    """What is measured about a judge, or people together, with one rubric and form, over all test questions. ``implied_by`` as above.

    Attributes:
        requests: labels by state.
        parse_failures: share of the judge's answers that were unreadable.
        consistency: share of repeated judgements that are the same.
        order: null unless both orders were judged.
        longer: share of decided pairs, of different lengths, that the longer answer won.
        agreement: with people, all systems first; among people, of any two of them.
    """

    rater: str
    kind: Kind
    rubric: str
    form: str
    criterion: str
    implied_by: str
    requests: dict[str, int]
    parse_failures: Share | None
    consistency: Share | None
    order: OrderBias | None
    longer: Share | None
    agreement: list[Agreement]


class Inattentive(TypedDict):
    """A reviewer whose ``labels`` are left out, because only ``right`` of ``of`` damaged answers were rated as bad."""

    reviewer: str
    right: int
    of: int
    labels: int


class Verdict(TypedDict):
    """At most three ``lines``, and ``notes`` on what they rest on. ``by``: whose labels decide a split."""

    decision: Decision
    splits: dict[str, Decision]
    by: dict[str, By]
    lines: list[str]
    notes: list[str]


class Judged(TypedDict):
    """judged.json. ``obsolete`` labels are about texts that changed since, and are not used. ``related``: of each judge the systems whose
    model, or a model of whose family, it is."""

    confidence: float
    margin: float
    obsolete: int
    related: dict[str, list[str]]
    inattentive: list[Inattentive]
    splits: dict[str, Split]
    raters: list[AboutRater]
    verdict: Verdict


def schema() -> dict[str, Any]:
    """The JSON Schema of judged.json."""
    return TypeAdapter(Judged).json_schema()
