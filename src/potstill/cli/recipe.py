"""Commands about recipes: draft one, look at its prompts and its cost, print the schema."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from potstill.cli.options import RUNS, AsJson, RecipeName, Runs, emit
from potstill.errors import RecipeError

if TYPE_CHECKING:
    from potstill.pipeline.forecast import Estimate
    from potstill.pipeline.rendering import Prompt
    from potstill.recipe.recipe import Recipe

TEACHER, STUDENT = "packaged/qwen2.5-coder-0.5b-instruct", "packaged/smollm2-135m-instruct"
PREVIEW_PROMPTS, PREVIEW_CHARACTERS = 3, 2000
"""How much `init` shows."""


class SchemaOf(StrEnum):
    """Files that have a JSON Schema."""

    RECIPE = "recipe"
    EVALUATION = "evaluation"
    JUDGED = "judged"
    MEASURED = "measured"
    REGRESSED = "regressed"
    CASCADE = "cascade"


RESULTS = {
    SchemaOf.EVALUATION: "potstill.stages.evaluate.result",
    SchemaOf.JUDGED: "potstill.stages.judged.result",
    SchemaOf.MEASURED: "potstill.measure.result",
    SchemaOf.REGRESSED: "potstill.regress.result",
    SchemaOf.CASCADE: "potstill.cascade.result",
}
"""The modules that define the files of a run which have a schema."""


def add_to(app: typer.Typer) -> None:
    for command in (init, preview, plan, schema):
        app.command()(command)


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Your rows: JSON Lines, CSV or Parquet, or a folder.")],
    name: Annotated[str, typer.Option("--name", help="Name of the recipe; left out, the file's.")] = "",
    teacher: Annotated[str, typer.Option("--teacher", help="packaged/NAME, hf/ORG/NAME or a folder.")] = TEACHER,
    student: Annotated[str, typer.Option("--student", help="packaged/NAME, hf/ORG/NAME or a folder.")] = STUDENT,
) -> None:
    """Guess the task and the columns of a file, show three prompts, and write a recipe with comments."""
    from potstill.data import draft
    from potstill.data.guess import guess
    from potstill.recipe import loading

    name = name or draft.default_name(file)
    target = Path(f"{name}.yaml")
    if target.exists():
        raise RecipeError(f"{target} exists already; give another name with --name, or remove it.")
    guessed = guess(file)
    text = draft.recipe_text(file, guessed, name, teacher, student)
    recipe = loading.parse(text, str(target))
    target.write_text(text, encoding="utf-8")
    columns = ", ".join(f"{ours} is {theirs!r}" for ours, theirs in guessed.columns.items())
    print(f"task: {guessed.task['name']} ({guessed.reason})")
    print(f"columns: {columns or 'as they are named'}")
    if guessed.unused:
        print(f"not used: {', '.join(map(repr, guessed.unused))}")
    if guessed.unlabelled == "drop":
        print("rows without an answer are left out (data.unlabelled)")
    try:
        _show_prompts(recipe)
    except RecipeError as error:
        raise RecipeError(f"{error}\n{target} is written: fix it there, or fix the row.") from error
    print(f"\n{target} is written. Review it, then: potstill plan {target}; potstill run {target}")


def _show_prompts(recipe: "Recipe") -> None:
    from potstill.pipeline.rendering import preview as prompts

    of_teacher = (prompt for prompt in prompts(recipe, PREVIEW_PROMPTS) if prompt.who == "teacher")
    for prompt in islice(of_teacher, PREVIEW_PROMPTS):
        print(f"--- {prompt.who}, {prompt.id}\n{prompt.text[:PREVIEW_CHARACTERS]}")


def preview(
    recipe: RecipeName,
    questions: Annotated[int, typer.Option("-n", help="Number of training questions.", min=1)] = 2,
    as_json: AsJson = False,
) -> None:
    """Show the exact prompts of teacher and student, with their tokens."""
    from potstill.pipeline.rendering import preview as prompts
    from potstill.recipe import loading

    shown = list(prompts(loading.load(recipe), questions))
    emit([asdict(prompt) for prompt in shown], as_json, lambda: "\n".join(map(_prompt_text, shown)))


def plan(recipe: RecipeName, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Estimate requests, tokens, cost and time of teacher and judge, before anything is spent."""
    from potstill.pipeline import forecast, pipeline
    from potstill.stages.train import room

    run = pipeline.start(recipe, runs)
    estimates, of_gpu = forecast.estimate(run), room.planned(run.recipe)
    note = run.recipe.teacher.model.price_note
    memory = [] if of_gpu is None else [{"what": "train: memory of a GPU", **asdict(of_gpu)}]
    lines = [] if of_gpu is None else [room.in_words(run.recipe, of_gpu)]
    emit(
        [*map(asdict, estimates), *memory],
        as_json,
        lambda: "\n".join([_estimates_text(estimates, note), *lines]),
    )


def schema(
    of: Annotated[
        SchemaOf,
        typer.Argument(metavar=f"[{'|'.join(SchemaOf)}]", help="Which files it describes."),
    ] = SchemaOf.RECIPE,
) -> None:
    """Print the JSON Schema of recipes, or of a file that a run has, such as evaluation.json."""
    if of is SchemaOf.RECIPE:
        from potstill.recipe.recipe import Recipe

        print(json.dumps(Recipe.model_json_schema(), indent=1))
    else:
        print(json.dumps(import_module(RESULTS[of]).schema(), indent=1))


def _prompt_text(prompt: "Prompt") -> str:
    about = "" if prompt.exact else "about "
    return f"--- {prompt.who}, {prompt.id}, {about}{prompt.tokens} tokens\n{prompt.text}\n"


def _estimates_text(estimates: "Sequence[Estimate]", note: str) -> str:
    lines = [*map(_estimate_line, estimates), *([note] if note else [])]
    return "\n".join(lines if estimates else [*lines, "No requests to a teacher or a judge."])


def _estimate_line(one: "Estimate") -> str:
    most, some = "at most " if one.at_most else "about ", "about " if one.estimated else ""
    cost = "" if one.cost is None else f", {most}${one.cost:,.2f}"
    seconds = "" if one.seconds is None else f", about {one.seconds:,.0f} s"
    return (
        f"{one.what}: {some}{one.requests - one.stored:,} of {one.requests:,} requests to send, about "
        f"{one.prompt_tokens:,} prompt tokens, {most}{one.completion_tokens:,} completion tokens{cost}{seconds}"
    )
