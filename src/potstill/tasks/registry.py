"""The tasks there are: the files of this folder, and those that other packages bring by an entry point."""

import importlib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from potstill.errors import did_you_mean
from potstill.tasks.task import Task


def names() -> list[str]:
    """Names of the tasks: files of this folder that have prompts, and those of other packages."""
    own = [file.stem for file in Path(__file__).parent.glob("*.yaml") if file.with_suffix(".py").exists()]
    return sorted({*own, *(entry.name for entry in _entries())})


def task_class(name: str) -> type[Task]:
    """The task of that name. Raises `ValueError`."""
    if name not in names():
        raise ValueError(f"there is no task '{name}'.{did_you_mean(name, names())} There are {', '.join(names())}")
    for entry in (entry for entry in _entries() if entry.name == name):
        found = entry.load()
        if isinstance(found, type) and issubclass(found, Task):
            return found
        raise ValueError(f"'{name}' is a scorer, not a task; {{name: custom, scorer: {name}}} uses it")
    module = importlib.import_module(f"potstill.tasks.{name}")
    found_here = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Task) and c is not Task]
    return next(c for c in found_here if c.__module__ == module.__name__)


def parse_task(value: Any) -> Task:
    """The task that a recipe names: by its name, or by a mapping with its options. Raises `ValueError`."""
    if isinstance(value, Task):
        return value
    values = {"name": value} if isinstance(value, str) else value
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise ValueError(f"a task is a name or a mapping with 'name'; there are {', '.join(names())}")
    return task_class(values["name"]).model_validate(values)


def _entries() -> list[Any]:
    return list(entry_points(group="potstill.tasks"))
