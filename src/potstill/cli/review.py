"""The command that serves a review."""

from pathlib import Path
from typing import Annotated, Any

import typer

from potstill.cli.options import RUNS, Host, Port, RunName, Runs


def add_to(app: typer.Typer) -> None:
    app.command(name="review")(review)


def review(
    name: RunName,
    runs: Runs = RUNS,
    form: Annotated[str, typer.Option("--form", help="scores (default), pairwise or pass.")] = "",
    systems: Annotated[
        str, typer.Option("--systems", metavar="A,B", help="Whose answers; left out, all that have some.")
    ] = "",
    rubric: Annotated[
        str, typer.Option("--rubric", help="A shipped rubric or a file; left out, that of the task.")
    ] = "",
    questions: Annotated[
        int | None, typer.Option("--questions", help="Draw this many questions at random; 0 for all.")
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option("--overlap", help="Share of the questions that every reviewer labels; 1 where it is left out."),
    ] = None,
    attention: Annotated[int | None, typer.Option("--attention", help="Damaged answers that check attention.")] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help="Write the labels, then end: .parquet, .jsonl, .csv, or .json for Label Studio.",
        ),
    ] = None,
    browse: Annotated[bool, typer.Option("--browse", help="Show all rows of the run, without a review.")] = False,
    host: Host = "127.0.0.1",
    port: Port = 8321,
) -> None:
    """Label answers in the browser, or read all rows of a run."""
    from potstill.review import server
    from potstill.review.defaults import defaults
    from potstill.workspace.workspace import Workspace

    run = Workspace(runs).open(name)
    if export:
        from potstill.review.export import export as write

        print(f"{export}: {write(run, export):,} labels")
        return
    options: dict[str, Any] = {
        "form": form or None, "systems": systems or None, "rubric": rubric or None, "questions": questions, "overlap": overlap,
        "attention": attention,
    }  # fmt: skip
    given = {option: value for option, value in options.items() if value is not None}
    server.serve(run, None if browse else defaults(run, given), given, host, port)
