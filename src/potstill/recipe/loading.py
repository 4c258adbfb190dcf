"""Read a recipe from YAML; every error is reported with its line, its column and how to fix it."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from potstill.errors import RecipeError, did_you_mean
from potstill.models.specs import Endpoint, Served
from potstill.recipe.data import Files, Hub, Logs, Synthesize, WordProblems
from potstill.recipe.recipe import Recipe
from potstill.tasks.prompts import Instruction
from potstill.tasks.registry import task_class

BRANCHES: dict[str, type[BaseModel] | None] = {
    "word_problems": WordProblems, "files": Files, "hub": Hub, "logs": Logs, "synthesize": Synthesize, "local": None,
    "endpoint": Endpoint, "served": Served, "user_turn": None, "instruction": Instruction,
}  # fmt: skip
"""What pydantic adds to the location of an error inside a union, between the keys."""
BUILT_IN = Path(__file__).parent / "builtin"


def built_in_names() -> list[str]:
    """Names of the built-in recipes."""
    return sorted(path.stem for path in BUILT_IN.glob("*.yaml"))


def locate(name_or_path: str) -> Path:
    """The recipe's file: a path, or the name of a built-in recipe. Raises `RecipeError`."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    if name_or_path in built_in_names():
        return BUILT_IN / f"{name_or_path}.yaml"
    hint = did_you_mean(name_or_path, built_in_names())
    raise RecipeError(
        f"No recipe '{name_or_path}': there is no such file, and the built-in recipes are "
        f"{', '.join(built_in_names())}.{hint}"
    )


def load(name_or_path: str) -> Recipe:
    """Read and check a recipe. Raises `RecipeError`, which lists every error with its location."""
    path = locate(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    return parse(text, str(path), path.parent)


def parse(text: str, where: str = "recipe", folder: Path = Path()) -> Recipe:
    """Check the text of a recipe. Raises `RecipeError`; ``where`` names the source in messages.

    Relative paths in it are relative to ``folder``.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(f"{where}{place}: not YAML: {problem}. Check indentation, colons and quotes.") from error
    if not isinstance(tree, yaml.MappingNode):
        raise RecipeError(f"{where}: a recipe is a mapping of keys such as 'name', 'task' and 'teacher'.")
    for key, mark in _repeated_keys(tree, set()):
        raise RecipeError(f"{where}:{mark.line + 1}:{mark.column + 1}: '{key}' is given twice; keep one.")
    try:
        return Recipe.model_validate(values, context={"folder": folder})
    except ValidationError as error:
        lines = [f"{where}:{_location(tree, one)}: {_message(one, values, tree)}" for one in error.errors()]
        raise RecipeError("\n".join(dict.fromkeys(lines))) from error


def dump(recipe: Recipe) -> str:
    """The recipe with every default filled in, as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _message(error: ErrorDetails, values: Any, tree: yaml.Node) -> str:
    loc = [part for part in error["loc"] if part not in BRANCHES and not _is_internal(part)]
    name = ".".join(map(str, loc))
    match error["type"]:
        case "extra_forbidden":
            keys = _keys(list(error["loc"][:-1]), values)
            return f"unknown key '{loc[-1]}'.{did_you_mean(str(loc[-1]), keys)} Keys here: {', '.join(keys)}."
        case "missing":
            return f"'{name}' is missing; add it."
        case "enum" | "literal_error":
            wanted = str(error["ctx"]["expected"])
            choices = [piece.strip().strip("'") for piece in wanted.replace(" or ", ", ").split(",")]
            return f"'{name}' is {error['input']!r}.{did_you_mean(str(error['input']), choices)} It must be {wanted}."
        case "union_tag_invalid":
            source = str(error["ctx"]["tag"])
            sources = str(error["ctx"]["expected_tags"]).replace("'", "").split(", ")
            return f"'{name}.source' is {source!r}.{did_you_mean(source, sources)} It must be {' or '.join(sources)}."
        case "model_type":
            return f"'{name}' is {error['input']!r}; it must be a mapping of keys."
        case "string_pattern_mismatch" if loc[-1:] == ["url"]:  # which may hold a password
            return f"'{name}' must be an address such as https://api.example.com/v1, without a password."
        case "string_type" if isinstance(error["input"], bool | int | float | date | None):
            written = _written(tree, error)
            return f"'{name}' is {written} without quotes, which YAML reads as {_kind(error['input'])}; quote it: \"{written}\"."
        case "value_error":
            return f"'{name}': {error['ctx']['error']}." if name else f"{error['ctx']['error']}."
        case _:
            return f"'{name}' is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}."


def _is_internal(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith(("constrained-", "function-"))


def _keys(loc: list[Any], values: Any) -> list[str]:
    """Keys that the section at ``loc`` may have."""
    section: Any = Recipe
    if loc == ["task"]:
        return list(task_class(values["task"]["name"]).model_fields)
    for part in loc:
        if branch := BRANCHES.get(part):
            section = branch
        if part not in section.model_fields:
            continue
        annotation = section.model_fields[part].annotation
        models = [m for m in (annotation, *getattr(annotation, "__args__", ())) if isinstance(m, type)]
        section = next((m for m in models if issubclass(m, BaseModel)), section)
    return list(section.model_fields)


def _kind(value: Any) -> str:
    """What YAML takes a value for."""
    if value is None or isinstance(value, bool):
        return "a boolean" if isinstance(value, bool) else "nothing"
    return "a date" if isinstance(value, date) else "a number"


def _written(tree: yaml.Node, error: ErrorDetails) -> str:
    """A wrong value as it is written in the recipe."""
    node = _nodes(tree, error)[-1][1]
    return node.value if isinstance(node, yaml.ScalarNode) else str(error["input"])


def _location(tree: yaml.Node, error: ErrorDetails) -> str:
    """``line:column`` of the wrong value; of the key for unknown keys, of the section for missing ones."""
    key, node = _nodes(tree, error)[-1]
    mark = key.start_mark if error["type"] == "extra_forbidden" else node.start_mark
    return f"{mark.line + 1}:{mark.column + 1}"


def _nodes(tree: yaml.Node, error: ErrorDetails) -> list[tuple[yaml.Node, yaml.Node]]:
    """The keys and values on the way to a wrong value, as far as the recipe has them; items of a list are their own keys."""
    path = [(tree, tree)]
    for part in (part for part in error["loc"] if part not in BRANCHES):
        node = path[-1][1]
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == part), None)
            if pair is None:
                break
            path.append(pair)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            path.append((node.value[part], node.value[part]))
    return path


def _repeated_keys(node: yaml.Node, seen_nodes: set[int]) -> Iterator[tuple[str, yaml.Mark]]:
    if id(node) in seen_nodes:  # an alias
        return
    seen_nodes.add(id(node))
    children = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, key.start_mark
            seen.add(key.value)
            children = [*children, value]
    for child in children:
        yield from _repeated_keys(child, seen_nodes)
