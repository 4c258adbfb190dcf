"""Unusual forms of responses, known from real servers and proxies: a malformed side field never loses an answer."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.errors import RecipeError
from potstill.models import ErrorKind, Request, Sampling
from potstill.models.prices import Price
from potstill.models.remote import wire
from potstill.models.remote.server import Server
from potstill.models.remote.stream import StreamAssembler
from potstill.models.specs import Endpoint

REQUEST = Request("1", [{"role": "user", "content": "what is 2+2?"}], Sampling(top_logprobs=2))
USAGE = {"prompt_tokens": 50, "completion_tokens": 7}


def response(usage=USAGE, finish_reason="stop", more=None, **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": "four"} | message, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice | (more or {})], "usage": usage}).encode()


@pytest.mark.parametrize(("content", "text", "finish_reason"), [
    (response(refusal=""), "four", "stop"),
    (response(refusal="I cannot."), "I cannot.", "refused"),
    (response(content=["fo", "ur"]), "four", "stop"),
    (response(finish_reason={"type": "stop"}), "four", "stop"),
    (response(finish_reason="MAX_TOKENS"), "four", "length"),
    (response(finish_reason="SAFETY"), "four", "content_filter"),
    (response(more={"index": "zero"}), "four", "stop"),
    (response(more={"logprobs": {"content": [{"top_logprobs": [{"logprob": -1}]}]}}), "four", "stop"),
    (b"\xef\xbb\xbf" + response(), "four", "stop"),
])  # fmt: skip
def test_an_answer_is_parsed_whatever_its_side_fields_are(content, text, finish_reason):
    completion = wire.parse_completion(REQUEST, 200, content)
    assert (completion.error, completion.text, completion.finish_reason) == (None, text, finish_reason)
    assert (completion.prompt_tokens, completion.completion_tokens) == (50, 7)


@pytest.mark.parametrize(("usage", "counted"), [
    ({"prompt_tokens": "50", "completion_tokens": "7"}, (50, 7)),
    ({"input_tokens": 50, "output_tokens": 7}, (50, 7)),
    ({"prompt_tokens": None, "completion_tokens": 7}, (3, 7)),
    ({"total_tokens": 57}, (3, 1)),
    ({"prompt_tokens": 50.0, "completion_tokens": 7, "prompt_tokens_details": [1]}, (50, 7)),
    ([1, 2], (3, 1)),
    ("much", (3, 1)),
    (None, (3, 1)),
])  # fmt: skip
def test_tokens_are_counted_or_estimated(usage, counted):
    completion = wire.parse_completion(REQUEST, 200, response(usage))
    assert (completion.prompt_tokens, completion.completion_tokens) == counted


def test_no_token_count_makes_a_cost_negative():
    completion = wire.parse_completion(
        REQUEST, 200, response(USAGE | {"prompt_tokens_details": {"cached_tokens": 9000}})
    )
    assert completion.cached_tokens == completion.prompt_tokens == 50
    assert Price(input=2, output=0, cached_input=1).cost(50, 7, completion.cached_tokens) > 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "message", "content", "usage", "error", "code", "index", "finish_reason", "logprobs"]
                ),
                inner,
            )
        ),
    )
)
def test_the_parser_raises_nothing_but_value_errors(value):
    with suppress(ValueError):
        completion = wire.parse_completion(REQUEST, 200, json.dumps(value).encode())
        assert completion.id == "1"
        assert (
            min(
                completion.prompt_tokens,
                completion.cached_tokens,
                completion.completion_tokens,
                completion.reasoning_tokens,
            )
            >= 0
        )


@pytest.mark.parametrize(("error", "kind"), [
    ({"code": 401, "message": "no"}, ErrorKind.AUTH),
    ({"code": "402", "message": "pay"}, ErrorKind.QUOTA),
    ({"code": 429, "message": "slower"}, ErrorKind.RATE_LIMITED),
    ({"code": 502, "message": "oh"}, ErrorKind.OVERLOADED),
    ({"code": None, "message": "oh"}, ErrorKind.OVERLOADED),
    ({"code": "insufficient_quota", "message": "pay"}, ErrorKind.QUOTA),
])  # fmt: skip
def test_an_error_instead_of_an_answer_has_its_kind(error, kind):
    assert wire.parse_completion(REQUEST, 200, json.dumps({"error": error}).encode()).error is kind
    assembler = StreamAssembler()
    assembler.feed(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
    assert wire.parse_completion(REQUEST, 200, assembler.response()).error is kind


@pytest.mark.parametrize(("status", "error", "kind"), [
    (429, {"code": 429, "type": "insufficient_quota"}, ErrorKind.QUOTA),
    (429, {"code": "429", "type": "exceeded_current_quota_error"}, ErrorKind.QUOTA),
    (400, {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens"}, ErrorKind.CONTEXT_TOO_LONG),
    (403, {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"], "flagged_input": "q"}}, None),
    (403, {"code": 403, "message": "no", "metadata": {"provider": "x"}}, ErrorKind.AUTH),
])  # fmt: skip
def test_error_kinds_of_refusals(status, error, kind):
    completion = wire.parse_completion(REQUEST, status, json.dumps({"error": error}).encode())
    assert completion.error is kind
    assert (completion.finish_reason == "content_filter") == (kind is None)


def event(data="", finish_reason=None, index=0, **delta):
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice]}, indent=1 if data == "indented" else None)


HALVES = (event(content="fi"), event(content="ne", finish_reason="stop"))


@pytest.mark.parametrize("body", [
    "".join(f"data: {e}\n\n" for e in (*HALVES, "[DONE]")),
    "".join(f"data:{e}\r\n\r\n" for e in (*HALVES, "[DONE]")),
    "".join(f"data: {e}\r\r" for e in (*HALVES, "[DONE]")),
    "".join(f"data: {e}\n" for e in (*HALVES, "[DONE]")),
    "\n\n".join(f"data: {e}" for e in HALVES),
    "\ufeff" + "".join(f"data: {e}\n\n" for e in HALVES),
    ": ping\n\n" + "".join(f"event: x\nid: 1\ndata: {e}\n\n" for e in HALVES),
    "".join(f"data: {e}\n\n" for e in (HALVES[0], event(content="no", index=1), HALVES[1])),
    "".join(f"data: {e}\n\n" for e in (HALVES[0], event(content="ne"), "[DONE]")),
    "".join("".join(f"data: {line}\n" for line in e.splitlines()) + "\n" for e in (
        event("indented", content="fi"), event("indented", content="ne", finish_reason="stop"))),
    "data: " + json.dumps({"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]}) + "\n\n",
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_in_any_form_is_assembled(body, size):
    assembler, sent = StreamAssembler(), body.encode()
    for start in range(0, len(sent), size):
        assembler.feed(sent[start : start + size])
    completion = wire.parse_completion(REQUEST, 200, assembler.response())
    assert (completion.text, completion.finish_reason) == ("fine", "stop")


def test_a_stream_that_ends_early_is_an_error():
    for body in (f"data: {HALVES[0]}\n\n", "", "data: [DONE]\n\n", ": ping\n\n"):
        assembler = StreamAssembler()
        assembler.feed(body.encode())
        with pytest.raises(ValueError, match="ended early"):
            assembler.response()
    with pytest.raises(ValueError, match="not an event"):
        StreamAssembler().feed(b"data: {\n\n")


def test_an_answer_starts_with_its_first_token():
    assembler = StreamAssembler()
    for early in (": OPENROUTER PROCESSING\n\n", f"data: {event(role='assistant', content='')}\n\n"):
        assembler.feed(early.encode())
        assert not assembler.started
    assembler.feed(f"data: {event(reasoning='hm', reasoning_content='hm')}\n\n".encode())
    assert assembler.started
    assembler.feed(f"data: {HALVES[1]}\n\n".encode())
    assert wire.parse_completion(REQUEST, 200, assembler.response()).reasoning == "hm"


KEY = "Ab12/cd34+EF56gh78ij90kl=="


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api?code={api_key}", "http://127.0.0.1:1/{api_key}/v1"])
def test_a_key_is_masked_in_every_encoding(url, monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)
    server = Server(Endpoint(url=url, model="m", api_key_env="THE_KEY"))
    address = server.address("chat/completions")
    for text in (str(address), address.raw_path_qs, json.dumps(KEY), KEY.replace("/", "\\/"), f"?code={KEY}"):
        shown = server.masked(f"cannot reach {text}: no")
        assert "***" in shown
        assert "EF56gh78" not in shown


@pytest.mark.parametrize(("proxy", "used"), [
    ("127.0.0.1:3128", "http://127.0.0.1:3128"), ("http://user:pa55word@127.0.0.1:3128", "http://user:pa55word@127.0.0.1:3128"),
    ("http://127.0.0.1:port", None), ("socks5://127.0.0.1:1080", None),
])  # fmt: skip
def test_the_proxy_of_the_environment(proxy, used, monkeypatch):
    monkeypatch.setenv("http_proxy", proxy)
    endpoint = Endpoint(url="http://example.org/v1", model="m")
    if used is None:
        with pytest.raises(RecipeError, match="http_proxy should be the address of an HTTP proxy"):
            Server(endpoint)
        return
    server = Server(endpoint)
    assert str(server.proxy) == used
    assert "pa55word" not in server.masked(f"cannot reach {server.proxy}")
    assert Server(endpoint.model_copy(update={"url": "http://[::ffff:127.0.0.1]:1/v1"})).proxy is None


@pytest.mark.parametrize(("fields", "message"), [
    ({"url": "http://h/v1/chat/completions"}, "leave out /chat/completions"),
    ({"url": "http://h:99999/v1"}, "ort"),
    ({"url": "http://h/v 1"}, "match pattern"),
    ({"extra_body": {"a": 1 << 70}}, "cannot be written as JSON"),
    ({"extra_body": {"a": float("nan")}}, "cannot be written as JSON"),
    ({"api_key_env": ""}, "match pattern"),
    ({"api_key_header": "key\r\n"}, "match pattern"),
])  # fmt: skip
def test_an_invalid_endpoint_is_rejected(fields, message):
    with pytest.raises(ValueError, match=message):
        Endpoint(**{"url": "http://h/v1", "model": "m"} | fields)


def test_numeric_keys_are_sent_as_strings():
    endpoint = Endpoint(url="http://h/v1", model="m", extra_body={"logit_bias": {50256: -100}})
    assert wire.request_body(endpoint, REQUEST, wire.Dialect())["logit_bias"] == {"50256": -100}
