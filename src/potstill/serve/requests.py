"""Requests of OpenAI's chat API: what they may say, and what the student is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from potstill.errors import did_you_mean
from potstill.models import encodable
from potstill.serve import schemas
from potstill.serve.openai_errors import ApiError
from potstill.serve.prompt import Prompt
from potstill.serve.student import Student
from potstill.tasks.json_schema import JsonSchema
from potstill.tasks.messages import LeftOutError, in_turn, parse_message

MOST_STOPS, MOST_STOP_CHARACTERS = 4, 500
IGNORED = frozenset(
    (
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "verbosity",
    )
)
"""Fields that do not concern the answer."""
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,), "presence_penalty": (0,), "logit_bias": ({},), "tools": ([],), "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False), "functions": ([],), "function_call": ("none", "auto"), "modalities": (["text"],),
    "audio": (), "prediction": (), "reasoning_effort": (), "web_search_options": (),
}  # fmt: skip
"""Fields that a student does not have, with the values that ask for nothing."""


class StreamOptions(BaseModel):
    """What a stream has besides the answer."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class NamedSchema(BaseModel):
    """A schema that the answer must follow."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = "answer"
    description: str | None = None
    schema_: JsonSchema = Field(alias="schema")
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: NamedSchema | None = None

    def schema_of_answer(self) -> Mapping[str, Any] | None:
        """JSON Schema of the answer; None for any text. Raises `ApiError`."""
        match self.type:
            case "json_object":
                return {"type": "object"}
            case "json_schema":
                if self.json_schema is None:
                    raise ApiError(400, "response_format of type json_schema needs json_schema.", "response_format")
                if fault := schemas.fault(self.json_schema.schema_):
                    raise ApiError(400, f"response_format: the schema cannot be followed: {fault}.", "response_format")
                return self.json_schema.schema_
            case _:
                return None


def _as_list(stop: Any) -> Any:
    return [] if stop is None else [stop] if isinstance(stop, str) else stop


Stop = Annotated[str, StringConstraints(min_length=1, max_length=MOST_STOP_CHARACTERS)]


class Body(BaseModel):
    """The JSON of a request for a chat completion."""

    model_config = ConfigDict(extra="allow")

    messages: list[Any] = Field(min_length=1)
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Annotated[list[Stop], Field(max_length=MOST_STOPS), BeforeValidator(_as_list)] = []
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: ResponseFormat | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be answered.

    messages: the chat, with the system message that the recipe adds. prompt: what the engine is asked. limit: the client's own limit on the
    tokens of the answer; None for none.
    """

    messages: Sequence[Mapping[str, str]]
    prompt: Prompt
    stream: bool
    include_usage: bool
    limit: int | None = None


def parsed(body: bytes) -> Body:
    """The request of a body. Raises `ApiError` that names the field at fault."""
    try:
        found = orjson.loads(body)
    except ValueError as error:
        raise ApiError(400, f"The body is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ApiError(400, "The body is no JSON object.")
    try:
        request = Body.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(map(str, first["loc"]))
        raise ApiError(400, f"{param}: {first['msg']}.", param) from error
    for name, value in (request.model_extra or {}).items():
        _check_other(name, value)
    return request


def asked(request: Body, student: Student) -> Asked:
    """What the student is asked. Raises `ApiError` for a chat that it cannot be asked, and for one that is too long."""
    if request.model not in (None, student.name):
        raise ApiError(
            404,
            f"The model '{request.model[:100]}' does not exist here; this server has '{student.name}'.",
            "model",
            "model_not_found",
        )
    messages = student.with_system(_chat(request.messages))
    try:
        tokens = student.chat.tokens(messages)
    except Exception as error:  # a template is a program, and may raise anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ApiError(
            400, f"messages: the student's chat template cannot show this chat: {reason}.", "messages"
        ) from error
    room = student.context - len(tokens)
    if room < 1:
        raise ApiError(
            400,
            f"messages: the prompt has {len(tokens)} tokens, and prompt and answer together have {student.context} at most.",
            "messages",
            "context_length_exceeded",
        )
    own = request.max_completion_tokens or request.max_tokens
    return Asked(
        messages,
        Prompt(
            tokens, min(own or student.max_tokens, room), request.temperature or 0.0, request.top_p or 1.0, _seed(request.seed), request.stop, _logprobs(request),
            request.response_format.schema_of_answer() if request.response_format else None,
        ),
        bool(request.stream),
        bool(request.stream_options and request.stream_options.include_usage),
        own,
    )  # fmt: skip


def _check_other(name: str, value: Any) -> None:
    """Raises `ApiError` for a field that would change the answer."""
    if value is None or name in IGNORED or value in NEUTRAL.get(name, ()):
        return
    if name in NEUTRAL:
        raise ApiError(400, f"{name}: a student has none. Leave it out.", name, "unsupported_parameter")
    known = [*Body.model_fields, *NEUTRAL, *IGNORED]
    raise ApiError(400, f"Unknown field '{name[:100]}'.{did_you_mean(name, known)}", name[:100], "unknown_parameter")


def _chat(messages: Sequence[Any]) -> list[dict[str, str]]:
    """The turns of a chat whose last one is the user's. Raises `ApiError`."""
    try:
        chat = in_turn([_message(message) for message in messages])
    except LeftOutError as error:
        raise ApiError(400, f"messages: a student answers chats of text; this one has {error}.", "messages") from error
    except ValueError as error:
        raise ApiError(400, f"messages: the chat {error}.", "messages") from error
    if chat[-1]["role"] != "user":
        raise ApiError(400, "messages: the last message must be the user's.", "messages")
    return chat


def _message(message: Any) -> dict[str, str]:
    parsed = parse_message(message)
    return {"role": parsed["role"], "content": encodable(parsed["content"])}


def _logprobs(request: Body) -> int | None:
    if not request.logprobs:
        if request.top_logprobs:
            raise ApiError(400, "top_logprobs: it needs logprobs: true.", "top_logprobs")
        return None
    return request.top_logprobs or 0


def _seed(seed: int | None) -> int | None:
    """Engines take 32 bits, of which llama.cpp takes the highest for a random one."""
    return None if seed is None else seed % (2**32 - 1)
