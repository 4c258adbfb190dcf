"""A server of our own, started when the first request comes and stopped after the last."""

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import Completion, Request
from potstill.models.local import packaged
from potstill.models.prices import Price
from potstill.models.remote.chat import ChatModel
from potstill.models.served import supervisor
from potstill.models.specs import Endpoint, Served
from potstill.progress import echo

SHOWN = 12
"""Last lines of a server's log that stand in an error."""


class ServedModel:
    """A model behind a server that is started for it."""

    price: Price | None = None

    def __init__(self, served: Served) -> None:
        self.served, self.name = served, served.name
        self._path = served.download()
        self.identity: Mapping[str, Any] = _identity(served, self._path)

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[Sequence[Completion]]:
        """Raises `PotstillError` when the server does not start or dies."""
        source = aiter(requests)
        try:
            first = await anext(source)
        except StopAsyncIteration:
            return

        async def all_of_them() -> AsyncIterator[Request]:
            yield first
            async for request in source:
                yield request

        async with running(self.served, self._path) as (url, ended):
            model = ChatModel(
                Endpoint(
                    url=url, model=self._path, concurrency=self.served.concurrency, timeout=self.served.timeout,
                    thinking_tokens=self.served.thinking_tokens,
                )
            )  # fmt: skip
            watched: set[asyncio.Future[Any]] = {ended}
            groups = aiter(model.complete(all_of_them()))
            while True:
                coming: asyncio.Future[Any] = asyncio.ensure_future(anext(groups))
                await asyncio.wait({coming, *watched}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    with suppress(asyncio.CancelledError, StopAsyncIteration):
                        await coming
                    ended.result()
                try:
                    yield coming.result()
                except StopAsyncIteration:
                    return


@asynccontextmanager
async def running(served: Served, path: str) -> AsyncIterator[tuple[str, "asyncio.Future[None]"]]:
    """The server's address, and a future that raises `PotstillError` when it ends before it should."""
    port = _free_port()
    echo(f"  {served.serve}: starting the server")
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, supervisor.__file__, *command(served, path, port),
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
            env=os.environ | {"OMP_WAIT_POLICY": "passive"},
        )  # fmt: skip

        async def died() -> None:
            code = await process.wait()
            killed = code - 128 if code > 128 else -code
            why = f"signal {killed}" if killed > 0 else f"exit code {code}"
            log.seek(0)
            lines = log.read()[-20_000:].decode("utf-8", "replace").splitlines()[-SHOWN:]
            raise PotstillError(
                f"The {served.serve} server ended by itself ({why}). What was answered is kept. Its last words:\n"
                + "\n".join(lines)
            )

        ended = asyncio.ensure_future(died())
        try:
            await _healthy(f"http://127.0.0.1:{port}/health", served, ended)
            yield f"http://127.0.0.1:{port}/v1", ended
        finally:
            ended.cancel()
            with suppress(asyncio.CancelledError, PotstillError):
                await ended
            assert process.stdin is not None
            process.stdin.close()  # the supervisor ends its command
            await process.wait()


async def _healthy(url: str, served: Served, ended: "asyncio.Future[None]") -> None:
    until = time.monotonic() + served.start_timeout
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            if ended.done():
                ended.result()
            interrupt.raise_if_requested()
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            if time.monotonic() > until:
                raise PotstillError(
                    f"The {served.serve} server was not ready after {served.start_timeout:g} s; raise start_timeout."
                )
            await asyncio.sleep(0.1)


def command(served: Served, path: str, port: int) -> list[str]:
    """The server's command line."""
    if served.serve == "vllm":
        return [
            "vllm", "serve", path, "--host=127.0.0.1", f"--port={port}", f"--max-model-len={served.context}",
            f"--max-num-seqs={served.concurrency}", *served.arguments,
        ]  # fmt: skip
    script = Path(__file__).with_name("llama_server.py")
    return [sys.executable, str(script), path, str(port), str(served.concurrency), str(served.context)]


def _identity(served: Served, path: str) -> dict[str, Any]:
    what = {"engine": served.serve, "thinking_tokens": served.thinking_tokens}
    if Path(path).is_file():
        return what | {"weights": packaged.file_sha256(Path(path))}
    if Path(path).is_dir():
        from potstill.models.local import weights

        return what | {"weights": weights.sha256(Path(path))}
    return what | {"model": path}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
