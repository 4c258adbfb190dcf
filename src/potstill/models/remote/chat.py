"""A model behind an OpenAI-compatible chat-completions server, many requests in flight."""

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
import orjson

from potstill import interrupt
from potstill.models import Completion, ErrorKind, Request
from potstill.models.remote import wire
from potstill.models.remote.rate_limit import Flow
from potstill.models.remote.server import Server, read
from potstill.models.remote.stream import Streamed
from potstill.models.specs import Endpoint

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds between attempts: the first bound, doubled each time, and the last."""
TOGETHER = 16
"""Completions passed on, and workers begun, in one go: few wait for many."""
LAST_WORDS = 0.05
"""Seconds for what a server may send after the end of its answer."""
DELAYED = 64
"""Requests, at least, that may wait for another try while others are sent in their place."""
JITTER = 0.1
"""Part by which a wait that the server asks for is drawn out at most, so that not all come back at once."""
TRIED_UNREADABLE = 3
"""Attempts at an answer that comes and cannot be read."""
TRIED_UNSEEN = 4
"""Attempts at a server that is out of reach and never was within it."""


class ChatModel:
    """An endpoint of a recipe. Raises `RecipeError` when its key is not in the environment.

    A request is tried again, up to ``max_attempts`` times, when the server is busy, slow or out of reach; the wait
    doubles, with jitter, and is never shorter than the server's ``Retry-After``. It holds nobody up: another request goes
    in its place. A server that limits the rate may do so as often as it likes while it answers others. After an error
    that concerns every request, those in flight are finished and no other is sent; so too when nothing was ever heard of
    the server.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.identity: Mapping[str, Any] = identity(endpoint)
        self.server = Server(endpoint)
        self.name, self.price = endpoint.model, self.server.price
        self._address = self.server.address("chat/completions")
        self._streams = endpoint.first_token_timeout is not None
        self.dialect = wire.Dialect()
        self.reached = False
        """Whether the server ever took a connection."""

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[list[Completion]]:
        async with self.server.session() as session:
            asking = _Asking(self, session, requests)
            ended = asyncio.create_task(asking.work(self.endpoint.concurrency))
            ended.add_done_callback(lambda _: asking.came.set())
            try:
                while True:
                    if not ended.done():  # after which nobody says any more that something came
                        await asking.came.wait()
                    if some := asking.take():
                        yield [completion for completion, _ in some]
                        for _, kept in some:
                            if not kept.done():
                                kept.set_result(None)
                        await asyncio.sleep(0)  # their workers send on before others are kept
                    elif ended.done():
                        break
                await ended
            finally:
                ended.cancel()
                await asyncio.gather(ended, return_exceptions=True)

    async def attempt(
        self, session: aiohttp.ClientSession, request: Request, dialect: wire.Dialect
    ) -> tuple[Completion, Mapping[str, str]]:
        """A completion, perhaps with an error, and the headers of the server's answer."""
        started, reached = time.perf_counter(), True
        headers: Mapping[str, str] = {}
        try:
            body = wire.body(self.endpoint, request, dialect, stream=self._streams)
            sent = aiohttp.BytesPayload(orjson.dumps(body), content_type="application/json")
            status, headers, content = await (self._streamed if self._streams else self._whole)(session, sent)
            completion = wire.completion(request, status, content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            reached = False
            completion = wire.failed(request, ErrorKind.CONNECTION, str(error))
        except TimeoutError as error:
            detail = str(error) or f"no answer within {self.endpoint.timeout:g} s"
            completion = wire.failed(request, ErrorKind.TIMEOUT, detail)
        except aiohttp.ClientConnectionError as error:  # some of which are a ValueError too
            completion = wire.failed(request, ErrorKind.CONNECTION, str(error))
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, ValueError) as error:
            completion = wire.failed(request, ErrorKind.BAD_RESPONSE, str(error))
        except (aiohttp.ClientError, OSError) as error:
            completion = wire.failed(request, ErrorKind.CONNECTION, str(error))
        self.reached |= reached
        completion.seconds = time.perf_counter() - started
        self.server.settle(completion)
        return completion, headers

    def _post(
        self, session: aiohttp.ClientSession, sent: aiohttp.Payload
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return session.post(self._address, data=sent, allow_redirects=False, proxy=self.server.proxy)

    async def _whole(
        self, session: aiohttp.ClientSession, sent: aiohttp.Payload
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with self._post(session, sent) as answer:
            return answer.status, answer.headers, await read(answer)

    async def _streamed(
        self, session: aiohttp.ClientSession, sent: aiohttp.Payload
    ) -> tuple[int, Mapping[str, str], bytes]:
        """A streamed answer as if it had come at once. Raises `TimeoutError` when it does not begin in time."""
        streamed, length = Streamed(), 0
        first = asyncio.timeout(self.endpoint.first_token_timeout)
        try:
            async with first, self._post(session, sent) as answer:
                if answer.status != 200 or answer.content_type == "application/json":
                    return answer.status, answer.headers, await read(answer)
                if "Content-Encoding" in answer.headers:
                    streamed.feed(await read(answer))
                while not streamed.done and (block := await answer.content.readany()):
                    length += len(block)
                    if length > wire.LARGEST_ANSWER:
                        raise ValueError(wire.TOO_LARGE)
                    streamed.feed(block)
                    if streamed.begun:
                        first.reschedule(None)
                with suppress(TimeoutError):  # so that the connection can be used again
                    async with asyncio.timeout(LAST_WORDS):
                        await answer.content.readany()
                return answer.status, answer.headers, streamed.answer()
        except TimeoutError:
            if first.expired():
                raise TimeoutError(f"no token within {self.endpoint.first_token_timeout:g} s") from None
            raise


@dataclass(order=True)
class _Job:
    due: float
    number: int
    request: Request = field(compare=False)
    attempts: int = field(default=0, compare=False)
    answers_seen: int = field(default=0, compare=False)
    last: Completion | None = field(default=None, compare=False)


class _Asking:
    """One stream of requests on its way through a server."""

    def __init__(self, model: ChatModel, session: aiohttp.ClientSession, requests: AsyncIterable[Request]) -> None:
        self.model, self.session = model, session
        self.flow = Flow(model.endpoint)
        self.came = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._untaken = deque[tuple[Completion, asyncio.Future[None]]]()
        self._source, self._turn, self._exhausted = aiter(requests), asyncio.Lock(), False
        self._numbers, self._later = count(), list[_Job]()
        self._answers = 0
        self._hopeless = False
        self._fault: Exception | None = None
        """What the source of the requests raised."""

    def take(self) -> list[tuple[Completion, asyncio.Future[None]]]:
        """The oldest completions that nobody has taken, each with what to fulfil when it is kept."""
        some = [self._untaken.popleft() for _ in range(min(len(self._untaken), TOGETHER))]
        if not self._untaken:
            self.came.clear()
        return some

    async def work(self, at_once: int) -> None:
        """Send all requests, so many at once."""
        workers: list[asyncio.Task[None]] = []
        try:
            for number in range(at_once):
                workers.append(asyncio.create_task(self._work()))
                if number % TOGETHER == 0:
                    await asyncio.sleep(0)  # the first need not wait until all are connected
            await asyncio.gather(*workers)
            if self._fault:
                raise self._fault
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        """Send one request after the other."""
        while (job := await self._job()) is not None:
            completion = await self._carry_out(job)
            if completion is None:
                continue
            kept = self._loop.create_future()
            self._untaken.append((completion, kept))
            self.came.set()
            # Only then is there room for another: what a kill can lose is what is in flight, and no more.
            await kept

    async def _job(self) -> _Job | None:
        """What to ask next: what has waited long enough, something new, or the one that has to wait least."""
        while True:
            if self._later and (self._stopped or self._later[0].due <= time.monotonic()):
                return heapq.heappop(self._later)
            if (
                not self._exhausted
                and not self._stopped
                and len(self._later) < max(self.model.endpoint.concurrency, DELAYED)
            ):
                async with self._turn:
                    if self._exhausted or self._stopped:
                        continue
                    try:
                        return _Job(0.0, next(self._numbers), await anext(self._source))
                    except StopAsyncIteration:
                        self._exhausted = True
                        continue
                    except Exception as error:  # raised once those in flight are kept
                        self._exhausted, self._hopeless, self._fault = True, True, error
                        continue
            if not self._later:
                return None
            job = heapq.heappop(self._later)
            await interrupt.sleep(job.due - time.monotonic())
            return job

    @property
    def _stopped(self) -> bool:
        return self._hopeless or interrupt.stop_requested()

    async def _carry_out(self, job: _Job) -> Completion | None:
        """The request's completion, or None when it is to be tried later."""
        if self._stopped and job.last:
            return job.last
        tokens = wire.tokens_about(job.request)
        if not await self.flow.enter(tokens, lambda: self._stopped):
            return job.last or wire.failed(job.request, ErrorKind.CONNECTION, "stopped before it was asked")
        dialect = self.model.dialect
        completion, headers = await self.model.attempt(self.session, job.request, dialect)
        self.flow.leave(completion, tokens, headers)
        job.attempts += 1
        if completion.error is None:
            self._answers += 1
            return completion
        if learned := dialect.after(job.request, completion):
            self.model.dialect |= learned
            return await self._carry_out(job)
        wanted = wire.retry_after(headers)
        if completion.error.retried and wanted > wire.LONGEST_RETRY_AFTER:
            completion.error = ErrorKind.QUOTA
            completion.detail += f" (it wants no request for {wanted:.0f} s)"
        # A server that never took a connection: more likely a wrong address than a bad moment.
        if completion.error.fatal or (not self.model.reached and job.attempts >= TRIED_UNSEEN):
            self._hopeless = True
            return completion
        if completion.error is ErrorKind.RATE_LIMITED and self._answers > job.answers_seen:
            job.attempts -= 1
        # What cannot be read was perhaps paid for, and comes out the same when it is asked for again.
        unreadable = completion.error is ErrorKind.BAD_RESPONSE and job.attempts >= TRIED_UNREADABLE
        most = self.model.endpoint.max_attempts
        if not completion.error.retried or job.attempts >= most or unreadable or self._stopped:
            return completion
        wait = min(FIRST_WAIT * 2 ** max(job.attempts - 1, 0), LONGEST_WAIT) * random.uniform(0.5, 1)
        job.due = time.monotonic() + max(wanted * random.uniform(1, 1 + JITTER), wait)
        job.last, job.answers_seen = completion, self._answers
        heapq.heappush(self._later, job)
        return None


def identity(endpoint: Endpoint) -> dict[str, Any]:
    what = {
        "engine": "chat-completions",
        "extra_body": endpoint.extra_body,
        "thinking_tokens": endpoint.thinking_tokens,
    }
    if endpoint.same_as:
        return what | {"model": endpoint.same_as}
    return what | {"url": endpoint.url.rstrip("/"), "model": endpoint.model}
