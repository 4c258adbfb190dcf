"""A model behind an OpenAI-compatible chat-completions server, with many concurrent requests."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import aiohttp
import orjson

from potstill.models import Completion, ErrorKind, Request
from potstill.models.remote import wire
from potstill.models.remote.dialect import Dialect, news
from potstill.models.remote.dispatch import Dispatcher
from potstill.models.remote.server import CONNECT_TIMEOUT_SECONDS, Server, identity, receive_body, server_name
from potstill.models.remote.stream import StreamAssembler
from potstill.models.specs import Endpoint
from potstill.progress import echo

Arrived = Callable[[str], None]
"""Gets each part of an answer's text as it arrives."""
DRAIN_SECONDS = 0.05
"""Time for what a server may send after the end of a streamed answer."""


class ChatModel:
    """An endpoint of a recipe. Raises `RecipeError` when its key is not in the environment.

    A request is retried, up to ``max_attempts`` times, when the server is busy, slow or unreachable. The wait doubles
    with each attempt, with jitter, and is never shorter than the server's ``Retry-After``; meanwhile another request is
    sent. Rate-limit errors do not use up attempts as long as the server answers other requests. After an error that
    concerns every request, or when the server was never reached, the requests in flight are finished and no other is sent.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.identity: Mapping[str, Any] = identity(endpoint)
        self.server = Server(endpoint)
        self.name, self.price = endpoint.model, self.server.price
        self._address = self.server.address("chat/completions")
        self._streams = endpoint.first_token_timeout is not None
        self.address = server_name(endpoint)
        self.left_out: tuple[str, ...] = ()
        self.reached = False
        """Whether the server ever accepted a connection."""

    @property
    def dialect(self) -> Dialect:
        return Dialect(self.left_out)

    def learn(self, request: Request, refusal: Completion, dialect: Dialect) -> bool:
        """Whether a request in a dialect was refused for a field that can be left out or renamed; from now on it is."""
        sent = wire.request_body(self.endpoint, request, dialect, stream=True)
        learned = dialect.after(request, refusal, sent)
        if learned is None:
            return False
        for words in news(learned, self.left_out, self.endpoint):
            echo(f"  {words}. It said: {refusal.detail}")
        self.left_out = (self.dialect | learned).deviations
        return True

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[list[Completion]]:
        async with self.server.session() as session:
            dispatcher = Dispatcher(self, session, requests)
            dispatching = asyncio.create_task(dispatcher.run(self.endpoint.concurrency))
            dispatching.add_done_callback(lambda _: dispatcher.finished.set())
            try:
                while True:
                    if not dispatching.done():  # afterwards nothing sets the event any more
                        await dispatcher.finished.wait()
                    if group := dispatcher.take_finished():
                        yield [completion for completion, _ in group]
                        for _, stored in group:
                            if not stored.done():
                                stored.set_result(None)
                        await asyncio.sleep(0)  # lets their workers send the next requests before others are stored
                    elif dispatching.done():
                        break
                await dispatching
            finally:
                dispatching.cancel()
                await asyncio.gather(dispatching, return_exceptions=True)

    async def attempt(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        dialect: Dialect,
        opened: asyncio.Event,
        arrived: Arrived | None = None,
    ) -> tuple[Completion, Mapping[str, str]] | None:
        """Send a request once, when ``opened`` is set; its completion, possibly with an error, and the headers of the response.

        Nothing is sent, and None returned, where the dialect has changed until then. A request whose limit exceeds the room that its prompt leaves is sent again with what is left, if the server says so.
        With ``arrived`` the answer is streamed, and the endpoint's timeout is that of its first part and of each pause.
        """
        started, reached = time.perf_counter(), True
        held: _HeldPayload | None = None
        headers: Mapping[str, str] = {}
        try:
            streams = self._streams or arrived is not None
            body = wire.request_body(self.endpoint, request, dialect, stream=streams)
            payload = aiohttp.BytesPayload(orjson.dumps(body), content_type="application/json")
            if not opened.is_set():
                payload = held = _HeldPayload(orjson.dumps(body), opened, lambda: dialect.deviations != self.left_out)
            received = self._receive_stream(session, payload, arrived) if streams else self._receive(session, payload)
            status, headers, content = await received
            completion = wire.parse_completion(request, status, content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            reached = False
            completion = wire.failed_completion(request, ErrorKind.CONNECTION, str(error))
        except TimeoutError as error:
            detail = str(error) or f"no response within {self.endpoint.timeout:g} s"
            completion = wire.failed_completion(request, ErrorKind.TIMEOUT, detail)
        except aiohttp.ClientConnectionError as error:  # before ValueError, of which some of its subclasses inherit too
            completion = wire.failed_completion(request, ErrorKind.CONNECTION, str(error))
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, ValueError) as error:
            completion = wire.failed_completion(request, ErrorKind.BAD_RESPONSE, str(error))
        except (aiohttp.ClientError, OSError) as error:
            completion = wire.failed_completion(request, ErrorKind.CONNECTION, str(error))
        if held and held.outdated:
            return None
        self.reached |= reached
        completion.seconds = time.perf_counter() - max(started, held.sent if held else 0.0)
        completion.left_out = dialect.deviations
        self.server.finalize(completion)
        if room := wire.room_left(request, completion, self.endpoint.thinking_tokens):
            return await self.attempt(session, wire.with_limit(request, room), dialect, opened, arrived)
        return completion, headers

    def _post(
        self, session: aiohttp.ClientSession, payload: aiohttp.Payload, timeout: aiohttp.ClientTimeout
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return session.post(
            self._address, data=payload, allow_redirects=False, proxy=self.server.proxy, timeout=timeout
        )

    async def _receive(
        self, session: aiohttp.ClientSession, payload: aiohttp.Payload
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the response."""
        async with self._post(session, payload, session.timeout) as response:
            return response.status, response.headers, await receive_body(response)

    async def _receive_stream(
        self, session: aiohttp.ClientSession, payload: aiohttp.Payload, arrived: Arrived | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """As `_receive`, for a streamed response. Raises `TimeoutError` when its first token does not arrive in time."""
        assembler, length, timeout = StreamAssembler(), 0, session.timeout
        first_token_seconds = self.endpoint.first_token_timeout
        if arrived:
            timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=self.endpoint.timeout)
            first_token_seconds = first_token_seconds or self.endpoint.timeout
        first_token = asyncio.timeout(first_token_seconds)
        try:
            async with first_token, self._post(session, payload, timeout) as response:
                if response.status != 200 or response.content_type == "application/json":
                    return response.status, response.headers, await receive_body(response)
                if "Content-Encoding" in response.headers:
                    assembler.feed(await receive_body(response))
                while not assembler.done and (block := await response.content.readany()):
                    length += len(block)
                    if length > wire.MAX_RESPONSE_BYTES:
                        raise ValueError(wire.RESPONSE_TOO_LARGE)
                    assembler.feed(block)
                    if assembler.started:
                        first_token.reschedule(None)
                    if arrived and (part := assembler.take()):
                        arrived(part)
                with suppress(TimeoutError):  # the connection can be reused only after the end of the body
                    async with asyncio.timeout(DRAIN_SECONDS):
                        await response.content.readany()
                return response.status, response.headers, assembler.response()
        except TimeoutError:
            if first_token.expired():
                raise TimeoutError(f"no token within {first_token_seconds:g} s") from None
            raise


class _HeldPayload(aiohttp.BytesPayload):
    """A request's body that is sent when ``opened`` is set, unless it is outdated then; meanwhile its connection is opened."""

    def __init__(self, body: bytes, opened: asyncio.Event, is_outdated: Callable[[], bool]) -> None:
        super().__init__(body, content_type="application/json")
        self._opened, self._is_outdated = opened, is_outdated
        self.outdated, self.sent = False, 0.0

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        await self._opened.wait()
        if self._is_outdated():
            self.outdated = True
            raise ConnectionAbortedError("the body is outdated")
        self.sent = time.perf_counter()
        await super().write_with_length(writer, content_length)
