"""Adaptive concurrency (AIMD) and rate limits for one endpoint."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping

from potstill import interrupt
from potstill.models import Completion, ErrorKind
from potstill.models.remote.retry import parse_duration_seconds
from potstill.models.specs import Endpoint

THROTTLED = (ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED, ErrorKind.TIMEOUT)
"""Errors that count as a sign of too many concurrent requests."""
THROTTLED_FRACTION_TOLERATED = 0.1
"""Fraction of a window's responses that may be throttled before the concurrency is reduced."""
MIN_WINDOW_RESPONSES = 20
"""The concurrency is adjusted after at least this number of responses."""
MAX_RESET_SECONDS = 60.0
"""The longest wait for a limit that the server's headers report as exhausted."""


class RateLimiter:
    """Decides when each request may be sent.

    The concurrency limit starts at the recipe's ``concurrency``. After each window of responses it changes: if more than
    a tenth of them were throttled, it is multiplied by the fraction that was not (at least by one half); otherwise it
    rises by a tenth of ``concurrency``. Limits per minute space the requests evenly; each request is charged the expected
    number of tokens, which is corrected when the actual number is known.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.max_limit = self.limit = endpoint.concurrency
        self.in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._window_responses = self._window_throttled = 0
        self._seconds_per_request = 60 / endpoint.requests_per_minute if endpoint.requests_per_minute else 0.0
        self._seconds_per_token = 60 / endpoint.tokens_per_minute if endpoint.tokens_per_minute else 0.0
        self._next_send = 0.0
        """Time (`time.monotonic`) before which no other request is sent."""
        self._tokens_used, self._successes = 0, 0

    async def acquire(self, tokens: int, stopped: Callable[[], bool]) -> bool:
        """Wait until a request of about ``tokens`` tokens may be sent; False if ``stopped()`` becomes true first."""
        while self.in_flight >= self.limit:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():
                    self._wake()
                raise
        if stopped():
            self._wake()
            return False
        self.in_flight += 1
        now = time.monotonic()
        if self._next_send <= now and not self._seconds_per_request and not self._seconds_per_token:
            return True
        send_time = max(self._next_send, now)
        spacing = max(self._seconds_per_request, self._seconds_per_token * self.expected_tokens(tokens))
        self._next_send = send_time + spacing
        may_send = False
        try:
            may_send = await interrupt.sleep(send_time - now) and not stopped()
        finally:
            if not may_send:
                self.in_flight -= 1
                self._wake()
        return may_send

    def withdraw(self) -> None:
        """Account for a request that was not sent after all."""
        self.in_flight -= 1
        self._wake()

    def release(self, completion: Completion, tokens: int, headers: Mapping[str, str]) -> None:
        """Account for a response; ``tokens`` is the estimate that `acquire` got."""
        self.in_flight -= 1
        used = completion.prompt_tokens + completion.completion_tokens
        if completion.error is None:
            if self._seconds_per_token:
                self._next_send += self._seconds_per_token * (used - self.expected_tokens(tokens))
            self._tokens_used += used
            self._successes += 1
        if "x-ratelimit-remaining-requests" in headers or "x-ratelimit-remaining-tokens" in headers:
            self._apply_rate_limit_headers(headers, self.expected_tokens(tokens))
        self._window_responses += 1
        self._window_throttled += completion.error in THROTTLED
        if self._window_responses >= max(MIN_WINDOW_RESPONSES, self.limit):
            throttled = self._window_throttled / self._window_responses
            if throttled > THROTTLED_FRACTION_TOLERATED:
                self.limit = max(1, int(self.limit * max(0.5, 1 - throttled)))
            else:
                self.limit = min(self.max_limit, self.limit + max(1, self.max_limit // 10))
            self._window_responses = self._window_throttled = 0
        self._wake()

    def expected_tokens(self, estimate: int) -> float:
        """Tokens that a request is expected to use: the mean of the successful ones so far, or else its ``estimate``."""
        return self._tokens_used / self._successes if self._successes else estimate

    def _apply_rate_limit_headers(self, headers: Mapping[str, str], tokens: float) -> None:
        """Send nothing until an exhausted limit is reset."""
        for unit, needed in (("requests", 1.0), ("tokens", tokens)):
            try:
                remaining = float(headers.get(f"x-ratelimit-remaining-{unit}", "inf"))
            except ValueError:
                continue
            if remaining < needed:
                reset_seconds = parse_duration_seconds(headers.get(f"x-ratelimit-reset-{unit}", ""))
                self._next_send = max(self._next_send, time.monotonic() + min(reset_seconds, MAX_RESET_SECONDS))

    def _wake(self) -> None:
        free = self.limit - self.in_flight
        while self._waiters and free > 0:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                free -= 1
