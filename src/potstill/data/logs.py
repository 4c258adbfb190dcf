"""Teacher logs already paid for: rows of logs become questions with their answers.

The form is recognized row by row. Where each was read:

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
- why an answer ended: platform.claude.com/docs/en/build-with-claude/handling-stop-reasons;
  docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html
- ``instruction`` with ``input`` and ``output``: card of bertin-project/alpaca-spanish, of Alpaca's own file; with
  ``context`` and ``response``: card of aisquared/databricks-dolly-15k
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from potstill.data.files import Placed
from potstill.data.log_messages import (
    EMPTY,
    FAILED,
    NO_TEXT,
    UNANSWERED,
    UNKNOWN,
    LeftOutError,
    Row,
    UnknownFormError,
    as_name,
    opened,
    read_answer,
    read_request,
    refuse_failed,
    shown_keys,
    text_answer,
)
from potstill.errors import RecipeError
from potstill.models import encodable
from potstill.models.remote.wire import parse_token_count
from potstill.progress import echo


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
        except LeftOutError as reason:
            left_out[str(reason)] += 1
        except (ValueError, RecursionError) as error:
            # A log of Bedrock's holds the answers of all the models of an account.
            if isinstance(error, UnknownFormError) and row.get("schemaType") == "ModelInvocationLog":
                left_out[UNKNOWN] += 1
                continue
            raise RecipeError(f"{where}: {error}.") from error
        else:
            yield exchange.place, logged
    left_out[UNANSWERED] = batches.unanswered()
    if n := left_out.total():
        echo(f"  logs: {n} rows left out: " + ", ".join(f"{m} {reason}" for reason, m in left_out.most_common() if m))


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
        if isinstance(request := opened(row.get(asked)), Mapping) and answered in row:
            refuse_failed(row)
            return _Exchange(place, _unwrapped(request), _unwrapped(row[answered]), row, as_name(row.get("custom_id")))
    if isinstance(messages := opened(row.get("messages")), list) and messages:
        return _of_messages(place, row, messages)
    if isinstance(items := opened(row.get("output")), list) and "input" in row:
        refuse_failed(row)
        return _Exchange(place, row, {"status": "completed", **row, "output": items}, row)
    return _of_pair(place, row)


def _of_messages(place: str, row: Row, messages: list[Any]) -> _Exchange:
    refuse_failed(row)
    answered = next((row[name] for name in ("response", "completion") if row.get(name) is not None), None)
    if answered is not None:
        said = isinstance(answered, str) and row.get("response") is None
        answered = text_answer(answered, row) if said else _unwrapped(answered)
    elif messages and isinstance(messages[-1], Mapping) and messages[-1].get("role") == "assistant":
        *messages, answered = messages
    elif "response" not in row and "completion" not in row:
        raise ValueError(
            "there is no answer to its messages: expected 'response', 'completion', or a last message of the role "
            f"'assistant'; {shown_keys(row)}"
        )
    return _Exchange(place, {**row, "messages": messages}, answered, row, as_name(row.get("custom_id")))


QUESTIONS, ANSWERS = ("prompt", "instruction", "input"), ("completion", "response", "output")


def _of_pair(place: str, row: Row) -> _Exchange:
    question = next((name for name in QUESTIONS if isinstance(row.get(name), str)), "")
    answers = [name for name in ANSWERS if name in row]
    answer = next((row[name] for name in answers if row[name] is not None), None)
    if not question or not answers or not isinstance(answer, str | int | float | None):
        raise ValueError(
            "a log of no known form. Expected 'request' and 'response'; 'messages' and 'response' or 'completion'; lines of "
            "an OpenAI batch, with 'custom_id'; Amazon Bedrock's invocation log, with 'schemaType'; or text under 'prompt' "
            f"and 'completion' ('instruction' and 'response', 'input' and 'output'); {shown_keys(row)}"
        )
    if opened(row.get("history")):
        raise ValueError("a question with a 'history' is not read; write the turns as 'messages'")
    refuse_failed(row)
    asked = row[question]
    if question == "instruction":
        more = next((row[name] for name in ("input", "context") if isinstance(row.get(name), str)), "")
        asked = f"{asked}\n\n{more}" if more.strip() else asked
    messages = [{"role": "user", "content": asked}]
    said = text_answer("" if answer is None else str(answer), row)
    return _Exchange(place, {"messages": messages, "system": row.get("system")}, said, row)


def _of_bedrock(place: str, row: Row) -> _Exchange:
    refuse_failed(row)
    (asked, prompt_tokens), (answered, completion_tokens) = (
        _of_bedrock_side(row, side) for side in ("input", "output")
    )
    # An ARN names the account; the model is what stands behind its last slash.
    model = str(row.get("modelId") or "").rpartition("/")[2]
    return _Exchange(
        place, asked, answered, row, as_name(row.get("requestId")), model, prompt_tokens, completion_tokens
    )


def _of_bedrock_side(row: Row, name: str) -> tuple[Any, int]:
    side = opened(row.get(name))
    if isinstance(side, Mapping):
        if (body := opened(side.get(f"{name}BodyJson"))) is not None:
            return body, parse_token_count(side.get(f"{name}TokenCount"))
        if path := side.get(f"{name}BodyS3Path"):
            raise ValueError(
                f"its {name} stands in S3 ({path}) and not in the row. Put that object into the row, as "
                f"{name}.{name}BodyJson, or take the row out"
            )
    raise LeftOutError(NO_TEXT)


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
        if not (key := as_name(row["custom_id"])):
            raise ValueError("its custom_id is no text")
        if (body := opened(row.get("body"))) is not None:
            self._hold(self.asked, key, place, body)
        else:
            self._check(key, row)
            self._hold(self.answered, key, place, row)
        if key not in self.asked or key not in self.answered:
            return None
        asked_at, asked = self.asked.pop(key)
        answered_at, answered = self.answered.pop(key)
        where = f"{answered_at} and its request ({asked_at})"
        return _Exchange(answered_at, asked, opened(answered["response"])["body"], {}, key, where=where)

    def _check(self, key: str, row: Row) -> None:
        """A request that failed may be answered in a later batch: what was asked is kept."""
        response = opened(row.get("response"))
        try:
            refuse_failed(row)
            if not isinstance(response, Mapping) or response.get("body") is None:
                raise LeftOutError(FAILED)
            refuse_failed(response)
        except LeftOutError:
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
    answer = read_answer(exchange.answered)
    request = opened(exchange.asked)
    if not isinstance(request, Mapping):
        raise ValueError("its request is no object")
    messages = read_request(request)
    if not answer.text.strip():
        raise LeftOutError(EMPTY)
    row = exchange.row
    named = (exchange.model, answer.model, request.get("model"), row.get("model"))
    return Logged(
        ids.own(exchange.id or answer.id or as_name(row.get("id")) or str(number)),
        messages,
        encodable(answer.text),
        next((name for name in map(as_name, named) if name), ""),
        answer.finish_reason,
        exchange.prompt_tokens or answer.prompt_tokens or parse_token_count(row.get("prompt_tokens")),
        exchange.completion_tokens or answer.completion_tokens or parse_token_count(row.get("completion_tokens")),
        encodable(answer.reasoning),
    )


def _unwrapped(value: Any) -> Any:
    """A body without the HTTP message around it."""
    message = opened(value)
    if isinstance(message, Mapping) and "body" in message and not message.keys() & {"messages", "choices"}:
        refuse_failed(message)
        return message["body"]
    return value
