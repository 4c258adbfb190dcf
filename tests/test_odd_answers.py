"""Answers in unusual forms, as servers and proxies are known to give them: nothing that was paid for is lost for a side field."""

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
from potstill.models.remote.stream import Streamed
from potstill.models.specs import Endpoint

ASKED = Request("1", [{"role": "user", "content": "what is 2+2?"}], Sampling(top_logprobs=2))
USAGE = {"prompt_tokens": 50, "completion_tokens": 7}


def answer(usage=USAGE, finish_reason="stop", more=None, **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": "four"} | message, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice | (more or {})], "usage": usage}).encode()


@pytest.mark.parametrize(("content", "text", "finish_reason"), [
    (answer(refusal=""), "four", "stop"),
    (answer(refusal="I cannot."), "I cannot.", "content_filter"),
    (answer(content=["fo", "ur"]), "four", "stop"),
    (answer(finish_reason={"type": "stop"}), "four", "stop"),
    (answer(finish_reason="MAX_TOKENS"), "four", "length"),
    (answer(finish_reason="SAFETY"), "four", "content_filter"),
    (answer(more={"index": "zero"}), "four", "stop"),
    (answer(more={"logprobs": {"content": [{"top_logprobs": [{"logprob": -1}]}]}}), "four", "stop"),
    (b"\xef\xbb\xbf" + answer(), "four", "stop"),
])  # fmt: skip
def test_the_answer_is_read_whatever_stands_beside_it(content, text, finish_reason):
    got = wire.completion(ASKED, 200, content)
    assert (got.error, got.text, got.finish_reason) == (None, text, finish_reason)
    assert (got.prompt_tokens, got.completion_tokens) == (50, 7)


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
    got = wire.completion(ASKED, 200, answer(usage))
    assert (got.prompt_tokens, got.completion_tokens) == counted


def test_no_count_makes_a_cost_less_than_nothing():
    got = wire.completion(ASKED, 200, answer(USAGE | {"prompt_tokens_details": {"cached_tokens": 9000}}))
    assert got.cached_tokens == got.prompt_tokens == 50
    assert Price(input=2, output=0, cached_input=1).of(50, 7, got.cached_tokens) > 0


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
def test_nothing_breaks_the_reader(value):
    with suppress(ValueError):
        got = wire.completion(ASKED, 200, json.dumps(value).encode())
        assert got.id == "1"
        assert min(got.prompt_tokens, got.cached_tokens, got.completion_tokens, got.reasoning_tokens) >= 0


@pytest.mark.parametrize(("error", "kind"), [
    ({"code": 401, "message": "no"}, ErrorKind.AUTH),
    ({"code": "402", "message": "pay"}, ErrorKind.QUOTA),
    ({"code": 429, "message": "slower"}, ErrorKind.RATE_LIMITED),
    ({"code": 502, "message": "oh"}, ErrorKind.OVERLOADED),
    ({"code": None, "message": "oh"}, ErrorKind.OVERLOADED),
    ({"code": "insufficient_quota", "message": "pay"}, ErrorKind.QUOTA),
])  # fmt: skip
def test_an_error_in_the_place_of_an_answer_says_what_it_is(error, kind):
    assert wire.completion(ASKED, 200, json.dumps({"error": error}).encode()).error is kind
    streamed = Streamed()
    streamed.feed(b"data: " + json.dumps({"error": error}).encode() + b"\n\n")
    assert wire.completion(ASKED, 200, streamed.answer()).error is kind


@pytest.mark.parametrize(("status", "error", "kind"), [
    (429, {"code": 429, "type": "insufficient_quota"}, ErrorKind.QUOTA),
    (429, {"code": "429", "type": "exceeded_current_quota_error"}, ErrorKind.QUOTA),
    (400, {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens"}, ErrorKind.CONTEXT_TOO_LONG),
    (403, {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"], "flagged_input": "q"}}, None),
    (403, {"code": 403, "message": "no", "metadata": {"provider": "x"}}, ErrorKind.AUTH),
])  # fmt: skip
def test_what_a_refusal_means(status, error, kind):
    got = wire.completion(ASKED, status, json.dumps({"error": error}).encode())
    assert got.error is kind
    assert (got.finish_reason == "content_filter") == (kind is None)


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
def test_a_stream_in_any_form_is_put_together(body, size):
    streamed, sent = Streamed(), body.encode()
    for start in range(0, len(sent), size):
        streamed.feed(sent[start : start + size])
    got = wire.completion(ASKED, 200, streamed.answer())
    assert (got.text, got.finish_reason) == ("fine", "stop")


def test_a_stream_that_breaks_off_is_no_answer():
    for body in (f"data: {HALVES[0]}\n\n", "", "data: [DONE]\n\n", ": ping\n\n"):
        streamed = Streamed()
        streamed.feed(body.encode())
        with pytest.raises(ValueError, match="broke off"):
            streamed.answer()
    with pytest.raises(ValueError, match="not an event"):
        Streamed().feed(b"data: {\n\n")


def test_an_answer_begins_with_its_first_token():
    streamed = Streamed()
    for early in (": OPENROUTER PROCESSING\n\n", f"data: {event(role='assistant', content='')}\n\n"):
        streamed.feed(early.encode())
        assert not streamed.begun
    streamed.feed(f"data: {event(reasoning='hm', reasoning_content='hm')}\n\n".encode())
    assert streamed.begun
    streamed.feed(f"data: {HALVES[1]}\n\n".encode())
    assert wire.completion(ASKED, 200, streamed.answer()).reasoning == "hm"


KEY = "Ab12/cd34+EF56gh78ij90kl=="


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api?code={api_key}", "http://127.0.0.1:1/{api_key}/v1"])
def test_a_key_is_masked_however_it_is_written(url, monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)
    server = Server(Endpoint(url=url, model="m", api_key_env="THE_KEY"))
    address = server.address("chat/completions")
    for text in (str(address), address.raw_path_qs, json.dumps(KEY), KEY.replace("/", "\\/"), f"?code={KEY}"):
        shown = server.masked(f"cannot reach {text}: no")
        assert "***" in shown
        assert "EF56gh78" not in shown


@pytest.mark.parametrize(("proxy", "taken"), [
    ("127.0.0.1:3128", "http://127.0.0.1:3128"), ("http://user:pa55word@127.0.0.1:3128", "http://user:pa55word@127.0.0.1:3128"),
    ("http://127.0.0.1:port", None), ("socks5://127.0.0.1:1080", None),
])  # fmt: skip
def test_the_environments_proxy(proxy, taken, monkeypatch):
    monkeypatch.setenv("http_proxy", proxy)
    endpoint = Endpoint(url="http://example.org/v1", model="m")
    if taken is None:
        with pytest.raises(RecipeError, match="http_proxy should be the address of a proxy"):
            Server(endpoint)
        return
    server = Server(endpoint)
    assert str(server.proxy) == taken
    assert "pa55word" not in server.masked(f"cannot reach {server.proxy}")
    assert Server(endpoint.model_copy(update={"url": "http://[::ffff:127.0.0.1]:1/v1"})).proxy is None


@pytest.mark.parametrize(("fields", "words"), [
    ({"url": "http://h/v1/chat/completions"}, "leave out /chat/completions"),
    ({"url": "http://h:99999/v1"}, "ort"),
    ({"url": "http://h/v 1"}, "match pattern"),
    ({"extra_body": {"a": 1 << 70}}, "cannot be written as JSON"),
    ({"extra_body": {"a": float("nan")}}, "cannot be written as JSON"),
    ({"api_key_env": ""}, "match pattern"),
    ({"api_key_header": "key\r\n"}, "match pattern"),
])  # fmt: skip
def test_an_endpoint_that_cannot_work_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        Endpoint(**{"url": "http://h/v1", "model": "m"} | fields)


def test_numbers_as_keys_are_sent_as_json_has_them():
    endpoint = Endpoint(url="http://h/v1", model="m", extra_body={"logit_bias": {50256: -100}})
    assert wire.body(endpoint, ASKED, wire.Dialect())["logit_bias"] == {"50256": -100}
