"""Requests in groups that are sorted and batched together."""

from collections.abc import AsyncIterable, AsyncIterator

from potstill.models import Request

WINDOW_REQUESTS = 1024
"""Requests that are sorted by length together, and searched for a common prefix."""


async def windows(requests: AsyncIterable[Request]) -> AsyncIterator[list[Request]]:
    """Each `WINDOW_REQUESTS` requests in turn, and the rest of them; none is empty."""
    window: list[Request] = []
    async for request in requests:
        window.append(request)
        if len(window) == WINDOW_REQUESTS:
            yield window
            window = []
    if window:
        yield window
