"""Chat completions as they travel: a request's body, and what a server's answer means. Pure functions."""

import codecs
import json
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from potstill.models import Completion, ErrorKind, Request, encodable, reasoning
from potstill.models.specs import Endpoint

LARGEST_ANSWER = 16 << 20
"""Bytes of a server's answer that are read."""
LONGEST_RETRY_AFTER = 600.0
"""Seconds that a server may make us wait; one that wants more has no quota left."""
CHARACTERS_PER_TOKEN = 4
"""Of English text, about: for servers that do not count tokens, and for estimates."""

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
    "exceeded_current_quota_error": ErrorKind.QUOTA,
    "billing_hard_limit_reached": ErrorKind.QUOTA,
    "context_length_exceeded": ErrorKind.CONTEXT_TOO_LONG,
    "exceed_context_size_error": ErrorKind.CONTEXT_TOO_LONG,
    "string_above_max_length": ErrorKind.CONTEXT_TOO_LONG,
    "model_not_found": ErrorKind.NOT_FOUND,
    "DeploymentNotFound": ErrorKind.NOT_FOUND,
    "invalid_api_key": ErrorKind.AUTH,
}
_TOO_LONG = ("maximum context length", "context size", "longer than the maximum model length", "prompt is too long")
_FINISHED = dict.fromkeys(
    ("content_filter", "safety", "recitation", "blocklist", "prohibited_content"), "content_filter"
)
_FINISHED |= dict.fromkeys(("length", "max_tokens", "model_length"), "length")
"""What servers call an end that is not ``stop``."""
LARGEST_COUNT = 1 << 40
"""Tokens, more than which no server can mean."""
SHOWN = 4000
"""Bytes of an unreadable answer that go into a message, which is cut once keys are masked in it."""


@dataclass(frozen=True)
class Dialect:
    """What a server was found to want otherwise than most."""

    limit: str = "max_tokens"
    """The field that limits new tokens; newer models of OpenAI's want ``max_completion_tokens``."""
    schemas: bool = True
    """Whether it takes a JSON Schema in ``response_format``; otherwise the schema is written into the prompt."""

    def after(self, request: Request, refused: Completion) -> "Dialect | None":
        """What to speak after a request in this dialect was refused; None when the refusal is about something else."""
        if refused.error is not ErrorKind.INVALID_REQUEST:
            return None
        if self.limit == "max_tokens" and "max_completion_tokens" in refused.detail:
            return replace(self, limit="max_completion_tokens")
        if request.schema and self.schemas and any(w in refused.detail for w in ("response_format", "json_schema")):
            return replace(self, schemas=False)
        return None

    def __or__(self, other: "Dialect") -> "Dialect":
        """Both findings."""
        return Dialect(max(self.limit, other.limit, key=len), self.schemas and other.schemas)


def body(endpoint: Endpoint, request: Request, dialect: Dialect, *, stream: bool = False) -> dict[str, Any]:
    """What is sent."""
    sampling = request.sampling
    messages = [dict(message) for message in request.messages]
    sent: dict[str, Any] = {
        "model": endpoint.model,
        "messages": messages,
        dialect.limit: sampling.max_tokens + endpoint.thinking_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        sent["top_p"] = sampling.top_p
        sent["seed"] = sampling.seed + request.sample
    if sampling.top_logprobs:
        sent["logprobs"] = True
        sent["top_logprobs"] = sampling.top_logprobs
    if request.schema and dialect.schemas:
        schema = {"name": "answer", "strict": True, "schema": request.schema}
        sent["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.schema:
        messages[-1]["content"] += f"\n\nAnswer with JSON alone, by this JSON Schema: {json.dumps(request.schema)}"
    if stream:
        sent["stream"] = True
        sent["stream_options"] = {"include_usage": True}
    return sent | endpoint.extra_body


def completion(request: Request, status: int, content: bytes) -> Completion:
    """Read a server's answer. Raises `ValueError` for a success that is not a chat completion."""
    if status != 200:
        return _refused(request, status, content.decode("utf-8", "replace"))
    try:
        answer = _loaded(content)
        if isinstance(answer.get("error"), dict) and not answer.get("choices"):
            return _refused(request, _status_of(answer["error"]), content.decode("utf-8", "replace"))
        # A server that was asked for one answer and gives several: the first by number, whatever their order.
        choice = min(answer["choices"], key=lambda one: token_count(one.get("index")))
        message = choice["message"]
        said, refusal = text_of(message.get("content")), message.get("refusal")
        refused = isinstance(refusal, str) and refusal != ""
        if choice.get("finish_reason") == "error":
            raise ValueError("it ended with an error")
        thought, said = _reasoning(message, said)
        usage = _object(answer, "usage")
        prompt_tokens = token_count(usage.get("prompt_tokens") or usage.get("input_tokens")) or tokens_about(request)
        written = token_count(usage.get("completion_tokens") or usage.get("output_tokens"))
        cached = token_count(_object(usage, "prompt_tokens_details").get("cached_tokens"))
        return Completion(
            request.id,
            request.sample,
            text=encodable(refusal if refused else said),
            reasoning=thought,
            finish_reason="content_filter" if refused else _finished(choice.get("finish_reason")),
            prompt_tokens=prompt_tokens,
            cached_tokens=min(cached, prompt_tokens),
            completion_tokens=written or -(-len(thought + said) // CHARACTERS_PER_TOKEN),
            reasoning_tokens=token_count(_object(usage, "completion_tokens_details").get("reasoning_tokens")),
            logprobs=_logprobs(choice) if request.sampling.top_logprobs else "",
        )
    except (RecursionError, LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        shown = content[:SHOWN].decode("utf-8", "replace")
        raise ValueError(f"not a chat completion ({error!r}): {shown}") from error


def _status_of(error: Mapping[str, Any]) -> int:
    """The status that an error means which came with the status 200."""
    code = str(error.get("code"))
    return int(code) if code.isascii() and code.isdigit() and 400 <= int(code) < 600 else 502


def _object(around: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What stands beside an answer, which must not be lost for it."""
    value = around.get(name)
    return value if isinstance(value, dict) else {}


def _finished(reason: Any) -> str:
    return _FINISHED.get(reason.lower(), "stop") if isinstance(reason, str) else "stop"


def _loaded(content: bytes) -> Any:
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return orjson.loads(content)
    except ValueError:  # which also lone surrogates and invalid UTF-8 raise: those are mended
        return json.loads(content.decode("utf-8", "replace"))


def _reasoning(message: Mapping[str, Any], said: str) -> tuple[str, str]:
    for field_ in ("reasoning_content", "reasoning"):
        if isinstance(thought := message.get(field_), str) and thought:
            return encodable(thought), said
    thought, said = reasoning.split(said)
    return encodable(thought), said


def tokens_about(request: Request) -> int:
    """Tokens of a request's prompt, about."""
    return -(-sum(len(message["content"]) for message in request.messages) // CHARACTERS_PER_TOKEN)


def token_count(count: Any) -> int:
    """Tokens as a server or a log counts them, perhaps in words; 0 for what is no count."""
    if isinstance(count, str) and len(count) < 20 and count.isascii() and count.isdigit():
        count = int(count)
    return int(count) if isinstance(count, int | float) and 0 <= count <= LARGEST_COUNT else 0


def text_of(content: Any) -> str:
    """A message's content, also when it comes in parts."""
    if isinstance(content, list):
        parts = [{"text": part} if isinstance(part, str) else part for part in content]
        content = "".join(part["text"] for part in parts if part.get("type", "text") == "text")
    if not isinstance(content, str | None):
        raise TypeError("the message's content is no text")
    return content or ""


def _logprobs(choice: Mapping[str, Any]) -> str:
    try:
        tokens = (choice.get("logprobs") or {}).get("content") or []
        kept = [[[one["token"], one["logprob"]] for one in token.get("top_logprobs") or []] for token in tokens]
    except (LookupError, TypeError, AttributeError):
        return ""
    return json.dumps(kept, ensure_ascii=True)


def _refused(request: Request, status: int, text: str) -> Completion:
    """What a status other than 200 means."""
    codes, message, filtered = [""], text, False
    with suppress(RecursionError, LookupError, TypeError, AttributeError, ValueError):
        error = json.loads(text)["error"]
        codes = [str(error.get(name)) for name in ("code", "type")]
        message = str(error.get("message") or text)
        inner, metadata = _object(error, "innererror"), _object(error, "metadata")
        filtered = "content_filter" in codes or inner.get("code") == "ResponsibleAIPolicyViolation"
        filtered |= status == 403 and bool(metadata.get("reasons") or metadata.get("flagged_input"))  # OpenRouter
    if filtered:
        return Completion(
            request.id, request.sample, finish_reason="content_filter", prompt_tokens=tokens_about(request)
        )
    kind = next((_CODES[code] for code in codes if code in _CODES), None) or _KINDS.get(status)
    if kind is None and status in (400, 422) and any(words in message for words in _TOO_LONG):
        kind = ErrorKind.CONTEXT_TOO_LONG
    if kind is None and 300 <= status < 400:
        kind, message = ErrorKind.NOT_FOUND, "it redirects to another address, which is not followed"
    if kind is None:
        kind = ErrorKind.OVERLOADED if status >= 500 else ErrorKind.INVALID_REQUEST
    return failed(request, kind, f"HTTP {status}: {' '.join(message.split())}")


def failed(request: Request, kind: ErrorKind, detail: str) -> Completion:
    return Completion(request.id, request.sample, error=kind, detail=encodable(detail))


def decompressed(content: bytes, encoding: str) -> bytes:
    """A body as it was before ``Content-Encoding``. Raises `ValueError` when it is longer than anything a model says."""
    match encoding.strip().lower():
        case "" | "identity":
            return content
        case "gzip" | "x-gzip" | "deflate":
            inflate = zlib.decompressobj(wbits=47)
            try:
                whole = inflate.decompress(content, LARGEST_ANSWER + 1)
            except zlib.error as error:
                raise ValueError(f"not {encoding}: {error}") from error
            if len(whole) > LARGEST_ANSWER:
                raise ValueError(TOO_LARGE)
            return whole
        case _:
            raise ValueError(f"the server compresses with {encoding}, for which it was not asked")


TOO_LARGE = f"the server's answer is longer than {LARGEST_ANSWER >> 20} MiB"


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that ``Retry-After`` asks for, as a number or a date (by the server's own clock where it tells the time)."""
    value = headers.get("Retry-After", "")
    try:
        seconds = float(headers.get("retry-after-ms", "")) / 1000
    except ValueError:
        try:
            seconds = float(value)
        except ValueError:
            try:
                date = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
                seconds = parsedate_to_datetime(value).timestamp() - date
            except (ValueError, OverflowError, TypeError):
                return 0.0
    return max(seconds, 0.0) if seconds == seconds else 0.0


def duration(text: str) -> float:
    """Seconds of a duration as ``x-ratelimit-reset-*`` has it: ``6m0s``, ``1.5s``, ``20ms`` or a number; 0 if it is none."""
    units = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    total, number, rest = 0.0, "", text.strip()
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        letters = len(rest) - len(rest.lstrip("dhms"))
        unit, rest = rest[:letters] or "s", rest[letters:]
        if unit not in units or not digits:
            return 0.0
        try:
            total += float(number) * units[unit]
        except ValueError:
            return 0.0
    return total
