"""No row of a log, however it is made, raises anything but an error that says why."""

import json
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log_rows import (
    ASK,
    CLAUDE,
    CONVERSE,
    EVENTS,
    GENERATION,
    LLAMA,
    REQUEST,
    answered,
    asked,
    bedrock,
    chat,
    converse,
    one,
    read,
)
from potstill.data import logs
from potstill.errors import RecipeError

KEYS = [
    "request", "response", "request_body", "response_body", "body", "messages", "prompt", "completion", "input",
    "output", "instruction", "context", "system", "role", "content", "text", "type", "choices", "message",
    "finish_reason", "tool_calls", "usage", "prompt_tokens", "custom_id", "error", "status_code", "status", "id",
    "model", "schemaType", "modelId", "inputBodyJson", "outputBodyJson", "inputBodyS3Path", "generation",
    "stop_reason", "stopReason", "delta", "content_block", "thinking", "reasoningContent", "embedding", "data",
]  # fmt: skip
WORDS = [
    "user",
    "assistant",
    "system",
    "tool",
    "text",
    "stop",
    "ModelInvocationLog",
    "message_start",
    "{",
    "[1]",
    "\ud800",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(KEYS), values, max_size=5),
    max_leaves=12,
)
SOUND = [
    asked("1"), answered("1"), {"request": REQUEST, "response": chat()}, bedrock(CONVERSE, converse({"text": "a"})),
    bedrock(CLAUDE, EVENTS), bedrock(LLAMA, GENERATION), {"messages": ASK, "completion": "a"},
]  # fmt: skip


def reads_or_says_why(rows):
    with suppress(RecipeError):
        for place, logged in logs.read((f"line {n}", row) for n, row in enumerate(rows)):
            assert place
            assert logged.text.strip()
            json.dumps(logged.messages).encode()
            (logged.id + logged.text + logged.reasoning + logged.model).encode()
            assert logged.finish_reason in ("stop", "length", "content_filter")


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), max_size=4))
def test_no_row_raises_anything_else(rows):
    reads_or_says_why(rows)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SOUND), st.integers(0, 2**31), VALUES), max_size=4))
def test_no_row_with_one_thing_exchanged_raises_anything_else(changes):
    reads_or_says_why(
        exchanged(json.loads(json.dumps(row)), random.Random(seed), value) for row, seed, value in changes
    )


def exchanged(row, chance, value):
    """The row with one thing in it, at any depth, replaced."""
    inside = row
    while True:
        key = chance.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        if not (isinstance(inside[key], dict | list) and inside[key]) or chance.random() < 0.2:
            inside[key] = value
            return row
        inside = inside[key]


def test_json_nested_deeply():
    deep = "[" * 900 + "]" * 900
    with pytest.raises(RecipeError):
        read({"messages": deep, "completion": "a"})
    assert one({"prompt": "a", "completion": "[" * 100_000}).text == "[" * 100_000
