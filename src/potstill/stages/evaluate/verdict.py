"""The verdict: what the comparisons show, in at most three lines of plain English, and notes on what they rest on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from potstill.recipe.systems import STUDENT, Role
from potstill.stages.evaluate.compare import groups_needed
from potstill.stages.evaluate.decision import against, decide, spoken_of, why_not
from potstill.stages.evaluate.notes import notes
from potstill.stages.evaluate.result import About, Comparison, Decision, Description, Metric, Split, Verdict
from potstill.stages.evaluate.ruling import overall, reason

WHERE = {
    "test_unseen": "On questions of a kind never trained on",
    "test": "On new questions of the kind trained on",
}


def verdict(splits: Mapping[str, Split], about: About) -> Verdict:
    """The decision with its reason, then a line for each split, unseen templates first."""
    decisions = {split: decide(values) for split, values in splits.items()}
    decision = overall(decisions)
    decisive = [values for split, values in splits.items() if decisions[split] == decision]
    return Verdict(
        decision=decision,
        splits=decisions,
        lines=[_headline(decision, decisive[0]), *(of_split(split, values) for split, values in splits.items())],
        notes=list(notes(splits, about)),
    )


def of_split(split: str, values: Split) -> str:
    """What one split shows, in one line."""
    systems = values["systems"]
    if STUDENT not in systems:
        return f"{WHERE[split]} ({split}) the student was not evaluated."
    if not values["decided"]:
        return _described(split, values)
    share = _percent(systems[STUDENT]["metrics"][values["measure"]])
    correct = (
        f"answers {share} correctly" if values["measure"] == "accuracy" else f"is judged right {share} of the time"
    )
    text = f"{WHERE[split]} ({split}, {_size(values)}) the student {correct}."
    return " ".join([text, *(_against(c, values) for c in spoken_of(values))])


def points(difference: Mapping[str, Any]) -> str:
    """A difference with its interval, in percentage points."""
    return f"{difference['difference'] * 100:+.0f} [{difference['low'] * 100:+.0f}, {difference['high'] * 100:+.0f}]"


def interval(metric: Mapping[str, Any]) -> str:
    """A fraction with its interval, in percent."""
    return f"{100 * metric['estimate']:.0f} [{100 * metric['low']:.0f}, {100 * metric['high']:.0f}]"


def score(metric: Mapping[str, Any]) -> str:
    """A mean score, or a difference of two, with its interval."""
    return f"{metric['estimate']:.3g} [{metric['low']:.3g}, {metric['high']:.3g}]"


def _headline(decision: Decision, values: Split) -> str:
    """The decision and its reason; ``values`` are those of a split that has it."""
    if decision == "undecided":
        return f"UNDECIDED: {_why_undecided(values)}."
    margin = f"{100 * values['margin']:.3g} points"
    why = reason(decision, against(values), values["confidence"], margin, _size(values))
    return f"{decision.upper()}: {why}."


def _why_undecided(values: Split) -> str:
    if STUDENT not in values["systems"]:
        return "the student was not evaluated"
    if not values["decided"]:
        return "no score says which answers are correct"
    reasons = [reason for role in (Role.BASE, Role.TEACHER) if (reason := why_not(values, role))]
    roles = {system["role"] for system in values["systems"].values()}
    reasons += [f"the {role} was not evaluated" for role in (Role.BASE, Role.TEACHER) if role not in roles]
    return "; ".join(reasons)


def _against(comparison: Comparison, values: Split) -> str:
    """Two statements about another system: the difference, and unless it is cheaper, whether the student is not worse by the margin."""
    share = _percent(values["systems"][comparison["b"]]["metrics"][values["measure"]])
    text = f"Against {comparison['b']} ({share}) {points(comparison)} points{_truncated(comparison)}: {comparison['finding']}"
    if not comparison["cheaper"]:
        return f"{text}; {_not_worse(comparison, values['margin'])}."
    needed = comparison["needed"]["difference"]
    return f"{text} (about {_questions(needed, comparison)} would show it)." if needed else f"{text}."


def _truncated(comparison: Comparison) -> str:
    """The range of the difference where truncated answers leave open what is found."""
    if not (bounds := comparison["bounds"]) or comparison["finding"] in ("better", "worse"):
        return ""
    low, high = (100 * bounds[end]["difference"] for end in ("lower", "upper"))
    return f" ({low:+.0f} to {high:+.0f} had truncated answers been finished)"


def _not_worse(comparison: Comparison, margin: float) -> str:
    """Non-inferiority at the margin, in words; at worst: where the truncated answers of the student were incorrect."""
    test = (comparison["bounds"]["lower"] if comparison["bounds"] else comparison)["not_worse"]
    worst = f"at worst {100 * test['limit']:+.0f}"
    if comparison["not_worse"]["shown"]:
        return f"not worse by {100 * margin:.3g} points ({worst})"
    needed = comparison["needed"]["not_worse"]
    more = (
        f"; about {_questions(needed, comparison)} would show it if this difference is the true one" if needed else ""
    )
    return f"not worse by {100 * margin:.3g} points is not shown ({worst}{more})"


def _questions(needed: int, comparison: Comparison) -> str:
    if not comparison["clustered"]:
        return f"{_rounded(needed)} questions"
    return f"{_rounded(needed)} questions in {_rounded(groups_needed(needed, cast(Any, comparison)))} groups"


def _rounded(n: int) -> str:
    """Two digits of a number that is an estimate, rounded up."""
    unit = 10 ** max(len(str(n)) - 2, 0)
    return f"{-(-n // unit) * unit:,}"


def _size(values: Split) -> str:
    n, groups = values["n"], values["groups"]
    questions = f"{n:,} question{'s' if n != 1 else ''}"
    return questions if groups == n else f"{questions} in {groups:,} group{'s' if groups != 1 else ''}"


def _percent(metric: Metric) -> str:
    return f"{100 * metric['estimate']:.0f}%"


def _described(split: str, values: Split) -> str:
    """What can be said of a split where nothing decides."""
    text = f"{WHERE[split]} ({split}, {_size(values)}) the scores are descriptive only."
    return " ".join([text, *_differences(cast(Sequence[Description], values["comparisons"]))])


def _differences(comparisons: Sequence[Description]) -> Iterator[str]:
    for comparison in comparisons:
        parts = [f"{name} {score(difference)}" for name, difference in comparison["scores"].items()]
        if "agreement" in comparison:
            parts.insert(0, f"the same answer to {interval(comparison['agreement'])} % of the questions")
        if parts:
            yield f"Student minus {comparison['b']}: {', '.join(parts)}."
