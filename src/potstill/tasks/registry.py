"""The available tasks: the files of this folder, and those that other packages provide as entry points."""

import importlib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from potstill import tasks
from potstill.errors import did_you_mean
from potstill.tasks.task import Task


def names() -> list[str]:
    """Names of the tasks: files of this folder that have prompts beside them, and entry points of other packages."""
    files = [file for folder in tasks.__path__ for file in Path(folder).glob("*.yaml")]
    builtin = [file.stem for file in files if file.with_suffix(".py").exists()]
    return sorted({*builtin, *(entry.name for entry in _entry_points())})


def task_class(name: str) -> type[Task]:
    """The task of that name. Raises `ValueError` where there is none."""
    if name not in names():
        raise ValueError(f"there is no task '{name}'.{did_you_mean(name, names())} There are {', '.join(names())}")
    for entry in _entry_points():
        if entry.name == name:
            loaded = entry.load()
            if isinstance(loaded, type) and issubclass(loaded, Task):
                return loaded
            raise ValueError(f"'{name}' is a scorer, not a task; {{name: custom, scorer: {name}}} uses it")
    module = importlib.import_module(f"potstill.tasks.{name}")
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Task) and c is not Task]
    return next(c for c in classes if c.__module__ == module.__name__)


def parse_task(value: Any) -> Task:
    """The task of a recipe, given as a name or as a mapping with its options. Raises `ValueError`."""
    if isinstance(value, Task):
        return value
    values = {"name": value} if isinstance(value, str) else value
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise ValueError(f"a task is a name or a mapping with 'name'; there are {', '.join(names())}")
    return task_class(values["name"]).model_validate(values)


def _entry_points() -> list[EntryPoint]:
    return list(entry_points(group="potstill.tasks"))
