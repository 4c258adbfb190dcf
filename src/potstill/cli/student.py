"""Commands about a finished student: what it lost outside its task, and which questions it may answer in the teacher's place."""

from enum import StrEnum
from typing import Annotated

import typer

from potstill.cli.conclusion import paragraphs
from potstill.cli.options import RUNS, AsJson, RunName, Runs, emit


class Signal(StrEnum):
    """Signals of `potstill.cascade.signals`."""

    MEAN = "mean"
    MINIMUM = "minimum"
    LAST_LINE = "last-line"
    AGREEMENT = "agreement"


def add_to(app: typer.Typer) -> None:
    app.command(name="regress")(regress)
    app.command(name="cascade")(cascade)


def regress(name: RunName, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Ask student and base general prompts, and say what fine-tuning cost outside the task."""
    from potstill.regress import words
    from potstill.regress.regress import regress as of
    from potstill.workspace.workspace import Workspace

    run = Workspace(runs).open(name)
    found = of(run)
    lines, notes = paragraphs(found)
    table = words.table(found["overall"], found["kinds"])
    emit(found, as_json, lambda: "\n".join([*lines, "", *table, "", *notes, _in_report(name)]))


def cascade(
    name: RunName,
    runs: Runs = RUNS,
    as_json: AsJson = False,
    signal: Annotated[
        list[Signal] | None,
        typer.Option(
            "--signal",
            help="How the student's certainty is measured; repeatable. Left out, all are tried but agreement.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=2, max=50, help="Answers that are drawn for the signal agreement.")
    ] = 5,
) -> None:
    """Choose when the student answers and when the teacher does, and prove that nothing is lost."""
    from potstill.cascade import words
    from potstill.cascade.cascade import cascade as of
    from potstill.cascade.signals import SIGNALS
    from potstill.pipeline import pipeline
    from potstill.workspace.workspace import Workspace

    run = Workspace(runs).open(name)
    pipeline.carry_out_only(run, "evaluate")
    found = of(run, [one.value for one in dict.fromkeys(signal)] if signal else tuple(SIGNALS), samples)
    lines, notes = paragraphs(found)
    emit(found, as_json, lambda: "\n".join([*lines, "", *words.table(found), "", *notes, _in_report(name)]))


def _in_report(name: str) -> str:
    return f"- The report shows this after: potstill report {name}"
