"""A server that misbehaves in every way we could think of, each with its outcome: the row delivered, or the kind of error.

The server speaks raw bytes, so that it can break off, dawdle and lie wherever it likes.
"""

import asyncio
import gzip
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from potstill.errors import PotstillError
from potstill.models import GREEDY_256, ErrorKind, Request, Sampling, stream
from potstill.models.remote import chat, wire
from potstill.models.complete import complete
from potstill.models.remote.chat import ChatModel
from potstill.models.store.store import Store, keys
from potstill.models.specs import Endpoint

SECRET = "sk-secret-0123456789"


def whole(content="fine", finish_reason="stop", **more):
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}} | more).encode()


def http(body=b"", status="200 OK", *headers, length=None):
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


FINE = http(whole())


class Server:
    """Gives the n-th request the n-th of ``answers``, the last one from then on.

    An answer is bytes, sent at once; a list of bytes and pauses in seconds; or None, which breaks the connection.
    """

    def __init__(self, *answers, tls=None):
        self.answers, self.tls = answers, tls
        self.requests, self.times = [], []

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
                self.requests.append((head, json.loads(await reader.readexactly(length))))
                self.times.append(time.monotonic())
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                if answer is None:
                    writer.transport.abort()
                    return
                for piece in answer if isinstance(answer, list) else [answer]:
                    if isinstance(piece, bytes):
                        writer.write(piece)
                        await writer.drain()
                    elif piece is None:
                        writer.transport.abort()
                        return
                    else:
                        await asyncio.sleep(piece)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def ask(self, n=1, sampling=GREEDY_256, url="http://127.0.0.1:{port}/v1", schema=None, **endpoint):
        async def collect():
            server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
            port = server.sockets[0].getsockname()[1]
            model = ChatModel(
                Endpoint(
                    url=url.format(port=port, api_key="{api_key}"),
                    model="m",
                    **({"max_attempts": 3, "timeout": 1} | endpoint),
                )
            )
            requests = [
                Request(str(i), [{"role": "user", "content": f"q{i}"}], sampling, schema=schema) for i in range(n)
            ]
            try:
                return [c async for group in model.complete(stream(requests)) for c in group]
            finally:
                server.close()

        return asyncio.run(collect())


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(chat, "FIRST_WAIT", 0.01)


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


def test_a_redirect_does_not_carry_the_key(monkeypatch):
    monkeypatch.setenv("THE_KEY", SECRET)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.5)
        there = http(
            b"",
            "307 Temporary Redirect",
            f"Location: http://localhost:{elsewhere.getsockname()[1]}/v1/chat/completions",
        )
        (got,) = Server(there).ask(api_key_env="THE_KEY")
        assert got.error is ErrorKind.NOT_FOUND
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_a_token_in_the_address_is_masked_in_what_a_server_says(monkeypatch):
    monkeypatch.setenv("THE_KEY", SECRET)
    server = Server(
        http(json.dumps({"error": {"message": f"POST /v1?code={SECRET} refused"}}).encode(), "400 Bad Request")
    )
    (got,) = server.ask(url="http://127.0.0.1:{port}/v1?code={api_key}", api_key_env="THE_KEY")
    assert f"code={SECRET}" in server.requests[0][0].splitlines()[0]
    assert "uthorization" not in server.requests[0][0]
    assert SECRET not in got.detail
    assert "code=***" in got.detail


def test_azures_key_stands_in_a_header_of_its_own(monkeypatch):
    monkeypatch.setenv("THE_KEY", SECRET)
    server = Server(FINE)
    server.ask(
        url="http://127.0.0.1:{port}/openai/deployments/d?api-version=2024-10-21",
        api_key_env="THE_KEY",
        api_key_header="api-key",
    )
    head = server.requests[0][0]
    assert head.startswith("POST /openai/deployments/d/chat/completions?api-version=2024-10-21 ")
    assert f"api-key: {SECRET}" in head
    assert "Authorization" not in head


@contextmanager
def serving(server):
    """The server, in a thread of its own, at ``server.url``."""
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=server.tls))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    scheme = "https" if server.tls else "http"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)


def certificate(folder, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
         "-subj", "/CN=x", "-addext", f"subjectAltName={name}"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")
@pytest.mark.parametrize(("name", "served"), [("IP:127.0.0.1", True), ("DNS:elsewhere.example", False)])
def test_a_certificate_for_another_name_is_refused(tmp_path, name, served):
    with serving(Server(FINE, tls=certificate(tmp_path, name))) as server:
        env = os.environ | {"SSL_CERT_FILE": str(tmp_path / "cert.pem")}
        result = run_child(server, tmp_path, env=env)
    assert (result.returncode == 0) == served, result.stderr
    assert len(server.requests) == (300 if served else 0)
    assert ("ertificate" in result.stderr and "mismatch" in result.stderr) != served


def test_a_name_that_nobody_knows():
    (got,) = Server(FINE).ask(url="http://nobody.invalid/v1")
    assert got.error is ErrorKind.CONNECTION
    assert "nobody.invalid" in got.detail


def test_a_server_that_wants_the_other_name_for_the_limit_is_asked_so_from_then_on():
    refusal = b'{"error": {"message": "Unsupported parameter: max_tokens. Use max_completion_tokens instead."}}'
    server = Server(http(refusal, "400 Bad Request"), FINE)
    assert [c.text for c in server.ask(n=2, concurrency=1)] == ["fine", "fine"]
    assert ["max_completion_tokens" in body for _, body in server.requests] == [False, True, True]


def test_requests_that_were_in_flight_when_it_was_found_out_are_asked_again_too():
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

    got = Newer().ask(n=40, concurrency=16)
    assert [c.error for c in got] == [None] * 40


def test_a_source_that_raises_ends_the_asking(monkeypatch):
    async def collect():
        server = Server([0.01, FINE])
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)

        async def source():
            for i in range(20):
                yield Request(str(i), [{"role": "user", "content": "q"}])
            raise OSError("the disk is gone")

        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        async for _ in ChatModel(Endpoint(url=url, model="m", concurrency=4)).complete(source()):
            await asyncio.sleep(0.02)

    with pytest.raises(OSError, match="the disk is gone"):
        asyncio.run(asyncio.wait_for(collect(), 10))


def test_what_is_in_flight_when_a_source_raises_is_kept(tmp_path):
    class Broken(list):
        def __iter__(self):
            yield from super().__iter__()
            raise PotstillError("row 9 is no good")

    async def collect():
        server = await asyncio.start_server(Server([0.3, FINE]).serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        model = ChatModel(Endpoint(url=f"http://127.0.0.1:{port}/v1", model="m", concurrency=256))
        rows = Broken(Request(str(i), [{"role": "user", "content": str(i)}]) for i in range(504))
        await asyncio.to_thread(lambda: complete(model, rows, "teacher", Store(tmp_path / "s.sqlite")))

    with pytest.raises(PotstillError, match="row 9 is no good"):
        asyncio.run(collect())
    assert Store(tmp_path / "s.sqlite").spent("", "m")[0] == 500  # which were looked up together


def test_workers_that_wait_for_room_send_nothing_after_a_stop(monkeypatch):
    server = Server([0.05, http(b"", "429 Too Many Requests", "Retry-After: 0.05")] * 1)
    monkeypatch.setattr("potstill.interrupt.stop_requested", lambda: len(server.requests) >= 60)
    server.ask(n=500, concurrency=16, max_attempts=50, timeout=5)
    assert len(server.requests) < 60 + 16


def test_a_proxy_of_the_environment_is_not_for_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    (got,) = Server(FINE).ask()
    assert got.text == "fine"


def test_a_server_without_schemas_gets_the_schema_in_the_prompt():
    refusal = b'{"error": {"message": "response_format is not supported"}}'
    server = Server(http(refusal, "400 Bad Request"), FINE)
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}}
    server.ask(n=2, concurrency=1, schema=schema)
    assert server.requests[0][1]["response_format"]["json_schema"]["schema"] == schema
    for _, body in server.requests[1:]:
        assert "response_format" not in body
        assert json.dumps(schema) in body["messages"][-1]["content"]


THOUGHTS = {
    "reasoning_content": {"content": "4", "reasoning_content": "2 and 2"},
    "reasoning": {"content": "4", "reasoning": "2 and 2"},
    "a block": {"content": "<think>2 and 2</think>\n\n4"},
    "a block that the prompt opened": {"content": "2 and 2\n</think>\n4"},
}


@pytest.mark.parametrize("message", THOUGHTS.values(), ids=THOUGHTS.keys())
def test_what_a_model_thinks_is_kept_apart(message):
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 7,
        "completion_tokens_details": {"reasoning_tokens": 5},
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    server = Server(
        http(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode())
    )
    (got,) = server.ask(
        sampling=Sampling(10), thinking_tokens=100, price={"input": 1e6, "cached_input": 0, "output": 1e6}
    )
    assert (got.reasoning, got.text) == ("2 and 2", "4")
    assert (got.reasoning_tokens, got.cached_tokens, got.cost) == (5, 4, 5 + 7)
    assert server.requests[0][1]["max_tokens"] == 110


def test_a_thought_that_was_cut_leaves_no_answer():
    (got,) = Server(http(whole("<think>2 and", "length"))).ask()
    assert (got.reasoning, got.text, got.finish_reason) == ("2 and", "", "length")


def test_log_probabilities_are_kept_and_extra_fields_sent():
    token = {
        "token": "4",
        "logprob": -0.1,
        "top_logprobs": [{"token": "4", "logprob": -0.1}, {"token": "5", "logprob": -2.5}],
    }
    choice = {"message": {"content": "4"}, "finish_reason": "stop", "logprobs": {"content": [token]}}
    server = Server(http(json.dumps({"choices": [choice]}).encode()))
    (got,) = server.ask(sampling=Sampling(10, top_logprobs=2), extra_body={"reasoning_effort": "low"})
    assert json.loads(got.logprobs) == [[["4", -0.1], ["5", -2.5]]]
    assert (server.requests[0][1]["top_logprobs"], server.requests[0][1]["reasoning_effort"]) == (2, "low")
    assert got.prompt_tokens == 1  # a server that does not count: a quarter of the characters


def events(*deltas, end=b"data: [DONE]\n\n"):
    said = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
    said += [
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in said) + end
    return [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            *[b"%x\r\n%s\r\n" % (len(body[i : i + 50]), body[i : i + 50]) for i in range(0, len(body), 50)], b"0\r\n\r\n"]  # fmt: skip


def test_a_first_token_that_comes_in_time_and_one_that_does_not():
    good = events({"reasoning_content": "hm"}, {"content": "fi"}, {"content": "ne é"})
    server = Server([2.0], [good[0], 2.0], good)
    (got,) = server.ask(first_token_timeout=0.3, timeout=5)
    assert (got.reasoning, got.text, got.completion_tokens) == ("hm", "fine é", 2)
    assert server.requests[0][1]["stream"] is True
    assert len(server.requests) == 3
    failing = events({"content": "half"}, end=b'data: {"error": {"message": "oh"}}\n\ndata: [DONE]\n\n')
    (got,) = Server(failing, good).ask(first_token_timeout=0.3)
    assert got.text == "fine é"
    broken = Server([*good[:3], None], good)
    (got,) = broken.ask(first_token_timeout=0.3)
    assert got.text == "fine é"
    assert len(broken.requests) == 2


def test_fewer_are_in_flight_while_the_server_pushes_back_and_more_again_later():
    pushed = http(b"", "429 Too Many Requests")
    now = most = 0
    heights = []

    class Busy(Server):
        async def serve(self, reader, writer):
            nonlocal now, most
            try:
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                    await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
                    now += 1
                    heights.append(now)
                    await asyncio.sleep(0.005)
                    writer.write(pushed if now > 6 else FINE)
                    now -= 1
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

    got = Busy().ask(n=600, concurrency=40, max_attempts=30, timeout=5)
    assert all(c.text == "fine" for c in got)
    assert max(heights) > 20
    assert sorted(heights[-200:])[100] <= 12


def test_limits_per_minute_space_the_requests():
    server = Server(FINE)
    server.ask(n=5, requests_per_minute=600, concurrency=5, timeout=10)
    gaps = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert all(gap > 0.08 for gap in gaps)
    told = http(whole(), "200 OK", "x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 400ms")
    server = Server(told, FINE)
    server.ask(n=2, concurrency=1)
    assert server.times[1] - server.times[0] > 0.35


def test_a_clock_that_jumps_changes_nothing(monkeypatch):
    began, real = time.monotonic(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + (86400 if time.monotonic() - began > 0.05 else 0))
    server = Server(http(b"", "429 Too Many Requests", "Retry-After: 0.1"), FINE)
    (got,) = server.ask()
    assert got.text == "fine"
    assert time.monotonic() - began < 5


CHILD = """
import sys
from pathlib import Path
from potstill import interrupt
from potstill.models import Request
from potstill.models.complete import complete
from potstill.models.remote.chat import ChatModel
from potstill.models.store.store import Store
from potstill.models.specs import Endpoint
requests = [Request(str(i), [{"role": "user", "content": f"q{i}"}]) for i in range(300)]
with interrupt.handle_signals():
    model = ChatModel(Endpoint(url=sys.argv[1], model="m", concurrency=8))
    print(sum(c.text == "fine" for c in complete(model, requests, "teacher", Store(Path(sys.argv[2])))))
"""


def child(server, folder):
    return [sys.executable, "-c", CHILD, server.url, str(folder / "s.sqlite")]


def run_child(server, folder, **options):
    return subprocess.run(child(server, folder), capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_loses_at_most_what_is_in_flight(tmp_path, number):
    with serving(Server([0.02, FINE])) as server:
        process = subprocess.Popen(child(server, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while len(server.requests) < 100:
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
        assert process.returncode != 0
        if number != signal.SIGKILL:
            assert "Interrupted" in said
        assert run_child(server, tmp_path).stdout == "300\n"
        repeated = len(server.requests) - 300
    assert repeated == 0 if number != signal.SIGKILL else repeated <= 8


def test_a_server_that_restarts_in_the_middle(tmp_path):
    """It goes away for half a second with requests in flight, and every row is delivered."""

    async def collect():
        server = Server([0.01, FINE])
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        writers = []

        async def restart():
            while len(server.requests) < 20:
                await asyncio.sleep(0.01)
            listening.close()
            server.answers = (None,)
            await asyncio.sleep(0.5)
            server.answers = ([0.01, FINE],)
            writers.append(await asyncio.start_server(server.serve, "127.0.0.1", port, reuse_address=True))

        task = asyncio.create_task(restart())
        model = ChatModel(Endpoint(url=f"http://127.0.0.1:{port}/v1", model="m", concurrency=4, max_attempts=12))
        requests = [Request(str(i), [{"role": "user", "content": f"q{i}"}]) for i in range(60)]
        got = [c async for group in model.complete(stream(requests)) for c in group]
        await task
        writers[0].close()
        return got

    assert [c.text for c in asyncio.run(collect())] == ["fine"] * 60


class Fixed:
    """A model at hand, for what happens to answers once they are there."""

    identity = {"weights": "w"}
    name, price = "fixed", None

    async def complete(self, requests):
        from potstill.models import Completion

        async for request in requests:
            yield [Completion(request.id, request.sample, text="fine", finish_reason="stop")]


def questions(n):
    return [Request(str(i), [{"role": "user", "content": f"q{i}"}]) for i in range(n)]


def test_a_store_that_another_process_has_locked_for_a_while(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE');"
        "print('locked', flush=True); time.sleep(1)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "locked\n"
    assert len(list(ask(Fixed(), questions(20), "model", store))) == 20
    other.wait()


def test_a_disk_that_fills_up_while_committing(tmp_path, monkeypatch):
    """What was committed before is whole, and the same call goes on when there is room."""
    store = Store(tmp_path / "s.sqlite")
    list(ask(Fixed(), questions(50), "model", store))
    with store.connection() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 2}")  # as SQLite meets a full disk: SQLITE_FULL
    with pytest.raises(sqlite3.OperationalError, match="full"):
        list(ask(Fixed(), questions(5000), "model", store))
    with store.connection() as connection:
        connection.execute("PRAGMA max_page_count=1000000")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    key = keys(Fixed.identity)
    assert len(store.known([key(q) for q in questions(50)])) == 50
    assert len(list(ask(Fixed(), questions(5000), "model", store))) == 5000


def test_a_damaged_store_is_named_with_its_cure_and_left_as_it_is(tmp_path):
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"not a database, or no longer" * 1000)
    with pytest.raises(PotstillError, match=r"damaged.*store export"):
        Store(path)
    assert path.read_bytes() == b"not a database, or no longer" * 1000


def test_content_policy_on_every_row_stops_after_the_first(tmp_path):
    with serving(Server(http(whole("", "content_filter")))) as server:
        model = ChatModel(Endpoint(url=server.url, model="m", concurrency=2))
        with pytest.raises(PotstillError, match="content filter"):
            complete(model, questions(500), "teacher", Store(tmp_path / "s.sqlite"))
    assert len(server.requests) < 40
