"""``/v1/chat/completions``: a request of a client, from its body to the last byte of its answer."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from potstill.serve.answering import Answering, Watcher
from potstill.serve.connection import ClientGoneError, read_body, while_connected
from potstill.serve.metrics import GONE, Metrics
from potstill.serve.openai_errors import ApiError
from potstill.serve.places import Places
from potstill.serve.prompt import TEACHER, EngineError, Logprob, Piece, Reply
from potstill.serve.replies import Form
from potstill.serve.requests import Asked, asked, parsed
from potstill.serve.student import Student

STREAM_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
ANSWERED_BY = "x-potstill-answered-by"


class ChatCompletions:
    """An application of ASGI. ``answers`` answers, ``watchers`` are shown what clients got, and ``places`` limits how many at once."""

    def __init__(
        self, student: Student, answers: Answering, places: Places, metrics: Metrics, fingerprint: str,
        watchers: Sequence[Watcher] = (),
    ) -> None:  # fmt: skip
        self.student, self.answers, self.places, self.metrics = student, answers, places, metrics
        self.fingerprint, self.watchers = fingerprint, watchers
        # A tokenizer is not to be used by two threads at once, and a long text must not hold up the others.
        self._tokenizing = ThreadPoolExecutor(1, "tokenizing")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = "500"
        try:
            status = await self._answered(scope, receive, send)
        except ApiError as error:
            status = str(error.status)
            await error.response()(scope, receive, send)
        except ClientGoneError:
            status = GONE
        finally:
            self.metrics.requests.labels(status).inc()

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> str:
        """The status of a request that was answered. Raises `ApiError` before anything was sent, `ClientGoneError`."""
        began = time.perf_counter()
        body = await read_body(scope, receive)
        request = await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._understood, body)
        form = Form(self.student.name, self.fingerprint, request.prompt.top_logprobs is not None)
        if request.stream:
            return await while_connected(receive, self._streamed(request, form, began, send))
        reply = await while_connected(receive, self._replied(request, began))
        headers = {ANSWERED_BY: reply.answered_by} if reply.answered_by else None
        await Response(form.completion(reply), headers=headers, media_type="application/json")(scope, receive, send)
        self._show(request, reply)
        return "200"

    def _understood(self, body: bytes) -> Asked:
        return asked(parsed(body), self.student)

    async def _replied(self, request: Asked, began: float) -> Reply:
        async with self.places.one():
            waited = time.perf_counter() - began
            try:
                reply = await self.answers.reply(request)
            except EngineError as error:
                raise _api_error(error) from error
        reply.seconds = time.perf_counter() - began
        reply.first_seconds = reply.first_seconds and reply.first_seconds + waited
        self.metrics.answered(reply, reply.seconds)
        return reply

    async def _streamed(self, request: Asked, form: Form, began: float, send: Send) -> str:
        """Nothing is sent before the first piece: an error until then has its own status."""
        texts, logprobs, last = list[str](), list[Logprob](), Piece()
        async with self.places.one(), aclosing(self.answers.pieces(request)) as pieces:
            try:
                piece = await anext(pieces)
            except EngineError as error:
                raise _api_error(error) from error
            who = [(ANSWERED_BY.encode(), piece.answered_by.encode())] if piece.answered_by else []
            await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS + who})
            first, part = time.perf_counter() - began, form.opening()
            try:
                while not piece.finish_reason:
                    texts.append(piece.text)
                    logprobs += piece.logprobs
                    await _send(send, part + form.chunk(piece))
                    piece, part = await anext(pieces), b""
                last = piece
            except EngineError as error:
                await _send(send, b"data: " + _api_error(error).body() + b"\n\n", more=False)
                return str(_api_error(error).status)
        await _send(send, part + form.end(last, request.include_usage), more=False)
        reply = Reply(
            "".join(texts), logprobs, last.finish_reason, last.prompt_tokens, last.cached_tokens, last.completion_tokens, first,
            time.perf_counter() - began, answered_by=last.answered_by,
        )  # fmt: skip
        self.metrics.answered(reply, reply.seconds)
        self._show(request, reply)
        return "200"

    def _show(self, request: Asked, reply: Reply) -> None:
        """Show the student's answer to the watchers; one of another is not about the student."""
        for watcher in self.watchers if reply.answered_by != TEACHER else ():
            watcher.see(request, reply)


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _api_error(error: EngineError) -> ApiError:
    """What a client sees of the fault of an engine or another server; a refusal is about what the client asked for."""
    if error.status == 400:
        return ApiError(400, f"The engine refuses the request: {error}")
    return ApiError(502, f"The answer failed: {error}", code="engine_error")
