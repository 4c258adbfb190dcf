"""What a new review asks where the command does not say it."""

from collections.abc import Mapping
from typing import Any

from potstill import rubrics
from potstill.errors import PotstillError, RecipeError, did_you_mean
from potstill.labels.table import Form
from potstill.review.settings import Settings
from potstill.workspace import artifacts
from potstill.workspace.run import Run


def defaults(run: Run, given: Mapping[str, Any]) -> Settings:
    """The settings of a new review, with the options that are ``given``.

    Raises `PotstillError` before there is any prediction, and `RecipeError` for an unknown form, system or rubric.
    """
    listed = [system.name for system in run.recipe.systems]
    predicted = [name for name in listed if run.path(artifacts.predictions(name).file).exists()]
    if not predicted:
        raise PotstillError(
            f"{run.folder}: no system has answered the test questions yet; first run `potstill evaluate`."
        )
    systems = [name.strip() for name in str(given.get("systems", "")).split(",") if name.strip()] or predicted
    for name in systems:
        if name not in predicted:
            raise RecipeError(f"--systems {name}: there are {', '.join(predicted)}.{did_you_mean(name, predicted)}")
    form = given.get("form", Form.SCORES)
    if form not in list(Form):
        raise RecipeError(f"--form {form}: there are scores, pairwise and pass.{did_you_mean(form, list(Form))}")
    return Settings(
        form=Form(form),
        systems=tuple(name for name in listed if name in systems),
        rubric=rubrics.load(given.get("rubric", run.task.rubric_name)),
        questions=given.get("questions", 0),
        overlap=given.get("overlap", 1.0),
        attention=given.get("attention", 0),
        seed=run.recipe.data_seed,
    )
