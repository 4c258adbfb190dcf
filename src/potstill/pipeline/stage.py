"""A stage, what decides its result, and whether that result is up to date."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from potstill.data import files
from potstill.models.local.packaged import file_sha256
from potstill.models.local.weights import LocalWeights
from potstill.recipe.recipe import Recipe
from potstill.stages.planned import KnownExamples, Planned
from potstill.tasks import Example
from potstill.workspace.access import Access
from potstill.workspace.digests import Part
from potstill.workspace.run import Run

SYSTEMS, JUDGES = "evaluate.systems", "evaluate.judge.models"
EXECUTION_ONLY_KEYS = re.compile(
    r"train\.(?:report_to|processes)$|(?:teacher|curate\.judge|evaluate\.judge\.models\.\d+|evaluate\.systems\..+?\.model)\.(?:budget|min_success|model\.(?:concurrency|requests_per_minute"
    r"|tokens_per_minute|timeout|first_token_timeout|max_attempts|mode|api_key_env|api_key_header|price))(?:\.|$)"
)
"""Keys that change the speed, the price and the account of a model's answers, and trackers, but not the result."""


def _nothing(recipe: Recipe, known: KnownExamples) -> Iterator[Planned]:
    return iter(())


def _never(recipe: Recipe) -> bool:
    return False


def _no_files(recipe: Recipe) -> list[Path]:
    return []


def _no_parts(recipe: Recipe) -> tuple[Part, ...]:
    return ()


def _no_keys(recipe: Recipe) -> tuple[str, ...]:
    return ()


def _no_exports(recipe: Recipe) -> list[str]:
    return []


def _no_prompts(recipe: Recipe, run: Run) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Stage:
    """A function from files to files, and everything that decides its result.

    Attributes:
        name: of the stage, as users know it.
        carry_out: the function.
        recipe: keys of the recipe that decide, whole sections or single ones.
        reads: parts of the run's files that decide.
        writes: files and folders.
        more_keys: further keys that decide, by recipe.
        user_files: the user's own files whose content decides.
        shown: further parts that decide, where prompts show training examples or kept rows, or systems are fitted on them or are
            exports of the student.
        shows_recipe: whether the result shows the recipe as it is, so that even keys matter that change no answer.
        scratch: folder of what it needs to resume after an interruption.
        packages: libraries whose version decides, besides potstill's own.
        in_passing: whether it asks no model and takes no time, so that a command for a later stage alone carries it out.
        loads_student: whether it trains or asks the student, for which the machine must have what the recipe needs.
        downloads: whether all weights are downloaded before it: before the first request that is paid for.
        planned: the requests that it will make.
        prompts: how the student is prompted, for the manifest; raises `PotstillError` where it was trained on other prompts.
        exports: the exports of the student that it asks, by name; those that are missing or of other weights are made before it.
        dry_run: the examples that it would write, if that asks no model.
    """

    name: str
    carry_out: Callable[[Recipe, Run], None]
    recipe: tuple[str, ...]
    reads: tuple[Part, ...] = ()
    writes: tuple[str, ...] = ()
    more_keys: Callable[[Recipe], tuple[str, ...]] = _no_keys
    user_files: Callable[[Recipe], list[Path]] = _no_files
    shown: Callable[[Recipe], tuple[Part, ...]] = _no_parts
    shows_recipe: bool = False
    scratch: str = ""
    packages: tuple[str, ...] = ()
    in_passing: Callable[[Recipe], bool] = _never
    loads_student: bool = False
    downloads: Callable[[Recipe], bool] = _never
    planned: Callable[[Recipe, KnownExamples], Iterator[Planned]] = _nothing
    prompts: Callable[[Recipe, Run], dict[str, Any]] = _no_prompts
    exports: Callable[[Recipe], list[str]] = _no_exports
    dry_run: Callable[[Recipe], Iterator[Example]] | None = None

    def parts(self, recipe: Recipe) -> tuple[Part, ...]:
        """The parts of the run's files that the stage reads."""
        return (*self.reads, *self.shown(recipe))

    def access(self, recipe: Recipe) -> Access:
        """What the stage may read while it runs."""
        return Access(self.name, self.parts(recipe), self.writes)

    def inputs(self, run: Run, overrides: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What decides the stage's result, by name: values of the recipe, digests of what it reads, versions.

        ``overrides`` gives digests of parts that are not written yet.
        """
        values = self._recipe_values(run.recipe)
        values["rules and prompts of the task"] = run.recipe.task.code_digest()
        values |= _digests(self.user_files(run.recipe), run.stages.get(self.name, {}).get("inputs", {}))
        for weights in {v for k, v in values.items() if k.split(".")[-1] == "model" and isinstance(v, str)}:
            if (path := LocalWeights(weights).path) and path.is_dir():
                values[f"weights of {weights}"] = run.digest(Part(weights))
        for part in self.parts(run.recipe):
            values[str(part)] = (overrides or {}).get(str(part)) or run.digest(part)
        for package in ("potstill", *self.packages):
            values[f"version of {package}"] = version(package)
        return values

    def outputs(self, run: Run) -> dict[str, str]:
        """Digests of what the stage has written."""
        return {name: run.digest(Part(name)) for name in self.writes}

    def stale_reason(self, run: Run, now: Mapping[str, Any]) -> str:
        """Why the stage must run, in words; empty when its result is up to date. ``now`` are its inputs."""
        entry = run.stages.get(self.name)
        if entry is None:
            return "not done yet"
        before = entry["inputs"]
        if changes := [key for key in {**before, **now} if before.get(key) != now.get(key)]:
            more = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
            return _change(changes[0], before, now) + more
        if entry["state"] != "done":
            return "not finished"
        for name, digest in self.outputs(run).items():
            if digest != entry["outputs"][name]:
                return f"{name} was modified" if digest else f"{name} is missing"
        return ""

    def _recipe_values(self, recipe: Recipe) -> dict[str, Any]:
        keys = (*self.recipe, *self.more_keys(recipe))
        prefixes = tuple(f"{key}." for key in keys)
        values = {k: v for k, v in _flat(recipe.model_dump(mode="json")).items() if f"{k}.".startswith(prefixes)}
        return {k: v for k, v in values.items() if self.shows_recipe or not EXECUTION_ONLY_KEYS.match(k)}


def _digests(paths: list[Path], before: Mapping[str, Any]) -> dict[str, Any]:
    """Digests of the user's files. A file that was deleted since does not make a report stale that no longer needs it."""
    digests = {}
    for path in paths:
        name = f"content of {path}"
        contents = files.data_files(path)
        joined = "".join(file_sha256(file) for file in contents)
        digests[name] = hashlib.sha256(joined.encode()).hexdigest() if contents else before.get(name)
    return digests


def _change(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    old, new = before.get(key), now.get(key)
    if any(isinstance(value, str) and len(value) == 64 for value in (old, new)):
        return f"{key} changed"
    return f"{key} was {old}, is {new}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined with dots; systems by their names, judges by their numbers."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if prefix + key == SYSTEMS and value is not None:
            flat[SYSTEMS] = [item["name"] if isinstance(item, Mapping) else item for item in value]
            value = {item["name"]: item for item in value if isinstance(item, Mapping)}
        elif prefix + key == JUDGES:
            value = {str(i): item for i, item in enumerate(value)}
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
