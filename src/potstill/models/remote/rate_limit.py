"""How fast a server is asked: requests in flight, pauses that it asks for, limits per minute."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping

from potstill import interrupt
from potstill.models import Completion, ErrorKind
from potstill.models.remote.wire import duration
from potstill.models.specs import Endpoint

PUSH_BACK = (ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED, ErrorKind.TIMEOUT)
TOLERATED = 0.1
"""Part of a window that may be push-back before fewer requests are sent at once."""
WINDOW = 20
"""Answers, at least, after which the number in flight is reconsidered."""


class Flow:
    """Lets requests through.

    The number in flight starts at the recipe's concurrency, falls by the part that was pushed back (by half at most) when
    that is more than a tenth of a window, and otherwise rises by a tenth of the concurrency. Limits per minute space the
    requests evenly; tokens are charged as expected, and corrected when they are known.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.most = self.limit = endpoint.concurrency
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seen = self._pushed = 0
        self._a_request = 60 / endpoint.requests_per_minute if endpoint.requests_per_minute else 0.0
        self._a_token = 60 / endpoint.tokens_per_minute if endpoint.tokens_per_minute else 0.0
        self._next = 0.0
        self._tokens, self._answers = 0, 0

    async def enter(self, tokens: int, stopped: Callable[[], bool]) -> bool:
        """Wait for room for a request of about so many tokens; False when the work should end instead."""
        while self.in_flight >= self.limit:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._wake()
                raise
        if stopped():
            self._wake()
            return False
        self.in_flight += 1
        now = time.monotonic()
        if self._next <= now and not self._a_request and not self._a_token:
            return True
        at = max(self._next, now)
        self._next = at + max(self._a_request, self._a_token * self.expected(tokens))
        goes_on = False
        try:
            goes_on = await interrupt.sleep(at - now) and not stopped()
        finally:
            if not goes_on:
                self.in_flight -= 1
                self._wake()
        return goes_on

    def leave(self, completion: Completion, tokens: int, headers: Mapping[str, str]) -> None:
        """A request has come back."""
        self.in_flight -= 1
        used = completion.prompt_tokens + completion.completion_tokens
        if completion.error is None:
            if self._a_token:
                self._next += self._a_token * (used - self.expected(tokens))
            self._tokens += used
            self._answers += 1
        if "x-ratelimit-remaining-requests" in headers or "x-ratelimit-remaining-tokens" in headers:
            self._heed(headers, self.expected(tokens))
        self._seen += 1
        self._pushed += completion.error in PUSH_BACK
        if self._seen >= max(WINDOW, self.limit):
            pushed = self._pushed / self._seen
            if pushed > TOLERATED:
                self.limit = max(1, int(self.limit * max(0.5, 1 - pushed)))
            else:
                self.limit = min(self.most, self.limit + max(1, self.most // 10))
            self._seen = self._pushed = 0
        self._wake()

    def expected(self, tokens: int) -> float:
        """Tokens that a request will have used: as the others on average, or as it was estimated."""
        return self._tokens / self._answers if self._answers else tokens

    def _heed(self, headers: Mapping[str, str], tokens: float) -> None:
        """Send nothing until a limit that is used up is reset."""
        for what, needed in (("requests", 1.0), ("tokens", tokens)):
            try:
                remaining = float(headers.get(f"x-ratelimit-remaining-{what}", "inf"))
            except ValueError:
                continue
            if remaining < needed:
                wait = min(duration(headers.get(f"x-ratelimit-reset-{what}", "")), 60.0)
                self._next = max(self._next, time.monotonic() + wait)

    def _wake(self) -> None:
        room = self.limit - self.in_flight
        while self._waiting and room > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1
