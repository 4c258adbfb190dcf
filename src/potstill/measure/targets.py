"""The servers that are measured: an endpoint by its chat API, and an engine by token ids."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

import aiohttp
import orjson

from potstill.measure.load import Counted, Question, Target
from potstill.models import Request, Sampling
from potstill.models.remote import wire
from potstill.models.remote.dialect import Dialect
from potstill.models.remote.server import Server, receive_body
from potstill.models.remote.stream import StreamAssembler
from potstill.models.specs import Endpoint
from potstill.serve.client import Client
from potstill.serve.prompt import EngineError, Prompt

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate


class EndpointTarget:
    """An endpoint, which is asked for a stream. ``dialect``: what it is known not to take. ``headers``: of each request."""

    def __init__(
        self, endpoint: Endpoint, session: aiohttp.ClientSession, dialect: Dialect, headers: Mapping[str, str]
    ) -> None:
        self.endpoint, self.dialect = endpoint, dialect
        self._headers = {"Content-Type": "application/json", **headers}
        self._session, self._server = session, Server(endpoint)
        self._address = self._server.address("chat/completions")

    async def ask(self, question: Question, arrived: Callable[[], None]) -> Counted:
        request = Request(question.id, question.messages, Sampling(question.max_tokens))
        body = orjson.dumps(wire.request_body(self.endpoint, request, self.dialect, stream=True))
        try:
            status, content = await self._stream(body, arrived)
            completion = wire.parse_completion(request, status, content)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            return Counted(error=self._server.masked(str(error) or type(error).__name__))
        if completion.error:
            return Counted(error=self._server.masked(completion.detail or completion.error.value))
        return Counted(completion.prompt_tokens, completion.cached_tokens, completion.completion_tokens)

    async def _stream(self, body: bytes, arrived: Callable[[], None]) -> tuple[int, bytes]:
        """Status and body of the answer, as the same request without a stream would get it."""
        assembler, length = StreamAssembler(), 0
        async with self._session.post(
            self._address,
            data=body,
            headers=self._headers,
            allow_redirects=False,
            proxy=self._server.proxy,
        ) as response:
            if response.status != 200 or response.content_type == "application/json":
                return response.status, await receive_body(response)
            while block := await response.content.readany():
                length += len(block)
                if length > wire.MAX_RESPONSE_BYTES:
                    raise ValueError(wire.RESPONSE_TOO_LARGE)
                before = _parts(assembler)
                assembler.feed(block)
                if any(text for parts in assembler.parts.values() for text in parts[before:]):
                    arrived()
            return 200, assembler.response()


def _parts(assembler: StreamAssembler) -> int:
    """How many parts there are of each kind: an event of an answer adds one of every kind."""
    return len(assembler.parts["content"])


@asynccontextmanager
async def endpoint_target(
    endpoint: Endpoint, dialect: Dialect, headers: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[EndpointTarget]:
    """An endpoint within the context. Raises `RecipeError` when its key is not in the environment."""
    async with Server(endpoint).session() as session:
        yield EndpointTarget(endpoint, session, dialect, headers)


class EngineTarget:
    """An engine of this machine, which is asked as its model was asked in the verdict: token ids of its own chat template, made before
    any answer is timed."""

    def __init__(self, client: Client, prompts: Mapping[str, Prompt]) -> None:
        self.client, self.prompts = client, prompts

    async def ask(self, question: Question, arrived: Callable[[], None]) -> Counted:
        last = None
        try:
            async for piece in self.client.pieces(self.prompts[question.id]):
                if piece.text:
                    arrived()
                last = piece
        except EngineError as error:
            if self.client.exited.done():
                self.client.exited.result()
            return Counted(error=str(error))
        if last is None:
            return Counted(error="no answer")
        return Counted(last.prompt_tokens, last.cached_tokens, last.completion_tokens)


def prompts_of(chat: "ChatTemplate", questions: Iterable[Question], cached: bool) -> dict[str, Prompt]:
    """What an engine is asked, by question; ``cached``: whether it may use its prefix cache."""
    return {one.id: Prompt(chat.tokens(one.messages), one.max_tokens, cached=cached) for one in questions}


async def warm_up(target: Target, questions: Iterable[Question]) -> None:
    """Ask other questions, all at once, so that what prompts begin with is in the cache."""
    async with asyncio.TaskGroup() as group:
        for question in questions:
            group.create_task(target.ask(question, lambda: None))
