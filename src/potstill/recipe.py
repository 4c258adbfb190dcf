"""What a recipe may say. The YAML is read by `potstill.recipe_file`; JSON Schema comes from these models."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    model_validator,
)

from potstill import prices


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class Condition(StrEnum):
    """One way to make training data and to prompt the student."""

    GOLD = "gold"
    VANILLA = "vanilla"
    COT_ANSWER = "cot-answer"
    COT_RATIONALE = "cot-rationale"


class System(StrEnum):
    """Who answers the test questions, and how it is asked."""

    BASE = "base"
    BASE_FEWSHOT = "base-fewshot"
    BASE_COT = "base-cot"
    STUDENT = "student"
    STUDENT_COT = "student-cot"
    TEACHER_PLAIN = "teacher-plain"
    TEACHER_DIRECT = "teacher-direct"
    TEACHER_COT = "teacher-cot"
    TEACHER_COT_FEWSHOT = "teacher-cot-fewshot"


class Filter(StrEnum):
    """A label that a generated row must pass to be trained on; the row is kept in the file either way."""

    PARSED = "parsed"
    FINISHED = "finished"
    RIGHT = "right"
    DUPLICATE = "duplicate"
    IN_TEST_SET = "in-test-set"
    TOO_LONG = "too-long"


def _beside_the_recipe(path: Path, info: ValidationInfo) -> Path:
    return Path(os.path.abspath((info.context or {}).get("folder", Path()) / path))


class Price(_Section):
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


class Budget(_Section):
    """What may be spent on a model, by all stages and sittings of a run. At a limit no other request is sent."""

    max_cost: float | None = Field(default=None, gt=0)
    """US dollars; needs a price."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of prompts and completions."""
    max_requests: int | None = Field(default=None, ge=1)
    """Requests that are answered."""


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


class Endpoint(_Section):
    """An OpenAI-compatible chat-completions server: OpenAI, Azure OpenAI, Azure AI, vLLM, llama.cpp, Ollama and others."""

    url: Annotated[
        str, StringConstraints(pattern=r"^https?://[^/@?#]+(?:[/?][^#]*)?$"), AfterValidator(_without_secrets)
    ]
    """Base address, such as `https://api.example.com/v1`, or of an Azure deployment
    `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT?api-version=2024-10-21`; `/chat/completions` is appended.
    No password in it: see `api_key_env`. Where the key belongs into the address, `{api_key}` stands for it."""
    model: str
    """Name of the model on that server."""
    same_as: str | None = None
    """Answers count as those of this one model, whichever server or name they come from."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key or bearer token. The key itself never stands in a recipe."""
    api_key_header: str = "Authorization"
    """Header in which the key is sent: `Authorization` (as a bearer token), or for keys of Azure `api-key`."""
    mode: Literal["requests", "batch"] = "requests"
    """`batch` hands the requests in as files (OpenAI's and Azure's batch endpoints): answers within a day, at half the
    price."""
    extra_body: dict[str, Any] = {}
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


def _model_beside_the_recipe(source: str, info: ValidationInfo) -> str:
    return source if source.startswith(("packaged/", "hf/")) else str(_beside_the_recipe(Path(source), info))


LocalSource = Annotated[str, StringConstraints(min_length=1), AfterValidator(_model_beside_the_recipe)]


class Served(_Section):
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


ModelSource = Annotated[
    Annotated[LocalSource, Tag("local")] | Annotated[Endpoint, Tag("endpoint")] | Annotated[Served, Tag("served")],
    Discriminator(_kind_of_source),
]
"""`packaged/NAME` (see `potstill models`), `hf/ORG/NAME`, a folder, an endpoint, or a server to start."""


class WordProblems(_Section):
    """Arithmetic word problems made from a seed; see `potstill.data.word_problems`."""

    source: Literal["word_problems"] = "word_problems"
    """Where the examples come from."""
    train: int = Field(default=150, ge=1)
    """Questions that the teacher answers."""
    validation: int = Field(default=30, ge=1)
    """Questions by which a checkpoint is chosen."""
    test: int = Field(default=100, ge=1)
    """Test questions of the templates that training uses, none of them a training question."""
    test_unseen: int = Field(default=100, ge=0)
    """Test questions of templates that training never uses."""


DataFile = Annotated[Path, AfterValidator(_beside_the_recipe)]


class Files(_Section):
    """Your own examples: JSON Lines (also gzipped), CSV or Parquet, a row for each question."""

    source: Literal["files"]
    """Where the examples come from."""
    train: DataFile
    """Rows that the teacher answers. Paths are relative to the recipe's folder."""
    validation: DataFile | Annotated[int, Field(ge=1)] = 30
    """Rows by which a checkpoint is chosen: a file, or so many drawn by seed out of `train`."""
    test: DataFile | Annotated[int, Field(ge=1)] = 100
    """Rows that systems are compared on: a file, or so many drawn by seed out of `train`."""
    test_unseen: DataFile | None = None
    """A second test set, of a kind that training never sees."""
    columns: dict[str, str] = {}
    """Your column for each of potstill's: the task's own (`question`), `gold`, and, if you have them, `id` and `group`.
    Left out: the column of the same name."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many rows are taken from the head of each file."""


Data = Annotated[
    Annotated[WordProblems, Tag("word_problems")] | Annotated[Files, Tag("files")],
    Discriminator(lambda data: data.get("source", "word_problems") if isinstance(data, dict) else data.source),
]


class Teacher(_Section):
    """The model that is distilled."""

    model: ModelSource
    """`packaged/NAME`, `hf/ORG/NAME`, a folder, `{url, model, api_key_env}`, or `{serve, model}`."""
    batch_size: int = Field(default=64, ge=1)
    """Answers generated at once when the model runs in this process."""
    budget: Budget | None = None
    """What may be spent on it; the run stops at a limit, and goes on when it is raised."""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.model if isinstance(self.model, str) else self.model.model

    @model_validator(mode="after")
    def _a_price_for_a_cost(self) -> "Teacher":
        priced = isinstance(self.model, Endpoint) and self.model.charged
        if self.budget and self.budget.max_cost is not None and not priced:
            raise ValueError("budget.max_cost needs model.price")
        return self


class Generate(_Section):
    """How the teacher is asked."""

    prompting: Literal["direct", "cot", "cot-fewshot"] | None = None
    """The task's prompt for the teacher. Left out: `direct` for the condition `vanilla`, otherwise `cot-fewshot`."""
    samples: int = Field(default=1, ge=1)
    """Completions for each question."""
    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus of the distribution that is drawn from."""
    max_tokens: int = Field(default=256, ge=1)
    """New tokens a completion may have; twice as many when the teacher is evaluated."""
    top_logprobs: int = Field(default=0, ge=0, le=20)
    """Alternatives kept with their log-probabilities for each token, where the server gives them."""

    @model_validator(mode="after")
    def _samples_differ(self) -> "Generate":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples at temperature 0 are all the same; set a temperature")
        return self


class Curate(_Section):
    """Which of the teacher's rows are trained on."""

    filters: list[Filter] = list(Filter)
    """Labels that a row must pass, in this order; the first that it fails is its reason. Each is a switch."""
    max_rows: int | None = Field(default=None, ge=1)
    """At most so many rows are kept, drawn by seed."""


class Student(_Section):
    """The model that is trained."""

    model: LocalSource
    """`packaged/NAME`, `hf/ORG/NAME`, or a folder with weights, relative to the recipe's."""
    batch_size: int = Field(default=64, ge=1)
    """Answers generated at once."""
    max_tokens: int = Field(default=256, ge=1)
    """New tokens that base and student may use for an answer; twice as many when they are evaluated."""


class Lora(_Section):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on all linear layers, merged into the weights at the end."""

    rank: int = Field(default=16, ge=1)
    """Rank of the adapters."""
    alpha: int = Field(default=32, ge=1)
    """Adapters are scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapters' input."""


class Train(_Section):
    """Supervised fine-tuning, loss on the completion only."""

    method: Literal["lora", "full"] = "lora"
    """Train adapters, or all weights."""
    lora: Lora = Lora()
    """The adapters; used by method `lora`."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the kept rows; a checkpoint is saved after each."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Peak rate; about 2e-3 suits small adapters, 2e-4 full fine-tuning of a small model."""
    batch_size: int = Field(default=4, ge=1)
    """Rows of one optimizer step."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Part of the steps in which the rate rises; then it falls as a cosine."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    max_length: int = Field(default=1024, ge=8)
    """Tokens of prompt, completion and end token; longer rows are labelled `too-long` and never cut."""


class Evaluate(_Section):
    """Who answers the test questions, and how answers are read."""

    systems: list[System] = Field(
        default=[System.BASE, System.BASE_FEWSHOT, System.STUDENT, System.TEACHER_DIRECT, System.TEACHER_COT_FEWSHOT],
        min_length=1,
    )
    """Systems that answer the same questions of each test split."""
    extraction: Literal["lenient", "strict"] = "lenient"
    """`strict` reads only the form that was asked for; `lenient` also the last answer-like piece of text."""
    margin: float = Field(default=0.05, gt=0, lt=1)
    """Student and teacher count as equal when the interval of their difference lies within this margin."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Level of all intervals."""

    @model_validator(mode="after")
    def _distinct(self) -> "Evaluate":
        if len(set(self.systems)) < len(self.systems):
            raise ValueError("a system is named twice")
        return self


class Report(_Section):
    """The report."""

    examples: int = Field(default=20, ge=0)
    """Test questions shown side by side."""


class Recipe(_Section):
    """One run: one task, one data set, one teacher, one student, one condition, one seed."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the run and of its folder."""
    task: Literal["math"]
    """What is asked; see `potstill.tasks`."""
    data: Data
    """Where the examples come from."""
    teacher: Teacher
    """The model that is distilled."""
    condition: Condition = Condition.COT_RATIONALE
    """`gold` trains on the data's own labels, `vanilla` on the teacher's direct answers, `cot-answer` on answers that
    the teacher reached by reasoning, `cot-rationale` on its reasoning and answer."""
    generate: Generate = Generate()
    """How the teacher is asked."""
    curate: Curate = Curate()
    """Which rows are trained on."""
    student: Student
    """The model that is trained."""
    train: Train = Train()
    """How it is trained."""
    evaluate: Evaluate = Evaluate()
    """How it is evaluated."""
    report: Report = Report()
    """What the report shows."""
    seed: int = Field(default=0, ge=0)
    """Seed of data, sampling and training."""

    @property
    def prompting(self) -> str:
        """The task's prompt for the teacher."""
        return self.generate.prompting or ("direct" if self.condition is Condition.VANILLA else "cot-fewshot")
