"""Accuracies with intervals, and paired comparisons with the student, of one test split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from potstill.stats import mcnemar_exact, newcombe_paired, wilson

TRUNCATED = 0.02
"""Part of a system's answers that may be cut at the token limit before that could decide a comparison."""

Rows = Sequence[Mapping[str, Any]]
"""Rows of predictions/SYSTEM.parquet."""


def summary(predictions: Mapping[str, Rows], confidence: float, margin: float) -> dict[str, Any]:
    """Systems, and the student against each other system; everything but ``right`` counts as wrong."""
    systems = {name: _system(rows, confidence) for name, rows in predictions.items()}
    others = [name for name in systems if name != "student"] if "student" in systems else []
    comparisons = [compare(predictions, "student", name, confidence, margin) for name in others]
    return {"systems": systems, "comparisons": comparisons}


def compare(predictions: Mapping[str, Rows], a: str, b: str, confidence: float, margin: float) -> dict[str, Any]:
    """The paired difference of accuracies a - b, question by question, and what it shows.

    Where more than 2 % of an answer's texts were cut, ``truncated_right`` is the same comparison with those counted
    as right; when the two show different things, ``finding`` is "not distinguishable".
    """
    wrong = _paired(predictions[a], predictions[b], {"right"}, confidence)
    finding = _finding(wrong, confidence, margin)
    comparison = {"a": a, "b": b, **wrong, "finding": finding, "truncated_right": None}
    if max(_truncated(predictions[name]) for name in (a, b)) > TRUNCATED:
        right = _paired(predictions[a], predictions[b], {"right", "truncated"}, confidence)
        comparison["truncated_right"] = right
        if _finding(right, confidence, margin) != finding:
            comparison["finding"] = "not distinguishable"
    return comparison


def _system(rows: Rows, confidence: float) -> dict[str, Any]:
    outcomes = Counter(row["outcome"] for row in rows)
    right = {"accuracy": outcomes["right"]}
    right |= {kind: sum(row["scores"][kind] == 1.0 for row in rows) for kind in ("strict", "lenient")}
    metrics = {}
    for name, k in right.items():
        low, high = wilson(k, len(rows), confidence)
        metrics[name] = {"estimate": k / len(rows), "low": low, "high": high}
    return {
        "n": len(rows),
        "outcomes": dict(outcomes),
        "metrics": metrics,
        "tokens_per_answer": mean(row["completion_tokens"] for row in rows),
        "seconds_per_answer": mean(row["seconds"] for row in rows),
    }


def _truncated(rows: Rows) -> float:
    return Counter(row["outcome"] for row in rows)["truncated"] / len(rows)


def _paired(a: Rows, b: Rows, counted: set[str], confidence: float) -> dict[str, Any]:
    right_a, right_b = ({row["id"]: row["outcome"] in counted for row in rows} for rows in (a, b))
    table = Counter((right_a[id_], right_b[id_]) for id_ in right_a)
    both, only_a, only_b, neither = (
        table[pair] for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    low, high = newcombe_paired(both, only_a, only_b, neither, confidence)
    return {
        "only_a": only_a,
        "only_b": only_b,
        "difference": (only_a - only_b) / len(right_a),
        "low": low,
        "high": high,
        "p_value": mcnemar_exact(only_a, only_b),
    }


def _finding(difference: Mapping[str, Any], confidence: float, margin: float) -> str:
    """Interval and test must agree before one counts as better than the other."""
    significant = difference["p_value"] < 1 - confidence
    if significant and difference["low"] > 0:
        return "better"
    if significant and difference["high"] < 0:
        return "worse"
    return "equal" if -margin < difference["low"] and difference["high"] < margin else "not distinguishable"
