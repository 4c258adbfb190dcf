"""The verbs. Nothing heavy is imported until a verb needs it."""

import errno
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from potstill import interrupt
from potstill.errors import PotstillError

app = typer.Typer(no_args_is_help=True)
models_app = typer.Typer(help="The weights that pip can bring.", invoke_without_command=True)
app.add_typer(models_app, name="models")
store_app = typer.Typer(help="The file that keeps every completion.", no_args_is_help=True)
app.add_typer(store_app, name="store")


def _recipes(typed: str) -> list[str]:
    inside = [path.stem for path in (Path(__file__).parent / "recipes").glob("*.yaml")]
    return [name for name in [*inside, *map(str, Path().glob("*.yaml"))] if name.startswith(typed)]


def _runs(typed: str) -> list[str]:
    return [path.parent.name for path in Path("runs").glob("*/recipe.yaml") if path.parent.name.startswith(typed)]


TEACHER, STUDENT = "packaged/qwen2.5-coder-0.5b-instruct", "packaged/smollm2-135m-instruct"
RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE", help="A recipe's file, or the name of one inside potstill.", autocompletion=_recipes
    ),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.", autocompletion=_runs)]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of the runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False) -> None:
    """Distil a large language model into a small one, and prove whether it worked."""


def _say(line: str) -> None:
    print(line, flush=True)


def _table(evaluation: dict[str, Any]) -> str:
    """What each system got right of each test split, in lines; how many it answered where nothing decides."""
    from potstill.evaluate.verdict import decided, interval

    splits = evaluation["splits"]
    known = all(decided(values) for values in splits.values())
    name = "right, %" if known else "answered"
    lines = [[name, *(f"{split} ({next(iter(v['systems'].values()))['n']})" for split, v in splits.items())]]
    for system in next(iter(splits.values()))["systems"]:
        of_splits = [values["systems"][system] for values in splits.values()]
        said = [
            interval(s["metrics"]["accuracy"]) if known else str(s["outcomes"].get("answered", 0)) for s in of_splits
        ]
        lines.append([system, *said])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


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
        if as_json:
            _say(json.dumps([asdict(stage) for stage in planned]))
            return
        for stage in planned:
            what = f"perhaps, {stage.why}" if stage.perhaps else f"again: {stage.why}" if stage.again else "stands"
            _say(f"{stage.stage}: {what}")
        return
    made = pipeline.run(recipe, runs)
    if as_json:
        _say(json.dumps(made.evaluation | {"report": str(made.report_path)}))
    else:
        _say(f"\n{_table(made.evaluation)}\n\n{made.evaluation['verdict']}\n\nReport: {made.report_path}")


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


@app.command(name="runs")
def list_runs(runs: Runs = Path("runs"), as_json: AsJson = False) -> None:
    """List the runs with their state and verdict."""
    from potstill import run_folder

    found = [run_folder.summary(folder.parent) for folder in sorted(runs.glob("*/manifest.json"))]
    if as_json:
        _say(json.dumps(found))
    elif not found:
        _say(f"No runs in {runs}/. Make one: potstill run quickstart")
    else:
        for one in found:
            _say(f"{one['name']}: {one['state']}" + (f"\n  {one['verdict']}" if one["verdict"] else ""))


@app.command()
def doctor(runs: Runs = Path("runs"), as_json: AsJson = False) -> None:
    """Say what this machine offers and lacks, each with its cure."""
    from potstill import doctor as looked

    findings = []
    for finding in looked.look(runs):
        findings.append(asdict(finding))
        if not as_json:
            _say(f"{finding.what}: {finding.found}" + (f"\n  {finding.cure}" if finding.cure else ""))
    if as_json:
        _say(json.dumps(findings))


@app.command()
def preview(
    recipe: RecipeName,
    questions: Annotated[int, typer.Option("-n", help="So many training questions.", min=1)] = 2,
    as_json: AsJson = False,
) -> None:
    """Show the exact prompts of teacher and student, with their tokens."""
    from potstill import forecast, recipe_file

    shown = list(forecast.preview(recipe_file.load(recipe), questions))
    if as_json:
        _say(json.dumps([asdict(one) for one in shown], ensure_ascii=False))
        return
    for one in shown:
        about = "" if one.exact else "about "
        _say(f"--- {one.who}, {one.id}, {about}{one.tokens} tokens\n{one.text}\n")


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Your rows: JSON Lines, CSV or Parquet, or a folder.")],
    name: Annotated[str, typer.Option("--name", help="Name of the recipe; left out, the file's.")] = "",
    teacher: Annotated[str, typer.Option("--teacher", help="packaged/NAME, hf/ORG/NAME or a folder.")] = TEACHER,
    student: Annotated[str, typer.Option("--student", help="packaged/NAME, hf/ORG/NAME or a folder.")] = STUDENT,
) -> None:
    """Look at a file, guess the task and the columns, show three prompts, and write a recipe with comments."""
    from potstill import first_recipe

    for line in first_recipe.write(file, name, teacher, student):
        _say(line)


@app.command()
def plan(recipe: RecipeName, runs: Runs = Path("runs"), as_json: AsJson = False) -> None:
    """Estimate requests, tokens, cost and time of asking teacher and judge, before anything is spent."""
    from potstill import forecast, pipeline

    made = pipeline.start(recipe, runs)
    there = not next(stage for stage in pipeline.plan(made) if stage.stage == "data").again
    parts = forecast.estimate(made, there)
    if as_json:
        _say(json.dumps([asdict(part) for part in parts]))
        return
    for part in parts:
        most, some = "at most " if part.at_most else "about ", "about " if part.guessed else ""
        cost = "" if part.cost is None else f", {most}${part.cost:,.2f}"
        seconds = "" if part.seconds is None else f", about {part.seconds:,.0f} s"
        _say(
            f"{part.what}: {some}{part.requests - part.stored:,} of {part.requests:,} requests to make, about "
            f"{part.prompt_tokens:,} tokens to read, {most}{part.completion_tokens:,} to write{cost}{seconds}"
        )
    if note := forecast.note_on_prices(made.recipe):
        _say(note)
    if not parts:
        _say("Neither a teacher nor a judge is asked.")


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


StoreFile = Annotated[
    Path | None, typer.Option("--store", help="The store's file; left out: POTSTILL_STORE, or the one beside the runs.")
]


def _store_file(file: Path | None, runs: Path) -> Path:
    from potstill.models.store import default_path

    return file or default_path(runs)


@store_app.command()
def stats(runs: Runs = Path("runs"), store: StoreFile = None, as_json: AsJson = False) -> None:
    """What each model has answered, its tokens and cost, and what failed."""
    from potstill.models import upkeep

    shares = upkeep.stats(_store_file(store, runs))
    if as_json:
        _say(json.dumps([asdict(share) for share in shares]))
        return
    for share in shares:
        failures = "".join(f", {n} {kind}" for kind, n in share.failures.items())
        _say(
            f"{share.model}: {share.completions:,} completions, {share.prompt_tokens:,} tokens read, "
            f"{share.completion_tokens:,} written, ${share.cost:,.4f}{failures}"
        )
    if not shares:
        _say("The store is empty.")


@store_app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A new file, .jsonl or .jsonl.gz.")],
    runs: Runs = Path("runs"),
    store: StoreFile = None,
) -> None:
    """Write every completion as JSON lines; of a damaged store, what is whole."""
    from potstill.models import upkeep

    written, lost = upkeep.export(_store_file(store, runs), file)
    _say(f"{file}: {written:,} completions" + (f"; up to {lost:,} could not be read" if lost else ""))
    if lost and not written:
        raise PotstillError("Nothing could be saved.")


@store_app.command(name="import")
def import_completions(
    file: Annotated[Path, typer.Argument(help="A file that `potstill store export` wrote.")],
    runs: Runs = Path("runs"),
    store: StoreFile = None,
) -> None:
    """Add the completions of an exported file."""
    from potstill.models import upkeep
    from potstill.models.store import Store

    added, known = upkeep.import_(Store(_store_file(store, runs)), file)
    _say(f"{added:,} completions added, {known:,} were there already")


@store_app.command()
def prune(
    model: Annotated[str | None, typer.Option(help="Of this model only, as `stats` names it.")] = None,
    days: Annotated[float | None, typer.Option(help="Older than so many days only.", min=0)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Really remove them.")] = False,
    runs: Runs = Path("runs"),
    store: StoreFile = None,
) -> None:
    """Remove completions, which were paid for: without --yes it only counts them."""
    import time

    from potstill.models import upkeep

    before = None if days is None else time.time() - days * 86400
    n = upkeep.prune(upkeep.opened(_store_file(store, runs)), model, before, really=yes)
    _say(f"{n:,} completions removed" if yes else f"{n:,} completions would be removed; --yes removes them")


@store_app.command()
def verify(runs: Runs = Path("runs"), store: StoreFile = None) -> None:
    """Look for damage, and change nothing."""
    from potstill.models import upkeep

    path = _store_file(store, runs)
    faults = upkeep.verify(path)
    for fault in faults[:20]:
        _say(fault)
    if faults:
        raise PotstillError(
            f"{path} is damaged. `potstill store export FILE` saves what is whole; then move it away and "
            "`potstill store import FILE`."
        )
    _say(f"{path}: whole")


def _in_words(error: Exception) -> str:
    if isinstance(error, PotstillError):
        return str(error)
    if getattr(error, "errno", None) == errno.ENOSPC or "disk is full" in str(error) or "os error 28" in str(error):
        return f"The disk is full: {error}. Make room; what is done is kept, and the same command again goes on."
    if isinstance(error, OSError):
        return f"{error}. What is done is kept, and the same command again goes on."
    return f"{type(error).__name__}: {error}. --debug shows where."


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
        from potstill.progress import printable

        print(printable(_in_words(error)), file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, PotstillError) else 1)
