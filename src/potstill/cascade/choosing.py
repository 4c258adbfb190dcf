"""Choose a threshold on validation questions, and confirm it on test questions: pure functions of both systems' answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from potstill import stats
from potstill.cascade.result import Alone, Chosen, Cost, Curve, Measured, Point
from potstill.cascade.signals import AGREEMENT
from potstill.models.prices import Price
from potstill.stages.evaluate.result import Metric

Floats = npt.NDArray[np.float64]
MIN_ANSWERED = 0.1
"""Share of the questions that the student must answer before the number of questions is said that a threshold needs."""


@dataclass(frozen=True)
class Questions:
    """What student and teacher answered to the same questions.

    Attributes:
        groups: of the questions [questions].
        excluded: number of questions that one of them has no answer to, and that are left out.
        student: 1 for a correct answer, else 0 [questions].
        teacher: the same.
        teacher_at_best: the same, with the teacher's truncated answers taken for correct ones.
        prompt_tokens, completion_tokens: of the teacher [questions].
        signals: by name, how sure the student is [questions].
    """

    groups: Sequence[str]
    excluded: int
    student: Floats
    teacher: Floats
    teacher_at_best: Floats
    prompt_tokens: Floats
    completion_tokens: Floats
    signals: Mapping[str, Floats]

    @property
    def n(self) -> int:
        return len(self.groups)


@dataclass(frozen=True)
class Terms:
    """The margin, the level of all intervals, and the teacher's price, if it is known."""

    margin: float
    confidence: float
    price: Price | None


def measured(questions: Questions, terms: Terms) -> Measured:
    """Both systems alone."""
    nobody, everybody = np.zeros(questions.n), np.ones(questions.n)
    return Measured(
        n=questions.n,
        groups=len(set(questions.groups)),
        excluded=questions.excluded,
        student=Alone(accuracy=_fraction(questions.student, questions, terms), cost=_cost(questions, nobody, terms)),
        teacher=Alone(accuracy=_fraction(questions.teacher, questions, terms), cost=_cost(questions, everybody, terms)),
    )


def curve(questions: Questions, signal: str, thresholds: Sequence[float], n_signals: int, terms: Terms) -> Curve:
    """All thresholds of a signal, from the strictest on, tested in this order until one does not hold (fixed-sequence testing; Learn
    then Test, Angelopoulos et al. 2021, arXiv 2110.01052). Each of ``n_signals`` signals has its part of the error (Bonferroni)."""
    level = (1 - terms.confidence) / n_signals
    points = [point(questions, signal, threshold, 1 - level, terms) for threshold in thresholds]
    rejected = stats.fixed_sequence([one["p_value"] for one in points], level)
    return Curve(signal=signal, confidence=1 - level, rejected=rejected, points=points)


def point(questions: Questions, signal: str, threshold: float, confidence: float, terms: Terms) -> Point:
    """The cascade that escalates where ``signal`` is below ``threshold``; ``confidence`` is that of the lower limit.

    Where the student answers, the teacher's truncated answer counts as a correct one that is lost. An escalated question has the
    teacher's answer on both sides, whatever it is.
    """
    escalated = (questions.signals[signal] < threshold).astype(float)
    answers = np.where(escalated == 1, questions.teacher_at_best, questions.student)
    test = stats.clustered_noninferiority(
        answers, questions.teacher_at_best, questions.groups, terms.margin, confidence
    )
    observed = np.where(escalated == 1, questions.teacher, questions.student)
    differences = answers - questions.teacher_at_best
    return Point(
        threshold=threshold,
        escalated=_fraction(escalated, questions, terms),
        accuracy=_fraction(observed, questions, terms),
        difference=test.difference,
        limit=test.low,
        p_value=test.p_value,
        holds=test.noninferior,
        only_cascade=int((differences > 0).sum()),
        only_teacher=int((differences < 0).sum()),
        cost=_cost(questions, escalated, terms),
    )


def choose(curves: Sequence[Curve], samples: int = 0) -> Chosen | None:
    """The last threshold that holds of the signal that escalates least with it; None where none lets the student answer anything.
    ``samples``: answers that are drawn for the signal `agreement`."""
    holding = [(one["signal"], one["points"][one["rejected"] - 1]) for one in curves if one["rejected"]]
    useful = [(signal, last) for signal, last in holding if last["escalated"]["estimate"] < 1]
    if not useful:
        return None
    signal, best = min(useful, key=lambda one: one[1]["escalated"]["estimate"])
    return Chosen(signal=signal, threshold=best["threshold"], samples=samples if signal == AGREEMENT else 0)


def needed(points: Sequence[Point], n: int, groups: int, confidence: float, margin: float) -> int | None:
    """The smallest number of questions with which one of the points that do not hold would be shown to hold with a probability of 80 %,
    if its difference is as observed; None where none would."""
    candidates = []
    for one in points:
        answered = 1 - one["escalated"]["estimate"]
        if one["difference"] > -margin and answered >= MIN_ANSWERED:
            discordance = max(one["only_cascade"] + one["only_teacher"], 1) / n
            candidates.append(
                stats.required_sample_size(
                    discordance, one["difference"], margin, confidence=confidence, design_effect=n / groups
                )
            )
    return min(candidates, default=None)


def _fraction(values: Floats, questions: Questions, terms: Terms) -> Metric:
    found = stats.clustered_proportion_interval(values, questions.groups, terms.confidence)
    return Metric(estimate=float(values.mean()), low=found.low, high=found.high)


def _cost(questions: Questions, escalated: Floats, terms: Terms) -> Cost:
    """What the escalated questions cost, by question; no mean cost is negative."""
    tokens = escalated * (questions.prompt_tokens + questions.completion_tokens)
    dollars = None
    if terms.price:
        each = terms.price.input * questions.prompt_tokens + terms.price.output * questions.completion_tokens
        dollars = _mean(escalated * each / 1e3, questions, terms)
    return Cost(teacher_tokens=_mean(tokens, questions, terms), dollars_per_1000=dollars)


def _mean(values: Floats, questions: Questions, terms: Terms) -> Metric:
    mean, low, high = stats.mean_interval(values.tolist(), terms.confidence, questions.groups)
    known = len(set(questions.groups)) > 1
    return Metric(estimate=mean, low=max(low, 0.0) if known else 0.0, high=high if known else float(values.max()))
