"""Ask a server questions, so many at once, and take the times of its answers."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from potstill import interrupt
from potstill.models import Message


@dataclass(frozen=True)
class Question:
    """What is asked. Questions of one ``group`` vary together."""

    id: str
    group: str
    messages: Sequence[Message]
    max_tokens: int


@dataclass(frozen=True)
class Counted:
    """What a server says of an answer: its tokens, or why there is none."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""


class Target(Protocol):
    """A server that is measured."""

    async def ask(self, question: Question, arrived: Callable[[], None]) -> Counted:
        """Ask it, and call ``arrived`` when text of the answer has arrived. Errors of the server are in the result, not raised."""


@dataclass(frozen=True)
class Timed:
    """An answer with its times in seconds. first, last: from the request to the first and the last text; None where there is no text."""

    id: str
    group: str
    first: float | None
    last: float | None
    latency: float
    counted: Counted

    @property
    def per_token(self) -> float | None:
        """Seconds for each token after the first; None where there is only one, or where they arrived together."""
        tokens = self.counted.completion_tokens
        if self.first is None or self.last is None or tokens < 2 or self.last <= self.first:
            return None
        return (self.last - self.first) / (tokens - 1)


@dataclass(frozen=True)
class Loaded:
    """All answers, and the seconds from the first request to the end of the last answer."""

    answers: Sequence[Timed]
    seconds: float


async def load(
    target: Target,
    questions: Iterable[Question],
    concurrency: int,
    allowed: Callable[[int], bool] = lambda in_flight: True,
    ended: Callable[[Timed], None] = lambda timed: None,
) -> Loaded:
    """Ask each question once, with ``concurrency`` of them in flight: as one ends, the next is asked.

    ``allowed`` gets the number of requests in flight, and says whether another one may be sent; after the first no, and when a stop is
    requested, none is, and what is in flight ends. ``ended`` gets each answer.
    """
    waiting, in_flight, stopped = iter(questions), 0, False
    answers: list[Timed] = []

    async def worker() -> None:
        nonlocal in_flight, stopped
        while not stopped and not interrupt.stop_requested():
            if not allowed(in_flight):
                stopped = True
                return
            if (question := next(waiting, None)) is None:
                return
            in_flight += 1
            try:
                timed = await _timed(target, question)
            finally:
                in_flight -= 1
            answers.append(timed)
            ended(timed)

    began = time.perf_counter()
    workers = [asyncio.create_task(worker()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return Loaded(answers, time.perf_counter() - began)


async def _timed(target: Target, question: Question) -> Timed:
    began = time.perf_counter()
    first = last = None

    def arrived() -> None:
        nonlocal first, last
        last = time.perf_counter() - began
        first = last if first is None else first

    counted = await target.ask(question, arrived)
    return Timed(question.id, question.group, first, last, time.perf_counter() - began, counted)
