"""The client of chat endpoints against a real HTTP server with failures."""

import asyncio
import json
import threading
import time

import pytest
from aiohttp import web

from potstill.errors import PotstillError, RecipeError
from potstill.models import ErrorKind, Request, Sampling, stream
from potstill.models.complete import Billing, complete
from potstill.models.opening import open_model
from potstill.models.remote import chat, dispatch, retry, wire
from potstill.models.remote import server as server_module
from potstill.models.specs import Budget, Endpoint
from potstill.models.store.store import Store
from potstill.progress import echo
from potstill.recipe import loading as recipe_file
from potstill.recipe.evaluating import Evaluate
from potstill.stages.data.stage import make_examples
from potstill.stages.evaluate.stage import evaluate
from potstill.stages.generate import generate
from potstill.workspace.run import Run

KEY = "sk-secret-0123456789"


def chat_response(text, finish_reason="stop", **message):
    return web.json_response(
        {
            "choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3},
        }
    )


def error(status, code=None, message="no", headers=None):
    return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=headers)


def request(id_, content=None, **sampling):
    return Request(id_, [{"role": "user", "content": content or id_}], Sampling(**sampling))


class Server:
    """Responds with what ``handler(body, n)`` returns, where n counts the requests with the same question from 1."""

    def __init__(self, handler):
        self.handler, self.bodies, self.headers, self.times, self.in_flight, self.max_in_flight = (
            handler,
            [],
            [],
            [],
            0,
            0,
        )

    async def answer(self, http_request):
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            body = await http_request.json()
            self.bodies.append(body)
            self.headers.append(http_request.headers)
            self.times.append(time.monotonic())
            question = body["messages"][-1]["content"]
            answer = self.handler(body, sum(b["messages"][-1]["content"] == question for b in self.bodies))
            return await answer if asyncio.iscoroutine(answer) else answer
        finally:
            self.in_flight -= 1

    async def start(self):
        """Serve; returns the runner, to stop it, and the base address."""
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"

    def complete(self, *requests, **endpoint):
        async def collect():
            runner, base = await self.start()
            try:
                url = f"{base}?api-version=1"
                model = chat.ChatModel(Endpoint(url=url, model="m", **endpoint))
                return {c.id: c async for group in model.complete(stream(requests)) for c in group}
            finally:
                await runner.cleanup()

        return asyncio.run(collect())


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_BACKOFF_SECONDS", 0.01)


def test_every_request_is_answered_once_with_bounded_concurrency(monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)

    async def slow(body, n):
        await asyncio.sleep(0.01)
        return chat_response("to " + body["messages"][0]["content"])

    server = Server(slow)
    got = server.complete(*(request(str(i)) for i in range(50)), concurrency=8, api_key_env="THE_KEY")
    assert {id_: c.text for id_, c in got.items()} == {str(i): f"to {i}" for i in range(50)}
    assert len(server.bodies) == 50
    assert 2 <= server.max_in_flight <= 8
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert (got["0"].prompt_tokens, got["0"].completion_tokens, got["0"].finish_reason) == (7, 3, "stop")
    assert server.bodies[0] == {
        "model": "m",
        "messages": [{"role": "user", "content": server.bodies[0]["messages"][0]["content"]}],
        "max_tokens": 256,
        "temperature": 0.0,
    }


async def too_late():
    await asyncio.sleep(5)
    return chat_response("late")


@pytest.mark.parametrize(
    ("bad", "kind", "attempts"),
    [
        (lambda: error(429), ErrorKind.RATE_LIMITED, 3),
        (lambda: error(429, "insufficient_quota"), ErrorKind.QUOTA, 1),
        (lambda: error(503), ErrorKind.OVERLOADED, 3),
        (lambda: error(529), ErrorKind.OVERLOADED, 3),
        (lambda: error(401), ErrorKind.AUTH, 1),
        (lambda: error(404), ErrorKind.NOT_FOUND, 1),
        (lambda: error(400), ErrorKind.INVALID_REQUEST, 1),
        (lambda: error(400, "context_length_exceeded"), ErrorKind.CONTEXT_TOO_LONG, 1),
        (lambda: web.Response(text="<html>busy</html>", status=502), ErrorKind.OVERLOADED, 3),
        (lambda: web.Response(text="<html>hello</html>"), ErrorKind.BAD_RESPONSE, 3),
        (lambda: web.Response(text='{"choices": []}'), ErrorKind.NO_ANSWER, 3),
        (lambda: web.Response(text="[" * 100_000), ErrorKind.BAD_RESPONSE, 3),
        (lambda: web.Response(text='{"choices":[{"message":{"content":7}}]}'), ErrorKind.BAD_RESPONSE, 3),
        (lambda: chat_response("half", "error"), ErrorKind.OVERLOADED, 3),
        (lambda: web.Response(text="x" * (wire.MAX_RESPONSE_BYTES + 1)), ErrorKind.BAD_RESPONSE, 3),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"}), ErrorKind.NOT_FOUND, 1),
        (too_late, ErrorKind.TIMEOUT, 3),
    ],
)  # fmt: skip
def test_failures_have_a_kind_and_only_some_are_retried(bad, kind, attempts):
    server = Server(lambda body, n: bad())
    got = server.complete(request("a"), max_attempts=3, timeout=0.5)
    assert got["a"].error is kind
    assert got["a"].text == ""
    assert len(server.bodies) == attempts
    assert len(got["a"].detail) <= server_module.MAX_DETAIL_CHARACTERS


def test_a_retry_waits_as_long_as_retry_after():
    server = Server(lambda body, n: error(429, headers={"Retry-After": "0.4"}) if n < 3 else chat_response("at last"))
    assert server.complete(request("a"))["a"].text == "at last"
    first, second, third = server.times
    assert second - first >= 0.4
    assert third - second >= 0.4


def test_a_slow_request_does_not_block_the_others():
    async def handler(body, n):
        await asyncio.sleep(0.8 if body["messages"][0]["content"] == "0" else 0)
        return chat_response("x")

    server = Server(handler)
    got = server.complete(*(request(str(i)) for i in range(20)), concurrency=2)
    assert list(got)[-1] == "0"


def test_refusals_and_truncated_answers_are_completions():
    answers = {
        "filtered": error(400, "content_filter"),
        "refused": chat_response(None, refusal="I cannot help with that."),
        "truncated": chat_response("half", "length"),
        "surrogate": web.Response(text='{"choices":[{"message":{"content":"a\\ud800b"},"finish_reason":"stop"}]}'),
    }
    got = Server(lambda body, n: answers[body["messages"][0]["content"]]).complete(*map(request, answers))
    assert {id_: (c.finish_reason, c.text) for id_, c in got.items()} == {
        "filtered": ("content_filter", "no"),
        "refused": ("refused", "I cannot help with that."),
        "truncated": ("length", "half"),
        "surrogate": ("stop", "a?b"),
    }
    assert all(c.error is None for c in got.values())


def test_each_sample_of_a_prompt_has_its_own_seed():
    server = Server(lambda body, n: chat_response("x"))
    prompt = [{"role": "user", "content": "q"}]
    server.complete(*(Request(f"{k}", prompt, Sampling(5, 0.7, 0.9, seed=40), k) for k in range(3)), concurrency=1)
    assert {(b["temperature"], b["top_p"]) for b in server.bodies} == {(0.7, 0.9)}
    assert len({b["seed"] for b in server.bodies}) == 3


def test_the_key_appears_only_in_the_header(monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)
    server = Server(lambda body, n: error(401, message=f"Incorrect API key provided: {KEY}"))
    got = server.complete(request("a"), api_key_env="THE_KEY")
    assert KEY not in got["a"].detail
    assert "***" in got["a"].detail
    assert KEY not in json.dumps(server.bodies)


def test_after_a_fatal_error_nothing_is_sent_and_requests_in_flight_are_finished():
    async def handler(body, n):
        if body["messages"][0]["content"] == "3":
            return error(401)
        await asyncio.sleep(0.3)
        return chat_response("late")

    server = Server(handler)
    got = server.complete(*(request(str(i)) for i in range(100)), concurrency=6)
    assert len(server.bodies) < 20
    assert got["3"].error is ErrorKind.AUTH
    assert all(c.text == "late" for id_, c in got.items() if id_ != "3")
    assert len(got) == len(server.bodies)


def test_a_missing_key_is_a_recipe_error(monkeypatch):
    monkeypatch.delenv("THE_KEY", raising=False)
    with pytest.raises(RecipeError, match="THE_KEY"):
        open_model(Endpoint(url="http://127.0.0.1:9/v1", model="m", api_key_env="THE_KEY"), 1, "auto", None)


def test_an_unreachable_server_fails_the_run_with_one_message(tmp_path):
    recipe = recipe_file.parse(
        "name: x\ntask: math\ndata: {train: 2, validation: 1, test: 1, test_unseen: 1}\nstudent: {model: packaged/s}\n"
        "teacher: {model: {url: 'http://127.0.0.1:9/v1', model: m, max_attempts: 2}}\n"
    )
    run = Run(tmp_path, recipe, tmp_path / "s.sqlite")
    make_examples(recipe, run)
    with pytest.raises(PotstillError, match=r"teacher: connection: .* Check that the server is running"):
        generate(recipe, run)
    recipe = recipe.model_copy(update={"evaluate": Evaluate(systems=["teacher-direct"])})
    with pytest.raises(PotstillError, match=r"teacher-direct: connection: .* 0 answers are saved"):
        evaluate(recipe, run)


@pytest.mark.parametrize("url", ["https://me:secret@host/v1", "ftp://host", "https://"])
def test_a_url_with_a_password_or_without_a_host_is_rejected(url):
    with pytest.raises(ValueError, match="url"):
        Endpoint(url=url, model="m")


def test_costs_are_computed_and_messages_cannot_control_the_terminal(capsys):
    server = Server(lambda body, n: chat_response("yes"))
    got = server.complete(request("1"), price={"input": 1e6, "output": 2e6})
    assert got["1"].cost == 7 + 2 * 3
    echo("quota: \x1b[2J\u202egone\nline")
    assert capsys.readouterr().err == "quota: \ufffd[2J\ufffdgone\nline\n"


def completed_texts(tmp_path, server, rows, **options):
    """The texts of the completions of ``rows``; None for those without an answer."""
    loop = asyncio.new_event_loop()
    _, url = loop.run_until_complete(server.start())
    threading.Thread(target=loop.run_forever, daemon=True).start()
    budget = options.pop("budget", None)
    model = chat.ChatModel(Endpoint(url=url, model="m", same_as="m", **options))
    try:
        given = complete(
            model, rows, "teacher", Billing(Store(tmp_path / "s.sqlite"), "run", budget and Budget(**budget))
        )
        return [None if c.error else c.text for c in given]
    finally:
        loop.call_soon_threadsafe(loop.stop)


def test_requests_that_fail_permanently_do_not_stop_a_run(tmp_path):
    server = Server(
        lambda body, n: error(400) if int(body["messages"][0]["content"]) % 5 < 2 else chat_response("fine")
    )
    rows = [request(str(i)) for i in range(100)]
    for _ in range(2):
        assert completed_texts(tmp_path, server, rows) == [None if i % 5 < 2 else "fine" for i in range(100)]
    assert len(server.bodies) == 100 + 40


def test_a_failing_prompt_shared_by_all_rows_fails_the_run(tmp_path):
    server = Server(lambda body, n: error(400))
    with pytest.raises(PotstillError, match="invalid-request"):
        completed_texts(tmp_path, server, [request(str(i), "the same") for i in range(10)])
    assert len(server.bodies) == 1


def test_the_message_counts_the_saved_answers(tmp_path):
    server = Server(lambda body, n: chat_response("fine"))
    rows = [request(str(i)) for i in range(12)]
    with pytest.raises(PotstillError, match=r"max_requests is 10\. 10 of 12 answers are saved"):
        completed_texts(tmp_path, server, rows, budget={"max_requests": 10}, concurrency=1)
    with pytest.raises(PotstillError, match=r"max_requests is 10\. 10 of 12 answers are saved"):
        completed_texts(tmp_path, server, rows, budget={"max_requests": 10}, concurrency=1)
    assert len(server.bodies) == 10


def test_the_budget_is_not_blamed_for_a_failing_server(tmp_path):
    server = Server(lambda body, n: error(503))
    with pytest.raises(PotstillError, match="overloaded: HTTP 503"):
        completed_texts(
            tmp_path, server, [request(str(i)) for i in range(9)], budget={"max_requests": 1}, max_attempts=2
        )
    assert len(server.bodies) == 2


def test_a_request_that_waits_lets_others_pass():
    server = Server(
        lambda body, n: (
            error(429, headers={"Retry-After": "0.5"})
            if body["messages"][0]["content"] == "0" and n == 1
            else chat_response("fine")
        )
    )
    began = time.monotonic()
    got = server.complete(*(request(str(i)) for i in range(5)), concurrency=1)
    assert all(c.text == "fine" for c in got.values())
    assert [body["messages"][0]["content"] for body in server.bodies] == ["0", "1", "2", "3", "4", "0"]
    assert time.monotonic() - began >= 0.5


def test_retry_after_with_an_invalid_request_does_not_delay_the_others():
    server = Server(
        lambda body, n: (
            error(400, headers={"Retry-After": "3600"})
            if body["messages"][0]["content"] == "0"
            else chat_response("fine")
        )
    )
    got = server.complete(*(request(str(i)) for i in range(3)))
    assert [got[str(i)].error for i in range(3)] == [ErrorKind.INVALID_REQUEST, None, None]


def test_a_server_that_was_reached_before_is_retried_when_it_disconnects():
    class Loading(Server):
        async def answer(self, http_request):
            if len(self.bodies) in range(1, 6):
                self.bodies.append({"messages": [{"content": ""}]})
                http_request.transport.abort()
            return await super().answer(http_request)

    server = Loading(
        lambda body, n: error(503, message="Loading model") if len(server.bodies) == 1 else chat_response("fine")
    )
    assert server.complete(request("a"))["a"].text == "fine"
    assert len(server.bodies) > dispatch.MAX_UNREACHED_ATTEMPTS
