"""A server process on a loopback port, which ends with this process, even by kill -9."""

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType

import aiohttp

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models.served import supervisor
from potstill.progress import echo

LOG_LINES_IN_ERROR = 12
LOG_BYTES_READ = 20_000
HEALTH_CHECK_TIMEOUT_SECONDS = 5.0
HEALTH_CHECK_INTERVAL_SECONDS = 0.1
ENVIRONMENT: Mapping[str, str] = MappingProxyType({"GOMP_SPINCOUNT": "10000"})
"""How long llama.cpp's threads wait for each other before they give their core to other processes: about 0.1 ms. Without a limit
they would take it from them; without any spinning a single answer takes a fifth longer."""


@asynccontextmanager
async def run_process(
    name: str,
    command: Callable[[int], Sequence[str]],
    start_timeout: float,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> AsyncIterator[tuple[str, "asyncio.Future[None]"]]:
    """Run a server within the context: its address without a path, and a future that raises `PotstillError` when it exits early.

    ``name`` is the engine's, for messages; ``command`` the command line for a port; ``environment`` is added to this process's.
    It is ready when ``/health`` answers 200, which must take ``start_timeout`` seconds at most.
    """
    port = free_port()
    echo(f"  {name}: starting the server")
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, supervisor.__file__, *command(port),
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, **environment},
        )  # fmt: skip

        async def wait_for_exit() -> None:
            code = await process.wait()
            signal_number = code - 128 if code > 128 else -code
            reason = f"signal {signal_number}" if signal_number > 0 else f"exit code {code}"
            log.seek(0)
            lines = log.read()[-LOG_BYTES_READ:].decode("utf-8", "replace").splitlines()[-LOG_LINES_IN_ERROR:]
            raise PotstillError(
                f"The {name} server exited unexpectedly ({reason}). Last log lines:\n" + "\n".join(lines)
            )

        exited = asyncio.ensure_future(wait_for_exit())
        address = f"http://127.0.0.1:{port}"
        try:
            await _wait_until_healthy(f"{address}/health", name, start_timeout, exited)
            yield address, exited
        finally:
            exited.cancel()
            with suppress(asyncio.CancelledError, PotstillError):
                await exited
            assert process.stdin is not None
            process.stdin.close()  # which makes the supervisor end its command
            await process.wait()


async def _wait_until_healthy(url: str, name: str, start_timeout: float, exited: "asyncio.Future[None]") -> None:
    deadline = time.monotonic() + start_timeout
    timeout = aiohttp.ClientTimeout(total=HEALTH_CHECK_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            if exited.done():
                exited.result()
            interrupt.raise_if_requested()
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            if time.monotonic() > deadline:
                raise PotstillError(f"The {name} server was not ready after {start_timeout:g} s; raise start_timeout.")
            await asyncio.sleep(HEALTH_CHECK_INTERVAL_SECONDS)


def free_port() -> int:
    """A port of the loopback address that no socket has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
