"""A stage, what decides its result, and whether that still stands."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from potstill import tasks
from potstill.data import files, sources
from potstill.models.packaged import file_sha256
from potstill.recipe import Recipe
from potstill.recipe_data import Synthesize
from potstill.run_folder import Part, Run

NOT_THE_ANSWER = tuple(
    f"{model}.{key}"
    for model in ("teacher", "evaluate.judge")
    for key in (
        "budget", "min_success",
        *(
            f"model.{key}"
            for key in (
                "concurrency", "requests_per_minute", "tokens_per_minute", "timeout", "first_token_timeout",
                "max_attempts", "mode", "api_key_env", "api_key_header", "price",
            )
        ),
    )
)  # fmt: skip
"""Keys that change how fast, by whom and for how much a model answers, and not what it says."""


@dataclass(frozen=True)
class Stage:
    """A function from files to files, and everything that decides its result."""

    carry_out: Callable[[Recipe, Run], None]
    recipe: tuple[str, ...]
    """Keys of the recipe, whole sections or single ones."""
    reads: tuple[Part, ...] = ()
    writes: tuple[str, ...] = ()
    scratch: str = ""
    """Folder in which it keeps what it needs to go on after it was stopped."""
    packages: tuple[str, ...] = ()
    """Libraries whose version decides, beside potstill's own."""

    @property
    def name(self) -> str:
        return self.carry_out.__name__


def inputs(stage: Stage, run: Run, instead: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What decides the stage's result, by name: values of the recipe, digests of what it reads, versions.

    ``instead`` gives digests for parts that are yet to be written.
    """
    asks_for_inputs = not stage.reads and isinstance(run.recipe.data, Synthesize)
    chosen = tuple(f"{key}." for key in (*stage.recipe, *(["teacher.model"] if asks_for_inputs else [])))
    values = {
        key: value for key, value in _flat(run.recipe.model_dump(mode="json")).items() if f"{key}.".startswith(chosen)
    }
    if "report" not in stage.recipe:  # which shows the recipe as it is
        values = {key: value for key, value in values.items() if not key.startswith(NOT_THE_ANSWER)}
    if "task" in stage.recipe:
        values["rules and prompts of the task"] = tasks.digest(run.recipe.task)
    if "data" in stage.recipe and not stage.reads:
        before = run.stages.get(stage.name, {}).get("inputs", {})
        for name, path in ((f"content of {path}", path) for path in sources(run.recipe)):
            # A file that has gone since is no reason to make a report anew that needs it no more.
            found = files.contents(path)
            digests = [file_sha256(file) for file in found]
            values[name] = hashlib.sha256("".join(digests).encode()).hexdigest() if found else before.get(name)
    for source in (values.get("student.model"), values.get("teacher.model")):
        if isinstance(source, str) and Path(source).is_dir():
            values[f"weights of {source}"] = run.digest(Part(source))
    for part in parts(stage, run.recipe):
        values[str(part)] = (instead or {}).get(str(part)) or run.digest(part)
    for package in ("potstill", *stage.packages):
        values[f"version of {package}"] = version(package)
    return values


def parts(stage: Stage, recipe: Recipe) -> tuple[Part, ...]:
    """What the stage reads: also training examples, where it shows them before test questions."""
    shows = "generate.shots" in stage.recipe and recipe.shows_training_examples
    return (*stage.reads, *([Part("examples.parquet", splits=("train",))] if shows else []))


def outputs(stage: Stage, run: Run) -> dict[str, str]:
    """Digests of what the stage has written."""
    return {name: run.digest(Part(name)) for name in stage.writes}


def why_again(stage: Stage, run: Run, now: Mapping[str, Any]) -> str:
    """Why the stage must be carried out, in words; empty when its result stands. ``now`` are its inputs."""
    entry = run.stages.get(stage.name)
    if entry is None:
        return "not done yet"
    before = entry["inputs"]
    if changes := [key for key in {**before, **now} if before.get(key) != now.get(key)]:
        more = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
        return _change(changes[0], before, now) + more
    if entry["state"] != "done":
        return "not finished"
    for name, digest in outputs(stage, run).items():
        if digest != entry["outputs"][name]:
            return f"{name} is not as it was written" if digest else f"{name} is missing"
    return ""


def _change(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    old, new = before.get(key), now.get(key)
    if any(isinstance(value, str) and len(value) == 64 for value in (old, new)):
        return f"{key} changed"
    return f"{key} was {old}, is {new}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined with dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
