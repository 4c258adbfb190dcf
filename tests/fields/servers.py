"""Fields of models on servers: what is sent, how fast, for how long, with which key, at what price."""

import asyncio
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from unittest import mock

from fields.asking import opened
from fields.case import case
from potstill.errors import PotstillError
from potstill.models import ErrorKind, Request
from potstill.models.complete import Billing, complete
from potstill.models.remote import retry, wire
from potstill.models.remote.chat import ChatModel
from potstill.models.remote.dialect import Dialect
from potstill.models.remote.rate_limit import RateLimiter
from potstill.models.remote.server import Server
from potstill.models.served import launch, process
from potstill.models.store.store import Store

REQUEST = Request("a", [{"role": "user", "content": "q"}])


def body(recipe):
    """The JSON that is sent."""
    model = opened(recipe)
    return wire.request_body(model.endpoint, REQUEST, Dialect(()), stream=model._streams)


def session(recipe):
    """The connection's headers, and the seconds that a request may take."""

    async def seen():
        async with Server(recipe.teacher.model).session() as session:
            return dict(session.headers), session.timeout.total

    with mock.patch.dict("os.environ", {"ONE": "first", "TWO": "second"}):
        return asyncio.run(seen())


def attempts(recipe):
    """How often a request is sent to a server that is always busy."""
    sent = 0

    async def attempt(self, session, request, dialect, opened):
        nonlocal sent
        sent += 1
        self.reached = True
        return wire.failed_completion(request, ErrorKind.OVERLOADED, "busy"), {}

    with mock.patch.object(ChatModel, "attempt", attempt), mock.patch.object(retry, "FIRST_BACKOFF_SECONDS", 0.0):
        try:
            list(complete(opened(recipe), [REQUEST], "t", Billing(Store(Path(mkdtemp()) / "s.sqlite"))))
        except PotstillError:
            return sent
    raise AssertionError("no request succeeded, and none failed")


def limiter(name):
    return lambda recipe: getattr(RateLimiter(recipe.teacher.model), name)


def cost(prompt_tokens, completion_tokens, cached_tokens):
    return lambda recipe: opened(recipe).price.cost(prompt_tokens, completion_tokens, cached_tokens)


def command(recipe):
    return launch.command_line(recipe.teacher.model, "PATH", 80)


def started(recipe):
    """The endpoint as which a started server is asked."""
    seen = []

    class SentError(Exception):
        pass

    def ask(endpoint):
        seen.append(endpoint)
        raise SentError

    class Running:
        async def __aenter__(self):
            return "http://127.0.0.1:9/v1", asyncio.get_running_loop().create_future()

        async def __aexit__(self, *_):
            pass

    async def one():
        yield REQUEST

    async def run():
        async for _ in launch.ServedModel(recipe.teacher.model).complete(one()):
            pass

    running = mock.patch.object(launch, "run_server", return_value=Running())
    with mock.patch.object(launch, "ChatModel", ask), running, suppress(SentError):
        asyncio.run(run())
    return seen[0]


def patience(recipe):
    """Seconds after which a server that is never ready is given up."""
    clock = iter(range(10_000))

    async def wait():
        nothing = asyncio.get_running_loop().create_future()
        served = recipe.teacher.model
        await process._wait_until_healthy("http://127.0.0.1:9/health", served.serve, served.start_timeout, nothing)

    with (
        mock.patch.object(process.time, "monotonic", side_effect=clock),
        mock.patch.object(process, "HEALTH_CHECK_INTERVAL_SECONDS", 0.0),
        mock.patch.object(process.aiohttp.ClientSession, "get", side_effect=TimeoutError),
    ):
        try:
            asyncio.run(wait())
        except PotstillError as error:
            return next(clock), error
    raise AssertionError("no server answered")


MODEL = "teacher.model."
PRICE = {"teacher__model__price": {"input": 0, "output": 0}}
VLLM = {"teacher__model": {"serve": "vllm", "model": "hf/org/name"}}

CASES = [
    case("Endpoint.url", MODEL + "url", lambda r: str(opened(r)._address), ("http://a/v1", "http://a/v1/chat/completions"),
         ("http://b", "http://b/chat/completions")),
    case("Endpoint.model", MODEL + "model", lambda r: body(r)["model"], ("m1", "m1"), ("m2", "m2")),
    case("Endpoint.same_as", MODEL + "same_as", lambda r: opened(r).identity["model"], (None, "t"), ("one", "one")),
    case("Endpoint.api_key_env", MODEL + "api_key_env", lambda r: session(r)[0].get("Authorization"),
         ("ONE", "Bearer first"), ("TWO", "Bearer second"), (None, None)),
    case("Endpoint.api_key_header", MODEL + "api_key_header", lambda r: session(r)[0].get("api-key"),
         ("api-key", "first"), ("Authorization", None), teacher__model__api_key_env="ONE"),
    case("Endpoint.mode", MODEL + "mode", lambda r: type(opened(r)).__name__, ("requests", "ChatModel"), ("batch", "BatchModel")),
    case("Endpoint.extra_body", MODEL + "extra_body", lambda r: body(r).get("effort"), ({}, None), ({"effort": "low"}, "low")),
    case("Endpoint.thinking_tokens", MODEL + "thinking_tokens", lambda r: body(r)["max_tokens"] - REQUEST.sampling.max_tokens,
         (0, 0), (100, 100)),
    case("Endpoint.concurrency", MODEL + "concurrency", limiter("limit"), (3, 3), (5, 5)),
    case("Endpoint.requests_per_minute", MODEL + "requests_per_minute", limiter("_seconds_per_request"), (None, 0.0), (30, 2.0)),
    case("Endpoint.tokens_per_minute", MODEL + "tokens_per_minute", limiter("_seconds_per_token"), (None, 0.0), (600, 0.1)),
    case("Endpoint.timeout", MODEL + "timeout", lambda r: session(r)[1], (7.0, 7.0), (9.0, 9.0)),
    case("Endpoint.first_token_timeout", MODEL + "first_token_timeout", lambda r: body(r).get("stream", False), (None, False),
         (5.0, True)),
    case("Endpoint.max_attempts", MODEL + "max_attempts", attempts, (1, 1), (3, 3)),
    case("Price.input", MODEL + "price.input", cost(1_000_000, 0, 0), (2, 2.0), (3, 3.0), **PRICE),
    case("Price.output", MODEL + "price.output", cost(0, 1_000_000, 0), (2, 2.0), (3, 3.0), **PRICE),
    case("Price.cached_input", MODEL + "price.cached_input", cost(1_000_000, 0, 1_000_000), (None, 0.0), (3, 3.0), **PRICE),
    case("Served.serve", "teacher.model", lambda r: command(r)[0] == "vllm", ({"serve": "vllm", "model": "@/tiny"}, True),
         ({"serve": "llama.cpp", "model": "@/m.gguf"}, False)),
    case("Served.model", MODEL + "model", lambda r: launch.ServedModel(r.teacher.model)._path, ("hf/a/b", "a/b"),
         ("hf/a/c", "a/c"), **VLLM),
    case("Served.concurrency", MODEL + "concurrency", lambda r: "--max-num-seqs=3" in command(r), (3, True), (4, False), **VLLM),
    case("Served.context", MODEL + "context", lambda r: "--max-model-len=512" in command(r), (512, True), (1024, False), **VLLM),
    case("Served.arguments", MODEL + "arguments", lambda r: command(r)[-1], (["--a=1"], "--a=1"), (["--b=2"], "--b=2"), **VLLM),
    case("Served.thinking_tokens", MODEL + "thinking_tokens", lambda r: started(r).thinking_tokens, (0, 0), (9, 9), **VLLM),
    case("Served.timeout", MODEL + "timeout", lambda r: started(r).timeout, (600.0, 600.0), (30.0, 30.0), **VLLM),
    case("Served.start_timeout", MODEL + "start_timeout", lambda r: patience(r)[0] < 20, (5.0, True), (50.0, False), **VLLM),
]  # fmt: skip
