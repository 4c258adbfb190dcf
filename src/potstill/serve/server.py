"""Serve a run's student until a stop is requested."""

import asyncio
import hashlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
import uvloop

from potstill import interrupt
from potstill.errors import RecipeError
from potstill.listening import address_of, listen
from potstill.progress import echo
from potstill.serve import engine as engines
from potstill.serve.answering import StudentAnswers, Watcher
from potstill.serve.app import application
from potstill.serve.chat import ChatCompletions
from potstill.serve.client import Client
from potstill.serve.metrics import Metrics
from potstill.serve.places import Places
from potstill.serve.student import Student
from potstill.serve.words import ready
from potstill.workspace.run import Run

KEEP_ALIVE_SECONDS = 75
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Options:
    """How a student is served.

    form: as `potstill export` names it; empty for what this machine serves best. concurrency: requests answered at once. waiting:
    further ones that wait. context: tokens of prompt and answer; 0 for those that the recipe needs. grace: seconds that requests in
    flight have at the end. key_variable: name of the environment variable with the key that clients must send; empty for none.
    """

    host: str = "127.0.0.1"
    port: int = 8322
    form: str = ""
    concurrency: int = engines.CONCURRENCY
    waiting: int = 64
    context: int = 0
    grace: float = 30.0
    key_variable: str = ""


Watch = Callable[[Student, Metrics, str], AbstractAsyncContextManager[Watcher]]
"""Makes what is shown the answers of a student, with the fingerprint of its weights."""


def serve(run: Run, options: Options, watch: Sequence[Watch] = ()) -> None:
    """Serve a run's student until a stop is requested.

    Raises `RecipeError` for a run without a student, a missing key or an engine that is not installed; `PotstillError` where the port
    is taken, memory does not suffice, or the engine does not start or ends early.
    """
    key = _key(options.key_variable)
    student = Student.of(run, options.context)
    listening = listen(options.host, options.port)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(run, student, options, listening, key, watch))
    finally:
        listening.close()


async def _serve(
    run: Run, student: Student, options: Options, listening: socket.socket, key: str,
    watch: Sequence[Watch],
) -> None:  # fmt: skip
    async with (
        engines.of_student(run, student, options.form, options.concurrency) as engine,
        AsyncExitStack() as watching,
    ):
        metrics = Metrics()
        places = Places(options.concurrency, options.waiting, metrics)
        fingerprint = _fingerprint(run, engine.form)
        watchers = [await watching.enter_async_context(make(student, metrics, fingerprint)) for make in watch]
        chat = ChatCompletions(student, StudentAnswers(engine), places, metrics, fingerprint, watchers)
        app = application(chat, lambda: not engine.exited.done(), options.host, key)
        what = f"{engine.form} in {engine.kind.name}, {options.concurrency} requests at once"
        for line in ready(run, student, what, address_of(listening), options.key_variable):
            print(line, flush=True)
        if not key and options.host not in ("127.0.0.1", "::1", "localhost"):
            echo(f"Everybody who reaches {options.host} can ask the student; --api-key-env NAME requires a key.")
        await until_stopped(app, listening, engine, options.grace)


async def until_stopped(app: Any, listening: socket.socket, engine: Client, grace: float) -> None:
    """Serve ``app`` until a stop is requested, and then for at most ``grace`` seconds what is in flight.

    Raises `PotstillError` as soon as the engine ends early.
    """
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, lifespan="off", server_header=False, loop="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=max(1, round(grace)),
    )  # fmt: skip
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not (interrupt.stop_requested() or serving.done() or engine.exited.done()):
        await asyncio.wait({serving, engine.exited}, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    if engine.exited.done():
        engine.exited.result()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are `potstill.interrupt`'s."""
        yield


def _fingerprint(run: Run, form: str) -> str:
    """A short digest of the weights and their form: it changes where answers may."""
    outputs = sorted(run.stages["train"].get("outputs", {}).items())
    return f"fp_{hashlib.sha256(repr((outputs, form)).encode()).hexdigest()[:12]}"


def _key(variable: str) -> str:
    """The key in an environment variable. Raises `RecipeError`."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise RecipeError(
            f"The key should be in the environment variable {variable}, which is empty. Set it: export {variable}=..."
        )
    if not key.isprintable() or not key.isascii():
        raise RecipeError(f"The key in {variable} contains invalid characters; set it again.")
    return key
