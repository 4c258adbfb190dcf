"""A local model server that is started with the first request and stopped after the last."""

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
from potstill.models.local.weights import NO_KEYWORDS
from potstill.models.prices import Price
from potstill.models.remote.chat import ChatModel
from potstill.models.served import supervisor
from potstill.models.specs import Endpoint, Served
from potstill.progress import echo

LOG_LINES_IN_ERROR = 12
LOG_BYTES_READ = 20_000
HEALTH_CHECK_TIMEOUT_SECONDS = 5.0
HEALTH_CHECK_INTERVAL_SECONDS = 0.1


class ServedModel:
    """A model behind a server that is started for it."""

    price: Price | None = None

    def __init__(self, served: Served, chat_template: Mapping[str, Any] = NO_KEYWORDS) -> None:
        self.served, self.name = served, served.name
        self._path = served.download()
        self._chat_template = chat_template
        keywords = {"chat_template": dict(chat_template)} if chat_template else {}
        self.identity: Mapping[str, Any] = _identity(served, self._path) | keywords
        self.address = f"{served.serve} {self.identity.get('weights') or self._path}"
        self.left_out: tuple[str, ...] = ()

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[Sequence[Completion]]:
        """Raises `PotstillError` when the server does not start or exits early."""
        source = aiter(requests)
        try:
            first = await anext(source)
        except StopAsyncIteration:
            return

        async def all_requests() -> AsyncIterator[Request]:
            yield first
            async for request in source:
                yield request

        async with run_server(self.served, self._path) as (url, exited):
            model = ChatModel(
                Endpoint(
                    url=url, model=self._path, concurrency=self.served.concurrency, timeout=self.served.timeout,
                    thinking_tokens=self.served.thinking_tokens,
                    extra_body=extra_body(self.served, self._path, self._chat_template),
                )
            )  # fmt: skip
            model.left_out = self.left_out
            watched: set[asyncio.Future[Any]] = {exited}
            groups = aiter(model.complete(all_requests()))
            while True:
                next_group: asyncio.Future[Any] = asyncio.ensure_future(anext(groups))
                await asyncio.wait({next_group, *watched}, return_when=asyncio.FIRST_COMPLETED)
                if not next_group.done():
                    next_group.cancel()
                    with suppress(asyncio.CancelledError, StopAsyncIteration):
                        await next_group
                    exited.result()
                self.left_out = model.left_out
                try:
                    yield next_group.result()
                except StopAsyncIteration:
                    return


@asynccontextmanager
async def run_server(served: Served, path: str) -> AsyncIterator[tuple[str, "asyncio.Future[None]"]]:
    """Run the server within the context: its address, and a future that raises `PotstillError` when it exits early."""
    port = _free_port()
    echo(f"  {served.serve}: starting the server")
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, supervisor.__file__, *command_line(served, path, port),
            stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log,
            env=os.environ | {"OMP_WAIT_POLICY": "passive"},
        )  # fmt: skip

        async def wait_for_exit() -> None:
            code = await process.wait()
            signal_number = code - 128 if code > 128 else -code
            reason = f"signal {signal_number}" if signal_number > 0 else f"exit code {code}"
            log.seek(0)
            lines = log.read()[-LOG_BYTES_READ:].decode("utf-8", "replace").splitlines()[-LOG_LINES_IN_ERROR:]
            raise PotstillError(
                f"The {served.serve} server exited unexpectedly ({reason}). Completed requests are saved. Last log lines:\n"
                + "\n".join(lines)
            )

        exited = asyncio.ensure_future(wait_for_exit())
        try:
            await _wait_until_healthy(f"http://127.0.0.1:{port}/health", served, exited)
            yield f"http://127.0.0.1:{port}/v1", exited
        finally:
            exited.cancel()
            with suppress(asyncio.CancelledError, PotstillError):
                await exited
            assert process.stdin is not None
            process.stdin.close()  # which makes the supervisor end its command
            await process.wait()


async def _wait_until_healthy(url: str, served: Served, exited: "asyncio.Future[None]") -> None:
    deadline = time.monotonic() + served.start_timeout
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
                raise PotstillError(
                    f"The {served.serve} server was not ready after {served.start_timeout:g} s; raise start_timeout."
                )
            await asyncio.sleep(HEALTH_CHECK_INTERVAL_SECONDS)


def command_line(served: Served, path: str, port: int) -> list[str]:
    """The server's command line."""
    if served.serve == "vllm":
        return [
            "vllm", "serve", path, "--host=127.0.0.1", f"--port={port}", f"--max-model-len={served.context}",
            f"--max-num-seqs={served.concurrency}", *served.arguments,
        ]  # fmt: skip
    script = Path(__file__).with_name("llama_server.py")
    return [sys.executable, str(script), path, str(port), str(served.concurrency), str(served.context)]


def extra_body(served: Served, path: str, chat_template: Mapping[str, Any]) -> dict[str, Any]:
    """What requests ask for besides: the values of keywords of the chat template, and in vLLM that an answer ends where the
    template ends a turn, which a folder's generation config may not say. llama.cpp knows the ends of turns by name."""
    fields: dict[str, Any] = {"chat_template_kwargs": dict(chat_template)} if chat_template else {}
    if served.serve == "vllm" and Path(path).is_dir():
        from potstill.models.local import loading

        with suppress(PotstillError):  # no chat template; vLLM may be given one by its arguments
            fields["stop_token_ids"] = [loading.load_chat(Path(path)).end]
    return fields


def _identity(served: Served, path: str) -> dict[str, Any]:
    """The part of the store's key that identifies the model: the hash of local weights, or else its name."""
    common = {"engine": served.serve, "thinking_tokens": served.thinking_tokens}
    if Path(path).is_file():
        return common | {"weights": packaged.file_sha256(Path(path))}
    if Path(path).is_dir():
        from potstill.models.local import weights

        return common | {"weights": weights.sha256(Path(path))}
    return common | {"model": path}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
