"""What an engine is asked, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from potstill.errors import PotstillError

TEACHER = "teacher"
"""Who answered, where it was not the student."""
Logprob = Mapping[str, Any]
"""A token of an answer as OpenAI's chat API writes it: ``token, logprob, bytes, top_logprobs``."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, and how to continue them.

    temperature: 0 is greedy. top_p: 1 draws from all tokens. seed: makes draws repeatable; None for a random one.
    stop: texts before which the answer ends. top_logprobs: number of alternatives of each token that come with their
    log-probabilities; None for no log-probabilities. schema: JSON Schema that the answer must follow; None for any text.
    cached: whether the engine may use what earlier prompts left in its cache.
    """

    tokens: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: Sequence[str] = ()
    top_logprobs: int | None = None
    schema: Mapping[str, Any] | None = None
    cached: bool = True


@dataclass(slots=True)
class Piece:
    """A part of an answer as it comes; the last one has the ``finish_reason`` and the numbers of tokens."""

    text: str = ""
    logprobs: Sequence[Logprob] = ()
    finish_reason: str = ""
    """``stop`` or ``length``."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of ``prompt_tokens`` that the engine had in its cache."""
    completion_tokens: int = 0
    first_seconds: float = 0.0
    """Seconds of an answer's first token, from the request to it; 0 where they are not known."""
    answered_by: str = field(default="", kw_only=True)
    """Who answered, where several may; sent as a header."""


@dataclass(slots=True)
class Reply(Piece):
    """A whole answer."""

    seconds: float = 0.0
    logprobs: Sequence[Logprob] = field(default_factory=list)

    @property
    def mean_logprob(self) -> float:
        """The mean log-probability of its tokens; 0 for an empty answer. Log-probabilities must have been asked for."""
        return sum(one["logprob"] for one in self.logprobs) / len(self.logprobs) if self.logprobs else 0.0


class EngineError(PotstillError):
    """The engine refused a request (``status`` 400) or failed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
