"""Re-ask the teacher about a random part of the traffic, and watch how often the student agrees with it."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from potstill.errors import PotstillError, RecipeError
from potstill.models import Completion
from potstill.models.complete import Billing, complete
from potstill.models.opening import open_model
from potstill.progress import echo
from potstill.recipe.redaction import Redactor
from potstill.serve.agreement import Agreement, expected
from potstill.serve.metrics import Metrics
from potstill.serve.prompt import Reply
from potstill.serve.requests import Asked
from potstill.serve.reverse import Reader, reader
from potstill.serve.student import TRAINING, Student
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.generate import requests
from potstill.tasks import Example
from potstill.workspace.artifacts import EXAMPLES, RECIPE, SHADOW
from potstill.workspace.run import Run

MOST_WAITING = 1000
"""Answers that wait to be compared; what comes while so many wait is left out, and counted."""
AT_ONCE = 64
"""Answers that the teacher is asked about at once."""
GATHER_SECONDS = 1.0
"""Time in which answers are gathered before the teacher is asked."""


@dataclass(frozen=True)
class Options:
    """share: part of the traffic that the teacher is asked about. seed: decides which. agreement: how often the student should agree with
    the teacher; None for what the test questions showed, less the recipe's margin."""

    share: float
    seed: int = 0
    agreement: float | None = None


@dataclass(frozen=True)
class _Seen:
    """A chat as the teacher is asked about it, and the student's answer."""

    messages: Sequence[dict[str, str]]
    example: Example
    text: str
    finish_reason: str


class Shadow:
    """Is shown the answers of a server, and compares some with the teacher's. Nothing that fails here reaches a client."""

    def __init__(self, run: Run, student: Student, metrics: Metrics, fingerprint: str, options: Options) -> None:
        """Raises `RecipeError` where the teacher cannot be asked or its answers cannot be compared."""
        self.run, self.student, self.options, self.fingerprint = run, student, options, fingerprint
        self._read = check(run)
        data = run.recipe.data.real
        self._redact = Redactor(getattr(data, "redact", ()), getattr(data, "redact_patterns", {}))
        self._waiting: asyncio.Queue[_Seen] = asyncio.Queue(MOST_WAITING)
        self._shots = FewShotExamples(run.recipe, run.examples)
        floor = expected(run) if options.agreement is None else options.agreement
        self.agreement = Agreement(run.path(SHADOW), fingerprint, floor, run.recipe.evaluate.confidence, metrics)
        self.stopped = ""
        """Why the teacher is not asked any more; empty while it is."""

    def see(self, asked: Asked, reply: Reply) -> None:
        """Draw an answer or not: a function of the request and the seed."""
        try:
            if self.stopped or not _is_drawn(asked, self.options):
                return
            messages = [{"role": one["role"], "content": self._redact(one["content"])} for one in asked.messages]
            if (example := self._read(messages)) is None:
                self.agreement.leave_out("form")
            else:
                self._waiting.put_nowait(_Seen(messages, example, self._redact(reply.text), reply.finish_reason))
        except asyncio.QueueFull:
            self.agreement.leave_out("full")
        except Exception as error:  # the answer was already given
            self.agreement.leave_out(type(error).__name__)

    async def work(self) -> None:
        """Compare what was drawn, until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "shadow") as thread:
            while not self.stopped:
                first = await self._waiting.get()
                await asyncio.sleep(GATHER_SECONDS)
                group = [first, *(self._waiting.get_nowait() for _ in range(min(self._waiting.qsize(), AT_ONCE - 1)))]
                try:
                    await loop.run_in_executor(thread, self._compare, group)
                except PotstillError as error:
                    self._fail(error, len(group))
                except Exception as error:  # the server must go on
                    self._fail(PotstillError(f"{type(error).__name__}: {error}"), len(group))

    def _fail(self, error: PotstillError, n: int) -> None:
        for _ in range(n):
            self.agreement.leave_out("teacher")
        if "budget" in str(error):
            self.stopped = str(error)
        echo(f"  shadow: {error}" + (" The teacher is not asked any more." if self.stopped else ""))

    def _compare(self, group: Sequence[_Seen]) -> None:
        """Ask the teacher, and write down what it said. Raises `PotstillError`."""
        run, teacher = self.run, self.run.recipe.teacher
        examples = [{**seen.example, "id": str(i)} for i, seen in enumerate(group)]
        asked = [request for _, request in requests(run.recipe, examples, self._shots, 1)]
        model = open_model(teacher.model, teacher.batch_size, teacher.dtype, run.store, teacher.chat_template)
        billing = Billing(run.store, run.id, teacher.budget, required=False, shown=False)
        for seen, completion in zip(group, complete(model, asked, "shadow: teacher", billing), strict=True):
            self._add(seen, completion)
        self.agreement.tell()

    def _add(self, seen: _Seen, completion: Completion) -> None:
        task = self.run.task
        teacher = task.parse(completion.text, completion.finish_reason, seen.example, strict=False)
        if completion.error or teacher.answer is None:
            return self.agreement.leave_out("unread")
        student = task.parse(seen.text, seen.finish_reason, seen.example, strict=False)
        agrees = task.equivalent(student.answer, teacher.answer)
        self.agreement.add(agrees, _log_row(seen, completion, self.run.recipe.teacher.name, self._redact))


@asynccontextmanager
async def shadowing(
    run: Run, options: Options, student: Student, metrics: Metrics, fingerprint: str
) -> AsyncIterator[Shadow]:
    """A shadow that works within the context. Raises `RecipeError` as `Shadow` does."""
    shadow = Shadow(run, student, metrics, fingerprint, options)
    echo(f"  shadow: {shadow.agreement.begin()}")
    working = asyncio.create_task(shadow.work())
    try:
        yield shadow
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        echo(f"  shadow: {shadow.agreement.state()}")


def check(run: Run) -> Reader:
    """A function from a chat to an example that the teacher can be asked about; None for a chat of another form.

    Raises `RecipeError` where the teacher cannot be asked beside a server, or its answers cannot be compared.
    """
    recipe = run.recipe
    if not recipe.condition.asks_teacher or recipe.data.has_answers:
        raise RecipeError("--shadow: this recipe's training data does not come from a teacher that can be asked.")
    if recipe.teacher.model.engine != "server":
        raise RecipeError(
            f"--shadow: the teacher {recipe.teacher.name} would run in this process, and delay the student's answers. Serve it, and "
            f"write teacher: {{model: {{url: ...}}}} in {run.path(RECIPE)}."
        )
    recipe.teacher.model.check()
    row = next(run.examples(TRAINING), None) if run.path(EXAMPLES).exists() else None
    return reader(run.task, row)


def _is_drawn(asked: Asked, options: Options) -> bool:
    text = json.dumps([options.seed, list(map(dict, asked.messages)), asked.prompt.temperature, asked.prompt.seed])
    draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return draw < options.share * 2**64


def _log_row(seen: _Seen, completion: Completion, teacher: str, redact: Redactor) -> dict[str, Any]:
    """A row that `data: {source: logs}` reads: what the student was asked, and the teacher's answer."""
    message = {"role": "assistant", "content": redact(completion.text)}
    return {
        "request": {"model": teacher, "messages": list(seen.messages)},
        "response": {
            "model": teacher, "choices": [{"index": 0, "message": message, "finish_reason": completion.finish_reason}],
            "usage": {"prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens},
        },
        "student": seen.text,
    }  # fmt: skip
