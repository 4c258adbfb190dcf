"""Run requests against a model, persist each completion, then yield the completions in request order."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind, Model, Request
from potstill.models.budget import Spending
from potstill.models.local.weights import Dtype
from potstill.models.opening import open_model
from potstill.models.specs import Budget, ModelSource
from potstill.models.store.store import KEYS_PER_LOOKUP, Locked, Store, batched, candidate_keys, key_function
from potstill.models.tally import Tally
from potstill.progress import progress

GC_THRESHOLD = 20_000
"""New objects after which Python's garbage collector runs, while requests are in flight."""
SYNC_SECONDS = 1.0
"""Seconds between two syncs of the store; a power cut can lose the completions of this time."""


SHORT_LOCK_TIMEOUT_SECONDS = 0.01
"""How long the event loop may wait for another process that has locked the store."""


class Requests(Protocol):
    """Requests that can be counted, and iterated any number of times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Request]: ...


class Account(Protocol):
    """Who pays for completions: a run."""

    @property
    def id(self) -> str: ...
    @property
    def store(self) -> Store: ...

    def note_answers(self, model: str, left_out: Sequence[str], counts: Mapping[str, int]) -> None:
        """Put into the manifest what a model's server does not take, and how many of its answers were unusual."""


class ModelSection(Protocol):
    """A section of a recipe about a model that completes requests."""

    @property
    def model(self) -> ModelSource: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def dtype(self) -> Dtype: ...
    @property
    def chat_template(self) -> Mapping[str, Any]: ...
    @property
    def budget(self) -> Budget | None: ...
    @property
    def min_success(self) -> float: ...


@dataclass(frozen=True)
class Billing:
    """Where completions are stored, which run pays for them, its budget, and the fraction of requests that must succeed."""

    store: Store
    run: str = ""
    budget: Budget | None = None
    min_success: float = 0.0
    account: Account | None = None
    required: bool = True
    """Whether it is an error that most requests fail; otherwise only what concerns every request is."""
    shown: bool = True
    """Whether progress is shown."""


def complete(model: Model, requests: Requests, name: str, billing: Billing) -> Iterator[Completion]:
    """Complete and store every request, then yield the completions in the order of ``requests``.

    ``requests`` is iterated twice and never held in memory; ``name`` labels the progress. Stored completions are not
    requested again.

    A request whose fault is its own (refused by moderation, never answered in time while others are) is stored as refused or
    failed, with the reason, and the others continue.

    Raises `PotstillError`, after every completion received is stored, when an error concerns every request, when none of
    the first `tally.ABORT_AFTER` requests succeeded, when most requests failed, when the server no longer answered (an
    outage must count neither as a missing row nor as an incorrect answer), when the budget is spent, or when fewer than the
    fraction ``billing.min_success`` can succeed. Raises `Interrupted` when a stop was requested.
    """
    tally = Tally(name, len(requests), billing.min_success, required=billing.required)
    spending = Spending(billing.budget, model, billing.store, billing.run)
    model.left_out = billing.store.left_out(model.address)
    try:
        _run(_Collector(model, requests, billing, tally, spending).collect())
    finally:
        if billing.account:
            billing.account.note_answers(model.name, model.left_out, tally.unusual)
    return _stored(model, requests, billing.store)


def complete_within_budget(
    section: ModelSection, requests: Requests, name: str, account: Account, *, required: bool = True
) -> Iterator[Completion]:
    """`complete` with a recipe's teacher or judge, within its budget; ``account`` is the run that pays."""
    model = open_model(section.model, section.batch_size, section.dtype, account.store, section.chat_template)
    min_success = section.min_success if required else 0.0
    billing = Billing(account.store, account.id, section.budget, min_success, account, required)
    return complete(model, requests, name, billing)


class _Collector:
    """Sends the requests that are not stored, and stores their completions."""

    def __init__(self, model: Model, requests: Requests, billing: Billing, tally: Tally, spending: Spending) -> None:
        self.model, self.requests, self.store, self.run = model, requests, billing.store, billing.run
        self.shown = billing.shown
        self.tally, self.spending = tally, spending
        self._key_of = key_function(model.identity)
        self._left_out = model.left_out
        """What the store knows of the server."""
        self._in_flight: dict[tuple[str, int], tuple[bytes, Request]] = {}
        """The keys of complete requests, and these."""
        self._held_back: list[tuple[bytes, Request]] = []
        """The next request and its key, while the budget does not allow it; else empty."""
        self._synced = time.monotonic()

    async def collect(self) -> None:
        """Raises `PotstillError` unless every request is completed, or failed for a reason of its own."""
        try:
            with progress(self.tally.name, len(self.requests), shown=self.shown) as self._progress:
                self._pending = self._not_stored()
                while True:
                    answered = self.tally.answered
                    async for completions in self.model.complete(self._requests()):
                        await self._persist(completions)
                    # The requests in flight may have cost less than estimated: then another round is possible.
                    if self._ended or not self._held_back or self.tally.answered == answered:
                        break
                    if not self.spending.allows(self._held_back[0][1], 0):
                        break
        finally:
            self.store.sync()
        self.tally.raise_for_failures(self.spending)

    @property
    def _ended(self) -> bool:
        return interrupt.stop_requested() or self.tally.should_abort or bool(self._in_flight)

    async def _not_stored(self) -> AsyncIterator[tuple[bytes, Request]]:
        """Keys and requests that are neither stored nor in flight."""
        for chunk in batched(self.requests, KEYS_PER_LOOKUP):
            keys = [self._key_of(request) for request in chunk]
            stored = self.store.existing(keys)
            if self.model.left_out:
                others = {candidates[0]: candidates[1:] for candidates in map(self._candidates, chunk)}
                found = self.store.existing([key for candidates in others.values() for key in candidates])
                stored |= {key for key, candidates in others.items() if not found.isdisjoint(candidates)}
            n_stored = sum(key in stored for key in keys)
            self.tally.stored += n_stored
            self._progress.skip(n_stored)
            # Requests in flight are not in the store yet: a prompt that occurs in two rows is sent once.
            seen = stored | {key for key, _ in self._in_flight.values()}
            for key, request in zip(keys, chunk, strict=True):
                if key not in seen:
                    seen.add(key)
                    yield key, request
                elif key not in stored:
                    self.tally.repeated += 1
                    self._progress.skip(1)

    def _candidates(self, request: Request) -> list[bytes]:
        return candidate_keys(self._key_of, request, self.model.left_out)

    async def _requests(self) -> AsyncIterator[Request]:
        """Pending requests, until none is left, no other should be sent, or the budget does not allow the next one."""
        while not interrupt.stop_requested() and not self.tally.should_abort:
            if not self._held_back:
                try:
                    self._held_back.append(await anext(self._pending))
                except StopAsyncIteration:
                    return
            key, request = self._held_back[0]
            if not self.spending.allows(request, len(self._in_flight)):
                return
            self._held_back.clear()
            self._in_flight[request.id, request.sample] = key, request
            yield request

    async def _persist(self, completions: Sequence[Completion]) -> None:
        if not completions:
            self._progress.advance(0)
            return
        for completion in completions:
            key, request = self._in_flight.pop((completion.id, completion.sample))
            completion.key = self._key_of(request, completion.left_out) if completion.left_out else key
            if completion.error is None:
                self.tally.watch(request, completion)
            elif completion.error is ErrorKind.NO_ANSWER and self.tally.succeeded:
                refuse(completion)
        if self.model.left_out != self._left_out:
            self._left_out = self.model.left_out
            self.store.leave_out(self.model.address, self._left_out)
        try:
            # In this thread: another would compete for Python's lock. A put does not wait for the disk.
            self.store.put(completions, self.model.name, self.run, lock_timeout=SHORT_LOCK_TIMEOUT_SECONDS)
        except Locked:
            await asyncio.to_thread(self.store.put, completions, self.model.name, self.run)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            await asyncio.to_thread(self.store.sync)
            self._synced = time.monotonic()
        for completion in completions:
            self.tally.add(completion)
            self.spending.add(completion)
        tokens, cost = sum(c.completion_tokens for c in completions), sum(c.cost for c in completions)
        self._progress.advance(len(completions), tokens, cost)


def _stored(model: Model, requests: Iterable[Request], store: Store) -> Iterator[Completion]:
    """The stored completion of each request, in order."""
    key_of, left_out = key_function(model.identity), model.left_out
    for chunk in batched(requests, KEYS_PER_LOOKUP):
        keys = [candidate_keys(key_of, request, left_out) for request in chunk]
        stored = store.get([key for candidates in keys for key in candidates])
        for candidates, request in zip(keys, chunk, strict=True):
            found = [stored[key] for key in candidates if key in stored]
            if not found:
                raise PotstillError(f"{store.path}: a stored completion disappeared. Rerun the same command.")
            first = next((completion for completion in found if not completion.error), found[-1])
            # A prompt that occurs in two rows: each row gets its own object.
            completion = first if not first.id else copy(first)
            completion.id, completion.sample = request.id, request.sample
            yield completion


def refuse(completion: Completion) -> None:
    """Make a request that a server never answers, while it answers others, one that it refuses: it is not asked again."""
    completion.error, completion.text, completion.detail = None, completion.detail, ""
    completion.finish_reason = "content_filter"


def _run(collecting: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run`, also where an event loop is running already, as in a notebook."""

    def run() -> None:
        # Requests leave few reference cycles, and a collection takes long while so many objects are alive.
        thresholds = gc.get_threshold()
        gc.set_threshold(GC_THRESHOLD, *thresholds[1:])
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(collecting)
        finally:
            gc.set_threshold(*thresholds)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        run()
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop if it is installed, else None for asyncio's."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None
