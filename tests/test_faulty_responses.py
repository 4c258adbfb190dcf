"""Faulty responses of many kinds, each with its outcome: a completion, or the kind of error."""

import gzip
import json
import time
from email.utils import formatdate

import pytest

from potstill.errors import PotstillError
from potstill.models import ErrorKind
from potstill.models.complete import Billing, complete
from potstill.models.remote import wire
from potstill.models.remote.chat import ChatModel
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store
from raw_server import FINE, Server, completion_json, http, serving
from small import questions

pytestmark = pytest.mark.usefixtures("short_backoff")


def many(n, content="fine"):
    return json.dumps(
        {"choices": [{"index": i, "message": {"content": f"{content} {i}"}, "finish_reason": "stop"} for i in n]}
    ).encode()


RETRIED = {
    "429 without Retry-After": [http(b"{}", "429 Too Many Requests"), FINE],
    "429 with seconds": [http(b"{}", "429 Too Many Requests", "Retry-After: 0.2"), FINE],
    "429 with a date": [http(b"{}", "429 Too Many Requests", f"Retry-After: {formatdate(time.time() - 5, usegmt=True)}"), FINE],
    "429 with invalid Retry-After": [http(b"{}", "429 Too Many Requests", "Retry-After: soon"), FINE],
    "429 with negative seconds": [http(b"{}", "429 Too Many Requests", "Retry-After: -7"), FINE],
    "500": [http(b"{}", "500 Internal Server Error"), FINE],
    "502 in HTML": [http(b"<html>bad gateway</html>", "502 Bad Gateway"), FINE],
    "503": [http(b"", "503 Service Unavailable"), FINE],
    "504": [http(b"{}", "504 Gateway Timeout"), FINE],
    "HTML instead of JSON": [http(b"<html>hello</html>"), FINE],
    "truncated JSON": [http(completion_json()[:40]), FINE],
    "wrong schema": [http(b'{"answer": "fine"}'), FINE],
    "a list": [http(b"[1, 2]"), FINE],
    "empty choices": [http(b'{"choices": []}'), FINE],
    "an error instead of an answer": [http(b'{"error": {"message": "busy"}}'), FINE],
    "reset before an answer": [None, FINE],
    "reset inside the body": [[FINE[:-20], None], FINE],
    "shorter than announced": [[http(completion_json()[:-10], length=len(completion_json())), None], FINE],
    "no headers in time": [[1.5], FINE],
    "a body that stalls": [[FINE[:-20], 1.5, FINE[-20:]], FINE],
    "an endless body": [[http(b"", length=100), *[b" ", 0.2] * 10], FINE],
    "gzip bomb": [http(gzip.compress(b" " * (wire.MAX_RESPONSE_BYTES * 4)), "200 OK", "Content-Encoding: gzip"), FINE],
    "a wrong Content-Encoding": [http(b"plain", "200 OK", "Content-Encoding: gzip"), FINE],
    "an unknown compression": [http(b"x", "200 OK", "Content-Encoding: zstd"), FINE],
    "not HTTP": [[b"220 smtp ready\r\n", None], FINE],
    "endless headers": [[b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, None], FINE],
}  # fmt: skip


@pytest.mark.parametrize("responses", RETRIED.values(), ids=RETRIED.keys())
def test_transient_faults_are_retried(responses):
    server = Server(*responses)
    (got,) = server.complete()
    assert (got.error, got.text) == (None, "fine")
    assert len(server.requests) == 2


ACCEPTED = {
    "gzip": (http(gzip.compress(completion_json()), "200 OK", "Content-Encoding: gzip"), "fine", "stop"),
    "null content": (http(completion_json(None)), "", "stop"),
    "content filter": (http(completion_json("", "content_filter")), "", "content_filter"),
    "a filtered prompt": (http(b'{"error": {"code": "content_filter", "message": "no"}}', "400 Bad Request"), "no", "content_filter"),
    "truncated": (http(completion_json("half", "length")), "half", "length"),
    "another model's name": (http(completion_json(model="m-2024-08-06")), "fine", "stop"),
    "choices in another order": (http(many([2, 0, 1])), "fine 0", "stop"),
    "the same choice twice": (http(many([0, 0])), "fine 0", "stop"),
    "an unknown finish reason": (http(completion_json("fine", "because")), "fine", "because"),
    "truncated, by another name": (http(completion_json("half", "model_length")), "half", "length"),
    "content in parts": (http(completion_json([{"type": "text", "text": "fi"}, {"type": "text", "text": "ne"}])), "fine", "stop"),
    "impossible token counts": (http(completion_json(usage={"prompt_tokens": 1e30, "completion_tokens": -1})), "fine", "stop"),
    "10 MiB": (http(completion_json("x" * (10 << 20))), "x" * (10 << 20), "stop"),
    "invalid UTF-8": (http(completion_json().replace(b"fine", b"fi\xffne")), "fi\ufffdne", "stop"),
    "a lone surrogate": (http(completion_json().replace(b"fine", b"fi\\ud800ne")), "fi?ne", "stop"),
    "chunked": (http(b"", "200 OK")[:-23] + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(completion_json()), completion_json()), "fine", "stop"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "text", "finish_reason"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_odd_completions_are_accepted_without_a_retry(answer, text, finish_reason):
    server = Server(answer)
    (got,) = server.complete(timeout=10)
    assert (got.error, got.text, got.finish_reason) == (None, text, finish_reason)
    assert len(server.requests) == 1


FATAL = {
    "bad key": (http(b'{"error": {"message": "no"}}', "401 Unauthorized"), ErrorKind.AUTH),
    "forbidden": (http(b"", "403 Forbidden"), ErrorKind.AUTH),
    "unknown model": (http(b'{"error": {"code": "model_not_found"}}', "404 Not Found"), ErrorKind.NOT_FOUND),
    "quota exhausted": (http(b'{"error": {"code": "insufficient_quota"}}', "429 Too Many Requests"), ErrorKind.QUOTA),
    "payment": (http(b"", "402 Payment Required"), ErrorKind.QUOTA),
    "an excessive Retry-After": (http(b"", "429 Too Many Requests", "Retry-After: 99999999"), ErrorKind.QUOTA),
    "redirect": (http(b"", "302 Found", "Location: http://127.0.0.1:9/v1"), ErrorKind.NOT_FOUND),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "kind"), FATAL.values(), ids=FATAL.keys())
def test_an_error_of_every_request_stops_the_run(answer, kind):
    server = Server(answer)
    began = time.monotonic()
    got = server.complete(n=200, concurrency=4)
    assert {c.error for c in got} == {kind}
    assert len(server.requests) <= 4
    assert time.monotonic() - began < 3


ONE_REQUEST = {
    "a lone surrogate": (http(b'{"error": {"message": "no \\ud800"}}', "400 Bad Request"), ErrorKind.INVALID_REQUEST),
    "too long": (http(b'{"error": {"message": "maximum context length is 10 tokens"}}', "400 Bad Request"), ErrorKind.CONTEXT_TOO_LONG),
    "too large": (http(b"", "413 Payload Too Large"), ErrorKind.CONTEXT_TOO_LONG),
    "invalid": (http(b'{"error": {"message": "no such thing"}}', "400 Bad Request"), ErrorKind.INVALID_REQUEST),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "kind"), ONE_REQUEST.values(), ids=ONE_REQUEST.keys())
def test_an_error_of_one_request_affects_no_other(answer, kind):
    server = Server(answer, FINE)
    got = server.complete(n=3, concurrency=1)
    assert [c.error for c in got] == [kind, None, None]
    assert len(server.requests) == 3


def test_a_content_filter_on_every_request_stops_the_run(tmp_path):
    with serving(Server(http(completion_json("", "content_filter")))) as server:
        model = ChatModel(Endpoint(url=server.url, model="m", concurrency=2))
        with pytest.raises(PotstillError, match="moderation stopped each"):
            complete(model, questions(500), "teacher", Billing(Store(tmp_path / "s.sqlite")))
    assert len(server.requests) < 40
