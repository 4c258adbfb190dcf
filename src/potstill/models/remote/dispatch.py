"""Sends a stream of requests to one endpoint: concurrent workers, retries, and back-pressure until completions are stored."""

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import aiohttp

from potstill import interrupt
from potstill.models import Completion, ErrorKind, Request
from potstill.models.remote import retry, wire
from potstill.models.remote.address import is_local
from potstill.models.remote.dialect import Dialect
from potstill.models.remote.rate_limit import RateLimiter
from potstill.models.remote.server import Server
from potstill.models.specs import Endpoint

GROUP_SIZE = 32
"""Completions handed over, and workers started, in one step of the event loop: the first need not wait for the others."""
MIN_RETRY_QUEUE_REQUESTS = 64
"""Requests that may wait for a retry while new ones are sent, if the endpoint's concurrency is lower than this."""
JITTER_FRACTION = 0.1
"""A wait that the server asks for is extended by up to this fraction, so that the retries do not coincide."""
MAX_UNREADABLE_ATTEMPTS = 3
"""Attempts at a request whose response arrives, and cannot be parsed or has no answer in it."""
UNREADABLE = (ErrorKind.BAD_RESPONSE, ErrorKind.NO_ANSWER)
OWN_WHILE_OTHERS_SUCCEED = (ErrorKind.TIMEOUT, *UNREADABLE)
"""Faults of a request itself if another one was answered since its first attempt began; those of others only if one was answered
after that attempt had failed."""
HEAD_START_SECONDS = {True: 0.015, False: 1.0}
"""The longest that other requests wait for the answer to the first, on this machine and elsewhere: a server that does not take a
field says so within a few round trips, and one refusal teaches all. On this machine such a server answers within milliseconds, while the others
open their connections."""
MAX_UNREACHED_ATTEMPTS = 4
"""Attempts at a request to a server that was never reached."""


class Sender(Protocol):
    """What a `Dispatcher` needs of a `ChatModel`."""

    endpoint: Endpoint
    reached: bool
    server: Server

    @property
    def dialect(self) -> Dialect: ...

    def learn(self, request: Request, refusal: Completion, dialect: Dialect) -> bool: ...

    async def attempt(
        self, session: aiohttp.ClientSession, request: Request, dialect: Dialect, opened: asyncio.Event
    ) -> tuple[Completion, Mapping[str, str]] | None: ...


@dataclass(order=True)
class _Job:
    """A request with the state of its attempts; in the retry queue, jobs are ordered by the time they are due."""

    due: float
    number: int
    request: Request = field(compare=False)
    attempts: int = field(default=0, compare=False)
    successes_seen: int = field(default=0, compare=False)
    """The dispatcher's count of successes at the last attempt."""
    successes_before: int = field(default=-1, compare=False)
    """The same when the first attempt began."""
    successes_at_failure: int = field(default=-1, compare=False)
    """The same when the first attempt had failed."""
    last: Completion | None = field(default=None, compare=False)
    """The failure of the last attempt."""


class Dispatcher:
    """Sends the requests of one call of `ChatModel.complete`."""

    def __init__(self, model: Sender, session: aiohttp.ClientSession, requests: AsyncIterable[Request]) -> None:
        self.model, self.session = model, session
        self.rate_limiter = RateLimiter(model.endpoint)
        self.finished = asyncio.Event()
        """Set while `take_finished` has something to return."""
        self._loop = asyncio.get_running_loop()
        self._finished = deque[tuple[Completion, asyncio.Future[None]]]()
        self._source, self._source_lock, self._exhausted = aiter(requests), asyncio.Lock(), False
        self._numbers, self._retry_queue = count(), list[_Job]()
        self._successes = 0
        self._open = asyncio.Event()
        """Set once the first request is answered, or its head start is over."""
        self._head_start: asyncio.TimerHandle | None = None
        self._aborted = False
        """Whether an error concerns every request."""
        self._source_error: Exception | None = None

    def take_finished(self) -> list[tuple[Completion, asyncio.Future[None]]]:
        """The oldest finished completions, `GROUP_SIZE` at most, each with a future to resolve once it is stored."""
        group = [self._finished.popleft() for _ in range(min(len(self._finished), GROUP_SIZE))]
        if not self._finished:
            self.finished.clear()
        return group

    async def run(self, concurrency: int) -> None:
        """Send all requests. Raises what the source of the requests raised, after those in flight are stored."""
        workers: list[asyncio.Task[None]] = []
        try:
            for number in range(concurrency):
                workers.append(asyncio.create_task(self._work()))
                if number % GROUP_SIZE == 0:
                    await asyncio.sleep(0)  # the first workers need not wait until all have connected
            await asyncio.gather(*workers)
            if self._source_error:
                raise self._source_error
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        """Send one request after another."""
        while (job := await self._next_job()) is not None:
            completion = await self._run_job(job)
            if completion is None:
                continue
            stored = self._loop.create_future()
            self._finished.append((completion, stored))
            self.finished.set()
            # Only then is another request sent: a kill loses no more than what is in flight.
            await stored

    async def _next_job(self) -> _Job | None:
        """A retry that is due, a new request, or the retry that is due next; None when nothing is left."""
        max_delayed = max(self.model.endpoint.concurrency, MIN_RETRY_QUEUE_REQUESTS)
        while True:
            if self._retry_queue and (self._stopped or self._retry_queue[0].due <= time.monotonic()):
                return heapq.heappop(self._retry_queue)
            if not self._exhausted and not self._stopped and len(self._retry_queue) < max_delayed:
                async with self._source_lock:
                    if self._exhausted or self._stopped:
                        continue
                    try:
                        return _Job(0.0, next(self._numbers), await anext(self._source))
                    except StopAsyncIteration:
                        self._exhausted = True
                        continue
                    except Exception as error:  # raised by `run`, once those in flight are stored
                        self._exhausted, self._aborted, self._source_error = True, True, error
                        continue
            if not self._retry_queue:
                return None
            job = heapq.heappop(self._retry_queue)
            await interrupt.sleep(job.due - time.monotonic())
            return job

    @property
    def _stopped(self) -> bool:
        return self._aborted or interrupt.stop_requested()

    async def _run_job(self, job: _Job) -> Completion | None:
        """The request's completion, or None when it is to be retried later."""
        if self._stopped and job.last:
            return job.last
        tokens = wire.estimate_prompt_tokens(job.request)
        if not await self.rate_limiter.acquire(tokens, lambda: self._stopped):
            not_sent = "stopped before the request was sent"
            return job.last or wire.failed_completion(job.request, ErrorKind.CONNECTION, not_sent)
        opened = self._open
        if job.number == 0 and not opened.is_set():
            self._give_head_start()
            opened = asyncio.Event()
            opened.set()
        if job.successes_before < 0:
            job.successes_before = self._successes
        dialect = self.model.dialect
        attempted = await self.model.attempt(self.session, job.request, dialect, opened)
        if attempted is None:  # the first request taught another dialect
            self.rate_limiter.withdraw()
            return await self._run_job(job)
        completion, headers = attempted
        self.rate_limiter.release(completion, tokens, headers)
        if completion.error is None:
            self._open.set()
            job.attempts += 1
            self._successes += 1
            return completion
        if self.model.learn(job.request, completion, dialect):
            return await self._run_job(job)
        self._open.set()
        job.attempts += 1
        if job.successes_at_failure < 0:
            job.successes_at_failure = self._successes
        return self._retry_later(job, completion, retry.retry_after_seconds(headers))

    def _give_head_start(self) -> None:
        """Let the other requests wait, anew for each field that the server refuses in the first."""
        if self._head_start:
            self._head_start.cancel()
        seconds = HEAD_START_SECONDS[is_local(self.model.server.address(""))]
        seconds = min(seconds, self.model.endpoint.timeout / 4)
        self._head_start = self._loop.call_later(seconds, self._open.set)

    def _retry_later(self, job: _Job, completion: Completion, retry_after_seconds: float) -> Completion | None:
        """Queue a failed request for a retry; its ``completion`` if it is not to be retried."""
        error = completion.error
        assert error is not None
        if error.retried and retry_after_seconds > retry.MAX_RETRY_AFTER_SECONDS:
            error = completion.error = ErrorKind.QUOTA
            completion.detail += f" (the server accepts no request for {retry_after_seconds:.0f} s)"
        # A server that never accepted a connection more likely has a wrong address than a passing problem.
        if error.fatal or (not self.model.reached and job.attempts >= MAX_UNREACHED_ATTEMPTS):
            self._aborted = True
            return completion
        if error is ErrorKind.RATE_LIMITED and self._successes > job.successes_seen:
            job.attempts -= 1
        # An unreadable response may have been charged for, and is likely the same when requested again.
        unreadable = error in UNREADABLE and job.attempts >= MAX_UNREADABLE_ATTEMPTS
        exhausted = job.attempts >= self.model.endpoint.max_attempts
        if not error.retried or exhausted or unreadable or self._stopped:
            since = job.successes_before if error in OWN_WHILE_OTHERS_SUCCEED else job.successes_at_failure
            completion.lasting = (
                (exhausted or unreadable) and error is not ErrorKind.RATE_LIMITED and self._successes > since
            )
            return completion
        backoff = retry.backoff_seconds(job.attempts) * random.uniform(0.5, 1)
        requested = retry_after_seconds * random.uniform(1, 1 + JITTER_FRACTION)
        job.due = time.monotonic() + max(requested, backoff)
        job.last, job.successes_seen = completion, self._successes
        heapq.heappush(self._retry_queue, job)
        return None
