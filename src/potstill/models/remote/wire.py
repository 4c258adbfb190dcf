"""The wire format of chat completions: build a request's body, parse a server's response. Pure functions."""

import codecs
import json
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from potstill.models import Completion, ErrorKind, Request, encodable, reasoning
from potstill.models.specs import Endpoint

MAX_RESPONSE_BYTES = 16 << 20
"""A longer response is not received to its end."""
RESPONSE_TOO_LARGE = f"the server's response is longer than {MAX_RESPONSE_BYTES >> 20} MiB"
CHARACTERS_PER_TOKEN = 4
"""Approximate, for English text: for servers that do not count tokens, and for estimates."""
MAX_TOKEN_COUNT = 1 << 40
"""A larger count of tokens is an error of the server."""
EXCERPT_LENGTH = 4000
"""Bytes or characters of an unreadable response in its error message, which is cut again after keys are masked in it."""

_KIND_BY_STATUS = {
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA,
    403: ErrorKind.AUTH,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.CONTEXT_TOO_LONG,
    425: ErrorKind.OVERLOADED,
    429: ErrorKind.RATE_LIMITED,
}
_KIND_BY_CODE = {
    "insufficient_quota": ErrorKind.QUOTA,
    "exceeded_current_quota_error": ErrorKind.QUOTA,
    "billing_hard_limit_reached": ErrorKind.QUOTA,
    "context_length_exceeded": ErrorKind.CONTEXT_TOO_LONG,
    "exceed_context_size_error": ErrorKind.CONTEXT_TOO_LONG,
    "string_above_max_length": ErrorKind.CONTEXT_TOO_LONG,
    "model_not_found": ErrorKind.NOT_FOUND,
    "DeploymentNotFound": ErrorKind.NOT_FOUND,
    "invalid_api_key": ErrorKind.AUTH,
}
_TOO_LONG_PHRASES = (
    "maximum context length",
    "context length is only",
    "context size",
    "longer than the maximum model length",
    "prompt is too long",
)
_FINISH_REASONS = dict.fromkeys(
    ("content_filter", "safety", "recitation", "blocklist", "prohibited_content"), "content_filter"
)
_FINISH_REASONS |= dict.fromkeys(("length", "max_tokens", "model_length"), "length")
"""Servers' names of every finish reason other than ``stop``."""


_CONTEXT_LENGTH = re.compile(r"context length is (?:only )?(\d{1,9}) tokens")
_PROMPT_LENGTH = re.compile(
    r"\((\d{1,9}) in the messages|(\d{1,9}) (?:tokens from the )?input (?:tokens|messages)|(\d{1,9}) tokens of text input"
)
"""How OpenAI, vLLM and OpenRouter state both in a refusal."""


@dataclass(frozen=True)
class Dialect:
    """Deviations of a server from the common form of requests, learned from its refusals."""

    limit_field: str = "max_tokens"
    """The field that limits new tokens; newer models of OpenAI require ``max_completion_tokens``."""
    supports_schemas: bool = True
    """Whether it accepts a JSON Schema in ``response_format``; otherwise the schema is written into the prompt."""

    def after(self, request: Request, refusal: Completion) -> "Dialect | None":
        """The dialect to use after a request in this one was refused; None when the refusal has another reason."""
        if refusal.error is not ErrorKind.INVALID_REQUEST:
            return None
        if self.limit_field == "max_tokens" and "max_completion_tokens" in refusal.detail:
            return replace(self, limit_field="max_completion_tokens")
        mentions_schema = any(name in refusal.detail for name in ("response_format", "json_schema"))
        if request.schema and self.supports_schemas and mentions_schema:
            return replace(self, supports_schemas=False)
        return None

    def __or__(self, other: "Dialect") -> "Dialect":
        """A dialect with the deviations of both."""
        limit_field = max(self.limit_field, other.limit_field, key=len)
        return Dialect(limit_field, self.supports_schemas and other.supports_schemas)


def request_body(endpoint: Endpoint, request: Request, dialect: Dialect, *, stream: bool = False) -> dict[str, Any]:
    """The JSON body of a request."""
    sampling = request.sampling
    messages = [dict(message) for message in request.messages]
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": messages,
        dialect.limit_field: sampling.max_tokens + endpoint.thinking_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        body["top_p"] = sampling.top_p
        body["seed"] = request.draw_seed()
    if sampling.top_logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = sampling.top_logprobs
    if request.schema and dialect.supports_schemas:
        schema = {"name": "answer", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.schema:
        messages[-1]["content"] += f"\n\nAnswer with JSON alone, by this JSON Schema: {json.dumps(request.schema)}"
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body | endpoint.extra_body


def parse_completion(request: Request, status: int, content: bytes) -> Completion:
    """The completion of a response, with an error kind for a refusal.

    Raises `ValueError` for a response of status 200 that is not a chat completion.
    """
    if status != 200:
        return _parse_refusal(request, status, content.decode("utf-8", "replace"))
    try:
        response = _parse_json(content)
        if isinstance(response.get("error"), dict) and not response.get("choices"):
            return _parse_refusal(request, _status_of(response["error"]), content.decode("utf-8", "replace"))
        # Some servers return several choices for one request, in any order: the first by index counts.
        choice = min(response["choices"], key=lambda choice: parse_token_count(choice.get("index")))
        message = choice["message"]
        text, refusal = content_text(message.get("content")), message.get("refusal")
        refused = isinstance(refusal, str) and refusal != ""
        if choice.get("finish_reason") == "error":
            raise ValueError("it ended with an error")
        thoughts, text = _split_reasoning(message, text)
        usage = _object(response, "usage")
        prompt_tokens = parse_token_count(usage.get("prompt_tokens") or usage.get("input_tokens"))
        prompt_tokens = prompt_tokens or estimate_prompt_tokens(request)
        new_tokens = parse_token_count(usage.get("completion_tokens") or usage.get("output_tokens"))
        cached = parse_token_count(_object(usage, "prompt_tokens_details").get("cached_tokens"))
        return Completion(
            request.id,
            request.sample,
            text=encodable(refusal if refused else text),
            reasoning=thoughts,
            finish_reason="content_filter" if refused else _finish_reason(choice.get("finish_reason")),
            prompt_tokens=prompt_tokens,
            cached_tokens=min(cached, prompt_tokens),
            completion_tokens=new_tokens or -(-len(thoughts + text) // CHARACTERS_PER_TOKEN),
            reasoning_tokens=parse_token_count(_object(usage, "completion_tokens_details").get("reasoning_tokens")),
            logprobs=_parse_logprobs(choice) if request.sampling.top_logprobs else "",
        )
    except (RecursionError, LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        excerpt = content[:EXCERPT_LENGTH].decode("utf-8", "replace")
        raise ValueError(f"not a chat completion ({error!r}): {excerpt}") from error


def _status_of(error: Mapping[str, Any]) -> int:
    """The status that corresponds to an error in a response of status 200."""
    code = str(error.get("code"))
    return int(code) if code.isascii() and code.isdigit() and 400 <= int(code) < 600 else 502


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An optional object; empty if it is malformed, since the answer beside it must not be lost."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _finish_reason(reason: Any) -> str:
    return _FINISH_REASONS.get(reason.lower(), "stop") if isinstance(reason, str) else "stop"


def _parse_json(content: bytes) -> Any:
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return orjson.loads(content)
    except ValueError:  # also raised for lone surrogates and invalid UTF-8, which are replaced here
        return json.loads(content.decode("utf-8", "replace"))


def _split_reasoning(message: Mapping[str, Any], text: str) -> tuple[str, str]:
    for field in ("reasoning_content", "reasoning"):
        if isinstance(thoughts := message.get(field), str) and thoughts:
            return encodable(thoughts), text
    thoughts, text = reasoning.split(text)
    return encodable(thoughts), text


def estimate_prompt_tokens(request: Request) -> int:
    """The approximate number of tokens of a request's prompt."""
    return -(-sum(len(message["content"]) for message in request.messages) // CHARACTERS_PER_TOKEN)


def parse_token_count(count: Any) -> int:
    """A number of tokens from a server or a log, possibly a string of digits; 0 if it is invalid."""
    if isinstance(count, str) and len(count) < 20 and count.isascii() and count.isdigit():
        count = int(count)
    return int(count) if isinstance(count, int | float) and 0 <= count <= MAX_TOKEN_COUNT else 0


def content_text(content: Any) -> str:
    """The text of a message's content, which is a string, null or a list of parts. Raises `TypeError` for anything else."""
    if isinstance(content, list):
        parts = [{"text": part} if isinstance(part, str) else part for part in content]
        content = "".join(part["text"] for part in parts if part.get("type", "text") == "text")
    if not isinstance(content, str | None):
        raise TypeError("the message's content is not a text")
    return content or ""


def _parse_logprobs(choice: Mapping[str, Any]) -> str:
    try:
        tokens = (choice.get("logprobs") or {}).get("content") or []
        alternatives = [
            [[alternative["token"], alternative["logprob"]] for alternative in token.get("top_logprobs") or []]
            for token in tokens
        ]
    except (LookupError, TypeError, AttributeError):
        return ""
    return json.dumps(alternatives, ensure_ascii=True)


def _parse_refusal(request: Request, status: int, text: str) -> Completion:
    """The completion of a response with a status other than 200: an error, or an empty text from a content filter."""
    codes, message, filtered = [""], text, False
    with suppress(RecursionError, LookupError, TypeError, AttributeError, ValueError):
        error = json.loads(text)["error"]
        codes = [str(error.get(name)) for name in ("code", "type")]
        message = str(error.get("message") or text)
        inner, metadata = _object(error, "innererror"), _object(error, "metadata")
        filtered = "content_filter" in codes or inner.get("code") == "ResponsibleAIPolicyViolation"
        filtered |= status == 403 and bool(metadata.get("reasons") or metadata.get("flagged_input"))  # OpenRouter
    if filtered:
        prompt_tokens = estimate_prompt_tokens(request)
        return Completion(request.id, request.sample, finish_reason="content_filter", prompt_tokens=prompt_tokens)
    kind = next((_KIND_BY_CODE[code] for code in codes if code in _KIND_BY_CODE), None) or _KIND_BY_STATUS.get(status)
    if kind is None and status in (400, 422) and any(phrase in message for phrase in _TOO_LONG_PHRASES):
        kind = ErrorKind.CONTEXT_TOO_LONG
    if kind is None and 300 <= status < 400:
        kind, message = ErrorKind.NOT_FOUND, "it redirects to another address, which is not followed"
    if kind is None:
        kind = ErrorKind.OVERLOADED if status >= 500 else ErrorKind.INVALID_REQUEST
    return failed_completion(request, kind, f"HTTP {status}: {' '.join(message.split())}")


def room_left(request: Request, refusal: Completion, thinking_tokens: int) -> int:
    """The limit on new tokens for which a refused request has room, by what the refusal says; 0 where it does not help.

    Only the context is exceeded: a smaller limit loses nothing that could have been answered.
    """
    context, prompt = _CONTEXT_LENGTH.search(refusal.detail), _PROMPT_LENGTH.search(refusal.detail)
    if refusal.error is not ErrorKind.CONTEXT_TOO_LONG or not context or not prompt:
        return 0
    room = int(context[1]) - int(next(filter(None, prompt.groups()))) - thinking_tokens
    return room if 0 < room < request.sampling.max_tokens else 0


def with_limit(request: Request, max_tokens: int) -> Request:
    """The request with another limit on new tokens; its draw stays the same."""
    return replace(request, sampling=replace(request.sampling, max_tokens=max_tokens))


def failed_completion(request: Request, kind: ErrorKind, detail: str) -> Completion:
    return Completion(request.id, request.sample, error=kind, detail=encodable(detail))


def decompress(content: bytes, encoding: str) -> bytes:
    """Undo ``Content-Encoding``. Raises `ValueError` for an unknown one, invalid data or more than `MAX_RESPONSE_BYTES`."""
    match encoding.strip().lower():
        case "" | "identity":
            return content
        case "gzip" | "x-gzip" | "deflate":
            inflate = zlib.decompressobj(wbits=47)
            try:
                body = inflate.decompress(content, MAX_RESPONSE_BYTES + 1)
            except zlib.error as error:
                raise ValueError(f"not {encoding}: {error}") from error
            if len(body) > MAX_RESPONSE_BYTES:
                raise ValueError(RESPONSE_TOO_LARGE)
            return body
        case _:
            raise ValueError(f"the server compresses with {encoding}, which was not requested")
