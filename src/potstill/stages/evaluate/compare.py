"""Compare two systems, question by question, where gold decides which answers are correct."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from potstill import stats
from potstill.recipe.recipe import Evaluate
from potstill.stages.evaluate.outcome import Outcome
from potstill.tasks import Task
from potstill.workspace.artifacts import Prediction

Rows = Sequence[Prediction]
NOT_DISTINGUISHABLE = "not distinguishable"
NOT_TOLD = "not told the task"
"""In place of a finding: a model that was never told its task, labels or schema fails by form."""


def compare(pair: tuple[Rows, Rows], task: Task, labels: Sequence[str], options: Evaluate) -> dict[str, Any]:
    """The paired difference of accuracies a - b, and what it shows; ``labels`` are those that F1 is averaged over.

    A question that either system has no answer to because of an error or a server's moderation is left out, and counted in
    ``excluded``. A truncated
    answer counts as incorrect in ``difference``; whether it would have become correct is not known, so the difference lies
    between two ``bounds``: ``lower``, where the truncated answers of a are incorrect and those of b correct, and ``upper``, the
    reverse (worst-case bounds, Manski 1990, Am. Econ. Rev. 80:319; Horowitz and Manski 2000, JASA 95:77). The ``finding`` is
    the one that both bounds have; otherwise the systems are not distinguishable.
    """
    pair, excluded = answered_by_both(pair)
    counted = _paired(pair, (False, False), options.confidence)
    bounds = None
    findings = {find_difference(counted, options.confidence, options.margin)}
    if any(row["outcome"] == Outcome.TRUNCATED for rows in pair for row in rows):
        bounds = {
            "lower": _paired(pair, (False, True), options.confidence),
            "upper": _paired(pair, (True, False), options.confidence),
        }
        findings = {find_difference(bound, options.confidence, options.margin) for bound in bounds.values()}
    finding = findings.pop() if len(findings) == 1 else NOT_DISTINGUISHABLE
    scores = {task.label_score: _label_difference(pair, task, labels, options.confidence)} if task.label_score else {}
    return {"n": len(pair[0]), "excluded": excluded, **counted, "finding": finding, "bounds": bounds, "labels": scores}


def find_difference(difference: Mapping[str, Any], confidence: float, margin: float) -> str:
    """What a difference shows; interval and test must agree before one system counts as better than the other."""
    significant = difference["p_value"] < 1 - confidence
    if significant and difference["low"] > 0:
        return "better"
    if significant and difference["high"] < 0:
        return "worse"
    return "equal" if -margin < difference["low"] and difference["high"] < margin else NOT_DISTINGUISHABLE


def answered_by_both(pair: tuple[Rows, Rows]) -> tuple[tuple[Rows, Rows], int]:
    """The rows of questions that neither system is excluded from, in the same order, and the number of the others."""
    by_id = {row["id"]: row for row in pair[1]}
    both = [(row, by_id[row["id"]]) for row in pair[0]]
    kept = [rows for rows in both if not any(Outcome(row["outcome"]).excluded for row in rows)]
    return ([a for a, _ in kept], [b for _, b in kept]), len(both) - len(kept)


def _paired(pair: tuple[Rows, Rows], truncated_is_correct: tuple[bool, bool], confidence: float) -> dict[str, Any]:
    table = Counter(
        (_is_correct(a, truncated_is_correct[0]), _is_correct(b, truncated_is_correct[1]))
        for a, b in zip(*pair, strict=True)
    )
    cells = [[table[a, b] for b in (True, False)] for a in (True, False)]
    difference = stats.paired_difference(cells, method="newcombe", confidence=confidence)
    return {
        "only_a": table[True, False],
        "only_b": table[False, True],
        "difference": difference.difference,
        "low": difference.low,
        "high": difference.high,
        "p_value": stats.mcnemar(cells, method="exact").p_value,
    }


def _is_correct(row: Prediction, truncated_is_correct: bool) -> bool:
    return row["outcome"] == Outcome.CORRECT or (truncated_is_correct and row["outcome"] == Outcome.TRUNCATED)


def _label_difference(
    pair: tuple[Rows, Rows], task: Task, labels: Sequence[str], confidence: float
) -> dict[str, float]:
    """The difference of the macro F1 of the labels, a - b."""
    golds = [task.labels_of(row["gold"]) for row in pair[0]]
    if not golds:
        return {"estimate": 0.0, "low": -1.0, "high": 1.0}
    a, b = ([task.labels_of(row["answer"]) for row in rows] for rows in pair)
    estimate, low, high = stats.macro_f1_difference(golds, a, b, labels, confidence)
    return {"estimate": estimate, "low": low, "high": high}
