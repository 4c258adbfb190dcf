"""What a log's exchanges say: the messages of a request, and the answer, in the forms that `logs` cites."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from potstill.models import encodable, reasoning
from potstill.models.remote.wire import parse_token_count
from potstill.tasks.columns import ROLES

Row = Mapping[str, Any]


class LeftOutError(Exception):
    """A row that can be read and has no use; the message names its kind."""


class UnknownFormError(ValueError):
    """An answer of no known form."""


TOOLS, FILES, FAILED, EMPTY = "tool calls", "images or files", "failed requests", "empty answers"
NO_QUESTION, BEGUN, EMBEDDINGS = "empty questions", "answers that the request began", "embeddings"
NO_TEXT, NO_TURNS, UNANSWERED = "without their text", "without the turns before them", "requests without an answer"
UNKNOWN = "of models whose form is not known"


def read_request(body: Row) -> list[dict[str, str]]:
    """The messages of a request, to OpenAI, Anthropic, Converse or Llama."""
    messages, items, prompt = opened(body.get("messages")), opened(body.get("input")), body.get("prompt")
    if isinstance(messages, list):
        said = [_message(message) for message in messages]
    elif isinstance(items, list):
        said = [_message(item) for item in items if _is_message(item)]
    elif isinstance(prompt, str):
        said = _of_prompt(prompt)
    elif isinstance(items, str):
        said = [{"role": "user", "content": encodable(items)}]
    else:
        raise ValueError(f"its request has neither 'messages' nor 'prompt' nor 'input'; {shown_keys(body)}")
    if body.get("previous_response_id") or body.get("conversation"):
        raise LeftOutError(NO_TURNS)
    if instructed := "\n\n".join(_parts(body.get("system") or body.get("instructions"))[0]):
        said = [{"role": "system", "content": encodable(instructed)}, *said]
    if not any(message["content"].strip() for message in said if message["role"] == "user"):
        raise LeftOutError(NO_QUESTION)
    if said[-1]["role"] == "assistant":
        raise LeftOutError(BEGUN)
    return said


def _is_message(item: Any) -> bool:
    """Whether an item of OpenAI's Responses API is a message, and no thought."""
    kind = item.get("type", "message") if isinstance(item, Mapping) else "message"
    if kind not in ("message", "reasoning"):
        raise LeftOutError(TOOLS)
    return bool(kind == "message")


def _message(message: Any) -> dict[str, str]:
    if not isinstance(message, Mapping):
        raise ValueError("it holds a message that is no object with role and content")
    role = str(message.get("role"))
    if role in ("tool", "function", "ipython") or message.get("tool_calls") or message.get("function_call"):
        raise LeftOutError(TOOLS)
    role = "system" if role == "developer" else role
    if role not in ROLES:
        raise ValueError(f"it holds a message of the role '{role[:40]}'; {', '.join(ROLES)} are read")
    return {"role": role, "content": encodable("\n".join(_parts(message.get("content"))[0]))}


_HEADER = re.compile(r"<\|(?:start_header_id|header_start)\|>(\w+)<\|(?:end_header_id|header_end)\|>")


def _of_prompt(prompt: str) -> list[dict[str, str]]:
    """A prompt as Llama 3 and 4 write conversations; any other is one question."""
    _, *turns = _HEADER.split(prompt)
    if not turns:
        return [{"role": "user", "content": encodable(prompt)}]
    said = [
        _message({"role": role, "content": content.partition("<|eot")[0].strip()})
        for role, content in zip(turns[::2], turns[1::2], strict=True)
    ]
    return said[:-1] if said[-1] == {"role": "assistant", "content": ""} else said


@dataclass(frozen=True)
class Answer:
    text: str
    finish_reason: str = "stop"
    reasoning: str = ""
    id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


def read_answer(body: Any) -> Answer:
    """An answer from OpenAI, Anthropic, Converse or Llama, or its text."""
    if isinstance(body, Answer):
        return body
    if body is None:
        raise LeftOutError(EMPTY)
    if isinstance(body, Mapping):
        refuse_failed(body)
    match opened(body):
        case {"choices": [{"message": {} as message} as choice, *_]} as whole:
            return _of_message(message, choice.get("finish_reason"), whole)
        case {"output": {"message": {} as message}} as whole:
            return _of_message(message, whole.get("stopReason"), whole)
        case {"output": [*items], "status": _} as whole:
            return _of_items(items, whole)
        case {"content": [*_], "stop_reason": reason} as whole:
            return _of_message(whole, reason, whole)
        case [{"type": "message_start" | "content_block_start"} | {"generation": str() | None}, *_] as events:
            return _of_events(events)
    match body:  # a text that is JSON itself is none of these
        case str():
            return text_answer(body, {})
        case {"role": "assistant", "content": _}:
            return _of_message(body, None, {})
        case {"generation": str() as text, **rest}:
            return _of_message({"content": text}, rest.get("stop_reason"), {})
        case {"embedding": _} | {"embeddings": _} | {"data": [{"embedding": _}, *_]}:
            raise LeftOutError(EMBEDDINGS)
    shown = f"its keys are {', '.join(map(str, list(body)[:20]))}" if isinstance(body, Mapping) else type(body).__name__
    raise UnknownFormError(
        "its answer is of no known form. Expected text, 'choices' with a message, 'content' with 'stop_reason', 'output' with a "
        f"message or with items, or 'generation', but {shown}"
    )


def _of_items(items: list[Any], body: Row) -> Answer:
    """An answer of OpenAI's Responses API."""
    said = [item for item in items if _is_message(item)]
    content = [part for item in said for part in (item.get("content") or [])]
    thoughts = [
        part.get("text") for item in items if item not in said
        for part in (item.get("content") or item.get("summary") or [])
    ]  # fmt: skip
    refused = [part for part in content if isinstance(part, Mapping) and part.get("type") == "refusal"]
    ended = "content_filter" if refused else (body.get("incomplete_details") or {}).get("reason")
    message = {"content": content, "reasoning_content": "\n".join(t for t in thoughts if isinstance(t, str))}
    return _of_message(message, ended, body)


def _of_events(events: list[Any]) -> Answer:
    """A streamed answer that was logged event by event."""
    texts: list[str] = []
    thoughts: list[str] = []
    ended = None
    for event in events:
        match event:
            case {"type": "content_block_start", "content_block": {"type": str() as kind}} if "tool" in kind:
                raise LeftOutError(TOOLS)
            case {"type": "content_block_delta", "delta": {"text": str() as text}}:
                texts.append(text)
            case {"type": "content_block_delta", "delta": {"thinking": str() as thought}}:
                thoughts.append(thought)
            case {"type": "message_delta", "delta": {"stop_reason": str() as reason}}:
                ended = reason
            case {"generation": text}:
                texts += [text] if isinstance(text, str) else []
                ended = event.get("stop_reason") or ended
    if ended is None:  # the stream broke off
        raise LeftOutError(FAILED)
    return _of_message({"content": "".join(texts), "reasoning_content": "".join(thoughts)}, ended, {})


def text_answer(text: str, row: Row) -> Answer:
    """An answer that is text, with what its row says beside it."""
    return _of_message({**row, "content": text}, row.get("finish_reason"), {})


def _of_message(message: Row, ended: Any, body: Row) -> Answer:
    """An assistant's message, as it stands in the body of a response."""
    if message.get("tool_calls") or message.get("function_call"):
        raise LeftOutError(TOOLS)
    texts, thoughts = _parts(message.get("content"))
    finish_reason = _finish_reason(ended)
    said = "".join(texts)
    fields = [message.get("reasoning_content"), message.get("reasoning"), "\n".join(thoughts)]
    thought = next((thought for thought in fields if isinstance(thought, str) and thought), "")
    if not thought:
        thought, said = reasoning.split(said)
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        said, finish_reason = refusal, "content_filter"
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
        said,
        finish_reason,
        thought,
        as_name(body.get("id")),
        as_name(body.get("model")),
        prompt_tokens,
        completion_tokens,
    )


_FINISHED = (
    dict.fromkeys(
        ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"), "length"
    )
    | dict.fromkeys(("content_filter", "content_filtered", "guardrail_intervened", "refusal"), "content_filter")
    | dict.fromkeys(("tool_calls", "function_call", "tool_use", "pause_turn", "malformed_tool_use"), TOOLS)
    | dict.fromkeys(("error", "malformed_model_output"), FAILED)
)


def _finish_reason(ended: Any) -> str:
    reason = _FINISHED.get(str(ended), "stop")
    if reason in (TOOLS, FAILED):
        raise LeftOutError(reason)
    return reason


def _parts(content: Any) -> tuple[list[str], list[str]]:
    """Texts and thoughts of a message's content."""
    if content is None or isinstance(content, str):
        return [content] if content else [], []
    if not isinstance(content, list):
        raise ValueError("it holds a message whose content is neither text nor a list of parts")
    texts: list[str] = []
    thoughts: list[str] = []
    for part in content:
        match part:
            case str():
                texts.append(part)
            case {"type": "thinking", "thinking": str() as thought}:
                thoughts.append(thought)
            case {"reasoningContent": {"reasoningText": {"text": str() as thought}}}:
                thoughts.append(thought)
            case {"type": "text" | "input_text" | "output_text", "text": str() as text}:
                texts.append(text)
            case {"type": "refusal", "refusal": str() as text}:
                texts.append(text)
            case {"guardContent": {"text": {"text": str() as text}}}:
                texts.append(text)
            case {"type": "redacted_thinking"} | {"reasoningContent": _} | {"cachePoint": _}:
                pass
            case {"text": str() as text} if part.get("type") is None:
                texts.append(text)
            case {"toolUse": _} | {"toolResult": _}:
                raise LeftOutError(TOOLS)
            case {"type": str() as kind}:
                raise LeftOutError(TOOLS if "tool" in kind else FILES)
            case {"image": _} | {"document": _} | {"video": _} | {"audio": _}:
                raise LeftOutError(FILES)
            case _:
                raise ValueError("it holds a part of a message that is no text")
    return texts, thoughts


def opened(value: Any) -> Any:
    """What a table's cell or a proxy holds as JSON in a string."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


_BAD_STATUS = re.compile(r"[1345]\d\d|-\d+|failure|error|failed|cancelled")


def refuse_failed(around: Row) -> None:
    """Leave out what says of itself that it failed."""
    errors = (around.get(name) for name in ("error", "error_str", "errorCode"))
    statuses = (around.get(name) for name in ("status", "status_code", "response_status"))
    if any(isinstance(error, str | Mapping) and error for error in errors) or any(
        isinstance(status, str | int) and _BAD_STATUS.fullmatch(str(status)) for status in statuses
    ):
        raise LeftOutError(FAILED)


def as_name(value: Any) -> str:
    return encodable(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def shown_keys(row: Row) -> str:
    return f"there are the keys {', '.join(map(str, list(row)[:20]))}" if row else "there are no keys"
