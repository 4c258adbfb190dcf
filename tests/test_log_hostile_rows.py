"""Any row of a log parses or raises a RecipeError with a reason."""

import json
import random
from collections import Counter
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
    batch_request,
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
VALID = [
    batch_request("1"), answered("1"), {"request": REQUEST, "response": chat()}, bedrock(CONVERSE, converse({"text": "a"})),
    bedrock(CLAUDE, EVENTS), bedrock(LLAMA, GENERATION), {"messages": ASK, "completion": "a"},
]  # fmt: skip


def assert_parses_or_gives_a_reason(rows):
    with suppress(RecipeError):
        for location, logged in logs.parse(((f"line {n}", row) for n, row in enumerate(rows)), Counter()):
            assert location
            assert logged.text.strip()
            json.dumps(logged.messages).encode()
            (logged.id + logged.text + logged.reasoning + logged.model).encode()
            assert 0 < len(logged.finish_reason) <= 60  # an unknown end keeps its name


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), max_size=4))
def test_arbitrary_rows_raise_no_other_error(rows):
    assert_parses_or_gives_a_reason(rows)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(VALID), st.integers(0, 2**31), VALUES), max_size=4))
def test_rows_with_one_replaced_value_raise_no_other_error(changes):
    assert_parses_or_gives_a_reason(
        replaced(json.loads(json.dumps(row)), random.Random(seed), value) for row, seed, value in changes
    )


def replaced(row, chance, value):
    """The row with one value, at any depth, replaced."""
    inside = row
    while True:
        key = chance.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        if not (isinstance(inside[key], dict | list) and inside[key]) or chance.random() < 0.2:
            inside[key] = value
            return row
        inside = inside[key]


def test_deeply_nested_json_is_refused_or_kept_as_text():
    deep = "[" * 900 + "]" * 900
    with pytest.raises(RecipeError):
        read({"messages": deep, "completion": "a"})
    assert one({"prompt": "a", "completion": "[" * 100_000}).text == "[" * 100_000
