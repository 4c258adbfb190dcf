"""Commands about the store of completions."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from potstill.cli.options import RUNS, AsJson, Runs, emit
from potstill.errors import PotstillError

if TYPE_CHECKING:
    from potstill.models.store.admin import ModelUsage

app = typer.Typer(help="The file that holds every completion.", no_args_is_help=True)
MAX_FAULTS_SHOWN = 20
SECONDS_PER_DAY = 86_400
StoreFile = Annotated[
    Path | None, typer.Option("--store", help="The store's file; left out: POTSTILL_STORE, or the one of the runs.")
]


def _path(file: Path | None, runs: Path) -> Path:
    from potstill.workspace.workspace import Workspace

    return file or Workspace(runs).store_path


@app.command()
def stats(runs: Runs = RUNS, store: StoreFile = None, as_json: AsJson = False) -> None:
    """Count the completions of each model, their tokens and cost, and the failures."""
    from potstill.models.store import admin

    usage = admin.stats(_path(store, runs))
    emit(
        [asdict(of_model) for of_model in usage],
        as_json,
        lambda: "\n".join(map(_usage_line, usage)) or "The store is empty.",
    )


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A new file, .jsonl or .jsonl.gz.")],
    runs: Runs = RUNS,
    store: StoreFile = None,
) -> None:
    """Write every completion, and the fields that servers do not take, as JSON lines; of a corrupt store, what is intact."""
    from potstill.models.store import admin

    written, lost = admin.export(_path(store, runs), file)
    print(f"{file}: {written:,} completions" + (f"; up to {lost:,} could not be read" if lost else ""))
    if lost and not written:
        raise PotstillError("Nothing could be recovered.")


@app.command(name="import")
def import_completions(
    file: Annotated[Path, typer.Argument(help="A file that `potstill store export` wrote.")],
    runs: Runs = RUNS,
    store: StoreFile = None,
) -> None:
    """Add the completions of an exported file."""
    from potstill.models.store import admin
    from potstill.models.store.store import Store

    added, known = admin.import_(Store(_path(store, runs)), file)
    print(f"{added:,} completions added, {known:,} were there already")


@app.command()
def prune(
    model: Annotated[str | None, typer.Option(help="Only of this model, by its name in `stats`.")] = None,
    days: Annotated[float | None, typer.Option(help="Only those older than this number of days.", min=0)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really remove them.")] = False,
    runs: Runs = RUNS,
    store: StoreFile = None,
) -> None:
    """Remove completions, which were paid for; without --yes they are only counted."""
    import time

    from potstill.models.store import admin

    before = None if days is None else time.time() - days * SECONDS_PER_DAY
    n = admin.prune(admin.open_existing(_path(store, runs)), model, before, delete=yes)
    print(f"{n:,} completions removed" if yes else f"{n:,} completions would be removed; --yes removes them")


@app.command()
def verify(runs: Runs = RUNS, store: StoreFile = None) -> None:
    """Check the store for corruption, and change nothing."""
    from potstill.models.store import admin

    path = _path(store, runs)
    faults = admin.verify(path)
    for fault in faults[:MAX_FAULTS_SHOWN]:
        print(fault)
    if faults:
        raise PotstillError(
            f"{path} is corrupt. `potstill store export FILE` recovers what is intact; then move the store away and "
            "`potstill store import FILE`."
        )
    print(f"{path}: intact")


def _usage_line(usage: "ModelUsage") -> str:
    failures = "".join(f", {n} {kind}" for kind, n in usage.failures.items())
    return (
        f"{usage.model}: {usage.completions:,} completions, {usage.prompt_tokens:,} prompt tokens, "
        f"{usage.completion_tokens:,} completion tokens, ${usage.cost:,.4f}{failures}"
    )
