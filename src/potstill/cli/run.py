"""Commands that carry out a recipe, and those about runs."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from potstill.cli.conclusion import conclusion
from potstill.cli.judge import judgements
from potstill.cli.options import RUNS, AsJson, RecipeName, RunName, Runs, emit


class Format(StrEnum):
    """The tools whose viewers read an export."""

    LM_EVAL = "lm-eval"
    INSPECT = "inspect"


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
    judged = done.judged
    by_judges = f"\n\n{judgements(judged)}" if judged else ""
    emit(
        done.evaluation | ({"judged": judged} if judged else {}) | {"report": str(done.report_path)},
        as_json,
        lambda: f"\n{conclusion(done.evaluation)}{by_judges}\n\nReport: {done.report_path}",
    )


def generate(recipe: RecipeName, runs: Runs = RUNS) -> None:
    """Carry out a recipe up to the teacher's answers: make the examples, ask the teacher."""
    _up_to(recipe, runs, "generate")


def curate(recipe: RecipeName, runs: Runs = RUNS) -> None:
    """Carry out a recipe up to the training data: label and filter the teacher's answers."""
    _up_to(recipe, runs, "curate")


def train(
    recipe: RecipeName,
    runs: Runs = RUNS,
    nproc: Annotated[
        int | None,
        typer.Option("--nproc", min=1, help="Processes that share each step, one for each GPU; see train.processes."),
    ] = None,
) -> None:
    """Carry out a recipe up to the fine-tuned student."""
    from potstill.pipeline import pipeline

    started = pipeline.start(recipe, runs)
    pipeline.carry_out(pipeline.in_processes(started, nproc) if nproc else started, "train")


def evaluate(
    name: RunName,
    runs: Runs = RUNS,
    as_json: AsJson = False,
    predictions: Annotated[
        list[str] | None,
        typer.Option(
            "--predictions", metavar="[NAME=]FILE", help="Add answers made elsewhere as a system; repeatable."
        ),
    ] = None,
    export: Annotated[
        Format | None, typer.Option("--export", help="Write what the viewers of another tool read.")
    ] = None,
) -> None:
    """Evaluate all systems on the test set."""
    from potstill.pipeline import pipeline
    from potstill.workspace.workspace import Workspace

    opened = Workspace(runs).open(name)
    if predictions:
        from potstill.pipeline.added import add_predictions

        opened = add_predictions(opened, predictions)
    pipeline.carry_out_only(opened, "evaluate")
    folder = ""
    if export:
        from potstill.stages.interop.write import export as write

        folder = str(write(opened, export.value))
    exported = {"export": folder} if folder else {}
    emit(
        opened.evaluation | exported,
        as_json,
        lambda: conclusion(opened.evaluation) + (f"\n\nExport: {folder}" if folder else ""),
    )


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
    lines = ["\n  ".join(filter(None, [f"{one.name}: {one.state}", one.verdict, one.judged])) for one in summaries]
    none = f"No runs in {runs}/. Make one: potstill run quickstart"
    emit([asdict(one) for one in summaries], as_json, lambda: "\n".join(lines) or none)


def _up_to(recipe: str, runs: Path, last: str) -> None:
    from potstill.pipeline import pipeline

    pipeline.carry_out(pipeline.start(recipe, runs), last)


def _plan_line(plan: Any) -> str:
    if plan.may_be_stale:
        return f"{plan.stage}: may run {plan.reason}"
    return f"{plan.stage}: will run: {plan.reason}" if plan.stale else f"{plan.stage}: up to date"
