"""The interface of all models: remote servers, batch endpoints, and generation in this process.

A model is anything with ``complete(requests)``. Completions arrive in any order and carry their request's id, so that an
implementation is free to bucket by length, share prefixes, use a batch endpoint or many machines.
"""

import hashlib
import json
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from potstill.models.prices import Price

# Must be set before a library of the hub is imported. Runs are private.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

Message = Mapping[str, str]
"""``{"role": "system" | "user" | "assistant", "content": text}``."""


class ErrorKind(StrEnum):
    """Why a request has no completion. The quality of a completion's text is a `potstill.tasks.Status`."""

    RATE_LIMITED = "rate-limited"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_RESPONSE = "bad-response"
    NO_ANSWER = "no-answer"
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
    ErrorKind.NO_ANSWER,
}
_FATAL = {ErrorKind.AUTH, ErrorKind.NOT_FOUND, ErrorKind.QUOTA}


def encodable(text: str) -> str:
    """Text without the lone surrogates that JSON can carry and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is sampled. Temperature 0 is greedy; ``seed`` makes a draw repeatable if the engine supports it.

    top_logprobs: number of alternatives per token to return with their log-probabilities, if the server supports it.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    top_logprobs: int = 0


GREEDY_256 = Sampling()


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model; ``sample`` numbers repeated draws of the same prompt.

    schema: JSON Schema that the answer should follow.
    """

    id: str
    messages: Sequence[Message]
    sampling: Sampling = GREEDY_256
    sample: int = 0
    schema: Mapping[str, Any] | None = None

    def optional_fields(self) -> set[str]:
        """What is sent with this request and a server may refuse, as `potstill.models.remote.dialect` names it."""
        sampling = self.sampling
        fields = {"temperature", "max_tokens"}
        if sampling.temperature > 0:
            fields |= {"seed", "top_p"} if sampling.top_p < 1 else {"seed"}
        if sampling.top_logprobs:
            fields.add("logprobs")
        if self.schema:
            fields.add("response_format")
        if self.messages and self.messages[0]["role"] == "system":
            fields.add("system")
        return fields

    def draw_seed(self) -> int:
        """The seed of this draw, 31 bits: a function of the messages, the seed of ``sampling`` and the sample index.

        With one seed for all prompts, a sample would take the token of the same rank for most prompts, and be the same
        lucky draw of the whole data set.
        """
        draw = json.dumps([self.sampling.seed, self.sample, *map(dict, self.messages)], sort_keys=True)
        return int.from_bytes(hashlib.sha256(draw.encode()).digest()[:4], "big") >> 1


@dataclass(slots=True)
class Completion:
    """The outcome of a request: a text, or an ``error`` with a ``detail`` and an empty ``text``.

    reasoning: the reasoning of a reasoning model, without its answer.
    finish_reason: ``stop``; ``length``; ``content_filter`` (the server's moderation, whose words are the text); ``refused`` (the
        model itself, in a field of its own); ``repeating`` (in process: a loop, see `repetition`); the server's own name of an end
        that is not known, which counts as not finished; empty with an error.
    cached_tokens: those of ``prompt_tokens`` that the server had cached, at a lower price.
    reasoning_tokens: those of ``completion_tokens`` that are reasoning.
    logprobs: JSON, for each token of the answer ``[[text, log-probability], ...]``, the chosen one first; empty if not requested.
    seconds: latency of a remote request; in process, the time of the batch divided by its rows.
    cost: US dollars; 0 where the price is unknown.
    key: the completion's key in the store.
    left_out: fields that the server does not take, in the order in which it refused them.
    leaked: whether marks of a chat template, or turns that the model invented, were cut off.
    lasting: with an error, whether the server answered other requests meanwhile: the fault is this request's own.
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
    left_out: tuple[str, ...] = ()
    leaked: bool = False
    lasting: bool = False


class Model(Protocol):
    """Anything that completes requests."""

    identity: Mapping[str, Any]
    """Everything that decides the answers: weights and engine, or server and name. Part of the store's key; no secrets."""
    name: str
    """Name for messages and statistics."""
    price: Price | None
    """Price of its tokens; None where it is unknown or there is none."""
    address: str
    """The name under which the store knows what its server does not take; empty in process."""
    left_out: tuple[str, ...]
    """Fields of requests that its server does not take, in the order in which it refused them. Set before the first request to
    what is known; requests that name one of them have another key."""

    def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[Sequence[Completion]]:
        """Complete every request once, in any order; a failed request yields a `Completion` with an error.

        Completions arrive in groups; an empty one says that the model is still at work. Iterating to the next group confirms that the
        last one is stored. Only then does a remote model send further requests, so that killing the process loses only the requests in
        flight.
        """
        ...


async def stream(requests: Iterable[Request]) -> AsyncIterator[Request]:
    """Turn an iterable of requests into the asynchronous one that `Model.complete` takes."""
    for request in requests:
        yield request
