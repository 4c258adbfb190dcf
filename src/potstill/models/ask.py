"""Have requests to a model answered and kept, then read the answers back in their order."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any, Protocol

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import Completion, Model, Request
from potstill.models.budget import Spending
from potstill.models.sources import open_model
from potstill.models.store import LOOKED_UP, Locked, Store, batched, keys
from potstill.models.tally import Tally
from potstill.progress import progress
from potstill.recipe_models import Budget

if TYPE_CHECKING:
    from potstill.recipe import AskedModel

COLLECTED = 20_000
"""New objects after which Python's garbage collector looks at them."""
SYNCED = 1.0
"""Seconds of answers that a power cut can lose."""


class Requests(Protocol):
    """Requests that can be counted, and gone through as often as need be."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Request]: ...


def ask(
    model: Model,
    requests: Requests,
    name: str,
    store: Store,
    run: str = "",
    budget: Budget | None = None,
    least: float = 0.0,
) -> Iterator[Completion]:
    """Have every request answered and kept, then give the completions in the order of ``requests``.

    ``requests`` is gone through twice and never held; ``name`` stands before the progress; ``run`` is noted in the store.
    What is stored already is not asked again. Raises `PotstillError` when an error concerns every request, when none of
    the first `FIRST_LOOK` came to anything, when one is left that may pass (a server's bad hour must count neither as a
    row that is missing nor as a wrong answer), when the budget is spent, or when fewer than
    the part ``least`` can succeed. What was answered is kept.
    """
    tally, spending = Tally(name, len(requests), least), Spending(budget, model, store, run)
    _run(_Delivery(model, requests, store, run, tally, spending).carry_out())
    return _stored(model, requests, store)


def ask_within(asked: "AskedModel", requests: Requests, name: str, store: Store, run: str) -> Iterator[Completion]:
    """`ask` a recipe's teacher or judge, within what may be spent on it."""
    model = open_model(asked.model, asked.batch_size, asked.dtype, store)
    return ask(model, requests, name, store, run, asked.budget, asked.min_success)


class _Delivery:
    """Asks what is not stored, and stores what comes."""

    def __init__(
        self, model: Model, requests: Requests, store: Store, run: str, tally: Tally, spending: Spending
    ) -> None:
        self.model, self.requests, self.store, self.run = model, requests, store, run
        self.tally, self.spending = tally, spending
        self._flying: dict[tuple[str, int], bytes] = {}
        self._waiting: list[tuple[bytes, Request]] = []
        """The next one, when the budget held it back."""
        self._synced = time.monotonic()

    async def carry_out(self) -> None:
        """Raises `PotstillError` when not every request has its answer, or its own reason for none."""
        try:
            with progress(self.tally.name, len(self.requests)) as self._shown:
                self._left = self._unanswered()
                while True:
                    answered = self.tally.answered
                    async for completions in self.model.complete(self._next()):
                        await self._keep(completions)
                    # What was in flight may have cost less than was feared: then there is another round.
                    if self._stopped or not self._waiting or self.tally.answered == answered:
                        break
                    if not self.spending.allows(self._waiting[0][1], 0):
                        break
        finally:
            self.store.sync()
        self.tally.judge(self.spending)

    @property
    def _stopped(self) -> bool:
        return interrupt.asked() or self.tally.hopeless or bool(self._flying)

    async def _unanswered(self) -> AsyncIterator[tuple[bytes, Request]]:
        key = keys(self.model.identity)
        for some in batched(self.requests, LOOKED_UP):
            asked = [key(request) for request in some]
            known = self.store.known(asked)
            given = sum(one in known for one in asked)
            self.tally.stored += given
            self._shown.give(given)
            # Those in flight are not in the store yet: a prompt that stands in two rows is asked once.
            seen = known | set(self._flying.values())
            for one, request in zip(asked, some, strict=True):
                if one not in seen:
                    seen.add(one)
                    yield one, request
                elif one not in known:
                    self.tally.repeated += 1
                    self._shown.give(1)

    async def _next(self) -> AsyncIterator[Request]:
        """Requests, until there are none, no other should be sent, or the budget may not allow it."""
        while not interrupt.asked() and not self.tally.hopeless:
            if not self._waiting:
                try:
                    self._waiting.append(await anext(self._left))
                except StopAsyncIteration:
                    return
            one, request = self._waiting[0]
            if not self.spending.allows(request, len(self._flying)):
                return
            self._waiting.clear()
            self._flying[request.id, request.sample] = one
            yield request

    async def _keep(self, completions: Sequence[Completion]) -> None:
        for completion in completions:
            completion.key = self._flying.pop((completion.id, completion.sample))
        try:
            # In this thread: another would fight for Python's lock. Nothing waits for the disk here.
            self.store.put(completions, self.model.name, self.run, seconds=0.01)
        except Locked:
            await asyncio.to_thread(self.store.put, completions, self.model.name, self.run)
        if time.monotonic() - self._synced > SYNCED:
            await asyncio.to_thread(self.store.sync)
            self._synced = time.monotonic()
        for completion in completions:
            self.tally.add(completion)
            self.spending.add(completion)
        tokens, cost = sum(c.completion_tokens for c in completions), sum(c.cost for c in completions)
        self._shown.advance(len(completions), tokens, cost)


def _stored(model: Model, requests: Iterable[Request], store: Store) -> Iterator[Completion]:
    key = keys(model.identity)
    for some in batched(requests, LOOKED_UP):
        wanted = [key(request) for request in some]
        found = store.get(wanted)
        for one, request in zip(wanted, some, strict=True):
            if one not in found:
                raise PotstillError(f"{store.path}: an answer is gone that was there. Run the same command again.")
            completion = found[one] if not found[one].id else copy(found[one])
            completion.id, completion.sample = request.id, request.sample
            yield completion


def _run(collecting: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run`, also where a loop runs already, as in a notebook."""

    def run() -> None:
        # A request leaves little behind that only the collector can free, and a round of it takes long among so much.
        before = gc.get_threshold()
        gc.set_threshold(COLLECTED, *before[1:])
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(collecting)
        finally:
            gc.set_threshold(*before)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        run()
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop, where it is to be had."""
    with suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None
