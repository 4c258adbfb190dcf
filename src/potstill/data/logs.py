"""Parse logs of a teacher: each row becomes a question with the answer that was already paid for.

The format is recognized for each row. Sources of the formats:

- request and response (``choices[0].message``): openai/openai-openapi, CreateChatCompletionResponse; in exports
  - ``request_body``, ``response_body``: Helicone/helicone examples/export/typescript/index.ts
  - ``input``, ``output``: docs.openpipe.ai/features/request-logs/exporting-logs
  - ``input``, ``output`` as items of the Responses API (also as bodies): docs.rs/crate/openai-types src/responses/
  - ``messages``, ``response``, ``prompt_tokens``: docs.litellm.ai/docs/proxy/logging_spec (StandardLoggingPayload)
- ``messages`` that end in an answer: openai/openai-cookbook examples/Chat_finetuning_data_prep.ipynb
- lines of OpenAI's batches: docs.rs/crate/openai-client-base docs/BatchRequestOutput*.md; BerriAI/litellm tests of batch_utils
- Amazon Bedrock's invocation log: docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
  - Converse, ConverseStream: dheerajoruganty/aws-bedrock-logs-mcp-server setup.md
  - Anthropic's messages: docs.sumologic.com, Amazon Bedrock; as a list of events where they were streamed:
    rxbynerd/dressage internal/conversation/parse_test.go, anthropics/claude-code issue 25022
  - Meta's Llama, and its prompt: aws-samples/amazon-bedrock-samples, dataset-validation; model-parameters-meta.html
  - bodies in S3 (more than 100 KB): rxbynerd/dressage docs/providers/bedrock.md
- stop reasons: platform.claude.com/docs/en/build-with-claude/handling-stop-reasons;
  docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html
- ``instruction`` with ``input`` and ``output``: card of bertin-project/alpaca-spanish, of Alpaca's own file; with
  ``context`` and ``response``: card of aisquared/databricks-dolly-15k
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from potstill.data.log_messages import (
    FAILED,
    NO_TEXT,
    UNANSWERED,
    UNKNOWN,
    Row,
    UnknownFormError,
    answer_from_text,
    decode_json,
    describe_keys,
    name_or_empty,
    parse_answer,
    parse_request,
    raise_if_failed,
)
from potstill.data.texts import LocatedRows
from potstill.errors import RecipeError
from potstill.models import encodable
from potstill.models.remote.wire import parse_token_count
from potstill.tasks.literals import decode
from potstill.tasks.messages import BETWEEN_JOINED, EMPTY, LeftOutError, parse_message


@dataclass(frozen=True)
class LoggedAnswer:
    """A question and the answer that a model gave."""

    id: str
    messages: list[dict[str, str]]
    """The request: ``{role: system | user | assistant, content}``."""
    text: str
    model: str = ""
    finish_reason: str = "stop"
    """`stop`, `length` or `content_filter`."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Token counts are 0 where the log has none."""
    reasoning: str = ""


def parse(rows: LocatedRows, left_out: Counter[str]) -> Iterator[tuple[str, LoggedAnswer]]:
    """Each answer with its location. Raises `RecipeError` for a row of unknown format.

    Rows that cannot be used (tool calls, images, failed requests, empty answers) are left out, and counted by reason in
    ``left_out``. Memory holds only batch lines whose other half has not arrived yet, and a number for each id.
    """
    batches, ids = _Batches(), _Ids()
    for number, (location, row) in enumerate(rows, 1):
        where = location
        try:
            exchange = batches.add(location, row) if _is_batch_line(row) else _exchange(location, row)
            if exchange is None:
                continue
            where = exchange.where or location
            logged = _logged(exchange, ids, number)
        except LeftOutError as reason:
            left_out[str(reason)] += 1
        except (ValueError, RecursionError) as error:
            # A Bedrock log holds the answers of all models of an account.
            if isinstance(error, UnknownFormError) and row.get("schemaType") == "ModelInvocationLog":
                left_out[UNKNOWN] += 1
                continue
            raise RecipeError(f"{where}: {error}.") from error
        else:
            yield exchange.location, logged
    if n := batches.unanswered():
        left_out[UNANSWERED] += n


class _Ids:
    """Makes ids unique: a second "a" becomes "a-2"."""

    def __init__(self) -> None:
        self.last: dict[int, int] = {}  # by hash, since a million entries take 100 MB

    def unique(self, id_: str) -> str:
        n = self.last.get(hash(id_), 0) + 1
        unique = id_
        if n > 1:
            while hash(unique := f"{id_}-{n}") in self.last:
                n += 1
            self.last[hash(unique)] = 1
        self.last[hash(id_)] = n
        return unique


@dataclass(frozen=True)
class _Exchange:
    """A request and its answer, each in the format of its API, and the row around them."""

    location: str
    request: Any
    answer: Any
    row: Row
    id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    where: str = ""
    """The location for error messages, where it names more than one line."""


def _exchange(location: str, row: Row) -> _Exchange:
    if row.get("schemaType") == "ModelInvocationLog":
        return _exchange_from_bedrock(location, row)
    for request_key, answer_key in (("request", "response"), ("request_body", "response_body"), ("input", "output")):
        if isinstance(request := decode_json(row.get(request_key)), Mapping) and answer_key in row:
            raise_if_failed(row)
            custom_id = name_or_empty(row.get("custom_id"))
            return _Exchange(location, _http_body(request), _http_body(row[answer_key]), row, id=custom_id)
    if isinstance(messages := decode(row.get("messages") or row.get("conversations")), list) and messages:
        return _exchange_from_messages(location, row, messages)
    if isinstance(items := decode_json(row.get("output")), list) and "input" in row:
        raise_if_failed(row)
        return _Exchange(location, row, {"status": "completed", **row, "output": items}, row)
    return _exchange_from_pair(location, row)


def _exchange_from_messages(location: str, row: Row, messages: list[Any]) -> _Exchange:
    raise_if_failed(row)
    answer = next((row[name] for name in ("response", "completion") if row.get(name) is not None), None)
    if answer is not None:
        is_text = isinstance(answer, str) and row.get("response") is None
        answer = answer_from_text(answer, row) if is_text else _http_body(answer)
    elif replies := list(takewhile(_is_reply, reversed(messages))):
        messages, answer = messages[: -len(replies)], _one_reply(replies[::-1])
    elif "response" not in row and "completion" not in row:
        raise ValueError(
            "there is no answer to its messages: expected 'response', 'completion', or a last message of the role "
            f"'assistant'; {describe_keys(row)}"
        )
    return _Exchange(location, {**row, "messages": messages}, answer, row, id=name_or_empty(row.get("custom_id")))


def _is_reply(message: Any) -> bool:
    return isinstance(message, Mapping) and str(message.get("role") or message.get("from")) in ("assistant", "gpt")


def _one_reply(replies: list[Any]) -> Any:
    """The last turns, all of them the assistant's, as one."""
    if len(replies) == 1 and "role" in replies[0]:
        return replies[0]
    return {"role": "assistant", "content": BETWEEN_JOINED.join(parse_message(reply)["content"] for reply in replies)}


QUESTION_KEYS, ANSWER_KEYS = ("prompt", "instruction", "input"), ("completion", "response", "output")


def _exchange_from_pair(location: str, row: Row) -> _Exchange:
    question = next((name for name in QUESTION_KEYS if isinstance(row.get(name), str)), "")
    answers = [name for name in ANSWER_KEYS if name in row]
    answer = next((row[name] for name in answers if row[name] is not None), None)
    if not question or not answers or not isinstance(answer, str | int | float | None):
        raise ValueError(
            "a log of unknown format. Expected 'request' and 'response'; 'messages' and 'response' or 'completion'; lines of "
            "an OpenAI batch, with 'custom_id'; Amazon Bedrock's invocation log, with 'schemaType'; or text under 'prompt' "
            f"and 'completion' ('instruction' and 'response', 'input' and 'output'); {describe_keys(row)}"
        )
    if decode_json(row.get("history")):
        raise ValueError("a question with a 'history' is not supported; write the turns as 'messages'")
    raise_if_failed(row)
    content = row[question]
    if question == "instruction":
        context = next((row[name] for name in ("input", "context") if isinstance(row.get(name), str)), "")
        content = f"{content}\n\n{context}" if context.strip() else content
    messages = [{"role": "user", "content": content}]
    text = answer_from_text("" if answer is None else str(answer), row)
    return _Exchange(location, {"messages": messages, "system": row.get("system")}, text, row)


def _exchange_from_bedrock(location: str, row: Row) -> _Exchange:
    raise_if_failed(row)
    (request, prompt_tokens), (answer, completion_tokens) = (_bedrock_body(row, side) for side in ("input", "output"))
    # An ARN names the account too; the model follows its last slash.
    model = str(row.get("modelId") or "").rpartition("/")[2]
    return _Exchange(
        location,
        request,
        answer,
        row,
        id=name_or_empty(row.get("requestId")),
        model=model,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )


def _bedrock_body(row: Row, name: str) -> tuple[Any, int]:
    side = decode_json(row.get(name))
    if isinstance(side, Mapping):
        if (body := decode_json(side.get(f"{name}BodyJson"))) is not None:
            return body, parse_token_count(side.get(f"{name}TokenCount"))
        if path := side.get(f"{name}BodyS3Path"):
            raise ValueError(
                f"its {name} is in S3 ({path}) and not in the row. Put that object into the row, as "
                f"{name}.{name}BodyJson, or remove the row"
            )
    raise LeftOutError(NO_TEXT)


def _is_batch_line(row: Row) -> bool:
    has_half = row.get("body") is not None or "response" in row or "error" in row
    return (
        row.get("custom_id") is not None
        and has_half
        and not row.keys() & {"request", "messages", "conversations", "schemaType", *QUESTION_KEYS}
    )


@dataclass
class _Batches:
    """Lines of OpenAI batches whose other half has not arrived yet, by their custom_id."""

    requests: dict[str, tuple[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[str, Row]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def add(self, location: str, row: Row) -> _Exchange | None:
        """The exchange that this line completes; None where its other half has not arrived yet."""
        if not (key := name_or_empty(row["custom_id"])):
            raise ValueError("its custom_id is not text")
        if (body := decode_json(row.get("body"))) is not None:
            self._hold(self.requests, key, location, body)
        else:
            self._require_answer(key, row)
            self._hold(self.answers, key, location, row)
        if key not in self.requests or key not in self.answers:
            return None
        request_at, request = self.requests.pop(key)
        answer_at, answer = self.answers.pop(key)
        where = f"{answer_at} and its request ({request_at})"
        return _Exchange(answer_at, request, decode_json(answer["response"])["body"], {}, id=key, where=where)

    def _require_answer(self, key: str, row: Row) -> None:
        """Raises `LeftOutError` for a failed request, whose line is kept: a later batch may answer it."""
        response = decode_json(row.get("response"))
        try:
            raise_if_failed(row)
            if not isinstance(response, Mapping) or response.get("body") is None:
                raise LeftOutError(FAILED)
            raise_if_failed(response)
        except LeftOutError:
            self.failed.add(key)
            raise

    def _hold(self, held: dict[str, tuple[str, Any]], key: str, location: str, line: Any) -> None:
        if key in held and held[key][1] != line:
            raise ValueError(
                f"the custom_id '{key}' is also in another line ({held[key][0]}), with different content. Use each batch "
                "separately"
            )
        held[key] = location, line

    def unanswered(self) -> int:
        """Number of requests without an answer, at the end. Raises `RecipeError` for an answer without its request."""
        if self.answers:
            key, (location, _) = next(iter(self.answers.items()))
            raise RecipeError(
                f"{location}: there is no request with the custom_id '{key}' ({len(self.answers)} such answers). The batch's "
                "input file must be in the same folder, or in the same stream."
            )
        return len(self.requests.keys() - self.failed)


def _logged(exchange: _Exchange, ids: _Ids, number: int) -> LoggedAnswer:
    answer = parse_answer(exchange.answer)
    request = decode_json(exchange.request)
    if not isinstance(request, Mapping):
        raise ValueError("its request is not an object")
    messages = parse_request(request)
    if not answer.text.strip():
        raise LeftOutError(EMPTY)
    row = exchange.row
    model_names = (exchange.model, answer.model, request.get("model"), row.get("model"))
    return LoggedAnswer(
        id=ids.unique(exchange.id or answer.id or name_or_empty(row.get("id")) or str(number)),
        messages=messages,
        text=encodable(answer.text),
        model=next((name for name in map(name_or_empty, model_names) if name), ""),
        finish_reason=answer.finish_reason,
        prompt_tokens=exchange.prompt_tokens or answer.prompt_tokens or parse_token_count(row.get("prompt_tokens")),
        completion_tokens=exchange.completion_tokens
        or answer.completion_tokens
        or parse_token_count(row.get("completion_tokens")),
        reasoning=encodable(answer.reasoning),
    )


def _http_body(value: Any) -> Any:
    """The body of an HTTP message; any other value unchanged."""
    message = decode_json(value)
    if isinstance(message, Mapping) and "body" in message and not message.keys() & {"messages", "choices"}:
        raise_if_failed(message)
        return message["body"]
    return value
