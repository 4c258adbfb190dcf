"""The turns of a chat, out of the forms in which data sets and logs write them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from potstill.tasks.literals import decode

ROLES = ("system", "user", "assistant")
_ROLE_ALIASES = {
    "developer": "system", "human": "user", "prompter": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant",
    "ai": "assistant", "model": "assistant",
}  # fmt: skip
_TOOL_ROLES = (
    "tool", "function", "ipython", "observation", "function_call", "tool_call", "tool_response", "function_response",
    "tool_result",
)  # fmt: skip
BETWEEN_JOINED = "\n\n"
"""The text between those of two turns of one side, which become one."""


OWN_REPLY = ""
"""The content of a reply that the data leave to each model: what it says itself."""


class LeftOutError(ValueError):
    """A row of a known form that cannot be used; the message names the reason, as the summary of the data counts it."""


TOOLS, FILES, EMPTY, NO_QUESTION = "tool calls", "images or files", "empty answers", "empty questions"
LATE_SYSTEM, OPENING_REPLY = "system messages after the first turn", "answers before the first question"
EARLIER_TURNS = "turns before the question (the task conversation takes any chat)"


def parse_turns(value: Any) -> list[dict[str, str]]:
    """A chat out of a list of texts, the user's turns, as MT-Bench's ``turns`` (Zheng et al. 2023, arXiv 2306.05685), with `OWN_REPLY` between
    them; or out of any form of `parse_messages`, as which it raises."""
    value = decode(value)
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        return parse_messages(value)
    messages = [{"role": "user", "content": text} for text in value]
    if not all(text.strip() for text in value):
        raise LeftOutError(NO_QUESTION)
    _require_encodable(messages)
    between = {"role": "assistant", "content": OWN_REPLY}
    return [message for asked in messages for message in (between.copy(), asked)][1:]


def parse_messages(value: Any) -> list[dict[str, str]]:
    """The turns of a chat, ``{"role", "content"}``: user and assistant in turn, the user first, after at most one system
    message. The texts of system and user are unchanged.

    ``value``: a list of ``{"role", "content"}`` or ``{"from", "value"}``, or its writing in a cell. Turns of one side in a row
    are joined. Raises `LeftOutError` for a chat that cannot be used, `ValueError` for what is no chat.
    """
    value = decode(value)
    if not isinstance(value, list) or not value:
        raise ValueError("holds no list of messages")
    messages = in_turn(map(parse_message, value))
    _require_encodable(messages)
    return [m | {"content": m["content"].strip()} if m["role"] == "assistant" else m for m in messages]


def _require_encodable(messages: Iterable[Mapping[str, str]]) -> None:
    for message in messages:
        try:
            message["content"].encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"holds half of a character ({error.reason})") from error


def parse_message(message: Any) -> dict[str, str]:
    """One message. Raises as `parse_messages`."""
    if not isinstance(message, Mapping):
        raise ValueError(
            "holds a message that is not an object with role and content (only a column named turns may hold the user's turns as texts)"
        )
    role = str(message.get("role") or message.get("from")).strip()
    name = role.lower().replace("-", "_")
    if name in _TOOL_ROLES or message.get("tool_calls") or message.get("function_call"):
        raise LeftOutError(TOOLS)
    name = _ROLE_ALIASES.get(name, name)
    if name not in ROLES:
        raise ValueError(f"holds a message of the role '{role[:40]}'; the roles are {', '.join(ROLES)}")
    content = next((message[key] for key in ("content", "value", "parts") if message.get(key) is not None), None)
    return {"role": name, "content": "\n".join(content_parts(content)[0])}


def in_turn(messages: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """The messages with those of one side in a row joined. Raises `LeftOutError` where they do not begin with a user's
    question, where one is empty, and for a system message after the first turn."""
    joined: list[dict[str, str]] = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system" and not content.strip():
            continue
        if role == "system" and joined and joined[-1]["role"] != "system":
            raise LeftOutError(LATE_SYSTEM)
        if joined and joined[-1]["role"] == role:
            texts = (joined[-1]["content"], content)
            joined[-1]["content"] = BETWEEN_JOINED.join(text for text in texts if text.strip())
        else:
            joined.append({"role": role, "content": content})
    turns = joined[1:] if joined and joined[0]["role"] == "system" else joined
    if turns and turns[0]["role"] == "assistant":
        raise LeftOutError(OPENING_REPLY)
    if not turns or any(not turn["content"].strip() for turn in turns if turn["role"] == "user"):
        raise LeftOutError(NO_QUESTION)
    if any(not turn["content"].strip() for turn in turns):
        raise LeftOutError(EMPTY)
    return joined


def content_parts(content: Any) -> tuple[list[str], list[str]]:
    """Texts and reasoning of a message's content. Raises `LeftOutError` for tool calls, images and files."""
    if content is None or isinstance(content, str):
        return [content] if content else [], []
    if isinstance(content, int | float) and not isinstance(content, bool):
        return [str(content)], []
    if not isinstance(content, Sequence):
        raise ValueError("holds a message whose content is neither text nor a list of parts")
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
                raise ValueError("holds a part of a message that is not text")
    return texts, thoughts
