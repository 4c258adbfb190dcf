"""Teacher logs already paid for: rows of logs become questions with their answers.

The form is recognized row by row. Where each was read:

- request and response (``choices[0].message``): openai/openai-openapi, CreateChatCompletionResponse; in exports
  - ``request_body``, ``response_body``: Helicone/helicone examples/export/typescript/index.ts
  - ``input``, ``output``: docs.openpipe.ai/features/request-logs/exporting-logs
  - ``messages``, ``response``, ``prompt_tokens``: docs.litellm.ai/docs/proxy/logging_spec (StandardLoggingPayload)
- ``messages`` that end in an answer: openai/openai-cookbook examples/Chat_finetuning_data_prep.ipynb
- lines of OpenAI's batches: docs.rs/crate/openai-client-base docs/BatchRequestOutput*.md; BerriAI/litellm tests of batch_utils
- Amazon Bedrock's invocation log: docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
  - Converse, ConverseStream: dheerajoruganty/aws-bedrock-logs-mcp-server setup.md
  - Anthropic's messages: docs.sumologic.com, Amazon Bedrock; as a list of events where they were streamed:
    rxbynerd/dressage internal/conversation/parse_test.go, anthropics/claude-code issue 25022
  - Meta's Llama, and its prompt: aws-samples/amazon-bedrock-samples, dataset-validation; model-parameters-meta.html
  - bodies in S3 (more than 100 KB): rxbynerd/dressage docs/providers/bedrock.md
- why an answer ended: platform.claude.com/docs/en/build-with-claude/handling-stop-reasons;
  docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html
- ``instruction`` with ``input`` and ``output``: card of bertin-project/alpaca-spanish, of Alpaca's own file; with
  ``context`` and ``response``: card of aisquared/databricks-dolly-15k
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from potstill.data.files import Placed
from potstill.errors import RecipeError
from potstill.models import reasoning
from potstill.progress import say
from potstill.tasks.columns import ROLES

Row = Mapping[str, Any]
LARGEST_COUNT = 1 << 40
"""Tokens, more than which no log can mean."""


@dataclass(frozen=True)
class Logged:
    """A question and the answer that a model gave."""

    id: str
    messages: list[dict[str, str]]
    """What was asked: ``{role: system | user | assistant, content}``."""
    text: str
    model: str = ""
    finish_reason: str = "stop"
    """`stop`, `length` or `content_filter`."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """0 where the log does not say."""
    reasoning: str = ""


def read(rows: Placed) -> Iterator[tuple[str, Logged]]:
    """Each answer with the place where it stands. Raises `RecipeError` for a row of no known form.

    Rows that have no use (tool calls, images, failed requests, empty answers) are left out; how many, is said at the end.
    Nothing is held but lines of batches whose other half has not come, and a number for each id.
    """
    left_out: Counter[str] = Counter()
    batches, ids = _Batches(), _Ids()
    for number, (place, row) in enumerate(rows, 1):
        where = place
        try:
            exchange = batches.joined(place, row) if _is_of_batch(row) else _exchange(place, row)
            if exchange is None:
                continue
            where = exchange.where or place
            logged = _logged(exchange, ids, number)
        except _LeftOutError as reason:
            left_out[str(reason)] += 1
        except (ValueError, RecursionError) as error:
            # A log of Bedrock's holds the answers of all the models of an account.
            if isinstance(error, _UnknownFormError) and row.get("schemaType") == "ModelInvocationLog":
                left_out[UNKNOWN] += 1
                continue
            raise RecipeError(f"{where}: {error}.") from error
        else:
            yield exchange.place, logged
    left_out[UNANSWERED] = batches.unanswered()
    if n := left_out.total():
        say(f"  logs: {n} rows left out: " + ", ".join(f"{m} {reason}" for reason, m in left_out.most_common() if m))


class _LeftOutError(Exception):
    """A row that can be read and has no use; the message names its kind."""


class _UnknownFormError(ValueError):
    """An answer of no known form."""


TOOLS, FILES, FAILED, EMPTY = "tool calls", "images or files", "failed requests", "empty answers"
NO_QUESTION, BEGUN, EMBEDDINGS = "empty questions", "answers that the request began", "embeddings"
NO_TEXT, UNANSWERED = "without their text", "requests without an answer"
UNKNOWN = "of models whose form is not known"


class _Ids:
    """Each id once: a second "a" becomes "a-2"."""

    def __init__(self) -> None:
        self.last: dict[int, int] = {}  # of hashes: a million ids take 100 MB

    def own(self, id_: str) -> str:
        n = self.last.get(hash(id_), 0) + 1
        own = id_
        if n > 1:
            while hash(own := f"{id_}-{n}") in self.last:
                n += 1
            self.last[hash(own)] = 1
        self.last[hash(id_)] = n
        return own


@dataclass(frozen=True)
class _Exchange:
    """What was sent and what came back, each in its own form, with what the row says beside them."""

    place: str
    asked: Any
    answered: Any
    row: Row
    id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    where: str = ""
    """For messages about it, where that is more than its place."""


def _exchange(place: str, row: Row) -> _Exchange:
    if row.get("schemaType") == "ModelInvocationLog":
        return _of_bedrock(place, row)
    for asked, answered in (("request", "response"), ("request_body", "response_body"), ("input", "output")):
        if isinstance(request := _opened(row.get(asked)), Mapping) and answered in row:
            _refuse_failed(row)
            return _Exchange(place, _unwrapped(request), _unwrapped(row[answered]), row, _name(row.get("custom_id")))
    if isinstance(messages := _opened(row.get("messages")), list) and messages:
        return _of_messages(place, row, messages)
    return _of_pair(place, row)


def _of_messages(place: str, row: Row, messages: list[Any]) -> _Exchange:
    _refuse_failed(row)
    answered = next((row[name] for name in ("response", "completion") if row.get(name) is not None), None)
    if answered is not None:
        said = isinstance(answered, str) and row.get("response") is None
        answered = _said(answered, row) if said else _unwrapped(answered)
    elif messages and isinstance(messages[-1], Mapping) and messages[-1].get("role") == "assistant":
        *messages, answered = messages
    elif "response" not in row and "completion" not in row:
        raise ValueError(
            "there is no answer to its messages: expected 'response', 'completion', or a last message of the role "
            f"'assistant'; {_keys(row)}"
        )
    return _Exchange(place, {**row, "messages": messages}, answered, row, _name(row.get("custom_id")))


QUESTIONS, ANSWERS = ("prompt", "instruction", "input"), ("completion", "response", "output")


def _of_pair(place: str, row: Row) -> _Exchange:
    question = next((name for name in QUESTIONS if isinstance(row.get(name), str)), "")
    answers = [name for name in ANSWERS if name in row]
    answer = next((row[name] for name in answers if row[name] is not None), None)
    if not question or not answers or not isinstance(answer, str | int | float | None):
        raise ValueError(
            "a log of no known form. Expected 'request' and 'response'; 'messages' and 'response' or 'completion'; lines of "
            "an OpenAI batch, with 'custom_id'; Amazon Bedrock's invocation log, with 'schemaType'; or text under 'prompt' "
            f"and 'completion' ('instruction' and 'response', 'input' and 'output'); {_keys(row)}"
        )
    if _opened(row.get("history")):
        raise ValueError("a question with a 'history' is not read; write the turns as 'messages'")
    _refuse_failed(row)
    asked = row[question]
    if question == "instruction":
        more = next((row[name] for name in ("input", "context") if isinstance(row.get(name), str)), "")
        asked = f"{asked}\n\n{more}" if more.strip() else asked
    messages = [{"role": "user", "content": asked}]
    said = _said("" if answer is None else str(answer), row)
    return _Exchange(place, {"messages": messages, "system": row.get("system")}, said, row)


def _of_bedrock(place: str, row: Row) -> _Exchange:
    _refuse_failed(row)
    (asked, prompt_tokens), (answered, completion_tokens) = (
        _of_bedrock_side(row, side) for side in ("input", "output")
    )
    # An ARN names the account; the model is what stands behind its last slash.
    model = str(row.get("modelId") or "").rpartition("/")[2]
    return _Exchange(place, asked, answered, row, _name(row.get("requestId")), model, prompt_tokens, completion_tokens)


def _of_bedrock_side(row: Row, name: str) -> tuple[Any, int]:
    side = _opened(row.get(name))
    if isinstance(side, Mapping):
        if (body := _opened(side.get(f"{name}BodyJson"))) is not None:
            return body, _count(side.get(f"{name}TokenCount"))
        if path := side.get(f"{name}BodyS3Path"):
            raise ValueError(
                f"its {name} stands in S3 ({path}) and not in the row. Put that object into the row, as "
                f"{name}.{name}BodyJson, or take the row out"
            )
    raise _LeftOutError(NO_TEXT)


def _is_of_batch(row: Row) -> bool:
    own = row.get("body") is not None or "response" in row or "error" in row
    return (
        row.get("custom_id") is not None and own and not row.keys() & {"request", "messages", "schemaType", *QUESTIONS}
    )


@dataclass
class _Batches:
    """Lines of OpenAI's batches whose other half has not come yet, by their custom_id."""

    asked: dict[str, tuple[str, Any]] = field(default_factory=dict)
    answered: dict[str, tuple[str, Row]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def joined(self, place: str, row: Row) -> _Exchange | None:
        """The exchange that this line completes."""
        if not (key := _name(row["custom_id"])):
            raise ValueError("its custom_id is no text")
        if (body := _opened(row.get("body"))) is not None:
            self._hold(self.asked, key, place, body)
        else:
            self._check(key, row)
            self._hold(self.answered, key, place, row)
        if key not in self.asked or key not in self.answered:
            return None
        asked_at, asked = self.asked.pop(key)
        answered_at, answered = self.answered.pop(key)
        where = f"{answered_at} and its request ({asked_at})"
        return _Exchange(answered_at, asked, _opened(answered["response"])["body"], {}, key, where=where)

    def _check(self, key: str, row: Row) -> None:
        """A request that failed may be answered in a later batch: what was asked is kept."""
        response = _opened(row.get("response"))
        try:
            _refuse_failed(row)
            if not isinstance(response, Mapping) or response.get("body") is None:
                raise _LeftOutError(FAILED)
            _refuse_failed(response)
        except _LeftOutError:
            self.failed.add(key)
            raise

    def _hold(self, held: dict[str, tuple[str, Any]], key: str, place: str, line: Any) -> None:
        if key in held and held[key][1] != line:
            raise ValueError(
                f"the custom_id '{key}' stands in another line too ({held[key][0]}), which says something else. Read each "
                "batch apart from the others"
            )
        held[key] = place, line

    def unanswered(self) -> int:
        """Requests left at the end. Raises `RecipeError` for answers left."""
        if self.answered:
            key, (place, _) = next(iter(self.answered.items()))
            raise RecipeError(
                f"{place}: there is no request with the custom_id '{key}' ({len(self.answered)} such answers). The batch's "
                "input file must lie in the same folder, or be read in the same stream."
            )
        return len(self.asked.keys() - self.failed)


def _logged(exchange: _Exchange, ids: _Ids, number: int) -> Logged:
    answer = _answer(exchange.answered)
    request = _opened(exchange.asked)
    if not isinstance(request, Mapping):
        raise ValueError("its request is no object")
    messages = _asked(request)
    if not answer.text.strip():
        raise _LeftOutError(EMPTY)
    row = exchange.row
    named = (exchange.model, answer.model, request.get("model"), row.get("model"))
    return Logged(
        ids.own(exchange.id or answer.id or _name(row.get("id")) or str(number)),
        messages,
        _clean(answer.text),
        next((name for name in map(_name, named) if name), ""),
        answer.finish_reason,
        exchange.prompt_tokens or answer.prompt_tokens or _count(row.get("prompt_tokens")),
        exchange.completion_tokens or answer.completion_tokens or _count(row.get("completion_tokens")),
        _clean(answer.reasoning),
    )


def _asked(body: Row) -> list[dict[str, str]]:
    """The messages of a request, to OpenAI, Anthropic, Converse or Llama."""
    messages, prompt = _opened(body.get("messages")), body.get("prompt")
    if isinstance(messages, list):
        said = [_message(message) for message in messages]
    elif isinstance(prompt, str):
        said = _of_prompt(prompt)
    else:
        raise ValueError(f"its request has neither 'messages' nor 'prompt'; {_keys(body)}")
    if instructed := "\n\n".join(_parts(body.get("system"))[0]):
        said = [{"role": "system", "content": _clean(instructed)}, *said]
    if not any(message["content"].strip() for message in said if message["role"] == "user"):
        raise _LeftOutError(NO_QUESTION)
    if said[-1]["role"] == "assistant":
        raise _LeftOutError(BEGUN)
    return said


def _message(message: Any) -> dict[str, str]:
    if not isinstance(message, Mapping):
        raise ValueError("it holds a message that is no object with role and content")
    role = str(message.get("role"))
    if role in ("tool", "function", "ipython") or message.get("tool_calls") or message.get("function_call"):
        raise _LeftOutError(TOOLS)
    role = "system" if role == "developer" else role
    if role not in ROLES:
        raise ValueError(f"it holds a message of the role '{role[:40]}'; {', '.join(ROLES)} are read")
    return {"role": role, "content": _clean("\n".join(_parts(message.get("content"))[0]))}


_HEADER = re.compile(r"<\|(?:start_header_id|header_start)\|>(\w+)<\|(?:end_header_id|header_end)\|>")


def _of_prompt(prompt: str) -> list[dict[str, str]]:
    """A prompt as Llama 3 and 4 write conversations; any other is one question."""
    _, *turns = _HEADER.split(prompt)
    if not turns:
        return [{"role": "user", "content": _clean(prompt)}]
    said = [
        _message({"role": role, "content": content.partition("<|eot")[0].strip()})
        for role, content in zip(turns[::2], turns[1::2], strict=True)
    ]
    return said[:-1] if said[-1] == {"role": "assistant", "content": ""} else said


@dataclass(frozen=True)
class _Answer:
    text: str
    finish_reason: str = "stop"
    reasoning: str = ""
    id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


def _answer(body: Any) -> _Answer:
    """An answer from OpenAI, Anthropic, Converse or Llama, or its text."""
    if isinstance(body, _Answer):
        return body
    if body is None:
        raise _LeftOutError(EMPTY)
    if isinstance(body, Mapping):
        _refuse_failed(body)
    match _opened(body):
        case {"choices": [{"message": {} as message} as choice, *_]} as whole:
            return _of_message(message, choice.get("finish_reason"), whole)
        case {"output": {"message": {} as message}} as whole:
            return _of_message(message, whole.get("stopReason"), whole)
        case {"content": [*_], "stop_reason": reason} as whole:
            return _of_message(whole, reason, whole)
        case [{"type": "message_start" | "content_block_start"} | {"generation": str() | None}, *_] as events:
            return _of_events(events)
    match body:  # a text that is JSON itself is none of these
        case str():
            return _said(body, {})
        case {"role": "assistant", "content": _}:
            return _of_message(body, None, {})
        case {"generation": str() as text, **rest}:
            return _of_message({"content": text}, rest.get("stop_reason"), {})
        case {"embedding": _} | {"embeddings": _} | {"data": [{"embedding": _}, *_]}:
            raise _LeftOutError(EMBEDDINGS)
    shown = f"its keys are {', '.join(map(str, list(body)[:20]))}" if isinstance(body, Mapping) else type(body).__name__
    raise _UnknownFormError(
        "its answer is of no known form. Expected text, 'choices' with a message, 'content' with 'stop_reason', 'output' with a "
        f"message, or 'generation', but {shown}"
    )


def _of_events(events: list[Any]) -> _Answer:
    """A streamed answer that was logged event by event."""
    texts: list[str] = []
    thoughts: list[str] = []
    ended = None
    for event in events:
        match event:
            case {"type": "content_block_start", "content_block": {"type": str() as kind}} if "tool" in kind:
                raise _LeftOutError(TOOLS)
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
        raise _LeftOutError(FAILED)
    return _of_message({"content": "".join(texts), "reasoning_content": "".join(thoughts)}, ended, {})


def _said(text: str, row: Row) -> _Answer:
    """An answer that is text, with what its row says beside it."""
    return _of_message({**row, "content": text}, row.get("finish_reason"), {})


def _of_message(message: Row, ended: Any, body: Row) -> _Answer:
    """An assistant's message, as it stands in the body of a response."""
    if message.get("tool_calls") or message.get("function_call"):
        raise _LeftOutError(TOOLS)
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
        next((n for n in map(_count, map(usage.get, names)) if n), 0)
        for names in (
            ("prompt_tokens", "input_tokens", "inputTokens"),
            ("completion_tokens", "output_tokens", "outputTokens"),
        )
    )
    return _Answer(
        said, finish_reason, thought, _name(body.get("id")), _name(body.get("model")), prompt_tokens, completion_tokens
    )


_FINISHED = (
    dict.fromkeys(("length", "max_tokens", "model_length", "model_context_window_exceeded"), "length")
    | dict.fromkeys(("content_filter", "content_filtered", "guardrail_intervened", "refusal"), "content_filter")
    | dict.fromkeys(("tool_calls", "function_call", "tool_use", "pause_turn", "malformed_tool_use"), TOOLS)
    | dict.fromkeys(("error", "malformed_model_output"), FAILED)
)


def _finish_reason(ended: Any) -> str:
    reason = _FINISHED.get(str(ended), "stop")
    if reason in (TOOLS, FAILED):
        raise _LeftOutError(reason)
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
            case {"type": "text", "text": str() as text} | {"type": "refusal", "refusal": str() as text}:
                texts.append(text)
            case {"guardContent": {"text": {"text": str() as text}}}:
                texts.append(text)
            case {"type": "redacted_thinking"} | {"reasoningContent": _} | {"cachePoint": _}:
                pass
            case {"text": str() as text} if part.get("type") is None:
                texts.append(text)
            case {"toolUse": _} | {"toolResult": _}:
                raise _LeftOutError(TOOLS)
            case {"type": str() as kind}:
                raise _LeftOutError(TOOLS if "tool" in kind else FILES)
            case {"image": _} | {"document": _} | {"video": _} | {"audio": _}:
                raise _LeftOutError(FILES)
            case _:
                raise ValueError("it holds a part of a message that is no text")
    return texts, thoughts


def _opened(value: Any) -> Any:
    """What a table's cell or a proxy holds as JSON in a string."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _unwrapped(value: Any) -> Any:
    """A body without the HTTP message around it."""
    message = _opened(value)
    if isinstance(message, Mapping) and "body" in message and not message.keys() & {"messages", "choices"}:
        _refuse_failed(message)
        return message["body"]
    return value


_BAD_STATUS = re.compile(r"[1345]\d\d|-\d+|failure|error")


def _refuse_failed(around: Row) -> None:
    """Leave out what says of itself that it failed."""
    errors = (around.get(name) for name in ("error", "error_str", "errorCode"))
    statuses = (around.get(name) for name in ("status", "status_code", "response_status"))
    if any(isinstance(error, str | Mapping) and error for error in errors) or any(
        isinstance(status, str | int) and _BAD_STATUS.fullmatch(str(status)) for status in statuses
    ):
        raise _LeftOutError(FAILED)


def _name(value: Any) -> str:
    return _clean(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value <= LARGEST_COUNT else 0


def _clean(text: str) -> str:
    """Text without the lone surrogates that JSON can carry and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", errors="replace").decode("utf-8")


def _keys(row: Row) -> str:
    return f"there are the keys {', '.join(map(str, list(row)[:20]))}" if row else "there are no keys"
