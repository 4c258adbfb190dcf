"""A model behind an OpenAI-compatible chat-completions server, many requests in flight."""

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from potstill import interrupt
from potstill.errors import RecipeError
from potstill.models import Completion, ErrorKind, Request
from potstill.recipe import Endpoint

LARGEST_ANSWER = 16 << 20
"""Bytes of a server's answer that are read."""
LONGEST_DETAIL = 500
"""Characters of a server's error message that are kept."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds between attempts: the first bound, doubled each time, and the last."""
TRIED_UNSEEN = 4
"""Attempts at a server that never answered anything and is out of reach."""
LONGEST_RETRY_AFTER = 600.0
"""Seconds a server may make us wait."""

_KINDS = {
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA,
    403: ErrorKind.AUTH,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.CONTEXT_TOO_LONG,
    425: ErrorKind.OVERLOADED,
    429: ErrorKind.RATE_LIMITED,
}
_CODES = {
    "insufficient_quota": ErrorKind.QUOTA,
    "context_length_exceeded": ErrorKind.CONTEXT_TOO_LONG,
    "model_not_found": ErrorKind.NOT_FOUND,
    "invalid_api_key": ErrorKind.AUTH,
}
_FINISHED = {"length": "length", "max_tokens": "length", "content_filter": "content_filter"} | dict.fromkeys(
    (None, "", "stop", "eos", "eos_token", "end_turn", "stop_sequence"), "stop"
)


class ChatModel:
    """An endpoint of a recipe. Raises `RecipeError` when its key is not in the environment.

    A request is tried again, up to ``max_attempts`` times, when the server is busy, slow or out of reach; the wait
    doubles, with jitter, and is never shorter than the server's ``Retry-After``. After an error that concerns every
    request, those in flight are finished and no other is sent; so too when nothing was ever heard of the server.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.identity: Mapping[str, Any] = {"engine": "chat-completions", "url": endpoint.url, "model": endpoint.model}
        self._key = _key(endpoint)
        self._answered = False

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[Completion]:
        source = aiter(requests)
        turn = asyncio.Lock()
        done: asyncio.Queue[tuple[Completion, asyncio.Event] | Exception | None] = asyncio.Queue()
        hopeless = asyncio.Event()

        async def work(session: aiohttp.ClientSession) -> None:
            try:
                while not hopeless.is_set():
                    async with turn:
                        request = await anext(source)
                    completion = await self._answer(session, request)
                    if completion.error is None:
                        self._answered = True
                    elif completion.error.fatal or self._nobody_there(completion.error):
                        hopeless.set()
                    kept = asyncio.Event()
                    await done.put((completion, kept))
                    # Only then is there room for another: what a kill can lose is what is in flight, and no more.
                    await kept.wait()
            except StopAsyncIteration:
                pass
            except Exception as error:
                await done.put(error)
            await done.put(None)

        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=self.endpoint.timeout),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            proxy=_proxy(self.endpoint.url),
        ) as session:
            workers = [asyncio.create_task(work(session)) for _ in range(self.endpoint.concurrency)]
            working = len(workers)
            try:
                while working:
                    match await done.get():
                        case None:
                            working -= 1
                        case completion, kept:
                            yield completion
                            kept.set()
                        case Exception() as error:
                            raise error
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    def _nobody_there(self, error: ErrorKind) -> bool:
        """Whether a server that never answered is out of reach: more likely a wrong address than a bad moment."""
        return error is ErrorKind.CONNECTION and not self._answered

    async def _answer(self, session: aiohttp.ClientSession, request: Request) -> Completion:
        """One request, tried until it is answered, hopeless, or tried often enough."""
        wait = FIRST_WAIT
        for attempt in range(1, self.endpoint.max_attempts + 1):
            completion, retry_after = await self._try(session, request)
            if completion.error is None or not completion.error.retried or attempt == self.endpoint.max_attempts:
                break
            if attempt >= TRIED_UNSEEN and self._nobody_there(completion.error):
                break
            if not await _waited(max(retry_after, wait * random.uniform(0.5, 1))):
                break
            wait = min(2 * wait, LONGEST_WAIT)
        return completion

    async def _try(self, session: aiohttp.ClientSession, request: Request) -> tuple[Completion, float]:
        """A completion, perhaps with an error, and the seconds that the server wants us to wait."""
        started = time.perf_counter()
        retry_after = 0.0
        try:
            async with session.post(
                _address(self.endpoint.url), json=_body(self.endpoint, request), allow_redirects=False
            ) as answer:
                retry_after = _seconds(answer.headers.get("Retry-After", ""))
                text = await _read(answer)
            completion = _completion(request, answer.status, text)
        except TimeoutError:
            completion = _failed(request, ErrorKind.TIMEOUT, f"no answer within {self.endpoint.timeout:g} s")
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, ValueError) as error:
            completion = _failed(request, ErrorKind.BAD_RESPONSE, str(error))
        except (aiohttp.ClientError, OSError) as error:
            completion = _failed(request, ErrorKind.CONNECTION, str(error))
        detail = completion.detail
        if self._key:
            detail = detail.replace(self._key, "***")
        price = self.endpoint.price
        cost = price.of(completion.prompt_tokens, completion.completion_tokens) if price else 0.0
        seconds = time.perf_counter() - started
        return replace(completion, detail=detail[:LONGEST_DETAIL], seconds=seconds, cost=cost), retry_after


async def _waited(seconds: float) -> bool:
    """Wait, unless the work should end; False when it should."""
    until = time.monotonic() + seconds
    while not interrupt.asked() and (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.5))
    return not interrupt.asked()


def _key(endpoint: Endpoint) -> str:
    if endpoint.api_key_env is None:
        return ""
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key:
        raise RecipeError(
            f"The key of {endpoint.url} should be in the environment variable {endpoint.api_key_env}, which is empty. "
            f"Set it: export {endpoint.api_key_env}=..."
        )
    return key


def _address(url: str) -> URL:
    base = URL(url)
    return (base.with_query(None) / "chat/completions").with_query(base.query)


def _proxy(url: str) -> str | None:
    """The environment's proxy for ``url``. (aiohttp's ``trust_env`` would send passwords from ~/.netrc as well.)"""
    address = URL(url)
    return None if proxy_bypass(address.host or "") else getproxies().get(address.scheme)


def _body(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [dict(message) for message in request.messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        body |= {"top_p": sampling.top_p, "seed": sampling.seed + request.sample}
    return body


async def _read(answer: aiohttp.ClientResponse) -> str:
    """The body as text. Raises `ValueError` when it is longer than anything a model says."""
    body = bytearray()
    async for block in answer.content.iter_chunked(1 << 16):
        body += block
        if len(body) > LARGEST_ANSWER:
            raise ValueError(f"the server's answer is longer than {LARGEST_ANSWER >> 20} MiB")
    return body.decode("utf-8", errors="replace")


def _completion(request: Request, status: int, text: str) -> Completion:
    """Read a server's answer. Raises `ValueError` for a success that is not a chat completion."""
    if status != 200:
        return _refused(request, status, text)
    try:
        answer = json.loads(text)
        choice = answer["choices"][0]
        message = choice["message"]
        said, refusal = message.get("content") or "", message.get("refusal")
        finish_reason = choice.get("finish_reason")
        usage = answer.get("usage") or {}
        if not isinstance(said, str):
            raise TypeError("the message's content is no text")
        return Completion(
            request.id,
            request.sample,
            text=_clean(refusal if isinstance(refusal, str) else said),
            finish_reason="content_filter" if refusal else _FINISHED[finish_reason],
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (RecursionError, LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"not a chat completion ({error!r}): {text[:200]}") from error


def _clean(text: str) -> str:
    """Text without the lone surrogates that JSON can carry and UTF-8 cannot."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _refused(request: Request, status: int, text: str) -> Completion:
    """What a status other than 200 means."""
    code, message = "", text
    try:
        error = json.loads(text)["error"]
        code, message = str(error.get("code") or error.get("type") or ""), str(error.get("message") or text)
    except (RecursionError, LookupError, TypeError, AttributeError, ValueError):
        pass
    if code == "content_filter":
        return Completion(request.id, request.sample, finish_reason="content_filter")
    kind = _CODES.get(code) or _KINDS.get(status)
    if kind is None and status == 400 and "maximum context length" in message:
        kind = ErrorKind.CONTEXT_TOO_LONG
    if kind is None:
        kind = ErrorKind.OVERLOADED if status >= 500 else ErrorKind.INVALID_REQUEST
    return _failed(request, kind, f"HTTP {status}: {' '.join(message.split())}")


def _failed(request: Request, kind: ErrorKind, detail: str) -> Completion:
    return Completion(request.id, request.sample, error=kind, detail=detail)


def _seconds(retry_after: str) -> float:
    """``Retry-After`` in seconds, whether it is a number or a date."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER) if seconds == seconds else 0.0
