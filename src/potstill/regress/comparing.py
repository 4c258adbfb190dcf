"""What student and base answered, compared: pure functions of their answers."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, cast

from potstill import stats
from potstill.recipe.evaluating import Evaluate
from potstill.regress.asking import Answers
from potstill.regress.result import Asked, Compared, Likelihood, Reply, Share
from potstill.regress.shipped import kinds
from potstill.stages.evaluate.compare import clusters_of, compare, finding, largest_p_value
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.result import Metric
from potstill.tasks import WHOLE_TEXT, Example, Status, Task
from potstill.workspace.artifacts import Prediction

MAX_CHARACTERS = 1_000
"""Characters of an answer that are kept."""
InForm = Callable[[str], bool]
"""Whether a text has the form of the run's task."""
OVERALL = "all prompts"
MIN_TEXTS = 5
"""Texts that an interval takes."""


def in_form(task: Task, example: Example) -> InForm | None:
    """The test of that form, with an ``example`` of the task; None for a task whose answers have no form, as of conversations.

    A text has it where strict extraction finds an answer in it, and not only takes the complete text for one.
    """
    if not task.gradable:
        return None

    def has_form(text: str) -> bool:
        parsed = task.parse(text, "stop", example, strict=True)
        return parsed.status is Status.OK and parsed.rule != WHOLE_TEXT

    return has_form


def compared(student: Answers, base: Answers, options: Evaluate) -> tuple[Compared, dict[str, Compared]]:
    """All prompts, and those of each kind, whose p-values are corrected for the number of kinds by Holm's method."""
    every = [[row for rows in of.rows.values() for row in rows] for of in (student, base)]
    overall = _compared(OVERALL, every[0], every[1], options)
    alone = {
        name: _compared(kind.title, student.rows[name], base.rows[name], options) for name, kind in kinds().items()
    }
    adjusted = stats.adjust_p_values([one["p_adjusted"] for one in alone.values()], "holm")
    for one, p_value in zip(alone.values(), adjusted, strict=True):
        one["p_adjusted"] = float(p_value)
        one["finding"] = finding(one, one["bounds"], float(p_value), options.confidence)
    return overall, alone


def failed(student: Answers, base: Answers, confidence: float) -> Share:
    """Empty, looping and truncated answers."""
    return _share(*_paired(student, base), lambda row: float(has_failed(row)), confidence)


def has_failed(row: Prediction) -> bool:
    """Whether an answer is empty, a loop, or cut."""
    return row["outcome"] in (Outcome.EMPTY, Outcome.ERROR) or row["finish_reason"] in ("length", "repeating")


def fell_into_form(student: Answers, base: Answers, has_form: InForm | None, confidence: float) -> Share | None:
    """Answers in the form of the run's task, to the prompts whose correct reply does not have it."""
    if has_form is None:
        return None
    asks_for_it = {
        f"{name}-{number}" for name, kind in kinds().items() for number, one in enumerate(kind.prompts) if has_form(one.right)
    }  # fmt: skip
    rows = [[row for row in of if row["id"] not in asks_for_it] for of in _paired(student, base)]
    return _share(rows[0], rows[1], lambda row: float(has_form(row["text"])), confidence) if rows[0] else None


def likelihood(student: Answers, base: Answers, confidence: float) -> Likelihood | None:
    """Mean log-probabilities, of the texts that both have room for; None where these are too few for an interval."""
    pairs = [
        (a, b) for a, b in zip(student.likelihoods, base.likelihoods, strict=True) if a is not None and b is not None
    ]
    if len(pairs) < MIN_TEXTS:
        return None
    mean, low, high = stats.mean_interval([a - b for a, b in pairs], confidence)
    of_student, of_base = (fmean(of) for of in zip(*pairs, strict=True))
    difference = Metric(estimate=mean, low=low, high=high)
    return Likelihood(texts=len(pairs), student=of_student, base=of_base, difference=difference)


def asked(student: Answers, base: Answers, has_form: InForm | None) -> list[Asked]:
    """Every prompt with both answers."""
    by_kind = [(name, *pair) for name in student.rows for pair in zip(student.rows[name], base.rows[name], strict=True)]
    return [
        Asked(
            id=a["id"],
            kind=name,
            group=a["group"],
            prompt=a["messages"][-1]["content"],
            student=_reply(a, has_form),
            base=_reply(b, has_form),
        )
        for name, a, b in by_kind
    ]


def _reply(row: Prediction, has_form: InForm | None) -> Reply:
    return Reply(
        text=row["text"][:MAX_CHARACTERS],
        outcome=row["outcome"],
        finish_reason=row["finish_reason"],
        in_form=has_form(row["text"]) if has_form else None,
    )


def _compared(title: str, a: Sequence[Prediction], b: Sequence[Prediction], options: Evaluate) -> Compared:
    found = compare((a, b), next(iter(kinds().values())).task, (), options)
    values: dict[str, Any] = {name: value for name, value in found.items() if name != "labels"}
    values |= {
        "title": title,
        "student": _fraction(a, _is_correct, options.confidence),
        "base": _fraction(b, _is_correct, options.confidence),
        "p_adjusted": largest_p_value(found, found["bounds"]),
    }
    return cast(Compared, values)


def _is_correct(row: Prediction) -> float:
    return float(row["outcome"] == Outcome.CORRECT)


def _share(
    a: Sequence[Prediction], b: Sequence[Prediction], has: Callable[[Prediction], float], confidence: float
) -> Share:
    values = [[has(row) for row in rows] for rows in (a, b)]
    difference = stats.clustered_difference(values[0], values[1], clusters_of(a), confidence)
    return Share(
        n=len(a),
        student=_fraction(a, has, confidence),
        base=_fraction(b, has, confidence),
        difference=difference.difference,
        low=difference.low,
        high=difference.high,
    )


def _fraction(rows: Sequence[Prediction], has: Callable[[Prediction], float], confidence: float) -> Metric:
    values = [has(row) for row in rows]
    found = stats.clustered_proportion_interval(values, [row["group"] for row in rows], confidence)
    return Metric(estimate=sum(values) / len(values), low=found.low, high=found.high)


def _paired(student: Answers, base: Answers) -> tuple[list[Prediction], list[Prediction]]:
    a, b = ([row for rows in of.rows.values() for row in rows] for of in (student, base))
    return a, b
