"""Differences between endpoints: unsupported parameters, reasoning, log probabilities and streams."""

import asyncio
import json

import pytest

from potstill.models import Sampling
from raw_server import FINE, Server, completion_json, http

pytestmark = pytest.mark.usefixtures("short_backoff")


def test_the_other_token_limit_field_is_used_after_a_refusal():
    refusal = b'{"error": {"message": "Unsupported parameter: max_tokens. Use max_completion_tokens instead."}}'
    server = Server(http(refusal, "400 Bad Request"), FINE)
    assert [c.text for c in server.complete(n=2, concurrency=1)] == ["fine", "fine"]
    assert ["max_completion_tokens" in body for _, body in server.requests] == [False, True, True]


def test_requests_in_flight_when_a_dialect_is_learned_are_sent_again():
    refusal = http(b'{"error": {"message": "use max_completion_tokens"}}', "400 Bad Request")

    class Newer(Server):
        async def serve(self, reader, writer):
            try:
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                    body = await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
                    await asyncio.sleep(0.02)
                    writer.write(FINE if b"max_completion_tokens" in body else refusal)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

    got = Newer().complete(n=40, concurrency=16)
    assert [c.error for c in got] == [None] * 40


def test_a_server_without_schema_support_gets_the_schema_in_the_prompt():
    refusal = b'{"error": {"message": "response_format is not supported"}}'
    server = Server(http(refusal, "400 Bad Request"), FINE)
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}}
    server.complete(n=2, concurrency=1, schema=schema)
    assert server.requests[0][1]["response_format"]["json_schema"]["schema"] == schema
    for _, body in server.requests[1:]:
        assert "response_format" not in body
        assert json.dumps(schema) in body["messages"][-1]["content"]


REASONING = {
    "reasoning_content": {"content": "4", "reasoning_content": "2 and 2"},
    "reasoning": {"content": "4", "reasoning": "2 and 2"},
    "a block": {"content": "<think>2 and 2</think>\n\n4"},
    "a block that the prompt opened": {"content": "2 and 2\n</think>\n4"},
}


@pytest.mark.parametrize("message", REASONING.values(), ids=REASONING.keys())
def test_reasoning_is_separated_from_the_answer(message):
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 7,
        "completion_tokens_details": {"reasoning_tokens": 5},
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    server = Server(
        http(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode())
    )
    (got,) = server.complete(
        sampling=Sampling(10), thinking_tokens=100, price={"input": 1e6, "cached_input": 0, "output": 1e6}
    )
    assert (got.reasoning, got.text) == ("2 and 2", "4")
    assert (got.reasoning_tokens, got.cached_tokens, got.cost) == (5, 4, 5 + 7)
    assert server.requests[0][1]["max_tokens"] == 110


def test_truncated_reasoning_leaves_no_answer():
    (got,) = Server(http(completion_json("<think>2 and", "length"))).complete()
    assert (got.reasoning, got.text, got.finish_reason) == ("2 and", "", "length")


def test_log_probabilities_are_stored_and_extra_fields_are_sent():
    token = {
        "token": "5",  # drawn
        "logprob": -2.5,
        "top_logprobs": [{"token": "4", "logprob": -0.1}, {"token": "5", "logprob": -2.5}],
    }
    choice = {"message": {"content": "4"}, "finish_reason": "stop", "logprobs": {"content": [token]}}
    server = Server(http(json.dumps({"choices": [choice]}).encode()))
    (got,) = server.complete(sampling=Sampling(10, top_logprobs=2), extra_body={"reasoning_effort": "low"})
    assert json.loads(got.logprobs) == [[["5", -2.5], ["4", -0.1]]]
    assert (server.requests[0][1]["top_logprobs"], server.requests[0][1]["reasoning_effort"]) == (2, "low")
    assert got.prompt_tokens == 1  # estimated without a count: a quarter of the characters


def events(*deltas, end=b"data: [DONE]\n\n"):
    chunks = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks += [
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in chunks) + end
    return [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            *[b"%x\r\n%s\r\n" % (len(body[i : i + 50]), body[i : i + 50]) for i in range(0, len(body), 50)], b"0\r\n\r\n"]  # fmt: skip


def test_the_first_token_timeout_and_faulty_streams_are_retried():
    good = events({"reasoning_content": "hm"}, {"content": "fi"}, {"content": "ne é"})
    server = Server([2.0], [good[0], 2.0], good)
    (got,) = server.complete(first_token_timeout=0.3, timeout=5)
    assert (got.reasoning, got.text, got.completion_tokens) == ("hm", "fine é", 2)
    assert server.requests[0][1]["stream"] is True
    assert len(server.requests) == 3
    failing = events({"content": "half"}, end=b'data: {"error": {"message": "oh"}}\n\ndata: [DONE]\n\n')
    (got,) = Server(failing, good).complete(first_token_timeout=0.3)
    assert got.text == "fine é"
    broken = Server([*good[:3], None], good)
    (got,) = broken.complete(first_token_timeout=0.3)
    assert got.text == "fine é"
    assert len(broken.requests) == 2
