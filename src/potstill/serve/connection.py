"""The client's side of a request: its body, and whether it is still there."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from potstill.serve.openai_errors import ApiError

T = TypeVar("T")
MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request."""
MAX_DISCARDED = 64 * 1024 * 1024
"""Bytes of a larger request that are read so that its client, which first sends all, sees the refusal."""


CLOSE = {"Connection": "close"}
BODY_SECONDS = 60.0
"""Time in which a request must have arrived."""


class ClientGoneError(Exception):
    """The client has closed its connection."""


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The body of a request. Raises `ApiError` for one that is too large (413) or too slow (408), `ClientGoneError`."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(scope, receive)
    except TimeoutError:
        raise ApiError(408, f"The request did not arrive within {BODY_SECONDS:g} s.", headers=CLOSE) from None


async def _read(scope: Scope, receive: Receive) -> bytes:
    stated = Headers(scope=scope).get("content-length", "")
    most = MAX_DISCARDED if not stated.isdecimal() or int(stated) <= MAX_DISCARDED else 0
    body, size, more = bytearray(), int(stated) if not most else 0, True
    while more and size <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        block, more = message.get("body", b""), message.get("more_body", False)
        size += len(block)
        if size <= MAX_BODY:
            body += block
    if size > MAX_BODY:
        raise ApiError(413, f"A request has at most {MAX_BODY:,} bytes.", headers=CLOSE)
    return bytes(body)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns. It is cancelled, and `ClientGoneError` raised, as soon as the client closes the connection."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGoneError
    finally:
        for task in (working, gone):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
