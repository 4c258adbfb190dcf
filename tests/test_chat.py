"""The client of chat endpoints against a real HTTP server that misbehaves."""

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
from potstill.models.remote import chat, wire
from potstill.models.remote import server as server_module
from potstill.models.specs import Budget, Endpoint
from potstill.models.store.store import Store
from potstill.progress import echo
from potstill.recipe import loading as recipe_file
from potstill.recipe.recipe import Evaluate
from potstill.recipe.systems import System
from potstill.stages.data.stage import make_examples
from potstill.stages.evaluate.stage import evaluate
from potstill.stages.generate import generate
from potstill.workspace.run import Run

KEY = "sk-secret-0123456789"


def said(text, finish_reason="stop", **message):
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
    """Answers with what ``handler(body, n)`` returns, where n counts the requests with the same question from 1."""

    def __init__(self, handler):
        self.handler, self.bodies, self.headers, self.times, self.now, self.most = handler, [], [], [], 0, 0

    async def answer(self, http_request):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            body = await http_request.json()
            self.bodies.append(body)
            self.headers.append(http_request.headers)
            self.times.append(time.monotonic())
            question = body["messages"][-1]["content"]
            answer = self.handler(body, sum(b["messages"][-1]["content"] == question for b in self.bodies))
            return await answer if asyncio.iscoroutine(answer) else answer
        finally:
            self.now -= 1

    async def up(self):
        """Serve; the runner that ends it, and the base address."""
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"

    def ask(self, *requests, **endpoint):
        async def collect():
            runner, base = await self.up()
            try:
                url = f"{base}?api-version=1"
                model = chat.ChatModel(Endpoint(url=url, model="m", **endpoint))
                return {c.id: c async for group in model.complete(stream(requests)) for c in group}
            finally:
                await runner.cleanup()

        return asyncio.run(collect())


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch):
    monkeypatch.setattr(chat, "FIRST_WAIT", 0.01)


def test_every_request_is_answered_once_with_bounded_concurrency(monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)

    async def slow(body, n):
        await asyncio.sleep(0.01)
        return said("to " + body["messages"][0]["content"])

    server = Server(slow)
    got = server.ask(*(request(str(i)) for i in range(50)), concurrency=8, api_key_env="THE_KEY")
    assert {id_: c.text for id_, c in got.items()} == {str(i): f"to {i}" for i in range(50)}
    assert len(server.bodies) == 50
    assert 2 <= server.most <= 8
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
    return said("late")


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
        (lambda: web.Response(text='{"choices": []}'), ErrorKind.BAD_RESPONSE, 3),
        (lambda: web.Response(text="[" * 100_000), ErrorKind.BAD_RESPONSE, 3),
        (lambda: web.Response(text='{"choices":[{"message":{"content":7}}]}'), ErrorKind.BAD_RESPONSE, 3),
        (lambda: said("half", "error"), ErrorKind.BAD_RESPONSE, 3),
        (lambda: web.Response(text="x" * (wire.LARGEST_ANSWER + 1)), ErrorKind.BAD_RESPONSE, 3),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"}), ErrorKind.NOT_FOUND, 1),
        (too_late, ErrorKind.TIMEOUT, 3),
    ],
)  # fmt: skip
def test_each_way_to_fail_has_its_kind_and_only_some_are_tried_again(bad, kind, attempts):
    server = Server(lambda body, n: bad())
    got = server.ask(request("a"), max_attempts=3, timeout=0.5)
    assert got["a"].error is kind
    assert got["a"].text == ""
    assert len(server.bodies) == attempts
    assert len(got["a"].detail) <= server_module.LONGEST_DETAIL


def test_a_busy_server_is_asked_again_not_before_it_wants_to_be():
    server = Server(lambda body, n: error(429, headers={"Retry-After": "0.4"}) if n < 3 else said("at last"))
    assert server.ask(request("a"))["a"].text == "at last"
    first, second, third = server.times
    assert second - first >= 0.4
    assert third - second >= 0.4


def test_one_stuck_request_does_not_hold_up_the_others():
    async def handler(body, n):
        await asyncio.sleep(0.8 if body["messages"][0]["content"] == "0" else 0)
        return said("x")

    server = Server(handler)
    got = server.ask(*(request(str(i)) for i in range(20)), concurrency=2)
    assert list(got)[-1] == "0"


def test_refusals_and_cut_answers_are_completions():
    answers = {
        "filtered": error(400, "content_filter"),
        "refused": said(None, refusal="I cannot help with that."),
        "cut": said("half", "length"),
        "surrogate": web.Response(text='{"choices":[{"message":{"content":"a\\ud800b"},"finish_reason":"stop"}]}'),
    }
    got = Server(lambda body, n: answers[body["messages"][0]["content"]]).ask(*map(request, answers))
    assert {id_: (c.finish_reason, c.text) for id_, c in got.items()} == {
        "filtered": ("content_filter", ""),
        "refused": ("content_filter", "I cannot help with that."),
        "cut": ("length", "half"),
        "surrogate": ("stop", "a?b"),
    }
    assert all(c.error is None for c in got.values())


def test_draws_of_one_prompt_have_seeds_of_their_own():
    server = Server(lambda body, n: said("x"))
    prompt = [{"role": "user", "content": "q"}]
    server.ask(*(Request(f"{k}", prompt, Sampling(5, 0.7, 0.9, seed=40), k) for k in range(3)), concurrency=1)
    assert [(b["seed"], b["temperature"], b["top_p"]) for b in server.bodies] == [(40 + k, 0.7, 0.9) for k in range(3)]


def test_the_key_is_nowhere_but_in_the_header(monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)
    server = Server(lambda body, n: error(401, message=f"Incorrect API key provided: {KEY}"))
    got = server.ask(request("a"), api_key_env="THE_KEY")
    assert KEY not in got["a"].detail
    assert "***" in got["a"].detail
    assert KEY not in json.dumps(server.bodies)


def test_after_a_hopeless_error_nothing_more_is_sent_and_what_is_in_flight_is_kept():
    async def handler(body, n):
        if body["messages"][0]["content"] == "3":
            return error(401)
        await asyncio.sleep(0.3)
        return said("late but paid for")

    server = Server(handler)
    got = server.ask(*(request(str(i)) for i in range(100)), concurrency=6)
    assert len(server.bodies) < 20
    assert got["3"].error is ErrorKind.AUTH
    assert all(c.text == "late but paid for" for id_, c in got.items() if id_ != "3")
    assert len(got) == len(server.bodies)


def test_a_missing_key_is_the_recipes_fault(monkeypatch):
    monkeypatch.delenv("THE_KEY", raising=False)
    with pytest.raises(RecipeError, match="THE_KEY"):
        open_model(Endpoint(url="http://127.0.0.1:9/v1", model="m", api_key_env="THE_KEY"), 1, "auto", None)


def test_a_server_that_is_not_there_fails_the_run_with_one_message(tmp_path):
    recipe = recipe_file.parse(
        "name: x\ntask: math\ndata: {train: 2, validation: 1, test: 1, test_unseen: 1}\nstudent: {model: packaged/s}\n"
        "teacher: {model: {url: 'http://127.0.0.1:9/v1', model: m, max_attempts: 2}}\n"
    )
    run = Run(tmp_path, recipe, tmp_path / "s.sqlite")
    make_examples(recipe, run)
    with pytest.raises(PotstillError, match=r"teacher: connection: .* Check that the server is running"):
        generate(recipe, run)
    recipe = recipe.model_copy(update={"evaluate": Evaluate(systems=[System.TEACHER_DIRECT])})
    with pytest.raises(PotstillError, match=r"teacher-direct: connection: .* 0 answers are saved"):
        evaluate(recipe, run)


@pytest.mark.parametrize("url", ["https://me:secret@host/v1", "ftp://host", "https://"])
def test_a_url_with_a_password_or_none_at_all_is_refused(url):
    with pytest.raises(ValueError, match="url"):
        Endpoint(url=url, model="m")


def test_prices_become_costs_and_what_a_server_says_cannot_steer_the_terminal(capsys):
    server = Server(lambda body, n: said("yes"))
    got = server.ask(request("1"), price={"input": 1e6, "output": 2e6})
    assert got["1"].cost == 7 + 2 * 3
    echo("quota: \x1b[2J\u202egone\nline")
    assert capsys.readouterr().err == "quota: \ufffd[2J\ufffdgone\nline\n"


def delivered(tmp_path, server, rows, **options):
    """The texts that `ask` gives of the rows, None for those without an answer."""
    loop = asyncio.new_event_loop()
    _, url = loop.run_until_complete(server.up())
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


def test_rows_that_cannot_be_answered_do_not_keep_a_run_from_going_on(tmp_path):
    server = Server(lambda body, n: error(400) if int(body["messages"][0]["content"]) % 5 < 2 else said("fine"))
    rows = [request(str(i)) for i in range(100)]
    for _ in range(2):
        assert delivered(tmp_path, server, rows) == [None if i % 5 < 2 else "fine" for i in range(100)]
    assert len(server.bodies) == 100 + 40


def test_one_prompt_in_many_rows_that_cannot_be_answered_fails(tmp_path):
    server = Server(lambda body, n: error(400))
    with pytest.raises(PotstillError, match="invalid-request"):
        delivered(tmp_path, server, [request(str(i), "the same") for i in range(10)])
    assert len(server.bodies) == 1


def test_what_is_kept_is_counted_in_the_message(tmp_path):
    server = Server(lambda body, n: said("fine"))
    rows = [request(str(i)) for i in range(12)]
    with pytest.raises(PotstillError, match=r"max_requests is 10\. 10 of 12 answers are kept"):
        delivered(tmp_path, server, rows, budget={"max_requests": 10}, concurrency=1)
    with pytest.raises(PotstillError, match=r"max_requests is 10\. 10 of 12 answers are kept"):
        delivered(tmp_path, server, rows, budget={"max_requests": 10}, concurrency=1)
    assert len(server.bodies) == 10


def test_a_budget_is_not_blamed_for_a_server_that_fails(tmp_path):
    server = Server(lambda body, n: error(503))
    with pytest.raises(PotstillError, match="overloaded: HTTP 503"):
        delivered(tmp_path, server, [request(str(i)) for i in range(9)], budget={"max_requests": 1}, max_attempts=2)
    assert len(server.bodies) == 2


def test_one_row_that_has_to_wait_lets_others_go_before_it():
    server = Server(
        lambda body, n: (
            error(429, headers={"Retry-After": "0.5"})
            if body["messages"][0]["content"] == "0" and n == 1
            else said("fine")
        )
    )
    began = time.monotonic()
    got = server.ask(*(request(str(i)) for i in range(5)), concurrency=1)
    assert all(c.text == "fine" for c in got.values())
    assert [body["messages"][0]["content"] for body in server.bodies] == ["0", "1", "2", "3", "4", "0"]
    assert time.monotonic() - began >= 0.5


def test_a_wait_that_comes_with_a_fault_of_the_request_says_nothing_of_the_others():
    server = Server(
        lambda body, n: (
            error(400, headers={"Retry-After": "3600"}) if body["messages"][0]["content"] == "0" else said("fine")
        )
    )
    got = server.ask(*(request(str(i)) for i in range(3)))
    assert [got[str(i)].error for i in range(3)] == [ErrorKind.INVALID_REQUEST, None, None]


def test_a_server_that_was_there_is_not_given_up_when_it_goes_for_a_while():
    class Loading(Server):
        async def answer(self, http_request):
            if len(self.bodies) in range(1, 6):
                self.bodies.append({"messages": [{"content": ""}]})
                http_request.transport.abort()
            return await super().answer(http_request)

    server = Loading(lambda body, n: error(503, message="Loading model") if len(server.bodies) == 1 else said("fine"))
    assert server.ask(request("a"))["a"].text == "fine"
    assert len(server.bodies) > chat.TRIED_UNSEEN
