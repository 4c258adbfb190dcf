"""The body of an answer, out of the bytes that passed: decompressed, and assembled where it was streamed.

Sources of the events: platform.openai.com/docs/api-reference/chat-streaming, .../responses-streaming, .../completions;
docs.anthropic.com/en/api/messages-streaming.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from potstill.models.remote.stream import StreamAssembler
from potstill.models.remote.wire import decompress
from potstill.record.exchange import Body


class NotAssembledError(ValueError):
    """An answer that cannot be recorded; the message is the reason, as the summary counts it."""


EARLY_END, UNREADABLE, COMPRESSED = "streams that ended early", "unreadable bodies", "compressed in an unknown way"


def json_body(body: Body) -> Any:
    """The JSON value of a body. Raises `NotAssembledError`."""
    plain = _plain(body)
    try:
        return json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise NotAssembledError(UNREADABLE) from error


def answer_body(body: Body) -> Any:
    """The JSON value of an answer, as the same request without a stream would have got it. Raises `NotAssembledError`."""
    if "event-stream" not in body.content_type:
        return json_body(body)
    plain = _plain(body)
    try:
        events = list(_events(plain))
        return _assembled(plain, events)
    except NotAssembledError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise NotAssembledError(EARLY_END if "early" in str(error) else UNREADABLE) from error


def _plain(body: Body) -> bytes:
    try:
        return decompress(body.bytes(), body.encoding)
    except ValueError as error:
        raise NotAssembledError(COMPRESSED if "not requested" in str(error) else UNREADABLE) from error


def _events(plain: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a stream's events, each in a line of its own; the assembler of chats takes those over several lines."""
    for line in plain.splitlines():
        if line.startswith(b"data:") and line[5:].strip().startswith(b"{"):
            try:
                event = json.loads(line[5:])
            except (ValueError, RecursionError):
                continue
            yield event


def _assembled(plain: bytes, events: Sequence[dict[str, Any]]) -> Any:
    first = events[0] if events else {}
    kind = str(first.get("type") or "")
    if kind.startswith("response."):
        return _responses(events)
    if kind in ("message_start", "ping", "content_block_start"):
        return _messages(events)
    if any("text" in choice for event in events for choice in event.get("choices") or []):
        return _completions(events)
    chat = StreamAssembler()
    chat.feed(plain)
    named = next((event for event in events if event.get("id")), {})
    return {name: named[name] for name in ("id", "model") if name in named} | json.loads(chat.response())


def _responses(events: Sequence[dict[str, Any]]) -> Any:
    """OpenAI's Responses API: its last event holds the whole response."""
    for event in reversed(events):
        if event.get("type") in ("response.completed", "response.incomplete", "response.failed"):
            return event["response"]
    raise NotAssembledError(EARLY_END)


def _completions(events: Sequence[dict[str, Any]]) -> Any:
    """OpenAI's completions of a prompt that is text."""
    choices = [choice for event in events for choice in event.get("choices") or [] if not choice.get("index")]
    reason = next((choice["finish_reason"] for choice in reversed(choices) if choice.get("finish_reason")), None)
    if reason is None:
        raise NotAssembledError(EARLY_END)
    usage = next((event["usage"] for event in reversed(events) if event.get("usage")), None)
    text = "".join(choice.get("text") or "" for choice in choices)
    head = {name: events[0].get(name) for name in ("id", "model")}
    return head | {"choices": [{"text": text, "finish_reason": reason}], "usage": usage}


def _messages(events: Sequence[dict[str, Any]]) -> Any:
    """Anthropic's messages."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    usage: dict[str, Any] = {}
    for event in events:
        match event:
            case {"type": "message_start", "message": {} as message}:
                usage |= message.get("usage") or {}
            case {"type": "content_block_start", "index": int() as index, "content_block": {} as block}:
                blocks[index] = dict(block)
            case {"type": "content_block_delta", "index": int() as index, "delta": {} as delta} if index in blocks:
                for name in ("text", "thinking"):
                    if isinstance(delta.get(name), str):
                        blocks[index][name] = blocks[index].get(name, "") + delta[name]
            case {"type": "message_delta", "delta": {} as delta}:
                message = message | delta
                usage |= event.get("usage") or {}
    if not message.get("stop_reason"):
        raise NotAssembledError(EARLY_END)
    return message | {"content": [blocks[index] for index in sorted(blocks)], "usage": usage}
