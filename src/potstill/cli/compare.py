"""The command that compares two runs."""

from typing import Annotated, Any

import typer

from potstill.cli.options import RUNS, AsJson, RunName, Runs, emit

MAX_LISTED = 5
"""Questions won and lost that are printed; --json prints all."""
MAX_CHARACTERS = 100
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
    emit(compared, as_json, lambda: _text(compared))


def _text(compared: dict[str, Any]) -> str:
    a, b = (f"{compared[name]['system']} of {compared[name]['run']}" for name in ("a", "b"))
    lines = [f"A is {a}, B is {b}."]
    left_out = {"only in A": "only_in_a", "only in B": "only_in_b", "with other gold in B": "other_gold"}
    if counts := [f"{compared[key]} {words}" for words, key in left_out.items() if compared[key]]:
        lines.append(f"Questions that are not compared: {', '.join(counts)}.")
    lines += [f"Note: {note}." for note in compared["notes"]]
    for split, values in compared["splits"].items():
        lines += ["", *_split_lines(split, values, compared["margin"], compared["confidence"])]
    return "\n".join(lines)


def _split_lines(split: str, values: dict[str, Any], margin: float, confidence: float) -> list[str]:
    n, correct = values["n"], values["correct"]
    groups = f" in {values['groups']} groups" if values["groups"] < n else ""
    excluded = f"; {values['excluded']} without an answer of both are left out" if values["excluded"] else ""
    lines = [
        f"{split}: {n} questions{groups}{excluded}. Correct: A {correct['a']}, B {correct['b']}; only A {values['only_a']}, "
        f"only B {values['only_b']}.",
        f"A minus B: {_points(values['difference'])} points, {confidence:.0%} interval {_points(values['low'])} to "
        f"{_points(values['high'])}, p = {values['p_value']:.2g}: {FINDINGS.get(values['finding'], values['finding'])}.",
        _margin_line(values["not_worse"], margin, confidence),
    ]
    for name, sign in (("won", "+"), ("lost", "-")):
        listed = values[name]
        lines += [f"  {sign} {_one_line(one)}" for one in listed[:MAX_LISTED]]
        if more := len(listed) - MAX_LISTED:
            lines += [f"  {sign} and {more} more; --json lists all"] if more > 0 else []
    return lines


def _margin_line(not_worse: dict[str, Any], margin: float, confidence: float) -> str:
    shown = "shown" if not_worse["shown"] else "not shown"
    limit = f"one-sided {confidence:.0%} limit {_points(not_worse['limit'])}"
    return f"A is not worse than B by {100 * margin:.3g} points or more: {shown} ({limit})."


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def _one_line(one: dict[str, Any]) -> str:
    question = " ".join(one["question"].split())
    answers = (one["gold"], one["a"]["answer"] or one["a"]["outcome"], one["b"]["answer"] or one["b"]["outcome"])
    gold, a, b = (_cut(" ".join(str(text).split()), 40) for text in answers)
    return f"{_cut(question, MAX_CHARACTERS)} Gold: {gold}. A: {a}. B: {b}."


def _cut(text: str, most: int) -> str:
    from potstill.progress import printable

    return printable(text if len(text) <= most else text[: most - 2] + " …")
