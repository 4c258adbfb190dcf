"""Accuracies with intervals, and paired comparisons with the student, on one test split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal, cast

from potstill import stats
from potstill.recipe.evaluating import Evaluate
from potstill.recipe.systems import STUDENT, System
from potstill.stages.evaluate.asking import KINDS
from potstill.stages.evaluate.choosing import COMPARED
from potstill.stages.evaluate.compare import (
    NOT_TOLD,
    Compared,
    Rows,
    answered_by_both,
    clusters_of,
    compare,
    largest_p_value,
)
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.result import (
    Comparison,
    Description,
    Finding,
    Majority,
    Matched,
    Metric,
    Split,
    SystemResult,
)
from potstill.tasks import Prompting, Task

LENGTH = "words"
"""The score that is an answer's length."""
MIN_LENGTH_RATIO = 0.8
"""Two answers are length-matched if the shorter has at least this fraction of the words of the longer."""
UNDECIDED: Finding = "not decided by scores"


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
) -> Split:
    """Metrics of each system, and comparisons of the student with each other system.

    Where the task is gradable and there is gold, only ``correct`` counts as correct, of the questions that have gold.
    Elsewhere scores are compared, also of length-matched answers, or how often two systems give the same answer, and there
    is no finding. ``chosen`` names the system that represents a role, as `potstill.stages.evaluate.choosing` does. Findings
    are those of each comparison alone, before any correction for the number of tests (`potstill.stages.evaluate.multiple`).
    """
    first = evaluated[0].rows
    decided = task.gradable and any(row["gold"] is not None for row in first)
    known = {row["id"] for row in first if row["gold"] is not None or not decided}
    evaluated = [one.only(known) for one in evaluated]
    questions = evaluated[0].rows
    labels = sorted({*task.label_set, *_named(evaluated, task)}) if task.label_score else []
    student = next((one for one in evaluated if one.system.name == STUDENT), None)
    others = [one for one in evaluated if one is not student]
    comparisons = [_against(student, one, task, labels, decided, options, chosen) for one in others] if student else []
    return Split(
        decided=decided,
        measure=_measure(task),
        margin=options.margin,
        confidence=options.confidence,
        n=len(questions),
        groups=len({row["group"] for row in questions}),
        majority=_majority(questions, task) if decided else None,
        systems={one.system.name: _system(one, task, labels, decided, options.confidence) for one in evaluated},
        comparisons=cast(list[Comparison], comparisons),
        without_gold=len(first) - len(known),
    )


def _against(
    student: Evaluated,
    other: Evaluated,
    task: Task,
    labels: Sequence[str],
    decided: bool,
    options: Evaluate,
    chosen: Mapping[str, Mapping[str, Any]],
) -> Comparison | Description:
    pair = (student.rows, other.rows)
    chosen_on = {choice["system"]: choice["n"] for choice in chosen.values()}
    names = {
        "a": STUDENT,
        "b": other.system.name,
        "role": other.system.role.value,
        "cheaper": other.system.is_cheaper,
        "chosen": other.system.name in chosen_on or other.system.role not in COMPARED,
        "chosen_on": chosen_on.get(other.system.name, 0),
    }
    if not decided:
        return cast(Description, names | describe(pair, task, options.confidence))
    compared: Compared = compare(pair, task, labels, options)
    if not other.tells_task:
        compared["finding"] = NOT_TOLD
    p_value = largest_p_value(compared, compared["bounds"])
    return cast(Comparison, names | {"p_adjusted": p_value, "correction": "none"} | compared)


def _majority(questions: Rows, task: Task) -> Majority | None:
    """The gold label that a system would always give to be correct most often; None for a task without labels."""
    if not task.label_score:
        return None
    ((label, n),) = Counter(row["gold"] or "" for row in questions).most_common(1)
    return Majority(label=label, share=n / len(questions))


def _named(evaluated: Sequence[Evaluated], task: Task) -> set[str]:
    """The labels that gold or any system names: those of options by place are known only from them."""
    rows = [row for one in evaluated for row in one.rows]
    return {label for row in rows for text in (row["gold"], row["answer"]) for label in task.labels_of(text)}


def _system(one: Evaluated, task: Task, labels: Sequence[str], decided: bool, confidence: float) -> SystemResult:
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
    groups = clusters_of(rows)
    if decided:
        correct: dict[str, list[bool]] = {_measure(task): [row["outcome"] == Outcome.CORRECT for row in rows]}
        correct |= {kind: [row["scores"][kind] == 1.0 for row in rows] for kind in KINDS}
        for name, values in correct.items():
            metrics[name] = _proportion(values, groups, confidence)
    if task.label_score and decided and rows:
        golds, answers = ([task.labels_of(row[name]) for row in rows] for name in ("gold", "answer"))
        interval = stats.macro_f1_interval(golds, answers, labels, confidence, groups)
        metrics[task.label_score] = _metric(stats.macro_f1(golds, answers, labels), *interval)
    by_id = {row["id"]: row["group"] for row in rows}
    for name in _score_names(rows, decided):
        _add_mean(metrics, name, _scores(rows, name, task), by_id, confidence)
    return metrics


def _measure(task: Task) -> Literal["accuracy", "judged_right"]:
    return "judged_right" if task.judged else "accuracy"


def _add_mean(
    metrics: dict[str, Metric], name: str, values: Mapping[str, float], groups: Mapping[str, str], confidence: float
) -> None:
    """Add the mean of values by example id, unless all come from one group, which says nothing of others."""
    clusters = [groups[id_] for id_ in values]
    if len(set(clusters)) > 1:
        metrics[name] = _metric(*stats.mean_interval(list(values.values()), confidence, clusters))


def describe(pair: tuple[Rows, Rows], task: Task, confidence: float) -> dict[str, Any]:
    """Two systems where nothing decides: differences of scores, and how often they give the same answer."""
    (rows_a, rows_b), excluded = answered_by_both(pair)
    names = _score_names(rows_a, False)
    scores = {name: (_scores(rows_a, name, task), _scores(rows_b, name, task)) for name in names}
    groups = {row["id"]: row["group"] for row in rows_a}
    described: dict[str, Any] = {"n": len(rows_a), "excluded": excluded, "finding": UNDECIDED, "matched": None}
    described["scores"] = _differences(scores, groups, confidence)
    if LENGTH in names:
        matched = {id_: groups[id_] for id_ in groups if id_ in _length_matched(*scores[LENGTH])}
        described["matched"] = Matched(n=len(matched), scores=_differences(scores, matched, confidence))
    if task.gradable and rows_a:
        answers = {row["id"]: row["answer"] for row in rows_b}
        same = [task.equivalent(row["answer"], answers[row["id"]]) for row in rows_a]
        described["agreement"] = _proportion(same, clusters_of(rows_a), confidence)
    return described


def _length_matched(words_a: Mapping[str, float], words_b: Mapping[str, float]) -> set[str]:
    """Ids of the examples whose two answers have a similar length."""
    both = {id_: (words, words_b[id_]) for id_, words in words_a.items() if id_ in words_b}
    return {id_ for id_, lengths in both.items() if min(lengths) >= MIN_LENGTH_RATIO * max(lengths)}


def _differences(
    scores: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], groups: Mapping[str, str], confidence: float
) -> dict[str, Metric]:
    """Mean paired differences a - b of scores, over the examples that ``groups`` has, by id."""
    differences: dict[str, Metric] = {}
    for name, (a, b) in scores.items():
        values = {id_: a[id_] - b[id_] for id_ in a if id_ in groups and id_ in b}
        _add_mean(differences, name, values, groups, confidence)
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


def _proportion(values: Sequence[bool], groups: Sequence[str] | None, confidence: float) -> Metric:
    if groups is None:
        interval = stats.wilson_interval(sum(values), len(values), confidence)
    else:
        interval = stats.clustered_proportion_interval(values, groups, confidence)
    return _metric(sum(values) / max(len(values), 1), interval.low, interval.high)


def _metric(estimate: float, low: float, high: float) -> Metric:
    return Metric(estimate=estimate, low=low, high=high)
