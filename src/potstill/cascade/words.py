"""What cascade.json shows, in words."""

from collections.abc import Iterator
from math import exp
from typing import Any

from potstill.cascade.result import Cascade, Confirmed, Curve, Measured, Point
from potstill.cascade.signals import AGREEMENT, IN_WORDS
from potstill.stages.evaluate.verdict import WHERE, interval

ROWS = 14
"""Rows of the table, at most."""


def lines(found: Cascade) -> list[str]:
    """At most three lines: the decision, and what it is on the validation and test questions."""
    margin = f"{100 * found['margin']:.3g} points"
    match found["state"]:
        case "no threshold":
            first = f"NO CASCADE: no threshold is shown to be not worse than {found['teacher']} by {margin}{_suffice(found['needed'])}."
        case "not confirmed":
            failed = [split for split, one in found["splits"].items() if not one["point"]["holds"]]
            first = f"NOT CONFIRMED: a threshold holds on validation questions, and is not confirmed on {' and '.join(failed) or 'test questions, of which none has gold'}."
        case _:
            first = f"CASCADE: where the student is sure it answers, {found['teacher']} elsewhere, shown to be not worse than {found['teacher']} alone by {margin}."
    return [first, _validation(found), *([_confirmation(found)] if found["splits"] else [])]


def notes(found: Cascade) -> list[str]:
    """What the numbers rest on."""
    signals = ", ".join(IN_WORDS[one["signal"]] for one in found["curves"])
    listed = [
        f"Signals: {signals}. Thresholds are tested from the strictest on until one does not hold (fixed-sequence testing), at {100 * found['confidence']:.3g} %, "
        f"one-sided, divided by the number of signals ({len(found['curves'])}).",
        "An answer that was cut, is empty or repeats itself is escalated. The student answers every question first, so that its tokens are added to those of the teacher.",
    ]
    if found["splits"]:
        looks = max(one["looks_before"] for one in found["splits"].values())
        listed.append("The test questions were looked at for this threshold alone." if not looks else
                      f"These test questions were looked at before for {looks} other threshold{'s' if looks > 1 else ''}, which makes the confirmation weaker.")  # fmt: skip
    return listed


def table(found: Cascade) -> list[str]:
    """Share escalated, quality and cost of the chosen signal, or of the first, by threshold, on validation questions."""
    curve = shown_curve(found)
    validation = found["validation"]
    priced = validation["teacher"]["cost"]["dollars_per_1000"] is not None
    rows = [
        [
            f"{curve['signal']}, at least",
            "escalated, %",
            "correct, %",
            "minus teacher",
            "at worst",
            "holds",
            "teacher's tokens per question",
        ]
    ]
    rows[0] += ["$ per 1,000"] if priced else []
    for one, holds in _distinct(curve):
        probability = "" if curve["signal"] == AGREEMENT else f" (p {exp(one['threshold']):.2f})"
        rows.append([f"{one['threshold']:.3f}{probability}", *_cells(one, holds, priced)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]  # fmt: skip


def shown_curve(found: Cascade) -> Curve:
    """The curve of the chosen signal; where none is chosen, of the one that comes furthest."""
    if chosen := found["chosen"]:
        return next(one for one in found["curves"] if one["signal"] == chosen["signal"])
    return max(found["curves"], key=lambda one: one["rejected"])


def _distinct(curve: Curve) -> Iterator[tuple[Point, bool]]:
    """Points with different shares, at most `ROWS` of them evenly chosen, with the last that holds; and whether each one holds with all
    before it."""
    last: dict[float, int] = {one["escalated"]["estimate"]: i for i, one in enumerate(curve["points"])}
    indices = sorted(last.values())
    step = max(1, -(-len(indices) // ROWS))
    kept = set(indices[::step]) | {indices[-1]} | ({curve["rejected"] - 1} if curve["rejected"] else set())
    for i in sorted(kept):
        yield curve["points"][i], i < curve["rejected"]


def _cells(one: Point, holds: bool, priced: bool) -> list[str]:
    cost = one["cost"]
    dollars = cost["dollars_per_1000"]
    return [
        interval(one["escalated"]),
        interval(one["accuracy"]),
        f"{100 * one['difference']:+.1f}",
        f"{100 * one['limit']:+.1f}",
        "yes" if holds else "not shown",
        _number(cost["teacher_tokens"], 0),
        *([_number(dollars, 2)] if priced and dollars else []),
    ]


def _number(metric: Any, digits: int) -> str:
    return f"{metric['estimate']:.{digits}f} [{metric['low']:.{digits}f}, {metric['high']:.{digits}f}]"


def _validation(found: Cascade) -> str:
    of = found["validation"]
    text = f"On {_size(of)} for validation the student answers {_share(of['student'])} correctly, {found['teacher']} {_share(of['teacher'])}."
    if not (chosen := found["chosen"]):
        return text
    curve = shown_curve(found)
    one = curve["points"][curve["rejected"] - 1]
    return (
        f"{text} With a {IN_WORDS[chosen['signal']]} of at least {chosen['threshold']:.3f} the student keeps {100 * (1 - one['escalated']['estimate']):.0f}%: "
        f"{_share(one)} correct, {100 * one['difference']:+.1f} points (at worst {100 * one['limit']:+.1f})."
    )


def _confirmation(found: Cascade) -> str:
    return " ".join(_on_test(split, of, found) for split, of in found["splits"].items())


def _on_test(split: str, of: Confirmed, found: Cascade) -> str:
    one = of["point"]
    shown = "confirmed" if one["holds"] else f"not confirmed{_suffice(of['needed'])}"
    return (
        f"{WHERE[split]} ({split}, {_size(of)}) it escalates {interval(one['escalated'])}% and answers {_share(one)} correctly, "
        f"{found['teacher']} {_share(of['teacher'])}: {100 * one['difference']:+.1f} points (at worst {100 * one['limit']:+.1f}): {shown}."
    )


def _suffice(needed: int | None) -> str:
    return f"; about {needed:,} questions would suffice if the difference is as observed" if needed else ""


def _size(of: Measured) -> str:
    return f"{of['n']:,} questions" + (f" in {of['groups']:,} groups" if of["groups"] < of["n"] else "")


def _share(of: Any) -> str:
    return f"{100 * of['accuracy']['estimate']:.0f}%"
