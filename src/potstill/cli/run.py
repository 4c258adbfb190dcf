"""Commands that carry out a recipe, and those about runs."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from potstill.cli.options import RUNS, AsJson, RecipeName, RunName, Runs, emit


def add_to(app: typer.Typer) -> None:
    for command in (run, generate, curate, train, evaluate, report):
        app.command()(command)
    app.command(name="runs")(list_runs)


def run(
    recipe: RecipeName,
    runs: Runs = RUNS,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which stages would run, and why.")] = False,
) -> None:
    """Carry out a recipe: every stage that is out of date, then the verdict."""
    from potstill.pipeline import pipeline

    if dry_run:
        plans = pipeline.plan(pipeline.start(recipe, runs))
        emit([asdict(plan) for plan in plans], as_json, lambda: "\n".join(map(_plan_line, plans)))
        return
    done = pipeline.run(recipe, runs)
    emit(
        done.evaluation | {"report": str(done.report_path)},
        as_json,
        lambda: (
            f"\n{_table(done.evaluation)}\n{_pitfalls(done.evaluation)}\n{done.evaluation['verdict']}\n\nReport: {done.report_path}"
        ),
    )


def generate(recipe: RecipeName, runs: Runs = RUNS) -> None:
    """Carry out a recipe up to the teacher's answers: make the examples, ask the teacher."""
    _up_to(recipe, runs, "generate")


def curate(recipe: RecipeName, runs: Runs = RUNS) -> None:
    """Carry out a recipe up to the training data: label and filter the teacher's answers."""
    _up_to(recipe, runs, "curate")


def train(recipe: RecipeName, runs: Runs = RUNS) -> None:
    """Carry out a recipe up to the fine-tuned student."""
    _up_to(recipe, runs, "train")


def evaluate(name: RunName, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Evaluate all systems on the test set."""
    from potstill.pipeline import pipeline
    from potstill.workspace.workspace import Workspace

    opened = Workspace(runs).open(name)
    pipeline.carry_out_only(opened, "evaluate")
    emit(opened.evaluation, as_json, lambda: f"{_pitfalls(opened.evaluation)}{opened.evaluation['verdict']}")


def report(name: RunName, runs: Runs = RUNS) -> None:
    """Write the report of a run."""
    from potstill.pipeline import pipeline
    from potstill.workspace.workspace import Workspace

    opened = Workspace(runs).open(name)
    pipeline.carry_out_only(opened, "report")
    print(f"Report: {opened.report_path}")


def list_runs(runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """List the runs with their state and verdict."""
    from potstill.workspace.workspace import Workspace

    summaries = list(Workspace(runs).summaries())
    lines = [f"{one.name}: {one.state}" + (f"\n  {one.verdict}" if one.verdict else "") for one in summaries]
    none = f"No runs in {runs}/. Make one: potstill run quickstart"
    emit([asdict(one) for one in summaries], as_json, lambda: "\n".join(lines) or none)


def _up_to(recipe: str, runs: Path, last: str) -> None:
    from potstill.pipeline import pipeline

    pipeline.carry_out(pipeline.start(recipe, runs), last)


def _plan_line(plan: Any) -> str:
    if plan.may_be_stale:
        return f"{plan.stage}: may run {plan.reason}"
    return f"{plan.stage}: will run: {plan.reason}" if plan.stale else f"{plan.stage}: up to date"


def _pitfalls(evaluation: dict[str, Any]) -> str:
    """The names of the pitfalls in a line of their own; empty where there is none."""
    from potstill.stages.evaluate.pitfalls.pitfall import in_a_line

    line = in_a_line(evaluation["splits"])
    return f"{line}\n" if line else ""


def _table(evaluation: dict[str, Any]) -> str:
    """The accuracy of each system on each test split, in lines; the number of answers where nothing decides."""
    from potstill.stages.evaluate.verdict import interval

    splits = evaluation["splits"]
    known = all(values["decided"] for values in splits.values())

    def cell(system: dict[str, Any]) -> str:
        return interval(system["metrics"]["accuracy"]) if known else str(system["outcomes"].get("answered", 0))

    header = [f"{split} ({next(iter(values['systems'].values()))['n']})" for split, values in splits.items()]
    rows = [["correct, %" if known else "answered", *header]]
    for name in next(iter(splits.values()))["systems"]:
        rows.append([name, *(cell(values["systems"][name]) for values in splits.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
