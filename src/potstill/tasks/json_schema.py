"""JSON Schemas of recipes and of replies, and the comparison of JSON values."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import jsonschema
from pydantic import AfterValidator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from potstill.answers import numbers
from potstill.answers.folding import fold_words
from potstill.answers.notation import plain_numbers

_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][\d,]{0,40})(?:\.\d{1,40})?")
DEFINITION_KEYS = ("$defs", "definitions")


def _validate_schema(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"no JSON Schema: {error.message}") from error
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for reference in _references(schema):
        try:
            if not reference.startswith("#"):
                raise ValueError(f"$ref '{reference}': a reference must point into the schema itself: #/$defs/NAME")
            resolver.lookup(reference)
        except Unresolvable as error:
            raise ValueError(f"$ref '{reference}': it points to nothing in the schema") from error
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(_validate_schema)]
"""A JSON Schema whose references all point into the schema itself."""


def first_violation(schema: Mapping[str, Any], value: Any) -> str:
    """The path and message of the first violation of the schema; empty if the value is valid."""
    error = next(iter(jsonschema.Draft202012Validator(schema).iter_errors(value)), None)
    return f"{error.json_path}: {error.message[:200]}" if error else ""


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema of an object with exactly these properties, all required."""
    return {
        "type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def combine(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """`object_schema` with a complete schema for each property; definitions move to the top and references still resolve."""
    properties = {name: _relocate(schema, f"#/properties/{name}") for name, schema in schemas.items()}
    definitions: dict[str, Any] = {}
    for schema in properties.values():
        for key in DEFINITION_KEYS:
            if key in schema:
                definitions[key] = definitions.get(key, {}) | schema.pop(key)
    return object_schema(properties) | definitions


def equivalent(a: Any, b: Any) -> bool:
    """Whether two JSON values mean the same: lists in any order, numbers by value, text without case and outer punctuation;
    a missing key, null, and empty values are equal."""
    return _normalize(a) == _normalize(b)


def without_unasked(schema: Any, value: Any, other: Any) -> Any:
    """A JSON value without the keys of its objects that neither the schema nor ``other`` has, where the schema says nothing of
    additional properties. Objects in lists stay as they are."""
    if not (isinstance(schema, dict) and isinstance(value, dict)) or "properties" not in schema:
        return value
    known = other if isinstance(other, dict) else {}
    is_open = any(key in schema for key in ("additionalProperties", "patternProperties", "$ref", "allOf"))
    return {
        key: without_unasked(schema["properties"].get(key), inner, known.get(key))
        for key, inner in value.items()
        if is_open or key in schema["properties"] or key in known
    }


def with_types(schema: Any, value: Any) -> Any:
    """A JSON value with numbers and truth values in the place of text that says them, where the schema asks for such: "12,50" is
    12.5, "1.234,50" is 1234.5, "yes" is no truth value."""
    if not isinstance(schema, dict):
        return value
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {key: with_types(properties.get(key), inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [with_types(schema.get("items"), inner) for inner in value]
    if not isinstance(value, str):
        return value
    match schema.get("type"):
        case "boolean":
            return {"true": True, "false": False}.get(value.strip().casefold(), value)
        case "number" | "integer" as kind:
            # The language is unknown: 1,250 is English, and what English does not have is a decimal comma.
            readings = (numbers.parse(plain_numbers(value.strip(), language)) for language in ("english", "german"))
            number = next((reading for reading in readings if reading is not None), None)
            if number is None or (kind == "integer" and number.denominator != 1) or "%" in value:
                return value
            return int(number) if number.denominator == 1 else float(number)
    return value


def dump(value: Any) -> str:
    """A JSON value as text, with characters outside ASCII unescaped."""
    return json.dumps(value, ensure_ascii=False)


def normalize_scalar(value: str | float | bool) -> str:
    """A value that is neither list nor object, as text that equal values share: 12.5 and "12.50", but not 1234 and "01234"."""
    if isinstance(value, bool):
        return str(value).lower()
    text = fold_words(str(value)) if isinstance(value, str) else repr(value)
    if (isinstance(value, str) and not _PLAIN_NUMBER.fullmatch(text)) or (number := numbers.parse(text)) is None:
        return text
    return str(number)


def _normalize(value: Any) -> str:
    if isinstance(value, dict):
        pairs = [(key, text) for key in sorted(value) if (text := _normalize(value[key]))]
        return json.dumps(dict(pairs)) if pairs else ""
    if isinstance(value, list):
        items = sorted(filter(None, map(_normalize, value)))
        return json.dumps(items) if items else ""
    return "" if value is None else normalize_scalar(value)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _relocate(schema: Any, path: str) -> Any:
    """A schema that is now at ``path`` of another one, whose definitions will move to the top of that one."""
    if isinstance(schema, list):
        return [_relocate(item, path) for item in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _relocate(value, path) for key, value in schema.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str) and not reference.startswith(tuple(f"#/{key}/" for key in DEFINITION_KEYS)):
        moved["$ref"] = path + reference.removeprefix("#")
    return moved
