"""Everything that answers: one interface for a remote server, in-process generation and what comes later.

A model is anything with ``complete(requests)``. Completions come back in any order and carry their request's id, so
that an implementation is free to batch by length, share prefixes, use a batch endpoint or many machines.
"""

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from potstill.models.prices import Price

# Before any of the hub's libraries is imported: what is trained here is nobody else's business.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

Message = Mapping[str, str]
"""``{"role": "system" | "user" | "assistant", "content": text}``."""


class ErrorKind(StrEnum):
    """What went wrong on the way to a completion. What the text itself is, `potstill.tasks.Status` says."""

    RATE_LIMITED = "rate-limited"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_RESPONSE = "bad-response"
    CONTEXT_TOO_LONG = "context-too-long"
    AUTH = "auth"
    NOT_FOUND = "not-found"
    INVALID_REQUEST = "invalid-request"
    QUOTA = "quota"

    @property
    def retried(self) -> bool:
        """Whether the same request may succeed later."""
        return self in _RETRIED

    @property
    def fatal(self) -> bool:
        """Whether every other request to the same model will fail in the same way."""
        return self in _FATAL


_RETRIED = {
    ErrorKind.RATE_LIMITED,
    ErrorKind.OVERLOADED,
    ErrorKind.TIMEOUT,
    ErrorKind.CONNECTION,
    ErrorKind.BAD_RESPONSE,
}
_FATAL = {ErrorKind.AUTH, ErrorKind.NOT_FOUND, ErrorKind.QUOTA}


def encodable(text: str) -> str:
    """Text without the lone surrogates that JSON can carry and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is drawn. Temperature 0 is greedy; ``seed`` makes a draw repeatable where the engine can.

    top_logprobs: so many alternatives with their log-probabilities for each token, where the server gives them.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    top_logprobs: int = 0


GREEDY_256 = Sampling()


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model; ``sample`` numbers repeated draws of the same prompt.

    schema: JSON Schema that the answer should follow.
    """

    id: str
    messages: Sequence[Message]
    sampling: Sampling = GREEDY_256
    sample: int = 0
    schema: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Completion:
    """What came back. ``error`` is set, and ``text`` empty, when nothing came.

    reasoning: what a reasoning model thought, kept apart from its answer.
    finish_reason: ``stop``, ``length`` or ``content_filter``; empty with an error.
    cached_tokens: those of ``prompt_tokens`` that the server had read before, at a lower price.
    reasoning_tokens: those of ``completion_tokens`` that are reasoning.
    logprobs: JSON, for each token of the answer its alternatives ``[[text, log-probability], ...]``; empty if not asked for.
    seconds: a remote request's latency; in process, the batch's time divided by its rows.
    cost: US dollars, where the price is known.
    key: the completion's key in the store.
    """

    id: str
    sample: int
    text: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    logprobs: str = ""
    seconds: float = 0.0
    cost: float = 0.0
    key: bytes = b""
    error: ErrorKind | None = None
    detail: str = ""


class Model(Protocol):
    """Anything that answers."""

    identity: Mapping[str, Any]
    """What decides the answers: weights and engine, or server and name. Part of the store's key; never a secret."""
    name: str
    """What people call it."""
    price: Price | None
    """What it charges, where that is known."""

    def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[Sequence[Completion]]:
        """Answer every request once, in any order; a request that cannot be answered yields an error kind.

        Completions come in groups, as they arrive. Asking for the next group says that the last one is kept: only then
        does a model that sends requests send others in their place, so that a kill loses what is in flight and no more.
        """
        ...


async def stream(requests: Iterable[Request]) -> AsyncIterator[Request]:
    """Requests at hand, in the form that `Model.complete` takes."""
    for request in requests:
        yield request
