"""Open a model, and ask it a list of requests with progress."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from potstill import interrupt
from potstill.errors import PotstillError, RecipeError
from potstill.models import Completion, ErrorKind, Model, Request, packaged
from potstill.models.budget import Spending
from potstill.models.store import LOOKED_UP, Locked, Store, batched, keys
from potstill.progress import progress, say
from potstill.recipe import Budget, Endpoint, Served

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FIRST_LOOK = 20
"""Requests after which none of the others is sent when all of them came to nothing."""
SYNCED = 1.0
"""Seconds of answers that a power cut can lose."""
CURES = {
    ErrorKind.AUTH: "Check the key, and which variable api_key_env names.",
    ErrorKind.NOT_FOUND: "Check url and model in the recipe.",
    ErrorKind.QUOTA: "Raise the account's limit, then run again.",
    ErrorKind.CONNECTION: "Check that the server runs and that url is right.",
}


def check_source(source: str | Path | Endpoint | Served) -> None:
    """Raises `RecipeError` for a model that cannot be there, without loading or asking it."""
    if isinstance(source, Endpoint):
        from potstill.models.chat import ChatModel

        ChatModel(source)
    elif isinstance(source, Served):
        from potstill.models import launch

        launch.check(source)
    elif str(source).startswith("packaged/"):
        packaged.find(str(source).removeprefix("packaged/"))
    elif not str(source).startswith("hf/") and not (Path(source) / "config.json").is_file():
        raise RecipeError(
            f"Model '{source}': no config.json there. Name packaged/NAME, hf/ORG/NAME or a folder of weights."
        )


def open_model(source: str | Path | Endpoint | Served, batch_size: int, store: Store) -> Model:
    """A model that can be asked. Raises `RecipeError` for one that is not there or whose key is missing."""
    check_source(source)
    if isinstance(source, Endpoint):
        from potstill.models.batch import BatchModel
        from potstill.models.chat import ChatModel

        return ChatModel(source) if source.mode == "requests" else BatchModel(source, store)
    if isinstance(source, Served):
        from potstill.models.launch import ServedModel

        return ServedModel(source)
    from potstill.models import weights
    from potstill.models.local import LocalModel

    folder = weights.folder(str(source))

    def load() -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        return weights.load_model(folder), weights.load_tokenizer(folder)

    return LocalModel(load, weights.identity(folder), batch_size=batch_size)


class Requests(Protocol):
    """Requests that can be counted, and gone through as often as need be."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Request]: ...


def ask(
    model: Model, requests: Requests, name: str, store: Store, run: str = "", budget: Budget | None = None
) -> Iterator[Completion]:
    """Have every request answered and kept, then give the completions in the order of ``requests``.

    ``requests`` is gone through twice and never held; ``name`` stands before the progress; ``run`` is noted in the store.
    What is stored already is not asked again. Raises `PotstillError` when an error concerns every request, when none of
    the first `FIRST_LOOK` came to anything, when one is left that may pass (a server's bad hour must count neither as a
    row that is missing nor as a wrong answer), or when the budget is spent. What was answered is kept.
    """
    _run(_deliver(model, requests, name, store, run, Spending(budget, model.price, store, run)))
    return _stored(model, requests, store)


async def _deliver(model: Model, requests: Requests, name: str, store: Store, run: str, spending: Spending) -> None:
    """Ask what is not stored, store what comes, and raise when that is not enough."""
    key = keys(model.identity)
    label = str(model.identity.get("model") or model.identity.get("weights", ""))
    tally = Tally(name, len(requests))
    flying: dict[tuple[str, int], bytes] = {}
    fresh: set[bytes] = set()
    """Keys that came up since the last look at the store: a prompt that stands in two rows is asked once."""

    async def unanswered() -> AsyncIterator[tuple[bytes, Request]]:
        for some in batched(requests, LOOKED_UP):
            asked = [key(request) for request in some]
            known = store.known(asked)
            fresh.clear()
            fresh.update(flying.values())
            given = 0
            for one, request in zip(asked, some, strict=True):
                if one in known or one in fresh:
                    given += 1
                else:
                    fresh.add(one)
                    yield one, request
            tally.stored += given
            shown.give(given)

    async def next_ones() -> AsyncIterator[Request]:
        """Requests, until there are none, no other should be sent, or the budget may not allow it."""
        while not interrupt.asked() and not tally.hopeless:
            if not waiting:
                try:
                    waiting.append(await anext(left))
                except StopAsyncIteration:
                    return
            one, request = waiting[0]
            if not spending.allows(request, len(flying)):
                return
            waiting.clear()
            flying[request.id, request.sample] = one
            yield request

    left, waiting = unanswered(), list[tuple[bytes, Request]]()
    synced = time.monotonic()
    try:
        with progress(name, len(requests)) as shown:
            while True:
                async for completions in model.complete(next_ones()):
                    for completion in completions:
                        completion.key = flying.pop((completion.id, completion.sample))
                    try:
                        # In this thread: another would fight for Python's lock. Nothing waits for the disk here.
                        store.put(completions, label, run, seconds=0.01)
                    except Locked:
                        await asyncio.to_thread(store.put, completions, label, run)
                    if time.monotonic() - synced > SYNCED:
                        await asyncio.to_thread(store.sync)
                        synced = time.monotonic()
                    for completion in completions:
                        tally.add(completion)
                        spending.add(completion)
                    shown.advance(
                        len(completions),
                        sum(c.completion_tokens for c in completions),
                        sum(c.cost for c in completions),
                    )
                # What was in flight may have cost less than was feared: then there is another round.
                if (
                    not waiting
                    or flying
                    or interrupt.asked()
                    or tally.hopeless
                    or not spending.allows(waiting[0][1], 0)
                ):
                    break
    finally:
        store.sync()
    tally.judge(spending)


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


@dataclass
class Tally:
    """What became of the requests to one model."""

    name: str
    total: int
    stored: int = 0
    answered: int = 0
    answers: int = 0
    """Those answered with a text, not with a refusal by the server."""
    failures: Counter[ErrorKind] = field(default_factory=Counter)
    examples: dict[ErrorKind, Completion] = field(default_factory=dict)

    def add(self, completion: Completion) -> None:
        if completion.error is None:
            self.answered += 1
            self.answers += completion.finish_reason != "content_filter"
        else:
            self.failures[completion.error] += 1
            self.examples.setdefault(completion.error, completion)

    @property
    def hopeless(self) -> bool:
        """Whether so many came to nothing that the others will too."""
        asked = self.answered + self.failures.total()
        return any(kind.fatal for kind in self.failures) or (asked >= FIRST_LOOK and not self.answers + self.stored)

    def judge(self, spending: Spending) -> None:
        """Raises `PotstillError` or `Interrupted` unless every request has its answer or its own reason for none."""
        kept = f"{self.answered + self.stored} of {self.total} answers"
        missing = self.total - self.stored - self.answered - self.failures.total()
        kinds = sorted(self.failures, key=lambda kind: (not kind.fatal, not kind.retried))
        if kinds and kinds[0].fatal:
            raise self._failure(kinds[0])
        if interrupt.asked() and (missing or any(kind.retried for kind in kinds)):
            raise interrupt.Interrupted(
                f"{self.name}: stopped with {kept}, which are kept; the same command again asks for the others only."
            )
        if missing and spending.over:
            raise PotstillError(
                f"{self.name}: teacher.budget is spent: {spending.over}. {kept} are kept; raise it and run the same command "
                "again to ask for the others only."
            )
        if kinds and (missing or kinds[0].retried):
            raise self._failure(kinds[0])
        if missing:
            raise PotstillError(
                f"{self.name}: the server's content filter stopped each of the first {self.answered} answers. Read its "
                "policy, and the prompts with `potstill preview`."
            )
        if kinds:
            said = ", ".join(f"{n} {kind}" for kind, n in self.failures.most_common())
            say(
                f"  {self.name}: {self.failures.total()} without an answer: {said}; the first: {self.examples[kinds[0]].detail}"
            )
        if self.failures.total() == self.total:
            raise self._failure(kinds[0])

    def _failure(self, kind: ErrorKind) -> PotstillError:
        return PotstillError(
            f"{self.name}: {kind}: {self.examples[kind].detail}. {CURES.get(kind, '')} {self.answered + self.stored} answers "
            "came and are kept; the same command again asks for the others only."
        )


def _run(collecting: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run`, also where a loop runs already, as in a notebook."""

    def run() -> None:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(collecting)

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
