"""Answers of every bad kind we could think of, each with its outcome: the row delivered, or the kind of error."""

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
from raw_server import FINE, Server, http, serving, whole
from small import questions

pytestmark = pytest.mark.usefixtures("short_first_wait")


def many(n, content="fine"):
    return json.dumps(
        {"choices": [{"index": i, "message": {"content": f"{content} {i}"}, "finish_reason": "stop"} for i in n]}
    ).encode()


DELIVERED = {
    "429 without Retry-After": [http(b"{}", "429 Too Many Requests"), FINE],
    "429 with seconds": [http(b"{}", "429 Too Many Requests", "Retry-After: 0.2"), FINE],
    "429 with a date": [http(b"{}", "429 Too Many Requests", f"Retry-After: {formatdate(time.time() - 5, usegmt=True)}"), FINE],
    "429 with nonsense": [http(b"{}", "429 Too Many Requests", "Retry-After: soon"), FINE],
    "429 with less than nothing": [http(b"{}", "429 Too Many Requests", "Retry-After: -7"), FINE],
    "500": [http(b"{}", "500 Internal Server Error"), FINE],
    "502 in HTML": [http(b"<html>bad gateway</html>", "502 Bad Gateway"), FINE],
    "503": [http(b"", "503 Service Unavailable"), FINE],
    "504": [http(b"{}", "504 Gateway Timeout"), FINE],
    "HTML instead of JSON": [http(b"<html>hello</html>"), FINE],
    "truncated JSON": [http(whole()[:40]), FINE],
    "wrong schema": [http(b'{"answer": "fine"}'), FINE],
    "a list": [http(b"[1, 2]"), FINE],
    "empty choices": [http(b'{"choices": []}'), FINE],
    "an error in the answer's place": [http(b'{"error": {"message": "busy"}}'), FINE],
    "reset before an answer": [None, FINE],
    "reset inside the body": [[FINE[:-20], None], FINE],
    "shorter than announced": [[http(whole()[:-10], length=len(whole())), None], FINE],
    "no headers in time": [[1.5], FINE],
    "a body that dawdles": [[FINE[:-20], 1.5, FINE[-20:]], FINE],
    "no end": [[http(b"", length=100), *[b" ", 0.2] * 10], FINE],
    "gzip bomb": [http(gzip.compress(b" " * (wire.LARGEST_ANSWER * 4)), "200 OK", "Content-Encoding: gzip"), FINE],
    "not the compression it says": [http(b"plain", "200 OK", "Content-Encoding: gzip"), FINE],
    "an unknown compression": [http(b"x", "200 OK", "Content-Encoding: zstd"), FINE],
    "no HTTP at all": [[b"220 smtp ready\r\n", None], FINE],
    "headers without end": [[b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, None], FINE],
}  # fmt: skip


@pytest.mark.parametrize("answers", DELIVERED.values(), ids=DELIVERED.keys())
def test_what_passes_is_tried_again_and_the_row_delivered(answers):
    server = Server(*answers)
    (got,) = server.ask()
    assert (got.error, got.text) == (None, "fine")
    assert len(server.requests) == 2


SAID = {
    "gzip": (http(gzip.compress(whole()), "200 OK", "Content-Encoding: gzip"), "fine", "stop"),
    "null content": (http(whole(None)), "", "stop"),
    "content filter": (http(whole("", "content_filter")), "", "content_filter"),
    "a filtered prompt": (http(b'{"error": {"code": "content_filter", "message": "no"}}', "400 Bad Request"), "", "content_filter"),
    "cut": (http(whole("half", "length")), "half", "length"),
    "another model's name": (http(whole(model="m-2024-08-06")), "fine", "stop"),
    "choices in another order": (http(many([2, 0, 1])), "fine 0", "stop"),
    "the same choice twice": (http(many([0, 0])), "fine 0", "stop"),
    "a reason of its own": (http(whole("fine", "because")), "fine", "stop"),
    "cut, in another server's words": (http(whole("half", "model_length")), "half", "length"),
    "content in parts": (http(whole([{"type": "text", "text": "fi"}, {"type": "text", "text": "ne"}])), "fine", "stop"),
    "more tokens than there are": (http(whole(usage={"prompt_tokens": 1e30, "completion_tokens": -1})), "fine", "stop"),
    "10 MiB": (http(whole("x" * (10 << 20))), "x" * (10 << 20), "stop"),
    "invalid UTF-8": (http(whole().replace(b"fine", b"fi\xffne")), "fi\ufffdne", "stop"),
    "half a character": (http(whole().replace(b"fine", b"fi\\ud800ne")), "fi?ne", "stop"),
    "chunked": (http(b"", "200 OK")[:-23] + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(whole()), whole()), "fine", "stop"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "text", "finish_reason"), SAID.values(), ids=SAID.keys())
def test_what_was_paid_for_is_taken_as_it_is(answer, text, finish_reason):
    server = Server(answer)
    (got,) = server.ask(timeout=10)
    assert (got.error, got.text, got.finish_reason) == (None, text, finish_reason)
    assert len(server.requests) == 1


HOPELESS = {
    "bad key": (http(b'{"error": {"message": "no"}}', "401 Unauthorized"), ErrorKind.AUTH),
    "forbidden": (http(b"", "403 Forbidden"), ErrorKind.AUTH),
    "unknown model": (http(b'{"error": {"code": "model_not_found"}}', "404 Not Found"), ErrorKind.NOT_FOUND),
    "quota gone": (http(b'{"error": {"code": "insufficient_quota"}}', "429 Too Many Requests"), ErrorKind.QUOTA),
    "payment": (http(b"", "402 Payment Required"), ErrorKind.QUOTA),
    "absurd Retry-After": (http(b"", "429 Too Many Requests", "Retry-After: 99999999"), ErrorKind.QUOTA),
    "redirect": (http(b"", "302 Found", "Location: http://127.0.0.1:9/v1"), ErrorKind.NOT_FOUND),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "kind"), HOPELESS.values(), ids=HOPELESS.keys())
def test_what_concerns_every_row_stops_at_once(answer, kind):
    server = Server(answer)
    began = time.monotonic()
    got = server.ask(n=200, concurrency=4)
    assert {c.error for c in got} == {kind}
    assert len(server.requests) <= 4
    assert time.monotonic() - began < 3


ONE_ROW = {
    "half a character": (http(b'{"error": {"message": "no \\ud800"}}', "400 Bad Request"), ErrorKind.INVALID_REQUEST),
    "too long": (http(b'{"error": {"message": "maximum context length is 10 tokens"}}', "400 Bad Request"), ErrorKind.CONTEXT_TOO_LONG),
    "too large": (http(b"", "413 Payload Too Large"), ErrorKind.CONTEXT_TOO_LONG),
    "invalid": (http(b'{"error": {"message": "no such thing"}}', "400 Bad Request"), ErrorKind.INVALID_REQUEST),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "kind"), ONE_ROW.values(), ids=ONE_ROW.keys())
def test_what_concerns_one_row_is_its_own_error(answer, kind):
    server = Server(answer, FINE)
    got = server.ask(n=3, concurrency=1)
    assert [c.error for c in got] == [kind, None, None]
    assert len(server.requests) == 3


def test_content_policy_on_every_row_stops_after_the_first(tmp_path):
    with serving(Server(http(whole("", "content_filter")))) as server:
        model = ChatModel(Endpoint(url=server.url, model="m", concurrency=2))
        with pytest.raises(PotstillError, match="content filter"):
            complete(model, questions(500), "teacher", Billing(Store(tmp_path / "s.sqlite")))
    assert len(server.requests) < 40
