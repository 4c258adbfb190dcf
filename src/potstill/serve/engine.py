"""Start the engine that answers for a student, or for any weights in a form that it reads."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from potstill.errors import RecipeError
from potstill.export import forms
from potstill.models.served.process import run_process
from potstill.serve import client, memory
from potstill.serve.client import Client
from potstill.serve.kinds import Kind, LlamaCpp, Vllm
from potstill.serve.student import Student
from potstill.workspace.run import Run

START_TIMEOUT_SECONDS = 1800.0
CONCURRENCY = 16
"""Requests that are answered at once where nothing else is said."""


@asynccontextmanager
async def running(run: Run, form: str = "", concurrency: int = CONCURRENCY, context: int = 0) -> AsyncIterator[Client]:
    """The engine of a run's student within the context; its form is written first unless it is up to date.

    form: as the folder of an export is named; left out, `default_form`. context: tokens of prompt and answer together; 0 for those that
    the recipe needs. Raises `RecipeError` for a run without a student or an engine that is not installed, `PotstillError` where memory
    does not suffice or the engine does not start.
    """
    async with of_student(run, Student.of(run, context), form, concurrency) as engine:
        yield engine


@asynccontextmanager
async def of_student(run: Run, student: Student, form: str, concurrency: int) -> AsyncIterator[Client]:
    """As `running`, for a run's student that is known."""
    form = form or default_form()
    kind = kind_of(form)
    kind.check()
    weights = await asyncio.to_thread(_written, run, form)
    async with started(kind, weights, concurrency, student.context, student.ends, run.student_folder, form) as engine:
        yield engine


def _written(run: Run, form: str) -> Path:
    """The model's file or folder in a form. What is there is used without the run's lock, so that several servers can start."""
    try:
        return forms.exported(run, form)
    except RecipeError:
        return forms.write(run, form)


@asynccontextmanager
async def started(
    kind: Kind,
    weights: Path,
    slots: int,
    context: int,
    ends: Sequence[int] = (),
    described: Path | None = None,
    form: str = "",
) -> AsyncIterator[Client]:
    """An engine with ``weights`` within the context, for ``slots`` requests at once with ``context`` tokens each.

    ends: tokens that end an answer. described: the folder with the model's ``config.json``, which says what its cache takes. form: the
    name of the weights' form, for messages.

    Raises `RecipeError` where the engine is not installed, `PotstillError` where memory does not suffice or it does not start.
    """
    kind.check()
    if kind.loads_into_memory:
        memory.require(weights, memory.config_of(described) if described else {}, slots, context)
    key = secrets.token_urlsafe(24)
    command = partial(kind.command, str(weights), slots, context)
    environment = kind.environment(key)
    async with (
        run_process(kind.name, command, START_TIMEOUT_SECONDS, environment) as (address, exited),
        client.session(key, slots) as session,
    ):
        yield Client(kind, address, session, slots, context, ends, exited, form)


def default_form() -> str:
    """The form that this machine serves best: vLLM's where it has a GPU and vLLM, otherwise float16 for llama.cpp."""
    from potstill.models.local import gpu

    return "vllm" if shutil.which("vllm") and gpu.memory_bytes() else "gguf-f16"


def kind_of(form: str) -> Kind:
    """The engine that reads a form. Raises `RecipeError` where none does."""
    if form.startswith(("gguf", "ollama")):
        return LlamaCpp()
    if form in ("vllm", "safetensors"):
        return Vllm()
    raise RecipeError(f"No engine serves the form '{form}'. Serve gguf-f16, gguf-q8_0, gguf-q4_0, or vllm.")
