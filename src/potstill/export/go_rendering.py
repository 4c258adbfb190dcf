"""What Ollama makes of a template: the part of Go's text/template that `go_template` writes.

Ollama gives a template `.System`, all system messages joined, and `.Messages`, in which messages of the same role that follow each other
are merged (`template.Execute` and `collate` in Ollama's template/template.go).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

Message = Mapping[str, str]
BETWEEN = "\n\n"
"""What Ollama writes between merged messages."""
_ACTION = re.compile(r"(?P<left>\s*\{\{-\s|\{\{)\s*(?P<code>.*?)\s*(?P<right>\s-\}\}\s*|\}\})", re.DOTALL)
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')


def render(template: str, messages: Sequence[Message]) -> str:
    """The prompt for a chat. Raises `ValueError` for what is no such template."""
    system = BETWEEN.join(m["content"] for m in messages if m["role"] == "system")
    merged = [
        {"Role": role, "Content": BETWEEN.join(m["content"] for m in some)}
        for role, some in groupby(messages, key=lambda m: m["role"])
    ]
    parts = list(_split(template))
    body, rest = _block(parts, 0)
    if rest != len(parts):
        raise ValueError("an action without its beginning")
    return "".join(_shown(body, {"System": system, "Messages": merged}))


def _split(template: str) -> Iterator[tuple[str, str]]:
    """``(text, "")`` and ``("", action)`` in turn."""
    at = 0
    for found in _ACTION.finditer(template):
        if text := template[at : found.start()]:
            yield text, ""
        yield "", found["code"]
        at = found.end()
    if text := template[at:]:
        yield text, ""


def _block(parts: Sequence[tuple[str, str]], at: int) -> tuple[list[Any], int]:
    """The nodes from ``at`` to the action that ends them, and the place of that."""
    nodes: list[Any] = []
    while at < len(parts):
        text, code = parts[at]
        if code == "end" or code.startswith("else"):
            return nodes, at
        if code.startswith("if "):
            node, at = _condition(parts, at, code.removeprefix("if "))
            nodes.append(node)
        elif code.startswith("range "):
            body, at = _block(parts, at + 1)
            nodes.append(("range", code.removeprefix("range "), body))
        else:
            nodes.append(("action", code) if code else ("text", text))
        at += 1
    return nodes, at


def _condition(parts: Sequence[tuple[str, str]], at: int, test: str) -> tuple[Any, int]:
    """An `if` with its branches, and the place of its end."""
    body, at = _block(parts, at + 1)
    otherwise: list[Any] = []
    if at < len(parts) and parts[at][1].startswith("else if "):
        nested, at = _condition(parts, at, parts[at][1].removeprefix("else if "))
        otherwise = [nested]
    elif at < len(parts) and parts[at][1] == "else":
        otherwise, at = _block(parts, at + 1)
    if at >= len(parts) or parts[at][1] != "end":
        raise ValueError("an if without its end")
    return ("if", test, body, otherwise), at


def _shown(nodes: Sequence[Any], data: Mapping[str, Any]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ("text", text):
                yield text
            case ("action", code):
                yield str(_value(code, data))
            case ("if", test, body, otherwise):
                yield from _shown(body if _holds(test, data) else otherwise, data)
            case ("range", items, body):
                for item in _value(items, data):
                    yield from _shown(body, item)


def _holds(test: str, data: Mapping[str, Any]) -> bool:
    if test.startswith("eq "):
        name, _, literal = test.removeprefix("eq ").partition(" ")
        return bool(_value(name, data) == _value(literal, data))
    return bool(_value(test, data))


def _value(code: str, data: Mapping[str, Any]) -> Any:
    if _LITERAL.fullmatch(code):
        return json.loads(code)
    if re.fullmatch(r"\.[A-Z]\w*", code) and code[1:] in data:
        return data[code[1:]]
    raise ValueError(f"not a part of these templates: {code}")
