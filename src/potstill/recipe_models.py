"""What a recipe may say of models: endpoints, servers to start, weights, prices and budgets."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from potstill import prices

LARGEST = 1 << 40
"""Of whole numbers in a recipe: what every library and server takes."""


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _in_bounds(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(f"no number may be larger than {LARGEST:,}")
        return value


def beside_the_recipe(path: Path, info: ValidationInfo) -> Path:
    """A path as the recipe's folder has it."""
    return Path(os.path.abspath((info.context or {}).get("folder", Path()) / path))


class Price(Section):
    """What a server's tokens cost."""

    input: float = Field(ge=0)
    """US dollars for a million tokens of prompt."""
    output: float = Field(ge=0)
    """US dollars for a million tokens of completion, reasoning included."""
    cached_input: float | None = Field(default=None, ge=0)
    """US dollars for a million tokens of prompt that the server had read before. Left out: as `input`."""

    def times(self, factor: float) -> "Price":
        cached = None if self.cached_input is None else factor * self.cached_input
        return Price(input=factor * self.input, output=factor * self.output, cached_input=cached)

    def of(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """US dollars for so many tokens; ``cached_tokens`` are among ``prompt_tokens``."""
        cached = self.input if self.cached_input is None else self.cached_input
        read = self.input * (prompt_tokens - cached_tokens) + cached * cached_tokens
        return (read + self.output * completion_tokens) / 1e6


BATCH_PRICE = 0.5
"""Part of the price that OpenAI and Azure charge for requests in batches (as of 2026)."""


class Budget(Section):
    """What may be spent on a model, by all stages and sittings of a run. At a limit no other request is sent."""

    max_cost: float | None = Field(default=None, gt=0)
    """US dollars; needs a price."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of prompts and completions."""
    max_requests: int | None = Field(default=None, ge=1)
    """Requests that are answered."""


def _base_address(url: str) -> str:
    parts = urlsplit(url)
    parts.port  # noqa: B018 - raises ValueError for a port that is none
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise ValueError("leave out /chat/completions: it is appended to the base address")
    return url


def _without_secrets(url: str) -> str:
    _, _, query = url.partition("?")
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name != "api-version" and value != "{api_key}":
            raise ValueError(
                "only api-version may stand in a url's query; a key is written {api_key}, as in ...?code={api_key}, and read "
                "from the variable that api_key_env names"
            )
    return url


def _json_object(fields: dict[str, Any]) -> dict[str, Any]:
    """As it is sent: YAML has numbers as keys, and JSON has not."""
    try:
        sent: dict[str, Any] = json.loads(json.dumps(fields, allow_nan=False))
        orjson.dumps(sent)
        return sent
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON: {error}") from error


class Endpoint(Section):
    """An OpenAI-compatible chat-completions server: OpenAI, Azure OpenAI, Azure AI, vLLM, llama.cpp, Ollama and others."""

    url: Annotated[
        str,
        StringConstraints(pattern=r"^https?://[^/@?#\s]+(?:[/?][^#\s]*)?$"),
        AfterValidator(_base_address),
        AfterValidator(_without_secrets),
    ]
    """Base address, such as `https://api.example.com/v1`, or of an Azure deployment
    `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2024-10-21`; `/chat/completions` is appended.
    No password in it: see `api_key_env`. Where the key belongs into the address, `{api_key}` stands for it."""
    model: str
    """Name of the model on that server."""
    same_as: str | None = None
    """Answers count as those of this one model, whichever server or name they come from."""
    api_key_env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Name of the environment variable that holds the key or bearer token. The key itself never stands in a recipe."""
    api_key_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")] = "Authorization"
    """Header in which the key is sent: `Authorization` (as a bearer token), or for keys of Azure `api-key`."""
    mode: Literal["requests", "batch"] = "requests"
    """`batch` hands the requests in as files (OpenAI's and Azure's batch endpoints): answers within a day, at half the
    price."""
    extra_body: Annotated[dict[Any, Any], AfterValidator(_json_object)] = {}
    """Fields added to the body of each request, such as `reasoning_effort: low`."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Tokens that a reasoning model may think for, beside those of the answer (`max_tokens`)."""
    concurrency: int = Field(default=16, ge=1, le=4096)
    """Requests in flight at once, at most; fewer while the server pushes back."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Requests sent in a minute, at most. What the server says of its limits (`x-ratelimit-*`) is followed in any case."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Tokens of prompts and completions in a minute, at most."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds until a request counts as lost."""
    first_token_timeout: float | None = Field(default=None, gt=0)
    """Seconds until an answer must begin; answers are streamed then."""
    max_attempts: int = Field(default=8, ge=1, le=100)
    """Times a request is tried when the server is busy or out of reach."""
    price: Price | None = None
    """What it charges. Left out: as a shipped, dated table says, for the servers that it has; otherwise no cost is shown."""

    @property
    def charged(self) -> Price | None:
        """The recipe's price or the shipped table's, as the mode has it; None where neither says."""
        price = self.price
        if price is None and (listed := prices.listed(self.url, self.model)):
            price = Price(input=listed[0], cached_input=listed[1], output=listed[2])
        return price.times(BATCH_PRICE) if price and self.mode == "batch" else price

    @model_validator(mode="after")
    def _a_key_where_one_is_sent(self) -> "Endpoint":
        if "{api_key}" in self.url and self.api_key_env is None:
            raise ValueError("the url asks for {api_key}; name its variable in api_key_env")
        return self


def _modelbeside_the_recipe(source: str, info: ValidationInfo) -> str:
    return source if source.startswith(("packaged/", "hf/")) else str(beside_the_recipe(Path(source), info))


LocalSource = Annotated[str, StringConstraints(min_length=1), AfterValidator(_modelbeside_the_recipe)]


class Served(Section):
    """A server that potstill starts on a loopback port and stops again when it is done."""

    serve: Literal["llama.cpp", "vllm"]
    """`llama.cpp` for a GGUF that memory holds (`pip install 'potstill[llama-cpp]'`), `vllm` on GPUs (`vllm serve`)."""
    model: LocalSource
    """For llama.cpp `packaged/NAME` or a `.gguf` file, for vLLM `hf/ORG/NAME` or a folder."""
    concurrency: int = Field(default=8, ge=1, le=4096)
    """Requests in flight at once; the slots of llama.cpp."""
    context: int = Field(default=4096, ge=64)
    """Tokens of prompt and answer that each request may have."""
    arguments: list[str] = []
    """Further arguments of `vllm serve`, such as `--tensor-parallel-size=8`."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Tokens that a reasoning model may think for, beside those of the answer (`max_tokens`)."""
    timeout: float = Field(default=600.0, gt=0)
    """Seconds until a request counts as lost."""
    start_timeout: float = Field(default=1800.0, gt=0)
    """Seconds until the server must answer for the first time."""

    @model_validator(mode="after")
    def _of_one_kind(self) -> "Served":
        if self.serve == "llama.cpp" and not self.model.endswith(".gguf") and not self.model.startswith("packaged/"):
            raise ValueError("llama.cpp reads a .gguf file or packaged/NAME")
        if self.serve == "vllm" and self.model.startswith("packaged/"):
            raise ValueError("vllm reads hf/ORG/NAME or a folder of weights")
        if self.serve == "llama.cpp" and self.arguments:
            raise ValueError("arguments are for vllm only")
        return self


def _kind_of_source(source: Any) -> str:
    if isinstance(source, dict):
        return "served" if "serve" in source else "endpoint"
    return "endpoint" if isinstance(source, Endpoint) else "served" if isinstance(source, Served) else "local"


Dtype = Literal["auto", "float32", "bfloat16"]
"""The number format of a model in this process; see `potstill.models.weights.number_format`."""

ModelSource = Annotated[
    Annotated[LocalSource, Tag("local")] | Annotated[Endpoint, Tag("endpoint")] | Annotated[Served, Tag("served")],
    Discriminator(_kind_of_source),
]
"""`packaged/NAME` (see `potstill models`), `hf/ORG/NAME`, a folder, an endpoint, or a server to start."""
