"""Where a system is measured: on an endpoint, on a server that the recipe starts, or on an engine started for its weights."""

import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

from potstill.export.forms import form_named
from potstill.export.student import Student as Exported
from potstill.measure.load import Target
from potstill.measure.result import Cache
from potstill.measure.sides import Side
from potstill.measure.targets import EngineTarget, endpoint_target, prompts_of
from potstill.models.local import packaged, weights
from potstill.models.local.weights import LocalWeights
from potstill.models.prices import Price
from potstill.models.remote.dialect import Dialect
from potstill.models.remote.server import server_name
from potstill.models.served.launch import extra_body, run_server
from potstill.models.specs import Endpoint, Served
from potstill.recipe.asked import AskedModel
from potstill.recipe.systems import Role
from potstill.serve.engine import kind_of, started, written
from potstill.serve.student import Student
from potstill.workspace.artifacts import STUDENT
from potstill.workspace.digests import Part
from potstill.workspace.exports import content
from potstill.workspace.run import Run

LOCAL: tuple[Cache, ...] = ("cold", "warm")
OWN_CONNECTION = {"Connection": "close"}
"""llama.cpp closes a connection after a stream without saying so, and the next request would meet that."""
SPARE_TOKENS = 8
"""Of an engine's context, besides the longest prompt and answer."""


class Place(Protocol):
    """A server of one system."""

    @property
    def engine(self) -> str:
        """What answers."""

    @property
    def form(self) -> str:
        """The form of its weights; empty where it is not known."""

    @property
    def remote(self) -> bool:
        """Whether it is an endpoint."""

    @property
    def price(self) -> Price | None:
        """Of its tokens; None where there is none."""

    @property
    def caches(self) -> Sequence[Cache]:
        """The states of its cache that are measured."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides the measured numbers, of the model and of its server."""

    def prepare(self) -> None:
        """Write what it serves, unless that is done. Raises `PotstillError`."""

    def running(self, side: Side, concurrency: int, cache: Cache) -> AbstractAsyncContextManager[Target]:
        """The server within the context, with nothing in its cache. Raises `PotstillError` where it does not start."""


def place_of(run: Run, side: Side, form: str) -> Place:
    """Where a system is measured. Raises `RecipeError` for what no engine here runs.

    form: that in which local weights are served, the student's and the teacher's.
    """
    if side.system.role is Role.STUDENT:
        digest = run.digest(Part(STUDENT))
        return OfWeights(form, partial(written, run, form), run.student_folder, Student.of(run).ends, digest)
    teacher: AskedModel = run.recipe.teacher
    match teacher.model:
        case Endpoint() as endpoint:
            return OfEndpoint(endpoint, Dialect(run.store.left_out(server_name(endpoint))))
        case Served() as served:
            return OfServed(served, teacher.chat_template)
        case LocalWeights() as local:
            return _of_local(local, teacher.chat_template, form)
    raise TypeError(f"no place for {teacher.model!r}")


class OfEndpoint:
    """An endpoint: nothing is known of its cache, and other people use it too."""

    engine, form, remote = "endpoint", "", True
    caches: Sequence[Cache] = ("as served",)

    def __init__(self, endpoint: Endpoint, dialect: Dialect) -> None:
        self.endpoint, self.dialect = endpoint.model_copy(update={"mode": "requests"}), dialect
        self.price = self.endpoint.charged
        self.identity: Mapping[str, Any] = {
            "url": endpoint.url,
            "model": endpoint.model,
            "extra_body": endpoint.extra_body,
        }

    def prepare(self) -> None:
        """Does nothing: the weights are on the server."""

    def running(self, side: Side, concurrency: int, cache: Cache) -> AbstractAsyncContextManager[Target]:
        return endpoint_target(self.endpoint, self.dialect)


class OfServed:
    """A server that the recipe starts, by its chat API: its own template renders, as in the verdict."""

    remote = False
    price: Price | None = None
    caches: Sequence[Cache] = LOCAL

    def __init__(self, served: Served, chat_template: Mapping[str, Any]) -> None:
        served.check()
        self.served, self.chat_template = served, chat_template
        self._path = served.download()
        self.engine, self.form = served.serve, Path(self._path).name
        self.identity = {
            "serve": served.serve,
            "model": self._path,
            "arguments": served.arguments,
            "context": served.context,
        }

    def prepare(self) -> None:
        """Does nothing: the weights are there."""

    @asynccontextmanager
    async def running(self, side: Side, concurrency: int, cache: Cache) -> AsyncIterator[Target]:
        served = self.served.model_copy(update={"concurrency": concurrency})
        body = extra_body(served, self._path, self.chat_template) | _without_cache(self.engine, cache)
        async with run_server(served, self._path) as (url, _):
            endpoint = Endpoint(url=url, model=self._path, timeout=served.timeout, extra_body=body)
            async with endpoint_target(endpoint, Dialect(), OWN_CONNECTION) as target:
                yield target


@dataclass(frozen=True)
class OfWeights:
    """Weights in a form for an engine. find: the file or folder, which is written first unless it is there. folder: of their tokenizer and
    configuration."""

    form: str
    find: Callable[[], Path]
    folder: Path
    ends: Sequence[int]
    digest: str
    chat_template: Mapping[str, Any] = field(default_factory=dict)
    remote: ClassVar[bool] = False
    price: ClassVar[Price | None] = None
    caches: ClassVar[Sequence[Cache]] = LOCAL

    @property
    def engine(self) -> str:
        return kind_of(self.form).name

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"engine": self.engine, "form": self.form, "weights": self.digest}

    def prepare(self) -> None:
        kind_of(self.form).check()
        self.find()

    @asynccontextmanager
    async def running(self, side: Side, concurrency: int, cache: Cache) -> AsyncIterator[Target]:
        from potstill.models.local import loading

        chat = loading.load_chat(self.folder, self.chat_template)
        prompts = prompts_of(chat, [*side.questions, *side.warm_up], cached=cache == "warm")
        context = max(len(prompt.tokens) + prompt.max_tokens for prompt in prompts.values()) + SPARE_TOKENS
        kind = kind_of(self.form)
        async with started(kind, self.find(), concurrency, context, self.ends, self.folder, self.form) as client:
            yield EngineTarget(client, prompts)


def _of_local(local: LocalWeights, chat_template: Mapping[str, Any], form: str) -> Place:
    """The teacher's weights in the same form as the student's, for the same engine; converted once."""
    from potstill.models.local import loading

    folder = local.download()
    digest = weights.sha256(folder)
    chat = loading.load_chat(folder, chat_template)
    ends = tuple({chat.end, *([chat.tokenizer.eos_token_id] if chat.tokenizer.eos_token_id is not None else [])})
    find = (
        partial(_converted, local.name, folder, digest, form) if kind_of(form).name == "llama.cpp" else lambda: folder
    )
    return OfWeights(form, find, folder, ends, digest, chat_template)


def _converted(name: str, folder: Path, digest: str, form: str) -> Path:
    """The GGUF file of weights in a folder, converted once as the student's are."""
    target = packaged.cache_folder().parent / "measured" / f"{digest[:16]}-{form}"
    if not target.exists():
        unfinished = target.with_name(f".{target.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        writing = form_named(form)
        writing.check()
        writing.write(Exported(name, folder, digest, "", 0, "float32"), unfinished)
        unfinished.replace(target)
    return target / content(form)


def _without_cache(engine: str, cache: Cache) -> dict[str, Any]:
    """Fields of a request that uses nothing of the cache: vLLM's blocks of another salt are other blocks."""
    if cache != "cold":
        return {}
    return {"cache_prompt": False} if engine == "llama.cpp" else {"cache_salt": secrets.token_hex(8)}
