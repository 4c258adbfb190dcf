"""How many requests are answered at once, and how many wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil

from potstill.serve.metrics import Metrics
from potstill.serve.openai_errors import ApiError

MOST_SECONDS_TO_RETRY = 60
LEARNING = 0.1
"""Weight of the newest request in the mean duration."""


class Places:
    """``limit`` requests are answered at once and ``waiting`` others wait, first come, first served; further ones are refused."""

    def __init__(self, limit: int, waiting: int, metrics: Metrics) -> None:
        self.limit, self.waiting, self.metrics = limit, waiting, metrics
        self._free = asyncio.Semaphore(limit)
        self._taken = 0
        """Requests that are answered or wait."""
        self._mean_seconds = 1.0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A place within the context. Raises `ApiError` (429) where too many wait."""
        if self._taken >= self.limit + self.waiting:
            seconds = min(ceil(self._mean_seconds * self._taken / self.limit), MOST_SECONDS_TO_RETRY)
            raise ApiError(
                429, f"{self._taken} requests are answered or wait; try again in {seconds} s.", code="rate_limit_exceeded",
                headers={"Retry-After": str(seconds)},
            )  # fmt: skip
        self._taken += 1
        self.metrics.queue.inc()
        began = None
        try:
            async with self._free:
                self.metrics.queue.dec()
                self.metrics.in_flight.inc()
                began = asyncio.get_running_loop().time()
                yield
        finally:
            self._taken -= 1
            if began is None:
                self.metrics.queue.dec()
            else:
                self.metrics.in_flight.dec()
                took = asyncio.get_running_loop().time() - began
                self._mean_seconds += LEARNING * (took - self._mean_seconds)
