"""A row of the log out of an exchange: what `potstill.data.logs` reads in it, redacted, and nothing else.

The row holds messages, answer, reasoning, model, end and token counts. Headers, addresses, tools, metadata and all other fields of a
request are not in it, so no key can be.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from potstill.data import logs
from potstill.data.json_files import RECORDED
from potstill.data.logs import LoggedAnswer
from potstill.data.texts import MAX_LINE_CHARACTERS
from potstill.errors import RecipeError
from potstill.recipe.redaction import KEY_RULE, Redactor
from potstill.record.assembly import UNREADABLE, NotAssembledError, answer_body, json_body
from potstill.record.exchange import TOO_LONG, Exchange

NO_CHAT = "not a chat"
"""Embeddings, lists of models, files: no question and answer."""
MAX_ROW_CHARACTERS = MAX_LINE_CHARACTERS // 2


def redactor(rules: Sequence[str], patterns: Mapping[str, str] = MappingProxyType({})) -> Redactor:
    """The redactor of a log: the given rules, and always that of keys. Raises `ValueError` as `Redactor` does."""
    return Redactor([*rules, *([] if KEY_RULE in rules else [KEY_RULE])], patterns)


def line(exchange: Exchange, redact: Redactor) -> bytes:
    """The line of an exchange, in ASCII, so that no cut can be within a character. Raises `NotAssembledError`."""
    logged = _read(exchange)

    def clean(text: str) -> str:
        for secret in exchange.secrets:
            text = text.replace(secret, "[KEY]")
        return redact(text)

    message = {"role": "assistant", "content": clean(logged.text)}
    if logged.reasoning:
        message["reasoning_content"] = clean(logged.reasoning)
    row = {
        "id": logged.id if clean(logged.id) == logged.id else "",
        "model": clean(logged.model),
        "messages": [{"role": one["role"], "content": clean(one["content"])} for one in logged.messages],
        "response": {
            "choices": [{"message": message, "finish_reason": logged.finish_reason}],
            "usage": {"prompt_tokens": logged.prompt_tokens, "completion_tokens": logged.completion_tokens},
        },
    }
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    text = json.dumps(row, separators=(",", ":"))
    if len(text) > MAX_ROW_CHARACTERS:
        raise NotAssembledError(TOO_LONG)
    return f'{RECORDED}{time}",{text[1:]}\n'.encode("ascii")


def _read(exchange: Exchange) -> LoggedAnswer:
    """What the reader of logs takes of an exchange. Raises `NotAssembledError` with its reason where it takes nothing."""
    request = json_body(exchange.request)
    if not isinstance(request, Mapping) or not request.keys() & {"messages", "input", "prompt"}:
        raise NotAssembledError(NO_CHAT)
    answer = answer_body(exchange.answer)
    left_out: Counter[str] = Counter()
    try:
        for _, logged in logs.parse(iter([("", {"request": request, "response": _chat(answer)})]), left_out):
            return logged
    except RecipeError as error:
        raise NotAssembledError(NO_CHAT if exchange.answer.size else UNREADABLE) from error
    raise NotAssembledError(next(iter(left_out), NO_CHAT))


def _chat(answer: Any) -> Any:
    """An answer of OpenAI's completions as one of its chat completions; any other answer unchanged."""
    match answer:
        case {"choices": [{"text": str() as text} as choice, *_]} if "message" not in choice:
            return answer | {"choices": [{"message": {"content": text}, "finish_reason": choice.get("finish_reason")}]}
    return answer
