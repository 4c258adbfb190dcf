"""A workspace: the folder that holds runs, the store of completions that they share, and the cache of weights."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import PotstillError, RecipeError
from potstill.models.local import packaged
from potstill.models.store.store import FILE_NAME
from potstill.recipe import loading
from potstill.recipe.recipe import Recipe
from potstill.workspace import artifacts, lock
from potstill.workspace.run import Run


@dataclass(frozen=True)
class Summary:
    """A run at a glance; ``verdict`` is empty until the evaluation is done, ``judged`` where nobody has labelled anything."""

    name: str
    state: str
    verdict: str
    judged: str = ""


class Workspace:
    """``folder`` holds runs. A folder of runs inside a workspace, as a study's, shares the store of that workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def store_path(self) -> Path:
        """``POTSTILL_STORE``; or ``completions.sqlite`` of this folder, or of its parent if only that has one."""
        if named := os.environ.get("POTSTILL_STORE"):
            return Path(named)
        own, outer = self.folder / FILE_NAME, self.folder.absolute().parent / FILE_NAME
        return outer if outer.exists() and not own.exists() else own

    @property
    def cache(self) -> Path:
        """The folder of downloaded weights, which all workspaces share (``POTSTILL_CACHE``)."""
        return packaged.cache_folder()

    def run(self, recipe: Recipe, source: str = "") -> Run:
        """The run of a recipe, begun or not."""
        return Run(self.folder / recipe.name, recipe, self.store_path, source)

    def open(self, name_or_path: str) -> Run:
        """A run that has begun, by name or folder. Raises `RecipeError` when there is none."""
        for folder in (Path(name_or_path), self.folder / name_or_path):
            if (folder / artifacts.RECIPE).is_file() and (folder / artifacts.MANIFEST).is_file():
                recipe = loading.load(str(folder / artifacts.RECIPE))
                return Run(folder, recipe, Workspace(folder.absolute().parent).store_path)
        raise RecipeError(f"No run '{name_or_path}': neither the folder of a run nor a name in {self.folder}/.")

    def summaries(self) -> Iterator[Summary]:
        """All runs of the workspace, those of studies included, by name."""
        for manifest in sorted(
            [*self.folder.glob(f"*/{artifacts.MANIFEST}"), *self.folder.glob(f"*/*/{artifacts.MANIFEST}")]
        ):
            yield self._summary(manifest.parent)

    def _summary(self, folder: Path) -> Summary:
        name = folder.relative_to(self.folder).as_posix()
        try:
            stages = artifacts.read_json(folder / artifacts.MANIFEST).get("stages", {})
        except PotstillError:
            return Summary(name, "its manifest.json is corrupt", "")
        done = [stage for stage, entry in stages.items() if entry["state"] == "done"]
        unfinished = [stage for stage, entry in stages.items() if entry["state"] != "done"]
        if lock.is_held(folder):
            state = f"in use{lock.owner(folder)}"
        elif unfinished:
            state = f"interrupted in {unfinished[0]}; rerun the same command to resume"
        elif "report" in done:
            state = "done"
        else:
            state = f"done up to {done[-1]}" if done else "begun"
        verdict = ""
        with suppress(PotstillError):
            if "evaluate" in done:
                verdict = artifacts.read_json(folder / artifacts.EVALUATION)["verdict"]["lines"][0]
        judged = ""
        with suppress(PotstillError):
            if found := artifacts.read_json(folder / artifacts.JUDGED):
                judged = found["verdict"]["lines"][0]
        return Summary(name, state, verdict, judged)
