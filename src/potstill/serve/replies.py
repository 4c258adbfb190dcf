"""Answers in the forms of OpenAI's chat API: a chat completion, and the chunks of a stream."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from potstill.serve.prompt import Logprob, Piece, Reply

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Form:
    """What all parts of one answer share."""

    model: str
    fingerprint: str
    with_logprobs: bool
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, reply: Reply) -> bytes:
        """A whole answer."""
        choice = {
            "index": 0, "message": {"role": "assistant", "content": reply.text, "refusal": None},
            "logprobs": self._logprobs(reply.logprobs), "finish_reason": reply.finish_reason,
        }  # fmt: skip
        return orjson.dumps(self._object("chat.completion") | {"choices": [choice], "usage": usage(reply)})

    def opening(self) -> bytes:
        """The first chunk of a stream."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def chunk(self, piece: Piece) -> bytes:
        """A chunk with a part of the text."""
        return self._chunk({"content": piece.text}, logprobs=piece.logprobs)

    def end(self, last: Piece, include_usage: bool) -> bytes:
        """The last chunks: the end, the usage if it was asked for, and the mark of the end."""
        chunks = self._chunk({}, last.finish_reason)
        if include_usage:
            body = self._object("chat.completion.chunk") | {"choices": [], "usage": usage(last)}
            chunks += b"data: " + orjson.dumps(body) + b"\n\n"
        return chunks + DONE

    def _chunk(
        self, delta: dict[str, Any], finish_reason: str | None = None, logprobs: Sequence[Logprob] = ()
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": self._logprobs(logprobs), "finish_reason": finish_reason}
        return b"data: " + orjson.dumps(self._object("chat.completion.chunk") | {"choices": [choice]}) + b"\n\n"

    def _object(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id, "object": kind, "created": self.created, "model": self.model, "system_fingerprint": self.fingerprint,
        }  # fmt: skip

    def _logprobs(self, found: Sequence[Logprob]) -> dict[str, Any] | None:
        return {"content": list(found), "refusal": None} if self.with_logprobs else None


def usage(last: Piece) -> dict[str, Any]:
    """The numbers of tokens of an answer."""
    return {
        "prompt_tokens": last.prompt_tokens, "completion_tokens": last.completion_tokens,
        "total_tokens": last.prompt_tokens + last.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": last.cached_tokens},
    }  # fmt: skip
