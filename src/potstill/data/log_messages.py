"""Parse the request and the answer of a logged exchange, in the formats that `logs` cites."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from potstill.models import encodable, markup, reasoning
from potstill.models.remote import ends
from potstill.models.remote.wire import parse_token_count
from potstill.tasks.messages import (
    EMPTY,
    NO_QUESTION,
    TOOLS,
    LeftOutError,
    content_parts,
    in_turn,
    parse_message,
)

Row = Mapping[str, Any]
Parsed = TypeVar("Parsed")


class UnknownFormError(ValueError):
    """An answer of an unknown format."""


FAILED, PREFILLED, EMBEDDINGS = "failed requests", "prefilled answers", "embeddings"
NO_TEXT, NO_TURNS, UNANSWERED = "without text", "without the earlier turns", "requests without an answer"
UNKNOWN = "from models of unknown format"
"""Why rows of logs are left out, beside the reasons of any chat (`potstill.tasks.messages`)."""


def parse_request(body: Row) -> list[dict[str, str]]:
    """The messages of a request to OpenAI, Anthropic, Converse or Llama.

    Raises `LeftOutError` for a request that cannot be used, `ValueError` for one of unknown format."""
    messages, items, prompt = decode_json(body.get("messages")), decode_json(body.get("input")), body.get("prompt")
    if isinstance(messages, list):
        conversation = [_message(message) for message in messages]
    elif isinstance(items, list):
        conversation = [_message(item) for item in items if _is_message(item)]
    elif isinstance(prompt, str):
        conversation = _messages_in_prompt(prompt)
    elif isinstance(items, str):
        conversation = [{"role": "user", "content": encodable(items)}]
    else:
        raise ValueError(f"its request has neither 'messages' nor 'prompt' nor 'input'; {describe_keys(body)}")
    if body.get("previous_response_id") or body.get("conversation"):
        raise LeftOutError(NO_TURNS)
    if instructions := "\n\n".join(_parts(body.get("system") or body.get("instructions"))[0]):
        conversation = [{"role": "system", "content": encodable(instructions)}, *conversation]
    if not any(message["content"].strip() for message in conversation if message["role"] == "user"):
        raise LeftOutError(NO_QUESTION)
    if conversation[-1]["role"] == "assistant":
        raise LeftOutError(PREFILLED)
    return in_turn(conversation)


def _is_message(item: Any) -> bool:
    """Whether an item of OpenAI's Responses API is a message and not reasoning. Raises `LeftOutError` for a tool call."""
    kind = item.get("type", "message") if isinstance(item, Mapping) else "message"
    if kind not in ("message", "reasoning"):
        raise LeftOutError(TOOLS)
    return bool(kind == "message")


def _message(message: Any) -> dict[str, str]:
    return {name: encodable(text) for name, text in _of_row(parse_message, message).items()}


def _of_row(parse: Callable[[Any], Parsed], value: Any) -> Parsed:
    """What ``parse`` makes of a value; its message about the value becomes one about the row."""
    try:
        return parse(value)
    except LeftOutError:
        raise
    except ValueError as error:
        raise ValueError(f"it {error}") from error


_HEADER = re.compile(r"<\|(?:start_header_id|header_start)\|>(\w+)<\|(?:end_header_id|header_end)\|>")


def _messages_in_prompt(prompt: str) -> list[dict[str, str]]:
    """Messages of a prompt in the conversation format of Llama 3 and 4; any other prompt is one question."""
    _, *turns = _HEADER.split(prompt)
    if not turns:
        return [{"role": "user", "content": encodable(prompt)}]
    conversation = [
        _message({"role": role, "content": content.partition("<|eot")[0].strip()})
        for role, content in zip(turns[::2], turns[1::2], strict=True)
    ]
    return conversation[:-1] if conversation[-1] == {"role": "assistant", "content": ""} else conversation


@dataclass(frozen=True)
class Answer:
    """An answer as its body gives it; empty or 0 where the body does not say."""

    text: str
    finish_reason: str = "stop"
    reasoning: str = ""
    id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


def parse_answer(body: Any) -> Answer:
    """An answer of OpenAI, Anthropic, Converse or Llama, or its text.

    Raises `LeftOutError` for an answer that cannot be used, `UnknownFormError` for one of unknown format."""
    if isinstance(body, Answer):
        return body
    if body is None:
        raise LeftOutError(EMPTY)
    if isinstance(body, Mapping):
        raise_if_failed(body)
    match decode_json(body):
        case {"choices": [{"message": {} as message} as choice, *_]} as response:
            return _answer_from_message(message, choice.get("finish_reason"), response)
        case {"output": {"message": {} as message}} as response:
            return _answer_from_message(message, response.get("stopReason"), response)
        case {"output": [*items], "status": _} as response:
            return _answer_from_items(items, response)
        case {"content": [*_], "stop_reason": reason} as response:
            return _answer_from_message(response, reason, response)
        case [{"type": "message_start" | "content_block_start"} | {"generation": str() | None}, *_] as events:
            return _answer_from_events(events)
    match body:  # text that is itself JSON matches none of these
        case str():
            return answer_from_text(body, {})
        case {"role": "assistant", "content": _}:
            return _answer_from_message(body, None, {})
        case {"generation": str() as text, **rest}:
            return _answer_from_message({"content": text}, rest.get("stop_reason"), {})
        case {"embedding": _} | {"embeddings": _} | {"data": [{"embedding": _}, *_]}:
            raise LeftOutError(EMBEDDINGS)
    found = f"its keys are {', '.join(map(str, list(body)[:20]))}" if isinstance(body, Mapping) else type(body).__name__
    raise UnknownFormError(
        "its answer is of an unknown format. Expected text, 'choices' with a message, 'content' with 'stop_reason', 'output' with a "
        f"message or with items, or 'generation', but {found}"
    )


def _answer_from_items(items: list[Any], body: Row) -> Answer:
    """An answer of OpenAI's Responses API."""
    messages = [item for item in items if _is_message(item)]
    content = [part for item in messages for part in (item.get("content") or [])]
    thoughts = [
        part.get("text") for item in items if item not in messages
        for part in (item.get("content") or item.get("summary") or [])
    ]  # fmt: skip
    refusals = [part for part in content if isinstance(part, Mapping) and part.get("type") == "refusal"]
    stop_reason = ends.REFUSED if refusals else (body.get("incomplete_details") or {}).get("reason")
    message = {"content": content, "reasoning_content": "\n".join(t for t in thoughts if isinstance(t, str))}
    return _answer_from_message(message, stop_reason, body)


def _answer_from_events(events: list[Any]) -> Answer:
    """A streamed answer that was logged event by event."""
    texts: list[str] = []
    thoughts: list[str] = []
    stop_reason = None
    for event in events:
        match event:
            case {"type": "content_block_start", "content_block": {"type": str() as kind}} if "tool" in kind:
                raise LeftOutError(TOOLS)
            case {"type": "content_block_delta", "delta": {"text": str() as text}}:
                texts.append(text)
            case {"type": "content_block_delta", "delta": {"thinking": str() as thought}}:
                thoughts.append(thought)
            case {"type": "message_delta", "delta": {"stop_reason": str() as reason}}:
                stop_reason = reason
            case {"generation": text}:
                texts += [text] if isinstance(text, str) else []
                stop_reason = event.get("stop_reason") or stop_reason
    if stop_reason is None:  # the stream was interrupted
        raise LeftOutError(FAILED)
    return _answer_from_message({"content": "".join(texts), "reasoning_content": "".join(thoughts)}, stop_reason, {})


def answer_from_text(text: str, row: Row) -> Answer:
    """An answer that is plain text; its row may give a finish reason and reasoning."""
    return _answer_from_message({**row, "content": text}, row.get("finish_reason"), {})


def _answer_from_message(message: Row, stop_reason: Any, body: Row) -> Answer:
    """The answer in a message of the assistant. body: the response row it, with id, model and usage."""
    if message.get("tool_calls") or message.get("function_call"):
        raise LeftOutError(TOOLS)
    texts, thoughts = _parts(message.get("content"))
    finish_reason = _finish_reason(stop_reason)
    text = "".join(texts)
    fields = [message.get("reasoning_content"), message.get("reasoning"), "\n".join(thoughts)]
    thought = next((thought for thought in fields if isinstance(thought, str) and thought), "")
    if not thought:
        thought, text = reasoning.split(text)
    text, _ = markup.without_turns(text)
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        text, finish_reason = refusal, ends.REFUSED
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    prompt_tokens, completion_tokens = (
        next((n for n in map(parse_token_count, map(usage.get, names)) if n), 0)
        for names in (
            ("prompt_tokens", "input_tokens", "inputTokens"),
            ("completion_tokens", "output_tokens", "outputTokens"),
        )
    )
    return Answer(
        text,
        finish_reason,
        thought,
        id=name_or_empty(body.get("id")),
        model=name_or_empty(body.get("model")),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )


_TOOL_CALLS = frozenset(("tool_calls", "function_call", "tool_use", "pause_turn", "malformed_tool_use"))


def _finish_reason(stop_reason: Any) -> str:
    """As of a server's answer (`ends.end_of`). Raises `LeftOutError` for a tool call, and for an answer that was not finished."""
    if isinstance(stop_reason, str) and stop_reason in _TOOL_CALLS:
        raise LeftOutError(TOOLS)
    reason = ends.end_of(stop_reason or None)
    if reason in (ends.ABORTED, "malformed_model_output"):
        raise LeftOutError(FAILED)
    return reason


def _parts(content: Any) -> tuple[list[str], list[str]]:
    return _of_row(content_parts, content)


def decode_json(value: Any) -> Any:
    """The value of JSON in a string, as in a table's cell or a proxy's log; any other value unchanged."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


_BAD_STATUS = re.compile(r"[1345]\d\d|-\d+|failure|error|failed|cancelled")


def raise_if_failed(row: Row) -> None:
    """Raises `LeftOutError` for a row or response that reports a failure."""
    errors = (row.get(name) for name in ("error", "error_str", "errorCode"))
    statuses = (row.get(name) for name in ("status", "status_code", "response_status"))
    if any(isinstance(error, str | Mapping) and error for error in errors) or any(
        isinstance(status, str | int) and _BAD_STATUS.fullmatch(str(status)) for status in statuses
    ):
        raise LeftOutError(FAILED)


def name_or_empty(value: Any) -> str:
    """An id or a name of a model, from text or an integer; empty for any other value."""
    return encodable(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def describe_keys(row: Row) -> str:
    """The first keys of a row, for a message."""
    return f"its keys are {', '.join(map(str, list(row)[:20]))}" if row else "it has no keys"
