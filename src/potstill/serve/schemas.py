"""JSON Schemas that an engine can hold an answer to.

llama.cpp ignores a schema that its grammar engine cannot compile, without a word: what may be ignored is refused.
"""

from collections.abc import Mapping
from typing import Any

KEYWORDS = frozenset(
    ("type", "properties", "required", "additionalProperties", "enum", "const", "items", "prefixItems", "minItems", "maxItems",
     "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "anyOf", "$ref", "$defs",
     "definitions", "title", "description", "default", "examples", "$schema", "$id", "$comment")
)  # fmt: skip
"""Keywords that both engines know, and notes that they need not know."""
NAMED = ("properties", "$defs", "definitions")
"""Keywords whose values are schemas by name."""
MOST_SCHEMAS, DEEPEST = 1000, 30


def fault(schema: Mapping[str, Any]) -> str:
    """Why answers cannot be held to a valid schema, in words; empty where they can."""
    open_ = [(schema, 0)]
    for n, (one, depth) in enumerate(open_):
        if n >= MOST_SCHEMAS or depth > DEEPEST:
            return "it is too large"
        if not isinstance(one, Mapping):  # true or false
            continue
        if unknown := [name for name in one if name not in KEYWORDS]:
            return f"'{unknown[0][:40]}' is not supported"
        if "(?" in one.get("pattern", ""):
            return "a pattern with (? is not supported"
        for name in NAMED:
            open_ += [(part, depth + 1) for part in one.get(name, {}).values()]
        parts = [one.get("items"), one.get("additionalProperties"), *one.get("anyOf", ()), *one.get("prefixItems", ())]
        open_ += [(part, depth + 1) for part in parts if part is not None]
    return ""
