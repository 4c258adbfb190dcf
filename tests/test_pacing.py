"""How fast a server is asked: it pushes back, limits requests by the minute, or the clock jumps."""

import asyncio
import time

import pytest

from raw_server import FINE, Server, http, whole

pytestmark = pytest.mark.usefixtures("short_first_wait")


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
