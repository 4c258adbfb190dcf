"""The command `potstill`. Nothing heavy is imported until a command needs it."""

import errno
import sys
from typing import Annotated

import typer

from potstill import __version__, interrupt
from potstill.cli import (
    compare,
    export,
    judge,
    machine,
    measure,
    models,
    recipe,
    record,
    review,
    run,
    serve,
    store,
    student,
)
from potstill.errors import PotstillError

app = typer.Typer(no_args_is_help=True)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"potstill {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error was raised.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Distil a large language model into a small one, and prove whether it worked."""


for module in (run, judge, review, compare, export, student, serve, measure, record, recipe, machine):
    module.add_to(app)
app.add_typer(models.app, name="models")
app.add_typer(store.app, name="store")


def main() -> None:
    """Entry point: errors a user can cause are one message, exit code 2 for a bad recipe, 1 for a failed run."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        with interrupt.handle_signals():
            app()
    except Exception as error:
        if debug:
            raise
        from potstill.progress import printable

        print(printable(_in_words(error)), file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, PotstillError) else 1)


def _in_words(error: Exception) -> str:
    if isinstance(error, PotstillError):
        return str(error)
    if getattr(error, "errno", None) == errno.ENOSPC or "disk is full" in str(error) or "os error 28" in str(error):
        return f"The disk is full: {error}. Make room; progress is saved, rerun the same command to resume."
    if isinstance(error, OSError):
        return f"{error}. Progress is saved; rerun the same command to resume."
    return f"{type(error).__name__}: {error}. --debug shows where."
