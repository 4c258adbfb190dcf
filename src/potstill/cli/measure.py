"""The command that measures student and teacher on servers."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from potstill.cli.conclusion import paragraphs
from potstill.cli.options import RUNS, AsJson, RunName, Runs, emit
from potstill.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from potstill.measure.measuring import Planned
    from potstill.measure.result import Measured
    from potstill.workspace.run import Run


def add_to(app: typer.Typer) -> None:
    app.command(name="measure")(measure)


def measure(
    name: RunName,
    runs: Runs = RUNS,
    as_json: AsJson = False,
    form: Annotated[
        str,
        typer.Option(
            "--form",
            help="Form of local weights: gguf-f16, gguf-q8_0, gguf-q4_0 or vllm; left out, what the machine has.",
        ),
    ] = "",
    concurrency: Annotated[
        str, typer.Option("--concurrency", metavar="N,N", help="Requests in flight, one phase for each.")
    ] = "1,4,16",
    questions: Annotated[int, typer.Option("--questions", min=2, help="Test questions of each phase, at least.")] = 30,
    machine_price: Annotated[
        float | None, typer.Option("--machine-price", min=0, help="US dollars for an hour of this machine.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, help="US dollars that endpoints may cost.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be asked and what it would cost; ask nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask endpoints that cost money without a question first.")] = False,
) -> None:
    """Measure how fast student and teacher are on servers, what they cost, and when the run has paid for itself."""
    from potstill.measure import measuring
    from potstill.serve.engine import default_form
    from potstill.workspace.workspace import Workspace

    run = Workspace(runs).open(name)
    options = measuring.Options(form or default_form(), _numbers(concurrency), questions, machine_price, max_cost)
    asked = measuring.prepare(run, options)
    placed = measuring.placing(run, options.form)
    planned = measuring.plan(run, options, asked, placed)
    if plan:
        emit([vars(one) for one in planned], as_json, lambda: "\n".join(map(_line, planned)))
        return
    _confirm(planned, yes)
    measured = measuring.measure(run, options, asked, placed)
    report = _report(run)
    emit(
        measured | {"report": report},
        as_json,
        lambda: "\n".join([findings(measured), *([f"\nReport: {report}"] if report else [])]),
    )


def _report(run: "Run") -> str:
    """Show the measurement in the run's report; its path, or nothing where the report cannot be written now."""
    from potstill.errors import PotstillError
    from potstill.pipeline import pipeline
    from potstill.progress import echo

    try:
        pipeline.carry_out_only(run, "report")
    except PotstillError as error:
        echo(f"The report does not show it yet: {error}")
        return ""
    return str(run.report_path)


def findings(measured: "Measured") -> str:
    """The lines of claim (c), a table, and notes."""
    from potstill.measure import words

    lines, notes = paragraphs(measured["verdict"])
    return "\n".join([*lines, "", *words.table(measured), "", *notes])


def _numbers(text: str) -> tuple[int, ...]:
    """Numbers of a list, ascending. Raises `RecipeError`."""
    try:
        numbers = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 1 or numbers[-1] > MOST_AT_ONCE:
        raise RecipeError(f"--concurrency {text}: give numbers from 1 to {MOST_AT_ONCE}, as in 1,4,16.")
    return numbers


MOST_AT_ONCE = 1024


def _line(one: "Planned") -> str:
    cost = "" if one.cost is None else f", about ${one.cost:,.4f}"
    return f"{one.system} ({one.where}): {one.requests:,} requests{cost}"


def _confirm(planned: "Sequence[Planned]", yes: bool) -> None:
    """Say what endpoints will cost before anything is paid. Raises `RecipeError` where nobody can agree, `Abort` where somebody does not."""
    cost = sum(one.cost or 0.0 for one in planned)
    if not cost:
        return
    print("\n".join(_line(one) for one in planned if one.cost), file=sys.stderr)
    if yes:
        return
    if not sys.stdin.isatty():
        raise RecipeError(
            f"This would cost about ${cost:,.4f}. Agree with --yes; --max-cost limits it, --plan only says it."
        )
    typer.confirm("Ask them?", abort=True, err=True)
