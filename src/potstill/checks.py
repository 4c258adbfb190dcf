"""What can be known before anything is asked or trained: models, keys, the folder, the disk."""

import os
import shutil
from pathlib import Path

from potstill import data
from potstill.errors import PotstillError
from potstill.models import packaged
from potstill.models.sources import check_source
from potstill.recipe import Recipe
from potstill.recipe_models import Endpoint, Served
from potstill.run_folder import Run

SPARE = 50_000_000
"""Bytes for examples, answers, tables and the report."""
UNQUANTIZED = 7.5
"""A packaged file's weights take so many times its bytes in float32: 4.5 bits become 32, and some were 8 before."""


def check(run: Run) -> None:
    """Raises `RecipeError` or `PotstillError` for what would stop the run later."""
    recipe = run.recipe
    for source in _sources(recipe):
        check_source(source)
    for path in data.sources(recipe):
        data.files.check(path)
    _writable(run.folder)
    held = sum(_bytes(run.path(name)) for name in ("student", "student-checkpoints"))
    _room(run.folder, max(needed(recipe) - held, SPARE))


def bring(recipe: Recipe) -> None:
    """Have the weights of all models here before anything is paid for. Raises `PotstillError`."""
    for source in _sources(recipe):
        if isinstance(source, str):
            from potstill.models import weights

            weights.folder(source)
        elif isinstance(source, Served) and source.model.startswith("packaged/"):
            packaged.pull(source.model.removeprefix("packaged/"))


def _sources(recipe: Recipe) -> list[str | Endpoint | Served]:
    """The student, the teacher where it is asked, and the judge where there is one."""
    judge = recipe.evaluate.judge
    asked = [recipe.teacher] * recipe.asks_teacher + ([judge] if judge else [])
    return [recipe.student.model, *(one.model for one in asked)]


def needed(recipe: Recipe) -> int:
    """Bytes that the run's folder will take, about: the student, and its checkpoints while it is trained."""
    weights = _weights(recipe.student.model)
    if recipe.train.method == "lora":
        return SPARE + 2 * weights
    return SPARE + weights * (recipe.train.epochs + 4)  # AdamW keeps two numbers for each weight


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _weights(source: str) -> int:
    """Bytes of a model's weights in float32, about; 0 for what is yet to come from the hub."""
    if source.startswith("packaged/"):
        return int(UNQUANTIZED * packaged.find(source.removeprefix("packaged/")).gguf_bytes)
    return sum(file.stat().st_size for file in Path(source).glob("*.safetensors"))


def _writable(folder: Path) -> None:
    place = _there(folder)
    if place.is_dir() and os.access(place, os.W_OK):
        return
    why = "no write permission, or a read-only disk" if place.is_dir() else "it is a file"
    raise PotstillError(
        f"{folder} cannot be made: {place}: {why}. Mend its permissions, or choose another place with --runs."
    )


def _there(folder: Path) -> Path:
    """The folder, or what is there of the way to it."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _room(folder: Path, bytes_: int) -> None:
    free = shutil.disk_usage(_there(folder)).free
    if free < bytes_:
        raise PotstillError(
            f"{folder}: {free / 1e6:.0f} MB are free on this disk, and about {bytes_ / 1e6:.0f} MB are needed. "
            "Make room, or choose another place with --runs."
        )
