"""Accuracies with intervals, and paired comparisons with the student, on one test split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from potstill.recipe.recipe import Evaluate
from potstill.recipe.systems import System
from potstill.stages.evaluate.outcome import Outcome
from potstill.stats.labels import macro_f1
from potstill.stats.means import bootstrap, mean_interval
from potstill.stats.paired import mcnemar_exact, newcombe_paired
from potstill.stats.proportions import wilson
from potstill.tasks import Task
from potstill.workspace.artifacts import Prediction

MAX_TRUNCATED = 0.02
"""Fraction of a system's answers that may be truncated before that could decide a comparison."""
KINDS = ("strict", "lenient")
"""Kinds of extraction."""
LENGTH = "words"
"""The score that is an answer's length."""
MIN_LENGTH_RATIO = 0.8
"""Two answers are length-matched if the shorter has at least this fraction of the words of the longer."""
UNDECIDED = "not decided by scores"

Rows = Sequence[Prediction]
Metric = dict[str, float]
"""``estimate``, ``low``, ``high``."""


def summary(predictions: Mapping[System, Rows], task: Task, options: Evaluate) -> dict[str, Any]:
    """Metrics of each system, and comparisons of the student with each other system.

    Where the task is gradable and there is gold, only ``correct`` counts as correct, of the questions that have gold.
    Elsewhere scores are compared, also of length-matched answers, or how often two systems give the same answer, and there
    is no finding.
    """
    first: Rows = next(iter(predictions.values()))
    decided = task.gradable and any(row["gold"] is not None for row in first)
    known = {row["id"] for row in first if row["gold"] is not None or not decided}
    rows = {system: [row for row in of if row["id"] in known] for system, of in predictions.items()}
    comparisons = []
    if student := rows.get(System.STUDENT):
        for system in (system for system in rows if system is not System.STUDENT):
            pair = (student, rows[system])
            if decided:
                result = compare(pair, options.confidence, options.margin)
            else:
                result = _describe(pair, task, options.confidence)
            comparisons.append({"a": System.STUDENT.value, "b": system.value, "role": system.role.value, **result})
    return {
        "systems": {
            system.value: {"role": system.role.value, **_metrics(of, task, decided, options.confidence)}
            for system, of in rows.items()
        },
        "comparisons": comparisons,
        "without_gold": len(first) - len(known),
    }


def compare(pair: tuple[Rows, Rows], confidence: float, margin: float) -> dict[str, Any]:
    """The paired difference of accuracies a - b, question by question, and what it shows.

    Where more than `MAX_TRUNCATED` of the answers of one system are truncated, ``truncated_as_correct`` is the same
    comparison with those counted as correct; if its finding is another, ``finding`` is "not distinguishable".
    """
    counted = _paired(pair, {Outcome.CORRECT}, confidence)
    finding = find_difference(counted, confidence, margin)
    comparison = {**counted, "finding": finding, "truncated_as_correct": None}
    if max(_fraction_truncated(rows) for rows in pair) > MAX_TRUNCATED:
        generous = _paired(pair, {Outcome.CORRECT, Outcome.TRUNCATED}, confidence)
        comparison["truncated_as_correct"] = generous
        if find_difference(generous, confidence, margin) != finding:
            comparison["finding"] = "not distinguishable"
    return comparison


def find_difference(difference: Mapping[str, Any], confidence: float, margin: float) -> str:
    """What a difference shows; interval and test must agree before one system counts as better than the other."""
    significant = difference["p_value"] < 1 - confidence
    if significant and difference["low"] > 0:
        return "better"
    if significant and difference["high"] < 0:
        return "worse"
    return "equal" if -margin < difference["low"] and difference["high"] < margin else "not distinguishable"


def _metrics(rows: Rows, task: Task, decided: bool, confidence: float) -> dict[str, Any]:
    outcomes = Counter(row["outcome"] for row in rows)
    metrics: dict[str, Metric] = {}
    system: dict[str, Any] = {"n": len(rows), "outcomes": dict(outcomes), "metrics": metrics}
    if decided:
        correct = {"accuracy": outcomes[Outcome.CORRECT]}
        correct |= {kind: sum(row["scores"][kind] == 1.0 for row in rows) for kind in KINDS}
        for name, k in correct.items():
            metrics[name] = _metric(k / len(rows), *wilson(k, len(rows), confidence))
    if task.closed_set:
        answers = Counter(row["answer"] for row in rows if row["answer"] is not None)
        system["answers"] = dict(answers.most_common())
        if decided:
            pairs = [(str(row["gold"]), row["answer"]) for row in rows]
            metrics["macro_f1"] = _metric(macro_f1(pairs), *bootstrap(pairs, macro_f1, confidence))
    for name in _score_names(rows, decided):
        if len(scores := list(_scores(rows, name, task).values())) > 1:
            metrics[name] = _metric(*mean_interval(scores, confidence))
    return system | {
        "tokens_per_answer": mean(row["completion_tokens"] for row in rows),
        "seconds_per_answer": mean(row["seconds"] for row in rows),
    }


def _describe(pair: tuple[Rows, Rows], task: Task, confidence: float) -> dict[str, Any]:
    """Two systems where nothing decides: differences of scores, and how often they give the same answer."""
    rows_a, rows_b = pair
    names = _score_names(rows_a, False)
    scores = {name: (_scores(rows_a, name, task), _scores(rows_b, name, task)) for name in names}
    comparison: dict[str, Any] = {"finding": UNDECIDED, "matched": None}
    comparison["scores"] = _differences(scores, {row["id"] for row in rows_a}, confidence)
    if LENGTH in names:
        matched = _length_matched(*scores[LENGTH])
        comparison["matched"] = {"n": len(matched), "scores": _differences(scores, matched, confidence)}
    if task.gradable:
        answers = {row["id"]: row["answer"] for row in rows_b}
        same = sum(task.equivalent(row["answer"], answers[row["id"]]) for row in rows_a)
        n = len(rows_a)
        comparison["agreement"] = _metric(same / n, *wilson(same, n, confidence))
    return comparison


def _length_matched(words_a: Mapping[str, float], words_b: Mapping[str, float]) -> set[str]:
    """Ids of the examples whose two answers have a similar length."""
    both = {id_: (words, words_b[id_]) for id_, words in words_a.items() if id_ in words_b}
    return {id_ for id_, lengths in both.items() if min(lengths) >= MIN_LENGTH_RATIO * max(lengths)}


def _differences(
    scores: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], ids: set[str], confidence: float
) -> dict[str, Metric]:
    """Mean paired differences a - b of scores, over the examples ``ids``."""
    differences = {}
    for name, (a, b) in scores.items():
        values = [a[id_] - b[id_] for id_ in a if id_ in ids and id_ in b]
        if len(values) > 1:
            differences[name] = _metric(*mean_interval(values, confidence))
    return differences


def _score_names(rows: Rows, decided: bool) -> list[str]:
    """Scores in addition to the one that decides."""
    known = dict.fromkeys(name for row in rows for name, score in row["scores"].items() if score is not None)
    names = [name for name in known if name not in KINDS]
    return names[1:] if decided else names


def _scores(rows: Rows, name: str, task: Task) -> dict[str, float]:
    """Scores by example id. A missing answer scores 0, except for descriptive scores; examples without the gold that a score
    needs are omitted."""
    scores = {row["id"]: row["scores"].get(name) for row in rows}
    if name in task.descriptive_scores:
        return {id_: score for id_, score in scores.items() if score is not None}
    labelled = {row["id"] for row in rows if row["gold"] is not None}
    needs_gold = all(score is None for id_, score in scores.items() if id_ not in labelled)
    return {id_: score or 0.0 for id_, score in scores.items() if id_ in labelled or not needs_gold}


def _metric(estimate: float, low: float, high: float) -> Metric:
    return {"estimate": estimate, "low": low, "high": high}


def _fraction_truncated(rows: Rows) -> float:
    return sum(row["outcome"] == Outcome.TRUNCATED for row in rows) / len(rows)


def _paired(pair: tuple[Rows, Rows], counted: set[Outcome], confidence: float) -> dict[str, Any]:
    """The paired comparison with the outcomes ``counted`` as correct."""
    correct_a, correct_b = ({row["id"]: row["outcome"] in counted for row in rows} for rows in pair)
    table = Counter((correct_a[id_], correct_b[id_]) for id_ in correct_a)
    both, only_a, only_b, neither = (
        table[cell] for cell in ((True, True), (True, False), (False, True), (False, False))
    )
    low, high = newcombe_paired(both, only_a, only_b, neither, confidence)
    return {
        "only_a": only_a,
        "only_b": only_b,
        "difference": (only_a - only_b) / len(correct_a),
        "low": low,
        "high": high,
        "p_value": mcnemar_exact(only_a, only_b),
    }
