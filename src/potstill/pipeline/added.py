"""Add to a run answers that were made elsewhere, as systems beside its own, and judges."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from potstill import rubrics
from potstill.data import predictions
from potstill.errors import RecipeError
from potstill.models.local.weights import HUB_PREFIX, PACKAGED_PREFIX
from potstill.recipe import loading
from potstill.recipe.recipe import Recipe
from potstill.workspace.artifacts import RECIPE, TEST_SPLITS
from potstill.workspace.run import Run

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)=(?P<file>.+)", re.DOTALL)


def add_predictions(run: Run, given: Sequence[str]) -> Run:
    """The run with a system for each ``FILE`` or ``NAME=FILE``, which is written into its recipe.yaml.

    A system of the same name whose answers are in a file is replaced. Raises `RecipeError`, before anything is written, for
    a name that another system has, and for a file whose rows are not answers to the run's test questions.
    """
    files = [_name_and_file(one) for one in given]
    examples = list(run.examples(*TEST_SPLITS))
    for _, file in files:
        predictions.completions(file, run.recipe.task, examples)
    return _with_recipe(run, _with_systems(run, files))


def add_judges(
    run: Run,
    models: Sequence[str] = (),
    form: str | None = None,
    rubric: str | None = None,
    questions: int | None = None,
    allow_related: bool = False,
) -> Run:
    """The run with judges, which are written into its recipe.yaml in place of those before; what is left out stays as it is.

    ``models`` are written as in a recipe; a path, and that of a ``rubric``, is relative to the working directory. Raises `RecipeError`,
    before anything is written, for what no recipe may say.
    """
    recipe = run.recipe.model_dump(mode="json")
    judges = recipe["evaluate"]["judge"] or {}
    judges |= {"models": [_model(one) for one in models]} if models else {}
    judges |= {"form": form} if form else {}
    judges |= {"questions": questions} if questions else {}
    if rubric:
        judges["rubric"] = rubric if rubric in rubrics.shipped_names() else os.path.abspath(rubric)
        rubrics.load(judges["rubric"])
    if allow_related:
        judges["allow_related"] = True
    if "models" not in judges:
        raise RecipeError(
            f"{run.folder}: no model judges; name one, as in --model packaged/NAME or --model '{{url: ..., model: ...}}'."
        )
    recipe["evaluate"]["judge"] = judges
    return _with_recipe(run, _parsed(run, recipe, "the judges"))


def _model(given: str) -> Any:
    """A model as a recipe has it, its path absolute."""
    try:
        model = yaml.safe_load(given)
    except yaml.YAMLError:
        model = given
    if isinstance(model, dict):
        return {**model, "model": _from_here(str(model["model"]))} if "serve" in model and "model" in model else model
    return _from_here(given)


def _from_here(location: str) -> str:
    return location if location.startswith((PACKAGED_PREFIX, HUB_PREFIX)) else os.path.abspath(location)


def _with_recipe(run: Run, recipe: Recipe) -> Run:
    with run.locked():
        run.write_text(RECIPE, loading.dump(recipe))
    return Run(run.folder, recipe, run.store_path, run.source)


def _parsed(run: Run, recipe: dict[str, Any], added: str) -> Recipe:
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
    return loading.parse(text, f"{run.path(RECIPE)} with {added}", run.folder)


def _name_and_file(given: str) -> tuple[str, Path]:
    named = None if Path(given).exists() else _NAMED.fullmatch(given)
    file = Path(os.path.abspath(named["file"] if named else given))
    return (named["name"] if named else _name_of(file)), file


def _name_of(file: Path) -> str:
    """The name of a file without its extensions, with hyphens for what a system's name may not have."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", file.name.lstrip(".").split(".")[0]).strip("-_")
    if not name:
        raise RecipeError(f"--predictions {file}: this name makes no name of a system; give one, NAME={file}.")
    return name


def _with_systems(run: Run, files: Sequence[tuple[str, Path]]) -> Recipe:
    systems = {one.name.casefold(): one for one in run.recipe.systems}
    values = {name: one.model_dump(mode="json") for name, one in systems.items()}
    added: set[str] = set()
    for name, file in files:
        key = name.casefold()
        if key in added or (key in systems and systems[key].predictions is None):
            raise RecipeError(
                f"--predictions {file}: there is a system '{name}' already; give another name, NAME={file}."
            )
        added.add(key)
        values[key] = {"name": name, "predictions": str(file)}
    recipe = run.recipe.model_dump(mode="json")
    recipe["evaluate"]["systems"] = list(values.values())
    return _parsed(run, recipe, "--predictions")
