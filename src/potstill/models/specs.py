"""Model sections of a recipe: local weights, endpoints, servers to start, and budgets."""

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from potstill.config import Section
from potstill.errors import RecipeError
from potstill.models import prices
from potstill.models.local import packaged
from potstill.models.local.weights import LocalWeights
from potstill.models.prices import BATCH_PRICE_FACTOR, Price
from potstill.models.remote import address

Engine = Literal["in process", "server"]


class ModelSpec(Protocol):
    """The interface of all model sections."""

    @property
    def name(self) -> str:
        """The name to show to the user."""

    @property
    def charged(self) -> Price | None:
        """The price of its tokens; None if it is unknown or nothing is charged."""

    @property
    def price_note(self) -> str:
        """A sentence on the source of the price; empty if it needs no explanation."""

    @property
    def concurrency(self) -> int:
        """Maximum number of concurrent requests."""

    @property
    def thinking_tokens(self) -> int:
        """Maximum number of reasoning tokens, in addition to those of the answer."""

    @property
    def engine(self) -> Engine:
        """Where it runs. Seconds of an answer are a share of a batch in process and a latency on a server, so those of different
        engines cannot be compared."""

    def check(self) -> None:
        """Raises `RecipeError` for a model that cannot be used here. Does not download, load or request anything."""

    def download(self) -> object:
        """Download its weights unless they are cached. Raises `PotstillError`."""

    def is_downloaded(self) -> bool:
        """Whether it can be opened without a download."""

    def cached_folder(self) -> Path | None:
        """The folder of its weights and tokenizer, if it runs in this process and they are cached."""


class Budget(Section):
    """Spending limits of a model, across all stages and invocations of a run. At a limit no further request is sent."""

    max_cost: float | None = Field(default=None, gt=0)
    """US dollars; requires a price."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of prompts and completions."""
    max_requests: int | None = Field(default=None, ge=1)
    """Completed requests."""


def _base_address(url: str) -> str:
    parts = urlsplit(url)
    parts.port  # noqa: B018 - raises ValueError for an invalid port
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise ValueError("leave out /chat/completions: it is appended to the base address")
    return url


def _without_secrets(url: str) -> str:
    _, _, query = url.partition("?")
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name != "api-version" and value != "{api_key}":
            raise ValueError(
                "only api-version is allowed in a url's query; write {api_key} for a key, as in ...?code={api_key}; it is read "
                "from the variable that api_key_env names"
            )
    return url


def _names(fields: dict[str, Any]) -> dict[str, Any]:
    if wrong := next((name for name in fields if not (name.isidentifier() and name.isascii())), None):
        raise ValueError(f"'{wrong}' cannot be a keyword of a chat template")
    return fields


def _json_object(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as they are sent: YAML allows numbers as keys, JSON does not."""
    try:
        sent: dict[str, Any] = json.loads(json.dumps(fields, allow_nan=False))
        orjson.dumps(sent)
        return sent
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON: {error}") from error


Keywords = Annotated[dict[str, Any], AfterValidator(_json_object), AfterValidator(_names)]
"""Values of keywords of a chat template."""


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
    It must not contain a password: see `api_key_env`. If the key is part of the address, write `{api_key}` in its place."""
    model: str
    """Name of the model on that server."""
    same_as: str | None = None
    """Stored answers are shared between all endpoints with this value, whatever their `url` and `model`."""
    api_key_env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Name of the environment variable with the key or bearer token. A recipe never contains the key itself."""
    api_key_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")] = "Authorization"
    """Header in which the key is sent: `Authorization` (as a bearer token), or `api-key` for Azure."""
    mode: Literal["requests", "batch"] = "requests"
    """`batch` submits the requests as files (the batch endpoints of OpenAI and Azure): answers within a day, at half the
    price."""
    extra_body: Annotated[dict[Any, Any], AfterValidator(_json_object)] = {}
    """Fields added to the JSON body of each request, such as `reasoning_effort: low`; null takes a field out (`seed: null`)."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Maximum number of reasoning tokens, in addition to those of the answer (`max_tokens`)."""
    concurrency: int = Field(default=16, ge=1, le=4096)
    """Maximum number of concurrent requests; reduced automatically while the server is throttling."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Maximum number of requests per minute. The server's own limits (`x-ratelimit-*` headers) always apply."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Maximum number of tokens per minute, prompts and completions together."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds until a request fails with a timeout."""
    first_token_timeout: float | None = Field(default=None, gt=0)
    """Seconds until the first token must arrive. If set, answers are streamed."""
    max_attempts: int = Field(default=8, ge=1, le=100)
    """Maximum number of attempts at a request when the server is busy or unreachable."""
    price: Price | None = None
    """Its prices. Default: those of a dated table in this package; for servers that the table lacks, no cost is shown."""

    engine: ClassVar[Engine] = "server"

    @property
    def name(self) -> str:
        return self.model

    @property
    def charged(self) -> Price | None:
        """The price in the recipe or else in the packaged table, reduced in batch mode; None if neither has one."""
        price = self.price
        if price is None and (listed := prices.lookup(self.url, self.model)):
            price = Price(input=listed[0], cached_input=listed[1], output=listed[2])
        return price.scaled(BATCH_PRICE_FACTOR) if price and self.mode == "batch" else price

    @property
    def price_note(self) -> str:
        half = " at half price, in batches" if self.mode == "batch" else ""
        if self.charged and self.price is None:
            return f"Based on the prices of {prices.as_of()}{half}; set model.price if they have changed."
        return f"Based on the recipe's prices{half}." if self.charged and half else ""

    def read_key(self) -> str:
        """The key from the environment; empty if none is sent. Raises `RecipeError` when it is not set or invalid."""
        if self.api_key_env is None:
            return ""
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise RecipeError(
                f"The key of {self.url} should be in the environment variable {self.api_key_env}, which is empty. "
                f"Set it: export {self.api_key_env}=..."
            )
        if not key.isprintable() or not key.isascii():
            raise RecipeError(f"The key in {self.api_key_env} contains invalid characters; set it again.")
        return key

    def check(self) -> None:
        address.proxy_for(address.join(self.url, self.read_key(), ""))

    def download(self) -> None:
        """Does nothing: the weights are on the server."""

    def is_downloaded(self) -> bool:
        return True

    def cached_folder(self) -> None:
        """None: the server renders and counts tokens."""
        return None

    @model_validator(mode="after")
    def _require_key_variable(self) -> "Endpoint":
        if "{api_key}" in self.url and self.api_key_env is None:
            raise ValueError("the url contains {api_key}; name its variable in api_key_env")
        return self


class Served(Section):
    """A server that potstill starts on a loopback port and stops when it is done."""

    serve: Literal["llama.cpp", "vllm"]
    """`llama.cpp` for a GGUF file that fits into memory (`pip install 'potstill[llama-cpp]'`), `vllm` for GPUs (`vllm serve`)."""
    model: LocalWeights
    """For llama.cpp `packaged/NAME` or a `.gguf` file, for vLLM `hf/ORG/NAME` or a folder."""
    concurrency: int = Field(default=8, ge=1, le=4096)
    """Maximum number of concurrent requests; the number of slots of llama.cpp."""
    context: int = Field(default=4096, ge=64)
    """Maximum number of tokens of prompt and answer together, for each request."""
    arguments: list[str] = []
    """Additional arguments of `vllm serve`, such as `--tensor-parallel-size=8`."""
    thinking_tokens: int = Field(default=0, ge=0)
    """Maximum number of reasoning tokens, in addition to those of the answer (`max_tokens`)."""
    timeout: float = Field(default=600.0, gt=0)
    """Seconds until a request fails with a timeout."""
    start_timeout: float = Field(default=1800.0, gt=0)
    """Seconds until the server must be ready."""

    engine: ClassVar[Engine] = "server"

    @property
    def name(self) -> str:
        return self.model.location

    @property
    def charged(self) -> None:
        return None

    @property
    def price_note(self) -> str:
        return ""

    def check(self) -> None:
        if self.serve == "vllm":
            if shutil.which("vllm") is None:
                raise RecipeError(
                    f"{{serve: vllm, model: {self.model}}}: there is no vllm on the PATH; see https://docs.vllm.ai for its "
                    "installation."
                )
            return
        if find_spec("xllamacpp") is None:
            raise RecipeError(
                f"{{serve: llama.cpp, model: {self.model}}} needs xllamacpp: pip install 'potstill[llama-cpp]'."
            )
        if self.model.packaged_name:
            packaged.lookup(self.model.packaged_name)
        elif not Path(self.model.location).is_file():
            raise RecipeError(f"Model '{self.model}': there is no such file.")

    def download(self) -> str:
        """The model argument of the server: the path of a GGUF file, downloaded if it is packaged; for vLLM a name or
        folder."""
        if self.model.packaged_name:
            return str(packaged.download(self.model.packaged_name))
        return self.model.hub_name or self.model.location

    def is_downloaded(self) -> bool:
        name = self.model.packaged_name
        return name is None or packaged.lookup(name).path.exists()

    def cached_folder(self) -> None:
        """None: the server renders and counts tokens."""
        return None

    @model_validator(mode="after")
    def _validate_combination(self) -> "Served":
        gguf = self.model.packaged_name or self.model.location.endswith(".gguf")
        if self.serve == "llama.cpp" and not gguf:
            raise ValueError("llama.cpp reads a .gguf file or packaged/NAME")
        if self.serve == "vllm" and self.model.packaged_name:
            raise ValueError("vllm reads hf/ORG/NAME or a folder of weights")
        if self.serve == "llama.cpp" and self.arguments:
            raise ValueError("arguments are for vllm only")
        return self


TAGS: dict[type, str] = {LocalWeights: "local", Endpoint: "endpoint", Served: "served"}


def _tag(source: Any) -> str:
    if isinstance(source, dict):
        return "served" if "serve" in source else "endpoint"
    return TAGS.get(type(source), "local")


ModelSource = Annotated[
    Annotated[LocalWeights, Tag("local")] | Annotated[Endpoint, Tag("endpoint")] | Annotated[Served, Tag("served")],
    Discriminator(_tag),
]
"""`packaged/NAME` (see `potstill models`), `hf/ORG/NAME`, a folder, an endpoint, or a server to start."""
