"""Accuracies with intervals, and paired comparisons with the student, on one test split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from potstill import stats
from potstill.recipe.recipe import Evaluate
from potstill.recipe.systems import STUDENT, Role, System
from potstill.stages.evaluate.asking import KINDS
from potstill.stages.evaluate.compare import NOT_TOLD, Rows, answered_by_both, compare
from potstill.stages.evaluate.outcome import Outcome
from potstill.tasks import Prompting, Task

LENGTH = "words"
"""The score that is an answer's length."""
MIN_LENGTH_RATIO = 0.8
"""Two answers are length-matched if the shorter has at least this fraction of the words of the longer."""
UNDECIDED = "not decided by scores"

Metric = dict[str, float]
"""``estimate``, ``low``, ``high``."""


@dataclass(frozen=True)
class Evaluated:
    """A system's answers; ``tells_task``: whether it was told its task, labels or schema. ``engine``: where it ran."""

    system: System
    rows: Rows
    tells_task: bool = True
    engine: str = "in process"

    def only(self, ids: set[str]) -> "Evaluated":
        """The answers to some questions."""
        return replace(self, rows=[row for row in self.rows if row["id"] in ids])


def summary(
    evaluated: Sequence[Evaluated], task: Task, options: Evaluate, chosen: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Metrics of each system, and comparisons of the student with each other system.

    Where the task is gradable and there is gold, only ``correct`` counts as correct, of the questions that have gold.
    Elsewhere scores are compared, also of length-matched answers, or how often two systems give the same answer, and there
    is no finding. ``chosen`` names the system that represents a role, as `potstill.stages.evaluate.choosing` does.
    """
    first = evaluated[0].rows
    decided = task.gradable and any(row["gold"] is not None for row in first)
    known = {row["id"] for row in first if row["gold"] is not None or not decided}
    evaluated = [one.only(known) for one in evaluated]
    representing = {choice["system"]: choice["n"] for choice in chosen.values()}
    labels = sorted({*task.label_set, *_named(evaluated, task)}) if task.label_score else []
    student = next((one for one in evaluated if one.system.name == STUDENT), None)
    comparisons = []
    for other in (one for one in evaluated if student and one is not student):
        pair = (student.rows, other.rows) if student else ((), ())
        result = compare(pair, task, labels, options) if decided else _describe(pair, task, options.confidence)
        if decided and not other.tells_task:
            result["finding"] = NOT_TOLD
        comparisons.append(
            {
                "a": STUDENT,
                "b": other.system.name,
                "role": other.system.role.value,
                "chosen": other.system.name in representing or other.system.role is Role.OTHER,
                "chosen_on": representing.get(other.system.name, 0),
                **result,
            }
        )
    return {
        "decided": decided,
        "margin": options.margin,
        "confidence": options.confidence,
        "systems": {one.system.name: _system(one, task, labels, decided, options.confidence) for one in evaluated},
        "comparisons": comparisons,
        "without_gold": len(first) - len(known),
    }


def _named(evaluated: Sequence[Evaluated], task: Task) -> set[str]:
    """The labels that gold or any system names: those of options by place are known only from them."""
    rows = [row for one in evaluated for row in one.rows]
    return {label for row in rows for text in (row["gold"], row["answer"]) for label in task.labels_of(text)}


def _system(one: Evaluated, task: Task, labels: Sequence[str], decided: bool, confidence: float) -> dict[str, Any]:
    rows = [row for row in one.rows if not Outcome(row["outcome"]).excluded]
    return {
        "role": one.system.role.value,
        "prompting": one.system.prompting.value,
        "tells_task": one.tells_task,
        "zero_shot": _is_zero_shot(one, task),
        "engine": one.engine,
        "n": len(rows),
        "excluded": len(one.rows) - len(rows),
        "outcomes": dict(Counter(row["outcome"] for row in one.rows)),
        "metrics": _metrics(rows, task, labels, decided, confidence),
        "without_score": _names_without_score(rows),
        "answers": dict(Counter(label for row in rows for label in sorted(task.labels_of(row["answer"]))).most_common())
        if task.label_score
        else {},
        "max_tokens": max((row["max_tokens"] for row in rows), default=0) if one.engine != "data" else 0,
        "tokens_per_answer": fmean(row["completion_tokens"] for row in rows) if rows else 0.0,
        "seconds_per_answer": fmean(row["seconds"] for row in rows) if rows else 0.0,
    }


def _is_zero_shot(one: Evaluated, task: Task) -> bool:
    """Whether a system knows its task from the prompt, without solved examples, and may reason if the task has a prompt for that."""
    prompting = one.system.prompting
    may_reason = prompting is not Prompting.DIRECT or not (
        Prompting.COT in task.promptings or task.tells_task(Prompting.PLAIN)
    )
    return one.tells_task and not prompting.is_few_shot and may_reason


def _metrics(rows: Rows, task: Task, labels: Sequence[str], decided: bool, confidence: float) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {}
    if decided:
        correct = {"accuracy": sum(row["outcome"] == Outcome.CORRECT for row in rows)}
        correct |= {kind: sum(row["scores"][kind] == 1.0 for row in rows) for kind in KINDS}
        for name, k in correct.items():
            metrics[name] = _proportion(k, len(rows), confidence)
    if task.label_score and decided and rows:
        golds, answers = ([task.labels_of(row[name]) for row in rows] for name in ("gold", "answer"))
        interval = stats.macro_f1_interval(golds, answers, labels, confidence)
        metrics[task.label_score] = _metric(stats.macro_f1(golds, answers, labels), *interval)
    for name in _score_names(rows, decided):
        if len(scores := list(_scores(rows, name, task).values())) > 1:
            metrics[name] = _metric(*stats.mean_interval(scores, confidence))
    return metrics


def _describe(pair: tuple[Rows, Rows], task: Task, confidence: float) -> dict[str, Any]:
    """Two systems where nothing decides: differences of scores, and how often they give the same answer."""
    (rows_a, rows_b), excluded = answered_by_both(pair)
    names = _score_names(rows_a, False)
    scores = {name: (_scores(rows_a, name, task), _scores(rows_b, name, task)) for name in names}
    comparison: dict[str, Any] = {"n": len(rows_a), "excluded": excluded, "finding": UNDECIDED, "matched": None}
    comparison["scores"] = _differences(scores, {row["id"] for row in rows_a}, confidence)
    if LENGTH in names:
        matched = _length_matched(*scores[LENGTH])
        comparison["matched"] = {"n": len(matched), "scores": _differences(scores, matched, confidence)}
    if task.gradable and rows_a:
        answers = {row["id"]: row["answer"] for row in rows_b}
        same = sum(task.equivalent(row["answer"], answers[row["id"]]) for row in rows_a)
        comparison["agreement"] = _proportion(same, len(rows_a), confidence)
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
            differences[name] = _metric(*stats.mean_interval(values, confidence))
    return differences


def _score_names(rows: Rows, decided: bool) -> list[str]:
    """Scores in addition to the one that decides."""
    known = dict.fromkeys(name for row in rows for name, score in row["scores"].items() if score is not None)
    names = [name for name in known if name not in KINDS]
    return names[1:] if decided else names


def _names_without_score(rows: Rows) -> list[str]:
    """Scores that apply to none of the answers, such as counts of names in a script without capitals."""
    known = dict.fromkeys(name for row in rows for name in row["scores"] if name not in KINDS)
    return [name for name in known if all(row["scores"].get(name) is None for row in rows)]


def _scores(rows: Rows, name: str, task: Task) -> dict[str, float]:
    """Scores by example id. A missing answer scores 0, except for descriptive scores; examples without the gold that a score
    needs are omitted, and so are those that are excluded."""
    scores = {row["id"]: row["scores"].get(name) for row in rows if not Outcome(row["outcome"]).excluded}
    if name in task.descriptive_scores:
        return {id_: score for id_, score in scores.items() if score is not None}
    labelled = {row["id"] for row in rows if row["gold"] is not None}
    needs_gold = all(score is None for id_, score in scores.items() if id_ not in labelled)
    return {id_: score or 0.0 for id_, score in scores.items() if id_ in labelled or not needs_gold}


def _proportion(k: int, n: int, confidence: float) -> Metric:
    interval = stats.wilson_interval(k, n, confidence)
    return _metric(k / max(n, 1), interval.low, interval.high)


def _metric(estimate: float, low: float, high: float) -> Metric:
    return {"estimate": estimate, "low": low, "high": high}
