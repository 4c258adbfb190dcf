"""A local model server that is started with the first request and stopped after the last."""

import asyncio
import sys
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from potstill.errors import PotstillError
from potstill.models import Completion, Request
from potstill.models.local import packaged
from potstill.models.local.weights import NO_KEYWORDS
from potstill.models.prices import Price
from potstill.models.remote.chat import ChatModel
from potstill.models.served.process import run_process
from potstill.models.specs import Endpoint, Served


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
                    _raise(exited)
                self.left_out = model.left_out
                try:
                    yield next_group.result()
                except StopAsyncIteration:
                    return


def _raise(exited: "asyncio.Future[None]") -> None:
    try:
        exited.result()
    except PotstillError as error:
        raise PotstillError(f"{error}\nCompleted requests are saved.") from error


@asynccontextmanager
async def run_server(served: Served, path: str) -> AsyncIterator[tuple[str, "asyncio.Future[None]"]]:
    """Run the server within the context: its address, and a future that raises `PotstillError` when it exits early."""
    command = partial(command_line, served, path)
    async with run_process(served.serve, command, served.start_timeout) as (address, exited):
        yield f"{address}/v1", exited


def command_line(served: Served, path: str, port: int) -> list[str]:
    """The server's command line."""
    if served.serve == "vllm":
        return vllm_command(path, port, served.concurrency, served.context, served.arguments)
    return llama_command(path, port, served.concurrency, served.context)


def vllm_command(path: str, port: int, slots: int, context: int, arguments: Sequence[str] = ()) -> list[str]:
    """vLLM's command line for ``slots`` concurrent requests of ``context`` tokens each."""
    return [
        "vllm", "serve", path, "--host=127.0.0.1", f"--port={port}", f"--max-model-len={context}", f"--max-num-seqs={slots}",
        *arguments,
    ]  # fmt: skip


def llama_command(path: str, port: int, slots: int, context: int, arguments: Sequence[str] = ()) -> list[str]:
    """llama.cpp's command line for ``slots`` concurrent requests of ``context`` tokens each; ``arguments`` of
    `potstill.models.served.llama_server`."""
    script = Path(__file__).with_name("llama_server.py")
    return [sys.executable, str(script), path, f"--port={port}", f"--slots={slots}", f"--context={context}", *arguments]


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
