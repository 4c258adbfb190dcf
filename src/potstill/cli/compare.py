"""The command that compares two runs."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from potstill.cli.options import RUNS, AsJson, RunName, Runs, emit
from potstill.progress import printable

MAX_LISTED = 5
"""Questions won and lost that are printed; --json prints all."""
MAX_QUESTION, MAX_ANSWER = 100, 40
"""Characters of a question and of an answer that are printed."""
FINDINGS = {"better": "A is better", "worse": "A is worse", "equivalent": "A and B are equivalent within the margin"}


def add_to(app: typer.Typer) -> None:
    app.command(name="compare")(compare)


def compare(
    run_a: RunName,
    run_b: RunName,
    system: Annotated[str, typer.Option("--system", help="The first run's system.")] = "student",
    other_system: Annotated[
        str, typer.Option("--other-system", help="The second run's system; left out, the one of --system.")
    ] = "",
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Compare systems of two runs, question by question, over the test questions that both have."""
    from potstill.stages.evaluate.between_runs import compare_runs
    from potstill.workspace.workspace import Workspace

    workspace = Workspace(runs)
    compared = compare_runs(workspace.open(run_a), workspace.open(run_b), system, other_system or system)
    emit(compared, as_json, lambda: "\n".join(_lines(compared)))


def _lines(compared: Mapping[str, Any]) -> Iterator[str]:
    a, b = (f"{compared[name]['system']} of {compared[name]['run']}" for name in ("a", "b"))
    yield f"A is {a}, B is {b}."
    left_out = {"only in A": "only_in_a", "only in B": "only_in_b", "of these with other gold in B": "other_gold"}
    if counts := [f"{compared[key]} {words}" for words, key in left_out.items() if compared[key]]:
        yield f"Questions that are not compared: {', '.join(counts)}."
    for note in compared["notes"]:
        yield f"Note: {note}."
    for split, values in compared["splits"].items():
        yield ""
        if "scores" in values:
            yield from _described(split, values, compared["confidence"])
        else:
            yield from _of_split(split, values, 100 * compared["margin"], compared["confidence"])


def _described(split: str, values: Mapping[str, Any], confidence: float) -> Iterator[str]:
    excluded = f", {values['excluded']} without an answer of both left out" if values["excluded"] else ""
    yield f"{split}: {values['n']} questions{excluded}. No score says which answers are correct; these describe them:"
    parts = {"": values, " in answers of similar length": values["matched"] or {"scores": {}}}
    for where, part in parts.items():
        for name, one in part["scores"].items():
            yield (
                f"  {name}{where}: A minus B {one['estimate']:+.3g}, {confidence:.0%} interval {one['low']:+.3g} to {one['high']:+.3g}"
            )
    if not values["scores"]:
        yield "  no score has two independent groups of questions"


def _of_split(split: str, values: Mapping[str, Any], margin: float, confidence: float) -> Iterator[str]:
    groups = f" in {values['groups']} groups" if values["clustered"] else ""
    excluded = f", {values['excluded']} without an answer of both left out" if values["excluded"] else ""
    correct = values["correct"]
    yield (
        f"{split}: {values['n']} questions{groups}{excluded}. Correct: A {correct['a']}, B {correct['b']}; only A "
        f"{values['only_a']}, only B {values['only_b']}."
    )
    yield (
        f"A minus B: {_points(values['difference'])} points, {confidence:.0%} interval {_points(values['low'])} to "
        f"{_points(values['high'])}, p = {values['p_value']:.2g}: {FINDINGS.get(values['finding'], values['finding'])}."
    )
    if bounds := values["bounds"]:
        low, high = (_points(bounds[end]["difference"]) for end in ("lower", "upper"))
        yield f"Truncated answers count as incorrect; had they been finished, the difference would be {low} to {high} points."
    below, needed = values["not_worse"], values["needed"]["not_worse"]
    more = f"; it would take about {needed} questions" if needed and not below["shown"] else ""
    yield (
        f"A is not worse than B by {margin:.3g} points or more: {'shown' if below['shown'] else 'not shown'} (one-sided "
        f"{confidence:.0%} limit {_points(below['limit'])}){more}."
    )
    for sign, name in (("+", "won"), ("-", "lost")):
        for one in values[name][:MAX_LISTED]:
            yield f"  {sign} {_one(one)}"
        if (left := len(values[name]) - MAX_LISTED) > 0:
            yield f"  {sign} and {left} more; --json lists all"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def _one(question: Mapping[str, Any]) -> str:
    gold, a, b = (
        _cut(text, MAX_ANSWER)
        for text in (question["gold"], *(question[name]["answer"] or question[name]["outcome"] for name in ("a", "b")))
    )
    return f"{_cut(question['question'], MAX_QUESTION)} Gold: {gold}. A: {a}. B: {b}."


def _cut(text: str, most: int) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 2] + " …"
