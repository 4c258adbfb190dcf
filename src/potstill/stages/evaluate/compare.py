"""Compare two systems, question by question, where gold decides which answers are correct."""

from collections.abc import Mapping, Sequence
from math import ceil, isnan

from potstill import stats
from potstill.recipe.evaluating import Evaluate
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.result import Bounds, Difference, Finding, Metric, Needed, OneSided, Tests
from potstill.tasks import Task
from potstill.workspace.artifacts import Prediction

Rows = Sequence[Prediction]
NOT_DISTINGUISHABLE: Finding = "not distinguishable"
NOT_TOLD: Finding = "not told the task"
"""In place of a finding: a model that was never told its task, labels or schema fails by form."""


class Compared(Difference):
    """What two systems' answers to the same questions show; the fields are those of `potstill.stages.evaluate.result.Comparison`."""

    n: int
    excluded: int
    groups: int
    clustered: bool
    finding: Finding
    bounds: Bounds | None
    needed: Needed
    labels: dict[str, Metric]


def compare(pair: tuple[Rows, Rows], task: Task, labels: Sequence[str], options: Evaluate) -> Compared:
    """The paired difference of accuracies a - b, and what it shows; ``labels`` are those that F1 is averaged over.

    Where a group holds more than one question, the groups are the independent observations, and all intervals and tests are
    clustered by group. Otherwise the interval is Newcombe's, the test McNemar's exact one, non-inferiority Tango's.

    A question that either system has no answer to because of an error or a server's moderation is left out, and counted in
    ``excluded``. A truncated answer counts as incorrect in ``difference``; whether it would have become correct is not known, so
    the difference lies between two ``bounds``: ``lower``, where the truncated answers of a are incorrect and those of b correct,
    and ``upper``, the reverse (worst-case bounds, Manski 1990, Am. Econ. Rev. 80:319; Horowitz and Manski 2000, JASA 95:77). The
    ``finding`` is the one that both bounds have; otherwise the systems are not distinguishable.
    """
    pair, excluded = answered_by_both(pair)
    groups = clusters_of(pair[0])
    n, n_groups = len(pair[0]), len({row["group"] for row in pair[0]})
    difference = _difference(pair, (False, False), groups, options)
    bounds = None
    if any(row["outcome"] == Outcome.TRUNCATED for rows in pair for row in rows):
        lower, upper = (_difference(pair, which, groups, options) for which in ((False, True), (True, False)))
        bounds = Bounds(lower=lower, upper=upper)
        difference["not_worse"]["shown"] = lower["not_worse"]["shown"]
        difference["matched"]["shown"] = upper["matched"]["shown"]
    p_value = largest_p_value(difference, bounds)
    return Compared(
        **difference,
        n=n,
        excluded=excluded,
        groups=n_groups,
        clustered=groups is not None,
        finding=finding(difference, bounds, p_value, options.confidence),
        bounds=bounds,
        needed=_needed(difference, n, options),
        labels={task.label_score: _label_difference(pair, task, labels, groups, options)} if task.label_score else {},
    )


def clusters_of(rows: Rows) -> list[str] | None:
    """The groups of the questions; None where each holds one question, so that questions are independent."""
    groups = [row["group"] for row in rows]
    return groups if len(set(groups)) < len(groups) else None


def finding(difference: Difference, bounds: Bounds | None, p_value: float, confidence: float) -> Finding:
    """What a difference shows; interval and test must agree before one system counts as better than the other.

    ``p_value`` is that of all tests that must hold, after any correction for their number. Equivalent are systems of which
    neither is worse than the other by the margin (two one-sided tests, Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657).
    """
    possible = _possible(difference, bounds)
    if p_value < 1 - confidence:
        if all(one["low"] > 0 for one in possible):
            return "better"
        if all(one["high"] < 0 for one in possible):
            return "worse"
    return "equivalent" if difference["not_worse"]["shown"] and difference["matched"]["shown"] else NOT_DISTINGUISHABLE


def largest_p_value(difference: Difference, bounds: Bounds | None) -> float:
    """The largest p-value of the tests that a finding needs: with few groups also that of the sign-flip test, and of both bounds
    (an intersection-union test, Berger 1982, Technometrics 24:295)."""
    return max(max(one["p_value"], one["sign_flip_p_value"] or 0.0) for one in _possible(difference, bounds))


def _possible(difference: Difference, bounds: Bounds | None) -> list[Difference]:
    return [bounds["lower"], bounds["upper"]] if bounds else [difference]


def answered_by_both(pair: tuple[Rows, Rows]) -> tuple[tuple[Rows, Rows], int]:
    """The rows of questions that neither system is excluded from, in the same order, and the number of the others."""
    by_id = {row["id"]: row for row in pair[1]}
    both = [(row, by_id[row["id"]]) for row in pair[0]]
    kept = [rows for rows in both if not any(Outcome(row["outcome"]).excluded for row in rows)]
    return ([a for a, _ in kept], [b for _, b in kept]), len(both) - len(kept)


def _difference(
    pair: tuple[Rows, Rows], truncated_is_correct: tuple[bool, bool], groups: list[str] | None, options: Evaluate
) -> Difference:
    a, b = (
        [_is_correct(row, truncated) for row in rows]
        for rows, truncated in zip(pair, truncated_is_correct, strict=True)
    )
    only_a, only_b = (sum(x > y for x, y in zip(*two, strict=True)) for two in ((a, b), (b, a)))
    return Difference(only_a=only_a, only_b=only_b, **_tests(a, b, groups, options))


def _tests(a: list[int], b: list[int], groups: list[str] | None, options: Evaluate) -> Tests:
    """All intervals and tests of the difference of answers (1 correct, 0 incorrect), independent or clustered."""
    confidence, margin = options.confidence, options.margin
    if groups is None:
        table = [[sum(x == i and y == j for x, y in zip(a, b, strict=True)) for j in (1, 0)] for i in (1, 0)]
        swapped = [[table[0][0], table[1][0]], [table[0][1], table[1][1]]]
        interval = stats.paired_difference(table, method="newcombe", confidence=confidence)
        p_value, flips, effect = stats.mcnemar(table, method="exact").p_value, None, None
        below = stats.noninferiority(table, margin, confidence)
        above = stats.noninferiority(swapped, margin, confidence)
    else:
        interval = stats.clustered_difference(a, b, groups, confidence)
        p_value, flips, effect = interval.p_value, interval.sign_flip_p_value, interval.design_effect
        below = stats.clustered_noninferiority(a, b, groups, margin, confidence)
        above = stats.clustered_noninferiority(b, a, groups, margin, confidence)
    return Tests(
        difference=interval.difference,
        low=interval.low,
        high=interval.high,
        p_value=p_value,
        sign_flip_p_value=flips,
        design_effect=None if effect is None or isnan(effect) else effect,
        not_worse=OneSided(limit=below.low, p_value=below.p_value, shown=below.noninferior),
        matched=OneSided(limit=-above.low, p_value=above.p_value, shown=above.noninferior),
    )


def _needed(difference: Difference, n: int, options: Evaluate) -> Needed:
    """How many questions it would take, if the true difference and discordance were those observed; of questions of which none
    is discordant, one is taken to be."""
    observed, effect = difference["difference"], difference["design_effect"] or 1.0
    needed = Needed(difference=None, not_worse=None)
    if not n:
        return needed
    discordance = max(difference["only_a"] + difference["only_b"], 1) / n
    if observed and (difference["p_value"] >= 1 - options.confidence or difference["low"] <= 0 <= difference["high"]):
        needed["difference"] = stats.required_sample_size(
            discordance, observed, confidence=options.confidence, design_effect=effect
        )
    if observed > -options.margin and not difference["not_worse"]["shown"]:
        needed["not_worse"] = stats.required_sample_size(
            discordance, observed, options.margin, confidence=options.confidence, design_effect=effect
        )
    return needed


def groups_needed(questions: int, compared: Mapping[str, int]) -> int:
    """So many questions in groups of the size of those that were asked."""
    return ceil(questions * compared["groups"] / compared["n"])


def _is_correct(row: Prediction, truncated_is_correct: bool) -> int:
    return int(row["outcome"] == Outcome.CORRECT or (truncated_is_correct and row["outcome"] == Outcome.TRUNCATED))


def _label_difference(
    pair: tuple[Rows, Rows], task: Task, labels: Sequence[str], groups: list[str] | None, options: Evaluate
) -> Metric:
    """The difference of the macro F1 of the labels, a - b."""
    golds = [task.labels_of(row["gold"]) for row in pair[0]]
    if not golds:
        return {"estimate": 0.0, "low": -1.0, "high": 1.0}
    a, b = ([task.labels_of(row["answer"]) for row in rows] for rows in pair)
    estimate, low, high = stats.macro_f1_difference(golds, a, b, labels, options.confidence, groups)
    return {"estimate": estimate, "low": low, "high": high}
