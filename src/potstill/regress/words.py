"""What regressed.json shows, in words."""

from collections.abc import Iterator, Mapping

from potstill.regress.result import Compared, Likelihood, Share
from potstill.stages.evaluate.verdict import interval, points

SHOWN = {"better": "better", "worse": "worse", "equivalent": "differs by less than the margin"}
NOTHING = "no difference shown"


def lines(
    overall: Compared,
    kinds: Mapping[str, Compared],
    failed: Share,
    in_form: Share | None,
    likelihood: Likelihood | None,
    margin: float,
    task: str,
) -> list[str]:
    """At most three lines: all prompts, the kinds, and the form of the answers."""
    return [_overall(overall, margin), _kinds(kinds), _form(failed, in_form, likelihood, task)]


def shown(one: Compared) -> str:
    """The finding; never that two systems are equal."""
    return SHOWN.get(one["finding"], NOTHING)


def notes(overall: Compared, confidence: float) -> list[str]:
    """What the numbers rest on."""
    return [
        f"Student and base get the same {overall['n']} prompts without examples, and answer greedily in this process.",
        f"Prompts that resemble each other count as one observation ({overall['groups']} groups); intervals are at {100 * confidence:.3g} %, the p-values of kinds "
        "corrected for their number (Holm).",
        "The checks are rules, no judge: they miss a correct answer in an unexpected form, of both models alike.",
    ]


def table(overall: Compared, kinds: Mapping[str, Compared]) -> list[str]:
    """A row for each kind, and one for all prompts."""
    rows = [["answered as asked, %", "prompts", "student", "base", "difference", "", "prompts needed"]]
    rows += [_row(one) for one in [*kinds.values(), overall]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(one: Compared) -> list[str]:
    needed = one["needed"]["difference"]
    return [
        one["title"],
        str(one["n"]),
        interval(one["student"]),
        interval(one["base"]),
        points(one),
        shown(one),
        f"{needed:,}" if needed and shown(one) == NOTHING else "",
    ]


def _overall(one: Compared, margin: float) -> str:
    student, base = (100 * one["student"]["estimate"], 100 * one["base"]["estimate"])
    found = (
        f"Of {one['n']} general prompts outside its task the student answers {student:.0f}% as asked, the base {base:.0f}%: "
        f"{points(one)} points: {shown(one)}"
    )
    if one["finding"] in SHOWN:
        return f"{found}."
    return f"{found}{''.join(_needed(one, margin))}."


def _needed(one: Compared, margin: float) -> Iterator[str]:
    """How many prompts it would take, if this difference is the true one."""
    needed = one["needed"]
    if needed["difference"]:
        yield f"; about {needed['difference']:,} prompts would show a difference of this size"
    if not one["not_worse"]["shown"]:
        yield f"; that it is not worse by {100 * margin:.3g} points is not shown either (at worst {100 * one['not_worse']['limit']:+.0f}"
        yield f"; about {needed['not_worse']:,} prompts would show it)" if needed["not_worse"] else ")"


def _kinds(kinds: Mapping[str, Compared]) -> str:
    parts = []
    for finding in ("worse", "better"):
        if found := [one for one in kinds.values() if one["finding"] == finding]:
            listed = ", ".join(f"{one['title']} ({100 * one['difference']:+.0f})" for one in found)
            parts.append(f"{finding.capitalize()}: {listed}.")
    if left := [one for one in kinds.values() if one["finding"] not in SHOWN]:
        parts.append(f"No difference is shown for {len(left)} of {len(kinds)} kinds, which is not equality.")
    return " ".join(parts)


def _form(failed: Share, in_form: Share | None, likelihood: Likelihood | None, task: str) -> str:
    text = f"Empty, looping or truncated: {_both(failed)}."
    if in_form:
        text += f" In the form of the task {task} though not asked for it: {_both(in_form)} of {in_form['n']}."
    if likelihood:
        found = likelihood["difference"]
        text += (
            f" Log-probability of a token of {likelihood['texts']} general texts: {found['estimate']:+.2f} [{found['low']:+.2f}, "
            f"{found['high']:+.2f}] nats."
        )
    return text


def _both(share: Share) -> str:
    return f"student {100 * share['student']['estimate']:.0f}%, base {100 * share['base']['estimate']:.0f}% ({points(share)} points)"
