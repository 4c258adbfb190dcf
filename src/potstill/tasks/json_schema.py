"""JSON Schemas: those of a recipe, those that a reply must follow, and the values that follow them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import jsonschema
from pydantic import AfterValidator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from potstill.answers import numbers, text

_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][\d,]{0,40})(?:\.\d{1,40})?")
DEFINITIONS = ("$defs", "definitions")


def _checked(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"no JSON Schema: {error.message}") from error
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for reference in _references(schema):
        try:
            if not reference.startswith("#"):
                raise ValueError(
                    f"$ref '{reference}': only what the schema itself holds can be referred to: #/$defs/NAME"
                )
            resolver.lookup(reference)
        except Unresolvable as error:
            raise ValueError(f"$ref '{reference}': the schema holds nothing there") from error
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(_checked)]
"""A JSON Schema that refers to nothing outside itself."""


def fault(schema: Mapping[str, Any], value: Any) -> str:
    """What is wrong with a value by the schema; empty where nothing is."""
    error = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(value)), None)
    return f"{error.json_path}: {error.message[:200]}" if error else ""


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema of an object that has these properties, all of them and no others."""
    return {
        "type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def holding(properties: Mapping[str, Any]) -> dict[str, Any]:
    """`object_schema` of properties that are whole schemas: their references still find what they refer to."""
    inside = {name: _moved(schema, f"#/properties/{name}") for name, schema in properties.items()}
    definitions: dict[str, Any] = {}
    for schema in inside.values():
        for kind in DEFINITIONS:
            if kind in schema:
                definitions[kind] = definitions.get(kind, {}) | schema.pop(kind)
    return object_schema(inside) | definitions


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values say the same: lists without their order, numbers by value, text without case and outer
    punctuation; nothing, null, and what is empty are one."""
    return _plain(a) == _plain(b)


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        pairs = [(key, plain) for key in sorted(value) if (plain := _plain(value[key]))]
        return json.dumps(dict(pairs)) if pairs else ""
    if isinstance(value, list):
        inside = sorted(filter(None, map(_plain, value)))
        return json.dumps(inside) if inside else ""
    return "" if value is None else scalar(value)


def scalar(value: str | float | bool) -> str:
    """A value that is neither list nor object, as a text that equal ones share: 12.5 and "12.50", but not 1234 and "01234"."""
    if isinstance(value, bool):
        return str(value).lower()
    said = text.bare(str(value)) if isinstance(value, str) else repr(value)
    if (isinstance(value, str) and not _PLAIN_NUMBER.fullmatch(said)) or (number := numbers.value(said)) is None:
        return said
    return str(number)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for inside in schema:
            yield from _references(inside)


def _moved(schema: Any, where: str) -> Any:
    """A schema that stands at ``where`` of another, whose definitions are moved to the top of that."""
    if isinstance(schema, list):
        return [_moved(inside, where) for inside in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(inside, where) for key, inside in schema.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str) and not reference.startswith(tuple(f"#/{kind}/" for kind in DEFINITIONS)):
        moved["$ref"] = where + reference.removeprefix("#")
    return moved
