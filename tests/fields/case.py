"""A field of the recipe, values of it, and what each of them must change."""

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from potstill.errors import PotstillError
from potstill.recipe.recipe import Recipe
from potstill.tasks import registry

BASE = {
    "name": "fields",
    "task": {"name": "math"},
    "data": {"source": "word_problems", "train": 4, "validation": 1, "test": 2, "test_unseen": 1},
    "teacher": {"model": {"url": "http://127.0.0.1:9/v1", "model": "t"}},
    "student": {"model": "@/tiny", "dtype": "float32"},
}
"""A valid recipe; ``@`` stands for the folder with the tiny model and the files of `rows_on_disk`."""


class _LeftOut:
    def __repr__(self) -> str:
        return "left out"


LEFT_OUT = _LeftOut()
"""As a value: the field is not in the recipe."""


@dataclass(frozen=True)
class Case:
    """``seen(recipe)`` must be the second of a pair in ``pairs`` where the field at ``path`` has the first as its value.

    ``also`` are values of other fields, by path. The expected values differ, so that a field which is ignored fails.
    """

    field: str
    path: str
    seen: Callable[[Recipe], Any]
    pairs: tuple[tuple[Any, Any], ...]
    also: tuple[tuple[str, Any], ...]


def case(field: str, path: str, seen: Callable[[Recipe], Any], *pairs: tuple[Any, Any], **also: Any) -> Case:
    """In names of ``also`` two underscores stand for a dot."""
    assert any(a[1] != b[1] for a, b in itertools.pairwise(pairs)), field
    return Case(field, path, seen, pairs, tuple((name.replace("__", "."), value) for name, value in also.items()))


def recipe(folder: Path, *settings: tuple[str, Any]) -> Recipe:
    """The base recipe with other values, by path."""
    values: Any = copy.deepcopy(BASE)
    for path, value in settings:
        *parents, last = path.split(".")
        section = values
        for name in parents:
            section = section[int(name)] if name.isdigit() else section.setdefault(name, {})
        if value is not LEFT_OUT:
            section[int(last) if last.isdigit() else last] = copy.deepcopy(value)
    return Recipe.model_validate(json.loads(json.dumps(values).replace("@/", f"{folder}/")))


def refused(seen: Callable[[Recipe], Any]) -> Callable[[Recipe], Any]:
    """What is seen, or ``refused`` where that raises an error of potstill."""

    def seen_or_refused(recipe: Recipe) -> Any:
        try:
            return seen(recipe)
        except PotstillError:
            return "refused"

    return seen_or_refused


def fields_of_the_schema() -> Iterator[str]:
    """Every field of a recipe that has a value of its own, as ``Class.field`` by the class that declares it.

    Left out are sections, whose own fields are listed, and names that can have one value only.
    """
    sections: list[type[BaseModel]] = []
    _add_sections(Recipe, sections)
    for name in registry.names():
        _add_sections(registry.task_class(name), sections)
    names = set()
    for section in sections:
        for name, field in section.model_fields.items():
            one_value = get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
            if not one_value and not _is_section(field.annotation):
                owner = next(c for c in reversed(section.__mro__) if name in getattr(c, "__annotations__", {}))
                names.add(f"{owner.__name__}.{name}")
    yield from sorted(names)


def _add_sections(annotation: Any, found: list[type[BaseModel]]) -> None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in found:
        found.append(annotation)
        for field in annotation.model_fields.values():
            _add_sections(field.annotation, found)
    for part in get_args(annotation):
        _add_sections(part, found)


def _is_section(annotation: Any) -> bool:
    """Whether all values are sections, or none."""
    if get_origin(annotation) is Annotated:
        return _is_section(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return all(_is_section(part) for part in get_args(annotation) if part is not NoneType)
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
