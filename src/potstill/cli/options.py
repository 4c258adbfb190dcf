"""Arguments and options that several commands share, and how results are printed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

BUILT_IN = Path(__file__).parents[1] / "recipe" / "builtin"


def _recipes(typed: str) -> list[str]:
    built_in = [path.stem for path in BUILT_IN.glob("*.yaml")]
    return [name for name in [*built_in, *map(str, Path().glob("*.yaml"))] if name.startswith(typed)]


def _runs(typed: str) -> list[str]:
    return [path.parent.name for path in Path("runs").glob("*/recipe.yaml") if path.parent.name.startswith(typed)]


RecipeName = Annotated[
    str,
    typer.Argument(metavar="RECIPE", help="A recipe's file, or the name of a built-in one.", autocompletion=_recipes),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.", autocompletion=_runs)]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of the runs.")]
Host = Annotated[str, typer.Option("--host", help="Address to listen at.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen at; 0 for a free one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RUNS = Path("runs")


def emit(value: Any, as_json: bool, render: Callable[[], str]) -> None:
    """Print ``value`` as JSON, or what ``render`` makes of it for people."""
    print(json.dumps(value, ensure_ascii=False) if as_json else render(), flush=True)
