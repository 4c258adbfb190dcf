"""What a recipe may say of models: weights of this process, endpoints, servers to start, and budgets."""

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol
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


class ModelSpec(Protocol):
    """A model that a recipe names, and what it says of itself."""

    @property
    def name(self) -> str:
        """The name that people know it by."""

    @property
    def charged(self) -> Price | None:
        """What its tokens cost, where that is known."""

    @property
    def price_note(self) -> str:
        """Where the price comes from; empty where that goes without saying."""

    @property
    def concurrency(self) -> int:
        """Requests in flight at once, at most."""

    @property
    def thinking_tokens(self) -> int:
        """Tokens that it may think for, in addition to those of the answer."""

    def check(self) -> None:
        """Raises `RecipeError` for a model that cannot be used here; downloads, loads and asks nothing."""

    def download(self) -> object:
        """Download its weights unless they are cached. Raises `PotstillError`."""

    def is_downloaded(self) -> bool:
        """Whether it can be opened without a download."""

    def cached_folder(self) -> Path | None:
        """The folder of its weights and tokenizer, if it runs in this process and they are cached."""


class Budget(Section):
    """What may be spent on a model, across all stages and invocations of a run. At a limit no further request is sent."""

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
    def name(self) -> str:
        return self.model

    @property
    def charged(self) -> Price | None:
        """The recipe's price or the shipped table's, by ``mode``; None where neither has one."""
        price = self.price
        if price is None and (listed := prices.lookup(self.url, self.model)):
            price = Price(input=listed[0], cached_input=listed[1], output=listed[2])
        return price.scaled(BATCH_PRICE_FACTOR) if price and self.mode == "batch" else price

    @property
    def price_note(self) -> str:
        half = " at half price, in batches" if self.mode == "batch" else ""
        if self.charged and self.price is None:
            return f"By the prices of {prices.as_of()}{half}; give model.price if they have changed."
        return f"By the recipe's prices{half}." if self.charged and half else ""

    def read_key(self) -> str:
        """The key out of the environment; empty where none is sent. Raises `RecipeError` when it is not set."""
        if self.api_key_env is None:
            return ""
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise RecipeError(
                f"The key of {self.url} should be in the environment variable {self.api_key_env}, which is empty. "
                f"Set it: export {self.api_key_env}=..."
            )
        if not key.isprintable() or not key.isascii():
            raise RecipeError(f"The key in {self.api_key_env} holds characters that no key has; set it again.")
        return key

    def check(self) -> None:
        address.proxy_for(address.join(self.url, self.read_key(), ""))

    def download(self) -> None:
        """Nothing: the weights are the server's."""

    def is_downloaded(self) -> bool:
        return True

    def cached_folder(self) -> None:
        """None: the server renders and counts tokens."""
        return None

    @model_validator(mode="after")
    def _a_key_where_one_is_sent(self) -> "Endpoint":
        if "{api_key}" in self.url and self.api_key_env is None:
            raise ValueError("the url asks for {api_key}; name its variable in api_key_env")
        return self


class Served(Section):
    """A server that potstill starts on a loopback port and stops again when it is done."""

    serve: Literal["llama.cpp", "vllm"]
    """`llama.cpp` for a GGUF that memory holds (`pip install 'potstill[llama-cpp]'`), `vllm` on GPUs (`vllm serve`)."""
    model: LocalWeights
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
        """What the server is given: the path of a GGUF file, which is downloaded if it is packaged; for vLLM a name or
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
    def _one_kind(self) -> "Served":
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
