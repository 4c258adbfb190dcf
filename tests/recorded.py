"""A server of raw bytes, and the proxy of `potstill record` in front of it."""

import asyncio
import json
import socket
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection

import uvloop
from yarl import URL

from potstill.listening import address_of, listen
from potstill.record import server
from potstill.record.log import Log
from potstill.record.proxy import Proxy
from potstill.record.rows import redactor
from potstill.record.writer import Writer

CHAT = {"model": "big", "messages": [{"role": "user", "content": "What is 2+2?"}], "temperature": 0}


def answer(text="4", finish="stop", **more):
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **more}, "finish_reason": finish}
    usage = {"prompt_tokens": 12, "completion_tokens": 3}
    return {"id": "chat-1", "object": "chat.completion", "model": "big-1", "choices": [choice], "usage": usage}


def reply(body, status="200 OK", *headers):
    """A response as bytes; JSON unless the body is bytes."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*pieces, kind="text/event-stream", end=True, headers=()):
    """A response in chunks, with pauses in seconds between them where a piece is a number."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", "Transfer-Encoding: chunked", *headers]
    yield "\r\n".join([*lines, "", ""]).encode()
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if isinstance(piece, bytes) else piece
    if end:
        yield b"0\r\n\r\n"


def events(*values, done=True):
    """Server-sent events."""
    return [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values] + [b"data: [DONE]\n\n"] * done


def delta(text="", finish=None, **more):
    return {
        "id": "chat-1",
        "model": "big-1",
        "choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": finish}],
    }


class Upstream:
    """``respond(head, body)`` gives the pieces of a response: bytes; numbers, which are pauses in seconds; None resets the connection.

    ``seen`` are the requests, as (head, body); ``gone`` is set when a client has closed its connection within an answer.
    """

    def __init__(self, respond):
        self.respond, self.seen, self.gone = respond, [], threading.Event()

    async def _serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await self._body(reader, head.lower())
                self.seen.append((head, body))
                pieces = self.respond(head, body)
                for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                    if piece is None:
                        writer.transport.abort()
                        return
                    if isinstance(piece, bytes):
                        writer.write(piece)
                        await writer.drain()
                    else:
                        await self._wait(reader, piece)
                if b"connection: close" in head.lower() or self._ends(pieces):
                    writer.close()
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
            writer.close()

    @staticmethod
    def _ends(pieces):
        return isinstance(pieces, bytes) and b"Connection: close" in pieces

    @staticmethod
    async def _wait(reader, seconds):
        """Pause; raises where the client goes meanwhile."""
        try:
            got = await asyncio.wait_for(reader.read(1), seconds)
        except TimeoutError:
            return
        if not got:
            raise ConnectionResetError
        raise AssertionError("a client sent a request before it had its answer")

    @staticmethod
    async def _body(reader, head):
        if b"transfer-encoding: chunked" in head:
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
            return body
        length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        return await reader.readexactly(int(length.partition(b":")[2]))


@contextmanager
def in_thread(serve):
    """Run ``serve(ready)``, a coroutine that ends when it is cancelled, in a loop of its own; yields what it passes to ``ready``."""
    began, result, loop = threading.Event(), [], uvloop.new_event_loop()

    def ready(value):
        result.append(value)
        began.set()

    task = loop.create_task(serve(ready))

    def run():
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            began.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert began.wait(10)
    try:
        yield result[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


@contextmanager
def upstream(respond):
    """A server of raw bytes; ``url`` is its address with /v1."""
    serving = Upstream(respond)

    async def serve(ready):
        listening = await asyncio.start_server(serving._serve, "127.0.0.1", 0, limit=1 << 22)
        ready(listening.sockets[0].getsockname()[1])
        await asyncio.sleep(1e6)

    with in_thread(serve) as port:
        serving.port, serving.url = port, f"http://127.0.0.1:{port}/v1"
        yield serving


class Recording:
    """A proxy that runs in a thread."""

    def __init__(self, proxy, address):
        self.proxy, self.url = proxy, address
        self.port = URL(address).port

    def settled(self, n, seconds=5):
        """Wait until ``n`` exchanges are recorded or counted."""
        until = time.monotonic() + seconds
        while (got := self.n) < n and time.monotonic() < until:
            time.sleep(0.005)
        assert got == n, self.summary

    @property
    def n(self):
        return self.proxy.writer.recorded + self.proxy.counts.total() + self.proxy.writer.counts.total()

    @property
    def counts(self):
        return dict(self.proxy.counts + self.proxy.writer.counts)

    @property
    def summary(self):
        return server.summary(self.proxy)

    def rows(self):
        return [
            json.loads(line) for path in sorted(self.proxy.writer.log.folder.glob("*.jsonl")) for line in path.open()
        ]


@contextmanager
def recording(to, folder, rules=(), patterns=None, timeout=5.0, **log):
    """The proxy in front of ``to``, with its log in ``folder``."""
    writer = Writer(Log(folder, **log), redactor(rules, patterns or {}))
    listening = listen("127.0.0.1", 0)
    proxy = Proxy(server.parse_address(to), writer, timeout)

    async def serve(ready):
        ready(Recording(proxy, address_of(listening)))
        await server.run_proxy(proxy, listening, asyncio.Event())

    with writer.running(), in_thread(serve) as recorded:
        time.sleep(0.02)
        yield recorded
    listening.close()


def post(port, body, path="/v1/chat/completions", method="POST", headers=None, encode=json.dumps):
    """The response to a request: status, reason, headers and the bytes of its body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            method, path, encode(body) if body is not None else None, headers or {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        return response.status, response.reason, response.getheaders(), response.read()
    finally:
        connection.close()


def raw(port, data, seconds=5):
    """What a server sends to raw bytes until it closes the connection or ``seconds`` are over."""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        connection.sendall(data)
        got = b""
        try:
            while block := connection.recv(65536):
                got += block
        except TimeoutError:
            pass
        return got
