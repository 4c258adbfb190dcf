"""The wire format of chat completions: build a request's body, parse a server's response. Pure functions."""

import codecs
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from potstill.models import Completion, ErrorKind, Request, encodable, markup, reasoning
from potstill.models.remote import refusals
from potstill.models.remote.dialect import Dialect, accepted, folded
from potstill.models.remote.ends import ABORTED, CONTENT_FILTER, REFUSED, end_of
from potstill.models.specs import Endpoint

MAX_RESPONSE_BYTES = 16 << 20
"""A longer response is not received to its end."""
RESPONSE_TOO_LARGE = f"the server's response is longer than {MAX_RESPONSE_BYTES >> 20} MiB"
CHARACTERS_PER_TOKEN = 4
"""Approximate, for English text: for servers that do not count tokens, and for estimates."""
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Fields of a message in which servers put reasoning."""
MAX_REFUSAL_CHARACTERS = 500
"""Characters of a server's refusal that are kept."""
MAX_TOKEN_COUNT = 1 << 40
"""A larger count of tokens is an error of the server."""
EXCERPT_LENGTH = 4000
"""Bytes or characters of an unreadable response in its error message, which is cut again after keys are masked in it."""

_CONTEXT_LENGTH = re.compile(r"context length is (?:only )?(\d{1,9}) tokens")
_PROMPT_LENGTH = re.compile(
    r"\((\d{1,9}) in the messages|(\d{1,9}) (?:tokens from the )?input (?:tokens|messages)|(\d{1,9}) tokens of text input"
)
"""How OpenAI, vLLM and OpenRouter state both in a refusal."""


def request_body(endpoint: Endpoint, request: Request, dialect: Dialect, *, stream: bool = False) -> dict[str, Any]:
    """The JSON body of a request. What the server does not take is left out, and so is what ``extra_body`` sets to null."""
    sampling = request.sampling
    messages = [dict(message) for message in request.messages]
    body: dict[str, Any] = {
        "model": endpoint.model,
        "messages": messages,
        dialect.limit_field: sampling.max_tokens + endpoint.thinking_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        body["seed"] = request.draw_seed()
    if sampling.top_logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = sampling.top_logprobs
    if request.schema and not dialect.lacks("response_format"):
        schema = {"name": "answer", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.schema:
        messages[-1]["content"] += f"\n\nAnswer with JSON alone, by this JSON Schema: {json.dumps(request.schema)}"
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    if endpoint.extra_body:
        body |= endpoint.extra_body
    if not dialect.deviations:
        return {name: value for name, value in body.items() if value is not None} if endpoint.extra_body else body
    if dialect.lacks("system"):
        body["messages"] = folded(messages)
    return accepted(body, dialect)


def parse_completion(request: Request, status: int, content: bytes) -> Completion:
    """The completion of a response, with an error kind for a refusal.

    Raises `ValueError` for a response of status 200 that is not a chat completion.
    """
    if status != 200:
        return _parse_refusal(request, status, content.decode("utf-8", "replace"))
    try:
        response = _parse_json(content)
        if response.get("error") and not response.get("choices"):
            text = content.decode("utf-8", "replace")
            return _parse_refusal(request, _status_of(response["error"]), text)
        # Some servers return several choices for one request, in any order: the first by index counts.
        if "choices" not in response and not {"object", "usage"} & response.keys():
            raise ValueError("it has no choices")
        choices = response.get("choices") or [{}]
        choice = choices[0] if len(choices) == 1 else min(choices, key=lambda one: parse_token_count(one.get("index")))
        if choice.get("error"):
            return _parse_refusal(request, _status_of(choice["error"]), json.dumps(choice))
        reason = end_of(choice.get("finish_reason") or None)
        if reason == ABORTED:
            return failed_completion(
                request, ErrorKind.OVERLOADED, f"it ended the answer with '{choice['finish_reason']}'"
            )
        if not isinstance(message := choice.get("message"), dict):
            return _without_message(request, response, reason)
        text, thoughts = message_text(message)
        refusal = message.get("refusal")
        refused = isinstance(refusal, str) and bool(refusal)
        inside, text = reasoning.split(text)
        text, leaked = markup.without_turns(text)
        thoughts = "\n\n".join(filter(None, (thoughts, inside))) if inside else thoughts
        usage = _object(response, "usage")
        prompt_tokens = parse_token_count(usage.get("prompt_tokens") or usage.get("input_tokens"))
        prompt_tokens = prompt_tokens or estimate_prompt_tokens(request)
        new_tokens = parse_token_count(usage.get("completion_tokens") or usage.get("output_tokens"))
        cached = parse_token_count(_object(usage, "prompt_tokens_details").get("cached_tokens"))
        return Completion(
            request.id,
            request.sample,
            text=encodable(str(refusal) if refused else text),
            reasoning=encodable(thoughts),
            finish_reason=REFUSED if refused else reason,
            prompt_tokens=prompt_tokens,
            cached_tokens=min(cached, prompt_tokens),
            completion_tokens=new_tokens or -(-len(thoughts + text) // CHARACTERS_PER_TOKEN),
            reasoning_tokens=parse_token_count(_object(usage, "completion_tokens_details").get("reasoning_tokens")),
            logprobs=_parse_logprobs(choice) if request.sampling.top_logprobs else "",
            leaked=leaked,
        )
    except (RecursionError, LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        excerpt = content[:EXCERPT_LENGTH].decode("utf-8", "replace")
        raise ValueError(f"not a chat completion ({error!r}): {excerpt}") from error


def _without_message(request: Request, response: Mapping[str, Any], reason: str) -> Completion:
    """The completion of a response that has no choice, or a choice without a message: blocked, or to be asked again."""
    excerpt = json.dumps(response, ensure_ascii=False)[:EXCERPT_LENGTH]
    kind, _ = refusals.kind_of(400, excerpt)
    if reason == CONTENT_FILTER or kind is None or "blockReason" in excerpt or "block_reason" in excerpt:
        return refused_completion(request, f"no message: {excerpt}")
    return failed_completion(request, ErrorKind.NO_ANSWER, f"no message: {excerpt}")


def _status_of(error: Any) -> int:
    """The status that corresponds to an error in a response of status 200."""
    code = str(error.get("code")) if isinstance(error, dict) else ""
    return int(code) if code.isascii() and code.isdigit() and 400 <= int(code) < 600 else refusals.UNKNOWN_STATUS


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An optional object; empty if it is malformed, since the answer beside it must not be lost."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _parse_json(content: bytes) -> Any:
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return orjson.loads(content)
    except ValueError:  # also raised for lone surrogates and invalid UTF-8, which are replaced here
        return json.loads(content.decode("utf-8", "replace"))


def message_text(message: Mapping[str, Any]) -> tuple[str, str]:
    """The text of a message or a part of one, and its reasoning where that is separate. Raises `TypeError` for other content."""
    content = message.get("content")
    text = content if isinstance(content, str) else content_text(content)
    thoughts = [] if isinstance(content, str | None) else [thinking_text(part) for part in content]
    for field in REASONING_FIELDS:
        if isinstance(value := message.get(field), str) and value:
            return text, value
    return text, "".join(thoughts)


def thinking_text(part: Any) -> str:
    """The reasoning in one part of a message's content."""
    if not isinstance(part, dict) or part.get("type", "text") not in ("thinking", "reasoning"):
        return ""
    inner = next((part[name] for name in ("thinking", "reasoning", "text", "summary") if part.get(name)), "")
    if isinstance(inner, list):
        return "".join(str(one.get("text") or "") if isinstance(one, dict) else str(one) for one in inner)
    return inner if isinstance(inner, str) else ""


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
        alternatives = [list(_alternatives(token).items()) for token in tokens]
    except (LookupError, TypeError, AttributeError):
        return ""
    return json.dumps(alternatives, ensure_ascii=True)


def _alternatives(token: Mapping[str, Any]) -> dict[str, float]:
    """Log-probabilities by token text: of the chosen one, then of the others."""
    return {one["token"]: one["logprob"] for one in (token, *(token.get("top_logprobs") or []))}


def _parse_refusal(request: Request, status: int, text: str) -> Completion:
    """The completion of a response with a status other than 200: an error, or a refusal by moderation with its words."""
    kind, message = refusals.kind_of(status, text)
    if kind is None:
        return refused_completion(request, message)
    if 300 <= status < 400:
        message = "it redirects to another address, which is not followed"
    return failed_completion(request, kind, f"HTTP {status}: {message}")


def refused_completion(request: Request, words: str) -> Completion:
    """A request that the server's moderation stopped; its text is what the server said."""
    text = encodable(words)[:MAX_REFUSAL_CHARACTERS]
    prompt_tokens = estimate_prompt_tokens(request)
    return Completion(request.id, request.sample, text=text, finish_reason=CONTENT_FILTER, prompt_tokens=prompt_tokens)


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
