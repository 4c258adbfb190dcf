"""Adaptive concurrency, rate limits, and a wall clock that jumps."""

import asyncio
import time

import pytest

from raw_server import FINE, Server, completion_json, http

pytestmark = pytest.mark.usefixtures("short_backoff")


def test_concurrency_falls_while_the_server_is_throttling():
    throttled = http(b"", "429 Too Many Requests")
    in_flight = 0
    concurrency_seen = []

    class Busy(Server):
        async def serve(self, reader, writer):
            nonlocal in_flight
            try:
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                    await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
                    in_flight += 1
                    concurrency_seen.append(in_flight)
                    await asyncio.sleep(0.005)
                    writer.write(throttled if in_flight > 6 else FINE)
                    in_flight -= 1
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

    got = Busy().complete(n=600, concurrency=40, max_attempts=30, timeout=5)
    assert all(c.text == "fine" for c in got)
    assert max(concurrency_seen) > 20
    assert sorted(concurrency_seen[-200:])[100] <= 12


def test_limits_per_minute_space_the_requests():
    server = Server(FINE)
    server.complete(n=5, requests_per_minute=600, concurrency=5, timeout=10)
    gaps = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert all(gap > 0.08 for gap in gaps)
    exhausted = http(
        completion_json(), "200 OK", "x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 400ms"
    )
    server = Server(exhausted, FINE)
    server.complete(n=2, concurrency=1)
    assert server.times[1] - server.times[0] > 0.35


def test_a_jump_of_the_wall_clock_changes_nothing(monkeypatch):
    began, real = time.monotonic(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + (86400 if time.monotonic() - began > 0.05 else 0))
    server = Server(http(b"", "429 Too Many Requests", "Retry-After: 0.1"), FINE)
    (got,) = server.complete()
    assert got.text == "fine"
    assert time.monotonic() - began < 5
