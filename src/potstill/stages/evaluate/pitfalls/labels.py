"""Answers that prefer a label, or the place of an option, and accuracies that one label alone would reach."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from potstill.recipe.systems import Role
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.pitfalls.evidence import ENOUGH, Evidence
from potstill.stages.evaluate.pitfalls.paired import Excess, adjusted, excess
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall, clipped
from potstill.stages.evaluate.summary import Evaluated

FAR = 0.1
"""A label that is answered more often than gold has it by at least this fraction of the answers counts as preferred."""
SHOWN = 3
"""Systems that a sentence names."""


@dataclass(frozen=True)
class _Preferred:
    system: str
    label: str
    answered: int
    gold: int
    n: int
    excess: Excess


def labels(evidence: Evidence) -> list[Pitfall]:
    """Label bias, or place bias where the labels are the places of options, and the majority class.

    Only for tasks whose answers are labels, with gold, and for systems with at least 30 answers that were told their labels. The
    answers and gold of the same questions are compared, label by label, so that a text without an answer counts for no label.
    """
    if not evidence.task.label_score or not evidence.decided:
        return []
    return [*_bias(evidence), *_majority(evidence)]


def _bias(evidence: Evidence) -> list[Pitfall]:
    """Labels that a system prefers: by at least `FAR`, with an interval above 0, and a p-value below 1 - confidence that is
    adjusted for all systems and labels (Benjamini and Hochberg)."""
    tested = [_excesses(evidence, one) for one in evidence.told]
    tests = sum(n for _, n in tested)
    candidates = [one for of, _ in tested for one in of]
    p_values = adjusted([one.excess.p_value for one in candidates], tests)
    level = 1 - evidence.options.confidence
    found = [one for one, p in zip(candidates, p_values, strict=True) if p < level and one.excess.low > 0]
    if not found:
        return []
    found.sort(key=lambda one: -one.excess.difference)
    places = evidence.task.labels_are_places
    what, name = ("the option at place", "position-bias") if places else ("the label", "label-bias")
    listed = "; ".join(_preference(one, what) for one in found[:SHOWN])
    advice = (
        "shuffle the options (task.shuffle), and look at answers_by_place"
        if places
        else "look at macro-F1 beside accuracy, and at the labels of the training rows"
    )
    return [
        Pitfall(
            name,
            f"{listed}{_more(len(found))}: {advice}.",
            {
                "tests": tests,
                "preferred": [
                    {"system": one.system, "label": clipped(one.label), "answered": one.answered, "gold": one.gold,
                     "n": one.n, **asdict(one.excess)}
                    for one in found
                ],
            },
        )
    ]  # fmt: skip


def _excesses(evidence: Evidence, one: Evaluated) -> tuple[list[_Preferred], int]:
    """The labels that a system answers more often than gold by at least `FAR`, and the number of labels."""
    task = evidence.task
    rows = [row for row in evidence.rows(one) if row["answer"] is not None]
    if len(rows) < ENOUGH:
        return [], 0
    answers, golds = ([task.labels_of(row[column]) for row in rows] for column in ("answer", "gold"))
    answered, gold = (Counter(label for of in each for label in of) for each in (answers, golds))
    found = [
        _Preferred(
            one.system.name,
            label,
            answered[label],
            gold[label],
            len(rows),
            excess(
                [label in of for of in answers],
                [label in of for of in golds],
                [row["group"] for row in rows],
                evidence.options.confidence,
            ),
        )
        for label in answered
        if answered[label] - gold[label] >= FAR * len(rows)
    ]
    return found, len({*answered, *gold})


def _preference(one: _Preferred, what: str) -> str:
    return (
        f"{one.system} answers {what} {clipped(one.label)!r} {one.answered} times in {one.n} answers, where gold has it {one.gold} times "
        f"({_points(one.excess)} points)"
    )


def _majority(evidence: Evidence) -> list[Pitfall]:
    """Student, teacher and other models that are not shown to be right more often than one label is: the interval of the paired
    difference does not lie above 0."""
    task, found = evidence.task, []
    for one in evidence.told:
        rows = evidence.rows(one)
        if one.system.role is Role.BASE or len(rows) < ENOUGH:
            continue
        golds = [task.labels_of(row["gold"]) for row in rows]
        common, n_common = Counter(golds).most_common(1)[0]
        correct = [row["outcome"] == Outcome.CORRECT for row in rows]
        always = [gold == common for gold in golds]
        difference = excess(correct, always, [row["group"] for row in rows], evidence.options.confidence)
        if difference.low <= 0:
            label = clipped(", ".join(sorted(common)) or "no label")
            found.append((one.system.name, sum(correct), label, n_common, len(rows), difference))
    if not found:
        return []
    name, right, label, n_common, n, difference = found[0]
    also = f" (the same holds for {_listed([of[0] for of in found[1:]])})" if len(found) > 1 else ""
    return [
        Pitfall(
            "majority-class",
            f"{name} answers {right} of {n} questions correctly, and always answering {label!r} would be right in {n_common}, so that it is "
            f"not shown to be better than that ({_points(difference)} points){also}: do not call this accuracy good.",
            {
                "not_better": [
                    {"system": of[0], "right": of[1], "label": of[2], "always": of[3], "n": of[4], **asdict(of[5])}
                    for of in found
                ]
            },
        )
    ]


def _points(found: Excess) -> str:
    return f"{100 * found.difference:+.0f} [{100 * found.low:+.0f}, {100 * found.high:+.0f}]"


def _more(n: int) -> str:
    return f"; and {n - SHOWN} more" if n > SHOWN else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
