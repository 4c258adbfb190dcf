"""The epoch whose weights become the student, from its answers to the validation questions."""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from potstill import stats
from potstill.errors import RecipeError

ENOUGH = 100
"""Validation questions below which epochs can hardly be told apart: the interval of a score is 20 points wide."""


def scored_in_all(scores: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """The scores of each epoch, by question, without the questions that have none in some epoch."""
    questions = [of for of in zip(*scores, strict=True) if None not in of]
    return [[score for of in questions if (score := of[i]) is not None] for i in range(len(scores))]


def choose_epoch(scores: Sequence[Sequence[float]]) -> int:
    """The epoch, counted from 1, whose weights are used; ``scores`` are those of each epoch, by question.

    The last, unless another is better by more than one standard error of the mean paired difference; of several such the
    one with the highest mean, ties to the later. One question has no standard error, and decides nothing.
    """
    chosen, most = len(scores), 0.0
    for epoch, earlier in enumerate(scores[:-1], 1):
        differences = [a - b for a, b in zip(earlier, scores[-1], strict=True)]
        if len(differences) < 2:
            continue
        difference, error = fmean(differences), stdev(differences) / sqrt(len(differences))
        # One question more is exactly one standard error, which rounding must not turn into more.
        if difference > error * (1 + 1e-9) and difference >= most:
            chosen, most = epoch, difference
    return chosen


def require_enough(n: int) -> None:
    """Raises `RecipeError` for fewer validation questions with gold than a search needs."""
    if n < ENOUGH:
        raise RecipeError(
            f"train.search chooses by the answers to validation questions, and {n} have gold: too few to tell learning rates apart. Set "
            f"data.validation to {ENOUGH} or more, or leave train.search out."
        )


def choose_rate(scores: Sequence[Sequence[float]]) -> int:
    """The learning rate, from 0, with the highest mean of the ``scores`` of its chosen epoch; of equal ones the first."""
    means = [fmean(of) if of else 0.0 for of in scores]
    return means.index(max(means))


def search_in_words(search: Sequence[Mapping[str, Any]], chosen: float, gradable: bool) -> list[str]:
    """What to say of the learning rates that were tried."""
    tried = ", ".join(f"{entry['learning_rate']:g}: {_with_interval(entry, gradable)}" for entry in search)
    return [f"learning rates by validation score: {tried}; {chosen:g} is chosen"]


def summary(epoch: int, scores: Sequence[float], gradable: bool) -> dict[str, Any]:
    """The mean of an epoch's scores with its 95 % interval, Wilson's for fractions of correct answers, else Student's; None
    for what too few scores leave open."""
    low: float | None = None
    high: float | None = None
    if scores and gradable:
        interval = stats.wilson_interval(round(sum(scores)), len(scores))
        low, high = interval.low, interval.high
    elif len(scores) > 1:
        _, low, high = stats.mean_interval(scores)
    return {"epoch": epoch, "score": fmean(scores) if scores else None, "low": low, "high": high, "n": len(scores)}


def average_in_words(mean: Mapping[str, Any], gradable: bool) -> list[str]:
    """What to say of the mean of several epochs' weights."""
    epochs = ", ".join(map(str, mean["epochs"]))
    used = (
        "is used: better by more than one standard error"
        if mean["used"]
        else "is not used: not better by one standard error"
    )
    return [f"the mean of the weights after epochs {epochs}: {_with_interval(mean, gradable)}; it {used}"]


def in_words(validation: Sequence[Mapping[str, Any]], chosen: int, gradable: bool) -> list[str]:
    """What to say of the `summary` of each epoch, and of the choice."""
    n = validation[-1]["n"]
    if not n:
        return ["no answer to a validation question has a score that could choose an epoch: the last one is used"]
    what = "correct validation answers" if gradable else "mean score on the validation examples"
    after_each = ", ".join(_with_interval(entry, gradable) for entry in validation)
    why = "the last" if chosen == len(validation) else "better than the last by more than one standard error"
    lines = [f"{what} after each epoch: {after_each}; epoch {chosen} is chosen, {why}"]
    if n < ENOUGH and len(validation) > 1:
        lines.append(
            f"the validation set is small: {n} questions can hardly tell epochs apart; {ENOUGH} or more would (data.validation)"
        )
    return lines


def _with_interval(entry: Mapping[str, Any], gradable: bool) -> str:
    def number(value: float) -> str:
        return f"{100 * value:.0f}" if gradable else f"{value:.3f}"

    unit = " %" if gradable else ""
    interval = f" [{number(entry['low'])}, {number(entry['high'])}]" if entry["low"] is not None else ""
    return number(entry["score"]) + unit + interval
