"""Answers of the student where it is sure, and of the teacher elsewhere, for a server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import yaml
from prometheus_client import Counter
from pydantic import ValidationError

from potstill.cascade.ready import Prompter, Ready, prompter
from potstill.cascade.signals import AGREEMENT, IN_WORDS, TEMPERATURE, UNSURE, Tokens, agreement, signal
from potstill.cascade.teacher import TeacherServer
from potstill.errors import RecipeError
from potstill.models import Completion
from potstill.models.arriving import before, settled
from potstill.models.remote.address import is_local
from potstill.models.remote.chat import ChatModel
from potstill.models.specs import Endpoint
from potstill.progress import echo
from potstill.serve.access import VIA
from potstill.serve.answering import Answering, StudentAnswers
from potstill.serve.client import Client
from potstill.serve.metrics import Metrics
from potstill.serve.prompt import TEACHER, EngineError, Piece, Reply
from potstill.serve.requests import Asked
from potstill.workspace.run import Run

UNQUANTIZED = ("gguf-f16", "ollama-f16", "safetensors", "vllm")
"""Forms of a student with the log-probabilities that it has in this process."""
OTHER = (
    "a stream was ended, because the teacher's answer is not what began to arrive, as where a server sends reasoning in its text. Give it as "
    "'{url: ..., model: ..., thinking_tokens: N}': its answers are then passed on whole."
)
STUDENT, INSTEAD = "student", "student (fallback failed)"
"""Who answered, as the header says, besides `TEACHER`."""


def endpoint(run: Run, given: str, timeout: float) -> Endpoint:
    """The teacher's server: ``teacher`` for that of the recipe, an address, or ``{url: ..., model: ..., api_key_env: ...}``. An address alone
    has the model's name of the recipe's teacher. Raises `RecipeError`."""
    teacher = run.recipe.teacher.model
    known = teacher if isinstance(teacher, Endpoint) else None
    if given == "teacher":
        if known is None:
            raise RecipeError(
                f"--fallback teacher: the recipe's teacher ({teacher.name}) is no server. Give the address of one that has it."
            )
        values: Any = known.model_dump(mode="json")
    else:
        try:
            values = yaml.safe_load(given)
        except yaml.YAMLError:
            values = given
        if not isinstance(values, dict):
            values = {"url": given, "model": teacher.name}
            if known and known.url.rstrip("/") == given.rstrip("/"):
                values = known.model_dump(mode="json")
    try:
        found = Endpoint.model_validate(values | {"timeout": timeout, "mode": "requests"})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RecipeError(f"--fallback {given}: {where + ': ' if where else ''}{first['msg']}") from error
    found.check()
    return found


def require_other(found: Endpoint, host: str, port: int) -> None:
    """Raises `RecipeError` where the fallback is the server itself."""
    from yarl import URL

    url = URL(found.url)
    same = url.host == host or (is_local(url) and host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::"))
    if port and url.port == port and same:
        raise RecipeError(
            f"--fallback {found.url} is this server itself: it would ask itself for ever. Give the teacher's address."
        )


class Escalating:
    """Answers of a student, or of a ``teacher`` where the student is not sure. A stream waits for the student's whole answer, because only
    then it is known who answers; the teacher's is passed on as it arrives. Where the teacher fails, the client gets the student's answer."""

    def __init__(self, student: Answering, ready: Ready, teacher: TeacherServer, metrics: Metrics) -> None:
        self._student, self._ready, self._teacher = student, ready, teacher
        self._answers = Counter(
            "answers", "Answers, by who gave them", ["by"], registry=metrics.registry, namespace="potstill"
        )
        for by in (STUDENT, TEACHER, INSTEAD):
            self._answers.labels(by)

    async def reply(self, asked: Asked) -> Reply:
        reply, is_sure = await self._of_student(asked)
        if not is_sure:
            reply = _chosen(await self._teacher.ask(asked), reply, asked)
        self._answers.labels(reply.answered_by).inc()
        return reply

    async def pieces(self, asked: Asked) -> AsyncGenerator[Piece, None]:
        reply, is_sure = await self._of_student(asked)
        passed = ""
        if not is_sure:
            async with self._teacher.answering(asked) as (arriving, answer):
                while await arriving.more():
                    text = settled(arriving.text, asked.prompt.stop)
                    if len(text) > len(passed) and text.startswith(passed) and not self._teacher.reasons:
                        yield Piece(text[len(passed) :], answered_by=TEACHER)
                        passed = text
                reply = _chosen(await answer, reply, asked)
        if passed and reply.answered_by != TEACHER:
            raise EngineError(502, "the teacher's server broke it off.")
        if not reply.text.startswith(passed):
            echo(f"  fallback: {OTHER}")
            raise EngineError(502, "the teacher's is not what began to arrive.")
        self._answers.labels(reply.answered_by).inc()
        if rest := reply.text[len(passed) :]:
            yield Piece(rest, reply.logprobs, answered_by=reply.answered_by)
        yield replace(reply, text="", logprobs=())

    async def _of_student(self, asked: Asked) -> tuple[Reply, bool]:
        """The student's answer, and whether it is sure of it."""
        scored = replace(asked, prompt=replace(asked.prompt, top_logprobs=asked.prompt.top_logprobs or 0))
        reply = await self._student.reply(scored)
        sure = await self._certainty(asked, reply)
        if asked.prompt.top_logprobs is None:
            reply.logprobs = []
        reply.answered_by = STUDENT
        return reply, sure >= self._ready.chosen["threshold"]

    async def _certainty(self, asked: Asked, reply: Reply) -> float:
        """The chosen signal of an answer."""
        chosen = self._ready.chosen
        if chosen["signal"] != AGREEMENT:
            return signal(chosen["signal"], tokens_of(reply), reply.finish_reason)
        if (read := self._ready.answer_of(asked.messages)) is None:
            return UNSURE
        draws = [
            replace(asked, prompt=replace(asked.prompt, temperature=TEMPERATURE, top_p=1.0, seed=i, top_logprobs=None))
            for i in range(1, chosen["samples"] + 1)
        ]
        drawn = await asyncio.gather(*map(self._student.reply, draws))
        answers = [read(one.text, one.finish_reason) for one in (reply, *drawn)]
        return agreement(answers[0], answers[1:], self._ready.equivalent)


def tokens_of(reply: Reply) -> Tokens:
    """The tokens of an engine's answer with their log-probabilities, without the end."""
    found = [(str(one["token"]), float(one["logprob"])) for one in reply.logprobs]
    ended = bool(found) and reply.finish_reason == "stop" and not _is_part(found[-1][0], reply.text)
    return found[:-1] if ended else found


def _is_part(token: str, text: str) -> bool:
    """Whether a text ends with its last token, which may be a part of a character. Engines differ in whether the end is among the
    tokens; its text is empty, or a mark."""
    return bool(token) and ("\ufffd" in token or text.endswith(token))


def escalating(
    run: Run, ready: Ready, found: Endpoint
) -> Callable[[Client, Metrics], AbstractAsyncContextManager[Answering]]:
    """What makes the answers of a server that falls back on the teacher at ``found``."""
    prompt, model = prompter(run, ready.teacher), ChatModel(found)

    @asynccontextmanager
    async def answers(engine: Client, metrics: Metrics) -> AsyncIterator[Answering]:
        async with model.server.session() as session:
            session.headers["Via"] = VIA.header
            for line in said(ready, found, prompt, engine.form):
                echo(line)
            yield Escalating(StudentAnswers(engine), ready, TeacherServer(model, session, ready, prompt), metrics)

    return answers


def said(ready: Ready, found: Endpoint, prompt: Prompter | None, form: str) -> list[str]:
    """What is printed when a server starts: the rule, and where it is not what was confirmed. ``form``: that of the served weights."""
    chosen = ready.chosen
    lines = [
        f"The student answers where the {IN_WORDS[chosen['signal']]} is at least {chosen['threshold']:.3f}, {found.model} at {found.url} elsewhere. "
        "A stream starts when this is known. The header x-potstill-answered-by says who answered."
    ]
    if prompt is None:
        lines.append(
            f"Chats go to the fallback as they come, and not with the prompt of {ready.teacher.name}, for which the threshold was confirmed."
        )
    if form not in UNQUANTIZED:
        lines.append(
            f"The threshold was confirmed for the weights as they were trained, and not for {form}, whose log-probabilities and answers differ."
        )
    return lines


def _chosen(answer: Completion | None, student: Reply, asked: Asked) -> Reply:
    """The teacher's answer, up to the first of the client's stops, in the place of the student's, whose tokens are not counted; the
    student's where the teacher has none."""
    if answer is None:
        return replace(student, answered_by=INSTEAD)
    end = answer.finish_reason if answer.finish_reason in ("stop", "length", "content_filter") else "stop"
    return Reply(
        before(answer.text, asked.prompt.stop), [], end, answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens, 0.0,
        student.seconds + answer.seconds, answered_by=TEACHER,
    )  # fmt: skip
