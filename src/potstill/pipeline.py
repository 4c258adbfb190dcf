"""A run: its folder, its stages in order, its manifest."""

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from potstill import curate, evaluate, generate, recipe_file, report, train
from potstill.errors import RecipeError
from potstill.models.ask import check_source
from potstill.models.store import Store, default_path
from potstill.progress import say
from potstill.recipe import Condition, Recipe


class Run:
    """One recipe carried out in one folder."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe

    @property
    def report_path(self) -> Path:
        return self.folder / "report.html"

    @property
    def evaluation(self) -> dict[str, Any]:
        """`evaluation.json`: systems and comparisons of each test split, and the verdict."""
        return self.read_json("evaluation.json")

    @cached_property
    def store(self) -> Store:
        return Store(default_path(self.folder.parent))

    def path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def read(self, name: str) -> list[dict[str, Any]]:
        """Rows of a Parquet file of the run. Raises `RecipeError` when an earlier stage has not written it."""
        if not self.path(name).exists():
            raise RecipeError(f"{self.folder}: no {name} yet; carry out the earlier stages first (potstill run).")
        rows: list[dict[str, Any]] = pq.read_table(self.path(name)).to_pylist()
        return rows

    def write(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        part = self.path(name + ".part")
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), part)
        part.replace(self.path(name))

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.path(name)
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return values

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        self.write_text(name, json.dumps(values, indent=1, ensure_ascii=False))

    def write_text(self, name: str, text: str) -> None:
        part = self.path(name + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(self.path(name))

    def carry_out(self, stage: Callable[[Recipe, "Run"], None]) -> None:
        """Carry out one stage and write its time into the manifest."""
        name = stage.__name__
        say(f"{name}: started")
        started = time.perf_counter()
        stage(self.recipe, self)
        seconds = time.perf_counter() - started
        manifest = self.read_json("manifest.json")
        manifest.setdefault("stages", {})[name] = {"seconds": round(seconds, 1)}
        manifest["versions"] = {p: version(p) for p in ("potstill", "torch", "transformers", "trl", "peft")}
        manifest["hardware"] = {"machine": platform.platform(), "python": platform.python_version()}
        manifest["seed"] = self.recipe.seed
        self.write_json("manifest.json", manifest)
        say(f"{name}: done in {seconds:.0f} s")


STAGES: tuple[Callable[[Recipe, Run], None], ...] = (
    generate.generate,
    curate.curate,
    train.train,
    evaluate.evaluate,
    report.report,
)


def start(recipe_name: str, runs: Path = Path("runs")) -> Run:
    """Read a recipe, check that its models can be there, and make its run folder. Raises `RecipeError`."""
    recipe = recipe_file.load(recipe_name)
    check_source(recipe.student.model)
    if recipe.condition is not Condition.GOLD or any(s.value.startswith("teacher") for s in recipe.evaluate.systems):
        check_source(recipe.teacher.model)
    made = Run(runs / recipe.name, recipe)
    made.write_text("recipe.yaml", recipe_file.dump(recipe))
    return made


def reopen(name_or_path: str, runs: Path = Path("runs")) -> Run:
    """A run by name or folder. Raises `RecipeError` when there is none."""
    for folder in (Path(name_or_path), runs / name_or_path):
        if (folder / "recipe.yaml").is_file():
            return Run(folder, recipe_file.load(str(folder / "recipe.yaml")))
    raise RecipeError(f"No run '{name_or_path}': neither a folder with a recipe.yaml nor a name in {runs}/.")


def run(recipe_name: str, runs: Path = Path("runs")) -> Run:
    """Carry out a recipe, all stages. Returns the run, with ``.evaluation`` and ``.report_path``."""
    made = start(recipe_name, runs)
    for stage in STAGES:
        made.carry_out(stage)
    return made
