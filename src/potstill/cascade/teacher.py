"""The teacher's server, which a cascade asks what the student is not sure of."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from potstill.cascade.ready import Prompter, Ready
from potstill.models import Completion, Message, Request, Sampling
from potstill.models.arriving import Arriving
from potstill.models.remote.chat import ChatModel
from potstill.progress import echo
from potstill.serve.requests import Asked

ATTEMPTS = 2
"""How often the teacher is asked before the student's answer is returned in its place."""


class TeacherServer:
    """Asks the teacher's server, with what ``prompt`` makes of a client's chat; None leaves it as it is."""

    def __init__(self, model: ChatModel, session: aiohttp.ClientSession, ready: Ready, prompt: Prompter | None) -> None:
        self._model, self._session, self._ready, self._prompt = model, session, ready, prompt
        self._opened = asyncio.Event()
        self._opened.set()

    @property
    def reasons(self) -> bool:
        """Whether the recipe leaves room for reasoning, of which a text is not known to be the answer before its end."""
        return self._model.endpoint.thinking_tokens > 0

    async def ask(self, asked: Asked, arriving: Arriving | None = None) -> Completion | None:
        """The teacher's answer; None where it failed, which is said. ``arriving`` gets its parts: once there is one, it is not asked again."""
        request = self._request(asked)
        arrived = arriving.add if arriving else None
        failures = 0
        while True:
            dialect = self._model.dialect
            found = await self._model.attempt(self._session, request, dialect, self._opened, arrived)
            if found is None:  # the dialect has changed meanwhile
                continue
            completion, _ = found
            if completion.error is None:
                return completion
            if not self._model.learn(request, completion, dialect):
                failures += 1
                if failures == ATTEMPTS or not completion.error.retried or (arriving and arriving.text):
                    echo(f"  fallback: {completion.error}: {completion.detail}")
                    return None

    @asynccontextmanager
    async def answering(self, asked: Asked) -> AsyncIterator[tuple[Arriving, "asyncio.Task[Completion | None]"]]:
        """Its answer as it arrives, and as a whole, within the context; whoever leaves that earlier ends the request."""
        arriving = Arriving()
        answer = asyncio.create_task(self.ask(asked, arriving))
        answer.add_done_callback(lambda _: arriving.end())
        try:
            yield arriving, answer
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)

    def _request(self, asked: Asked) -> Request:
        messages: Sequence[Message] = self._prompt(asked.messages) if self._prompt else asked.messages
        prompt = asked.prompt
        sampling = Sampling(asked.limit or self._ready.max_tokens, prompt.temperature, prompt.top_p, prompt.seed or 0)
        return Request("request", messages, sampling, schema=prompt.schema)
