"""python benchmarks/proxy.py: what `potstill record` adds to a request, and whether its memory grows.

A mock server without a delay, the proxy in front of it, and this client are a process each. One request at a time goes to the server itself
and through the proxy in turn, on connections that stay open; `proxy_overhead_ms` is the difference of the medians. Then many requests, 32 at
once, pass the proxy: `memory_growth_mb` is how much its resident memory grew after the first tenth of them, and every answer must be in the
log. --quick takes fewer requests.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import aiohttp
import psutil

GOALS = {"proxy_overhead_ms": "< 2", "memory_growth_mb": "< 10", "errors": "0", "not_recorded": "0"}
CONCURRENCY = 32
WARM_UP = 200
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sk-benchmark-0123456789abcdef"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    figures = proxy_overhead(1_000 if quick else 5_000) | proxy_memory(10_000 if quick else 100_000)
    met = figures["proxy_overhead_ms"] < 2 and figures["memory_growth_mb"] < 10
    met = met and not figures["errors"] and not figures["not_recorded"]
    for name, value in figures.items():
        print(f"{name}: {value}")
    print(json.dumps({"benchmark": "proxy", "figures": figures, "goals": GOALS, "met": met}))


def proxy_overhead(n: int) -> dict[str, float]:
    """Medians of ``n`` requests in ms, to the server itself and through the proxy, and their difference, `proxy_overhead_ms`."""
    with server() as direct, proxy(direct) as through, tempfile.TemporaryDirectory():
        connections = [HTTPConnection("127.0.0.1", port) for port in (direct, through.port)]
        seconds: list[list[float]] = [[], []]
        for i in range(n + WARM_UP):
            for connection, times in zip(connections, seconds, strict=True):
                began = time.perf_counter()
                connection.request("POST", "/v1/chat/completions", body(i), HEADERS)
                assert connection.getresponse().read()
                times.append(time.perf_counter() - began)
        medians = [1000 * median(times[WARM_UP:]) for times in seconds]
    return {
        "direct_ms": round(medians[0], 3),
        "through_ms": round(medians[1], 3),
        "proxy_overhead_ms": round(medians[1] - medians[0], 3),
    }


def proxy_memory(n: int) -> dict[str, float]:
    """After ``n`` requests, 32 at once: the growth of the proxy's memory in MB after the first tenth of them, errors, answers that are not in
    the log, and requests a second."""
    with server() as direct, proxy(direct) as through:
        process = psutil.Process(through.process.pid)
        errors = asyncio.run(send(through.port, n // 10))
        before, began = process.memory_info().rss, time.perf_counter()
        errors += asyncio.run(send(through.port, n - n // 10))
        rate = (n - n // 10) / (time.perf_counter() - began)
        after = process.memory_info().rss
    return {
        "requests": n,
        "requests_per_second": round(rate),
        "memory_mb": round(after / 1e6, 1),
        "memory_growth_mb": round((after - before) / 1e6, 1),
        "errors": errors,
        "not_recorded": n - errors - through.recorded,
    }


async def send(port: int, n: int) -> int:
    """Send ``n`` requests; returns how many had no answer."""
    waiting, errors = iter(range(n)), 0

    async def worker(session: aiohttp.ClientSession) -> None:
        nonlocal errors
        for i in waiting:
            async with session.post(
                f"http://127.0.0.1:{port}/v1/chat/completions", data=body(i), headers=HEADERS
            ) as answer:
                errors += answer.status != 200 or b"choices" not in await answer.read()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(CONCURRENCY)))
    return errors


def body(i: int) -> bytes:
    return json.dumps(
        {"model": "mock", "messages": [{"role": "user", "content": f"Question {i}? " + "word " * 100}]}
    ).encode()


@contextmanager
def server() -> Iterator[int]:
    """The port of a mock server."""
    command = [sys.executable, str(Path(__file__).with_name("mock_server.py")), "--delay", "0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()


class Through:
    """A running proxy; ``recorded`` is the number of rows in its log when it has ended."""

    def __init__(self, port: int, process: subprocess.Popen) -> None:
        self.port, self.process, self.recorded = port, process, 0


@contextmanager
def proxy(port: int) -> Iterator[Through]:
    """`potstill record` in front of a server at a port."""
    with tempfile.TemporaryDirectory() as folder:
        to = f"http://127.0.0.1:{port}/v1"
        command = [
            sys.executable,
            "-m",
            "potstill",
            "record",
            "--to",
            to,
            "--port",
            "0",
            "--log",
            folder,
            "--redact",
            "email,phone,card",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        through = Through(int(process.stdout.readline().split("/v1")[0].rsplit(":", 1)[1]), process)
        try:
            yield through
        finally:
            process.terminate()
            process.wait()
            for file in Path(folder).glob("*.jsonl"):
                with file.open("rb") as rows:
                    through.recorded += sum(1 for _ in rows)


if __name__ == "__main__":
    main()
