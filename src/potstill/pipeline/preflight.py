"""What can be checked before anything is requested or trained: models, keys, the user's files, the folder, the disk."""

import os
import shutil
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from potstill.data import files
from potstill.errors import PotstillError, RecipeError
from potstill.export import forms
from potstill.models.specs import ModelSpec
from potstill.pipeline import prompts
from potstill.recipe.recipe import Recipe
from potstill.stages.judge.stage import rubric_of
from potstill.workspace.artifacts import CHECKPOINTS, EXPORTS, STUDENT
from potstill.workspace.run import Run

TABLES_BYTES = 50_000_000
"""Bytes for examples, answers, tables and the report."""


def check(run: Run) -> None:
    """Raises `RecipeError` or `PotstillError` for what would stop the run later."""
    for model in _models(run.recipe):
        model.check()
    if run.recipe.evaluate.judge:
        rubric_of(run.recipe)
    _check_trackers(run.recipe)
    for path in (*run.recipe.data.files(), *run.recipe.prediction_files()):
        files.require_rows(path)
    _check_writable(run.folder)
    written = [STUDENT, CHECKPOINTS, *(f"{EXPORTS}/{name}" for name in run.recipe.exports())]
    reused = sum(_size(run.path(name)) for name in written)
    _check_disk_space(run.folder, max(needed_bytes(run.recipe) - reused, TABLES_BYTES))


def check_exports(names: Iterable[str]) -> None:
    """Raises `RecipeError` where this machine cannot write an export of the student, or cannot ask it."""
    for name in names:
        forms.form_named(name).check()
        if name == "vllm" and shutil.which("vllm") is None:
            raise RecipeError(
                "evaluate.systems: the export vllm is asked through vLLM, and there is no vllm on the PATH; see https://docs.vllm.ai for its "
                "installation. The export safetensors is asked in this process."
            )


def shortage(recipe: Recipe) -> str:
    """What the machine lacks to train and evaluate the student, as a message; empty where it has all that the recipe needs."""
    quantizes, needed = recipe.train.method == "qlora", recipe.needs.gpu_memory_gb
    if needed is None and not quantizes:
        return ""
    from potstill.models.local import gpu

    found = gpu.memory_bytes() / 1e9
    if quantizes and not found:
        return (
            f"{recipe.name}: train.method qlora needs a CUDA GPU that torch can use, and this machine has none. Run it on another one, or set "
            "train.method: lora. Elsewhere `potstill plan` shows what it costs, and `potstill generate` asks the teacher."
        )
    if quantizes and not find_spec("bitsandbytes"):
        return f"{recipe.name}: train.method qlora needs bitsandbytes: pip install 'potstill[qlora]', or set train.method: lora."
    if needed is None or found >= needed:
        return ""
    this = f"the GPU of this machine has {found:.0f} GB" if found else "this machine has no GPU that torch can use"
    return (
        f"{recipe.name}: to train and evaluate {recipe.student.model}, a GPU with {needed:g} GB of memory is needed "
        f"(needs.gpu_memory_gb), and {this}. Run it on a larger one. Elsewhere `potstill plan` shows what it costs, and "
        "`potstill generate` asks the teacher."
    )


def download_weights(recipe: Recipe) -> None:
    """Download the weights of all models, and what exports are made with, before anything is paid for, and check how models are prompted.
    Raises `PotstillError`."""
    models = list(_models(recipe))
    present = all(model.is_downloaded() for model in models)
    for model in models:
        model.download()
    if not present:  # those that are there were checked at the start
        prompts.check(recipe)
    for name in recipe.exports():
        forms.form_named(name).download()


def needed_bytes(recipe: Recipe) -> int:
    """Approximate size of the run's folder: the student, its checkpoints during training, and the exports that are evaluated."""
    weights = recipe.student.model.float32_bytes()
    exported = sum(forms.form_named(name).disk_bytes(weights) for name in recipe.exports())
    if recipe.train.method != "full":
        return TABLES_BYTES + exported + 2 * weights
    # AdamW keeps two numbers for each weight
    return TABLES_BYTES + exported + weights * (len(recipe.train.rates) * recipe.train.epochs + 4)


def _models(recipe: Recipe) -> Iterator[ModelSpec]:
    """The student, the teacher if it gets requests, weights that compute its probabilities, the judges, and other models that are evaluated."""
    yield recipe.student.model
    if recipe.asks_teacher:
        yield recipe.teacher.model
    if recipe.teacher_weights:
        yield recipe.teacher_weights
    if recipe.curate.judge:
        yield recipe.curate.judge.model
    if recipe.evaluate.judge:
        yield from (judge.model for judge in recipe.evaluate.judge.models)
    yield from (one.asked_elsewhere.model for one in recipe.systems if one.asked_elsewhere is not None)


def _check_trackers(recipe: Recipe) -> None:
    for name in recipe.train.report_to:
        if not any(find_spec(package) for package in (name, f"{name}X")):  # tensorboardX writes TensorBoard's files too
            raise RecipeError(f"train.report_to: {name} is not installed: pip install {name}, or leave it out.")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _check_writable(folder: Path) -> None:
    existing = existing_ancestor(folder)
    if existing.is_dir() and os.access(existing, os.W_OK):
        return
    why = "no write permission, or a read-only disk" if existing.is_dir() else "it is a file"
    raise PotstillError(
        f"{folder} cannot be created: {existing}: {why}. Fix its permissions, or choose another place with --runs."
    )


def existing_ancestor(path: Path) -> Path:
    """The path, or its nearest ancestor that exists."""
    return next(path for path in (path.absolute(), *path.absolute().parents) if path.exists())


def _check_disk_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(existing_ancestor(folder)).free
    if free < needed:
        raise PotstillError(
            f"{folder}: {free / 1e6:.0f} MB are free on this disk, and about {needed / 1e6:.0f} MB are needed. "
            "Make room, or choose another place with --runs."
        )
