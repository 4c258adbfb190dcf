"""The client of a running engine."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from potstill.serve.kinds import Kind
from potstill.serve.prompt import EngineError, Piece, Prompt, Reply

REQUEST_TIMEOUT_SECONDS = 600.0
"""Time in which an engine must send something."""
KEEP_ALIVE_SECONDS = 3.0
"""Idle time after which a connection is closed: llama.cpp closes it after 5 s, and a request must not meet that."""
ATTEMPTS = 3
MAX_ERROR_CHARACTERS = 500


class Client:
    """Asks an engine at ``address``. At most ``slots`` requests are answered at once; each has ``context`` tokens."""

    def __init__(
        self, kind: Kind, address: str, session: aiohttp.ClientSession, slots: int, context: int,
        ends: Sequence[int], exited: "asyncio.Future[None]", form: str,
    ) -> None:  # fmt: skip
        self.kind, self.slots, self.context, self.form = kind, slots, context, form
        self.address = address
        self.exited = exited
        """Raises `PotstillError` when the engine has ended before its time."""
        self._url, self._session, self._ends = f"{address}/v1/completions", session, ends

    async def reply(self, prompt: Prompt) -> Reply:
        """The whole answer. Raises `EngineError`."""
        began = time.perf_counter()
        async with self._posted(prompt, stream=False) as response:
            body = _object(await response.read())
        choice = _choice(body)
        seconds = time.perf_counter() - began
        piece = self._piece(choice, body.get("usage"), prompt)
        return Reply(
            piece.text, piece.logprobs, piece.finish_reason or "stop", piece.prompt_tokens, piece.cached_tokens,
            piece.completion_tokens, self.kind.timing(body), seconds,
        )  # fmt: skip

    async def pieces(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """The answer as it comes: texts, and last a piece without text that has the end and the numbers of tokens.

        Closing the iterator ends the work of the engine. Raises `EngineError`.
        """
        last, began = Piece(), time.perf_counter()
        async with self._posted(prompt, stream=True) as response:
            async for event in _events(response):
                if error := event.get("error"):
                    raise EngineError(500, _words(error))
                choices = event.get("choices")
                piece = self._piece(choices[0] if choices else {}, event.get("usage"), prompt)
                last.first_seconds = last.first_seconds or time.perf_counter() - began
                last.finish_reason = piece.finish_reason or last.finish_reason
                for name in ("prompt_tokens", "cached_tokens", "completion_tokens"):
                    setattr(last, name, getattr(piece, name) or getattr(last, name))
                if piece.text or piece.logprobs:
                    yield Piece(piece.text, piece.logprobs)
        if not last.finish_reason:
            raise EngineError(502, f"{self.kind.name}: the answer was cut off.")
        yield last

    def _piece(self, choice: Mapping[str, Any], usage: Mapping[str, Any] | None, prompt: Prompt) -> Piece:
        usage, found = usage or {}, choice.get("logprobs")
        logprobs = self.kind.logprobs(found, prompt.top_logprobs) if found and prompt.top_logprobs is not None else ()
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        return Piece(
            choice.get("text") or "", logprobs, choice.get("finish_reason") or "", usage.get("prompt_tokens") or 0, cached,
            usage.get("completion_tokens") or 0,
        )  # fmt: skip

    @asynccontextmanager
    async def _posted(self, prompt: Prompt, *, stream: bool) -> AsyncIterator[aiohttp.ClientResponse]:
        body: dict[str, Any] = {
            "prompt": list(prompt.tokens), "max_tokens": prompt.max_tokens, "temperature": prompt.temperature,
            "top_p": prompt.top_p, "stream": stream, **self.kind.fields(prompt, self._ends),
        }  # fmt: skip
        if prompt.seed is not None:
            body["seed"] = prompt.seed
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        if stream:
            body["stream_options"] = {"include_usage": True}
        try:
            async with await self._post(orjson.dumps(body)) as response:
                if response.status != 200:
                    raise EngineError(400 if response.status == 400 else 502, await _refusal(response))
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise EngineError(502, f"{self.kind.name}: {str(error) or type(error).__name__}") from error

    async def _post(self, body: bytes) -> aiohttp.ClientResponse:
        """A connection that was idle may have been closed meanwhile; then nothing was read from it, and the request is sent again."""
        headers = {"Content-Type": "application/json"}
        for left in reversed(range(ATTEMPTS)):
            try:
                return await self._session.post(self._url, data=body, headers=headers)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not left or self.exited.done():
                    raise
        raise AssertionError("unreachable")


@asynccontextmanager
async def session(key: str, connections: int) -> AsyncIterator[aiohttp.ClientSession]:
    """A pool of persistent connections to an engine that requires ``key``."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEEP_ALIVE_SECONDS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=REQUEST_TIMEOUT_SECONDS),
        headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as opened:
        yield opened


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Mapping[str, Any]]:
    """The objects of server-sent events, up to ``[DONE]``."""
    rest = b""
    async for block in response.content.iter_any():
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                yield _object(data)
            elif line.startswith(b"error:"):
                yield {"error": line[6:].decode("utf-8", "replace")}


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(data)
    except ValueError as error:
        raise EngineError(502, f"The engine sent no JSON: {data[:100]!r}") from error
    if not isinstance(found, dict):
        raise EngineError(502, f"The engine sent no object: {data[:100]!r}")
    return found


def _choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = body.get("choices")
    if not choices:
        raise EngineError(502, f"The engine sent no answer: {_words(body.get('error'))}")
    choice: Mapping[str, Any] = choices[0]
    return choice


async def _refusal(response: aiohttp.ClientResponse) -> str:
    data = await response.content.read(64 * 1024)
    try:
        return _words(orjson.loads(data).get("error"))
    except (ValueError, AttributeError):
        return data.decode("utf-8", "replace")[:MAX_ERROR_CHARACTERS]


def _words(error: Any) -> str:
    said = error.get("message") if isinstance(error, dict) else error
    return str(said)[:MAX_ERROR_CHARACTERS]
