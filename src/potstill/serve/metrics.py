"""Metrics for Prometheus."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from potstill.serve.prompt import Piece

FIRST_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
CONTENT_TYPE = CONTENT_TYPE_LATEST
GONE = "client gone"
"""The status of a request whose client did not wait for the answer."""


class Metrics:
    """What is counted of requests for completions; names begin with ``potstill_``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "potstill"}
        self.requests = Counter("requests", "Requests for completions, by status of HTTP", ["status"], **own)
        self.in_flight = Gauge("requests_in_flight", "Requests that the engine answers", **own)
        self.queue = Gauge("requests_waiting", "Requests that wait for a place", **own)
        self.prompt_tokens = Counter("prompt_tokens", "Tokens of prompts", **own)
        self.cached_tokens = Counter("cached_prompt_tokens", "Tokens of prompts that were in the cache", **own)
        self.completion_tokens = Counter("completion_tokens", "Tokens of answers", **own)
        self.first_token = Histogram(
            "first_token_seconds", "From a request to its first token", buckets=FIRST_TOKEN_SECONDS, **own
        )
        self.per_token = Histogram(
            "token_seconds", "Of a token of an answer after the first", buckets=TOKEN_SECONDS, **own
        )
        self.seconds = Histogram("request_seconds", "Of a whole answer", buckets=REQUEST_SECONDS, **own)
        self.shadow = Counter("shadow_answers", "Answers that the teacher was asked about", ["result"], **own)
        self.shadow_low = Gauge("shadow_agreement_low", "Lower limit of the agreement with the teacher", **own)

    def answered(self, last: Piece, seconds: float) -> None:
        """Count a whole answer: its last piece, and its seconds from request to end."""
        self.prompt_tokens.inc(last.prompt_tokens)
        self.cached_tokens.inc(last.cached_tokens)
        self.completion_tokens.inc(last.completion_tokens)
        self.seconds.observe(seconds)
        if last.first_seconds:
            self.first_token.observe(last.first_seconds)
            if last.completion_tokens > 1:
                self.per_token.observe((seconds - last.first_seconds) / (last.completion_tokens - 1))

    def text(self) -> bytes:
        """All metrics as Prometheus reads them."""
        return bytes(generate_latest(self.registry))
