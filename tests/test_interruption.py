"""Interruptions by a signal, a failing source of requests or a restart of the server lose no completed request."""

import asyncio
import signal
import subprocess
import time

import pytest

from potstill.errors import PotstillError
from potstill.models import Request, stream
from potstill.models.complete import Billing, complete
from potstill.models.remote.chat import ChatModel
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store
from raw_server import FINE, Server, child, http, run_child, serving

pytestmark = pytest.mark.usefixtures("short_backoff")


def test_an_exception_of_the_source_is_raised(monkeypatch):
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


def test_requests_in_flight_when_the_source_raises_are_stored(tmp_path):
    class Broken(list):
        def __iter__(self):
            yield from super().__iter__()
            raise PotstillError("row 9 is invalid")

    async def collect():
        server = await asyncio.start_server(Server([0.3, FINE]).serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        model = ChatModel(Endpoint(url=f"http://127.0.0.1:{port}/v1", model="m", concurrency=256))
        rows = Broken(Request(str(i), [{"role": "user", "content": str(i)}]) for i in range(504))
        await asyncio.to_thread(lambda: complete(model, rows, "teacher", Billing(Store(tmp_path / "s.sqlite"))))

    with pytest.raises(PotstillError, match="row 9 is invalid"):
        asyncio.run(collect())
    assert Store(tmp_path / "s.sqlite").spent("", "m")[0] == 500  # the requests of one look-up in the store


def test_waiting_workers_send_nothing_after_a_stop(monkeypatch):
    server = Server([0.05, http(b"", "429 Too Many Requests", "Retry-After: 0.05")] * 1)
    monkeypatch.setattr("potstill.interrupt.stop_requested", lambda: len(server.requests) >= 60)
    server.complete(n=500, concurrency=16, max_attempts=50, timeout=5)
    assert len(server.requests) < 60 + 16


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_loses_at_most_what_is_in_flight(tmp_path, number):
    with serving(Server([0.02, FINE])) as server:
        process = subprocess.Popen(child(server, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while len(server.requests) < 100:
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert process.returncode != 0
        if number != signal.SIGKILL:
            assert "Interrupted" in errors
        assert run_child(server, tmp_path).stdout == "300\n"
        repeated = len(server.requests) - 300
    assert repeated == 0 if number != signal.SIGKILL else repeated <= 8


def test_every_request_is_completed_when_the_server_restarts(tmp_path):
    """The server is down for half a second with requests in flight."""

    async def collect():
        server = Server([0.01, FINE])
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        writers = []

        async def restart():
            while len(server.requests) < 20:
                await asyncio.sleep(0.01)
            listening.close()
            server.responses = (None,)
            await asyncio.sleep(0.5)
            server.responses = ([0.01, FINE],)
            writers.append(await asyncio.start_server(server.serve, "127.0.0.1", port, reuse_address=True))

        task = asyncio.create_task(restart())
        model = ChatModel(Endpoint(url=f"http://127.0.0.1:{port}/v1", model="m", concurrency=4, max_attempts=12))
        requests = [Request(str(i), [{"role": "user", "content": f"q{i}"}]) for i in range(60)]
        got = [c async for group in model.complete(stream(requests)) for c in group]
        await task
        writers[0].close()
        return got

    assert [c.text for c in asyncio.run(collect())] == ["fine"] * 60
