"""A chat endpoint that sends raw bytes, so that it can disconnect, stall and send invalid data at any point."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

from potstill.models import GREEDY_256, Request, stream
from potstill.models.remote.chat import ChatModel
from potstill.models.specs import Endpoint


def completion_json(content="fine", finish_reason="stop", **more):
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}} | more).encode()


def http(body=b"", status="200 OK", *headers, length=None):
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


FINE = http(completion_json())


class Server:
    """Responds to the n-th request with the n-th of ``responses``, and to later ones with the last.

    A response is bytes, sent immediately; a list of bytes and pauses in seconds; or None, which resets the connection.
    """

    def __init__(self, *responses, tls=None):
        self.responses, self.tls = responses, tls
        self.requests, self.times = [], []

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().split("content-length:")[1].split("\r\n")[0])
                self.requests.append((head, json.loads(await reader.readexactly(length))))
                self.times.append(time.monotonic())
                response = self.responses[min(len(self.requests), len(self.responses)) - 1]
                if response is None:
                    writer.transport.abort()
                    return
                for piece in response if isinstance(response, list) else [response]:
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

    def complete(self, n=1, sampling=GREEDY_256, url="http://127.0.0.1:{port}/v1", schema=None, **endpoint):
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


@contextmanager
def serving(server):
    """Serve at ``server.url``, in a separate thread."""
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=server.tls))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    scheme = "https" if server.tls else "http"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)


CHILD = """
import sys
from pathlib import Path
from potstill import interrupt
from potstill.models import Request
from potstill.models.complete import Billing, complete
from potstill.models.remote.chat import ChatModel
from potstill.models.store.store import Store
from potstill.models.specs import Endpoint
requests = [Request(str(i), [{"role": "user", "content": f"q{i}"}]) for i in range(300)]
with interrupt.handle_signals():
    model = ChatModel(Endpoint(url=sys.argv[1], model="m", concurrency=8))
    print(sum(c.text == "fine" for c in complete(model, requests, "teacher", Billing(Store(Path(sys.argv[2]))))))
"""


def child(server, folder):
    return [sys.executable, "-c", CHILD, server.url, str(folder / "s.sqlite")]


def run_child(server, folder, **options):
    return subprocess.run(child(server, folder), capture_output=True, text=True, check=False, **options)
