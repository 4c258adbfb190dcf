"""Accuracies with intervals, and paired comparisons with the student, of one test split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from potstill.stats import bootstrap, macro_f1, mcnemar_exact, mean_interval, newcombe_paired, wilson
from potstill.tasks import Task

TRUNCATED = 0.02
"""Part of a system's answers that may be cut at the token limit before that could decide a comparison."""

KINDS = ("strict", "lenient")
"""Ways to read an answer."""
LENGTH = "words"
MATCHED = 0.8
"""How long the shorter of two answers is, of the longer, where they are compared at matched length."""
UNDECIDED = "not decided by scores"

Rows = Sequence[Mapping[str, Any]]
"""Rows of predictions/SYSTEM.parquet."""


def summary(predictions: Mapping[str, Rows], task: Task, confidence: float, margin: float) -> dict[str, Any]:
    """Systems, and the student against each other system.

    Where gold decides, everything but ``right`` counts as wrong, of the questions that have gold. Where it does not,
    scores are compared, also of answers that are about as long as each other, or how often two systems say the same, and no
    finding is made.
    """
    first: Rows = next(iter(predictions.values()))
    decided = task.decides and any(row["gold"] is not None for row in first)
    known = {row["id"] for row in first if row["gold"] is not None} if decided else {row["id"] for row in first}
    predictions = {name: [row for row in rows if row["id"] in known] for name, rows in predictions.items()}
    systems = {name: _system(rows, task, decided, confidence) for name, rows in predictions.items()}
    others = [name for name in systems if name != "student"] if "student" in systems else []
    if decided:
        comparisons = [compare(predictions, "student", name, confidence, margin) for name in others]
    else:
        comparisons = [_beside(predictions, "student", name, task, confidence) for name in others]
    return {"systems": systems, "comparisons": comparisons, "without_gold": len(first) - len(known)}


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


def _system(rows: Rows, task: Task, decided: bool, confidence: float) -> dict[str, Any]:
    outcomes = Counter(row["outcome"] for row in rows)
    system: dict[str, Any] = {"n": len(rows), "outcomes": dict(outcomes), "metrics": {}}
    if decided:
        right = {"accuracy": outcomes["right"]}
        right |= {kind: sum(row["scores"][kind] == 1.0 for row in rows) for kind in KINDS}
        for name, k in right.items():
            system["metrics"][name] = _metric(k / len(rows), *wilson(k, len(rows), confidence))
    if task.closed:
        system["answers"] = dict(Counter(row["answer"] for row in rows if row["answer"] is not None).most_common())
        if decided:
            pairs = [(row["gold"], row["answer"]) for row in rows]
            system["metrics"]["macro_f1"] = _metric(macro_f1(pairs), *bootstrap(pairs, macro_f1, confidence))
    for name in _names(rows, task, decided):
        if len(scores := list(_scores(rows, name, task).values())) > 1:
            system["metrics"][name] = _metric(*mean_interval(scores, confidence))
    return system | {
        "tokens_per_answer": mean(row["completion_tokens"] for row in rows),
        "seconds_per_answer": mean(row["seconds"] for row in rows),
    }


def _beside(predictions: Mapping[str, Rows], a: str, b: str, task: Task, confidence: float) -> dict[str, Any]:
    """Two systems where gold decides nothing: differences of scores, and how often they say the same."""
    names = _names(predictions[a], task, False)
    of_a, of_b = ({name: _scores(predictions[system], name, task) for name in names} for system in (a, b))
    comparison: dict[str, Any] = {"a": a, "b": b, "finding": UNDECIDED, "matched": None}
    comparison["scores"] = _differences(of_a, of_b, {row["id"] for row in predictions[a]}, confidence)
    if LENGTH in names:
        alike = {
            id_
            for id_, words in of_a[LENGTH].items()
            if id_ in of_b[LENGTH] and min(words, of_b[LENGTH][id_]) >= MATCHED * max(words, of_b[LENGTH][id_])
        }
        comparison["matched"] = {"n": len(alike), "scores": _differences(of_a, of_b, alike, confidence)}
    if task.decides:
        answers = {row["id"]: row["answer"] for row in predictions[b]}
        same = sum(task.same(row["answer"], answers[row["id"]]) for row in predictions[a])
        n = len(predictions[a])
        comparison["agreement"] = _metric(same / n, *wilson(same, n, confidence))
    return comparison


def _differences(
    of_a: Mapping[str, Mapping[str, float]], of_b: Mapping[str, Mapping[str, float]], ids: set[str], confidence: float
) -> dict[str, Any]:
    """Mean paired differences of scores, of the questions ``ids``."""
    found = {}
    for name, a in of_a.items():
        differences = [a[id_] - of_b[name][id_] for id_ in a if id_ in ids and id_ in of_b[name]]
        if len(differences) > 1:
            found[name] = _metric(*mean_interval(differences, confidence))
    return found


def _names(rows: Rows, task: Task, decided: bool) -> list[str]:
    """Scores beside the one that decides."""
    found = dict.fromkeys(name for row in rows for name, score in row["scores"].items() if score is not None)
    names = [name for name in found if name not in KINDS]
    return names[1:] if decided else names


def _scores(rows: Rows, name: str, task: Task) -> dict[str, float]:
    """A score by question: nought where there is no answer, but for scores that describe an answer; nothing where there is
    no gold that it needs."""
    scores = {row["id"]: row["scores"].get(name) for row in rows}
    if name in task.described:
        return {id_: score for id_, score in scores.items() if score is not None}
    labelled = {row["id"] for row in rows if row["gold"] is not None}
    needs_gold = all(score is None for id_, score in scores.items() if id_ not in labelled)
    return {id_: score or 0.0 for id_, score in scores.items() if id_ in labelled or not needs_gold}


def _metric(estimate: float, low: float, high: float) -> dict[str, float]:
    return {"estimate": estimate, "low": low, "high": high}


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
