"""Batch endpoints against a real HTTP server: nothing is submitted twice, failed requests are submitted again."""

import asyncio
import json
import threading

import pytest
from aiohttp import web

from potstill.errors import PotstillError
from potstill.models import Request
from potstill.models.complete import Billing, complete
from potstill.models.remote import batch, retry
from potstill.models.remote.batch import BatchModel
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store

QUESTIONS = [Request(str(i), [{"role": "user", "content": f"q{i}"}]) for i in range(7)]


class Server:
    """Stores files and batches; a batch is completed when it has been polled ``polls`` times."""

    def __init__(self, polls=1, answer=lambda question, n: 200):
        self.polls, self.answer, self.message = polls, answer, "no"
        self.files, self.batches, self.requested, self.seen = {}, {}, [], {}

    async def upload(self, request):
        form = await request.post()
        assert form["purpose"] == "batch"
        self.files[name := f"file-{len(self.files)}"] = form["file"].file.read().decode()
        return web.json_response({"id": name})

    async def create(self, request):
        order = await request.json()
        batch = {"id": f"batch-{len(self.batches)}", "status": "in_progress", "metadata": order["metadata"], "polls": 0,
                "input": order["input_file_id"]}  # fmt: skip
        assert order["endpoint"] == "/v1/chat/completions"
        self.batches[batch["id"]] = batch
        return web.json_response(batch)

    async def poll(self, request):
        if (batch := self.batches.get(request.match_info["id"])) is None:
            raise web.HTTPNotFound
        batch["polls"] += 1
        if batch["polls"] >= self.polls and batch["status"] == "in_progress":
            batch |= {"status": "completed", "output_file_id": self.process(batch)}
        return web.json_response(batch)

    def process(self, batch):
        lines = []
        for line in self.files[batch["input"]].splitlines():
            row = json.loads(line)
            question = row["body"]["messages"][-1]["content"]
            self.requested.append(question)
            status = self.answer(question, self.requested.count(question))
            if status is None:
                continue
            choice = {"message": {"content": f"to {question}"}, "finish_reason": "stop"}
            body = (
                {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
                if status == 200
                else {"error": {"message": self.message}}
            )
            lines.append(json.dumps({"custom_id": row["custom_id"], "response": {"status_code": status, "body": body}}))
        self.files[name := f"out-{len(self.files)}"] = "\n".join(reversed(lines))
        return name

    async def content(self, request):
        if (text := self.files.get(request.match_info["id"])) is None:
            raise web.HTTPNotFound
        return web.Response(text=text)

    async def listed(self, request):
        return web.json_response({"data": list(self.batches.values())})

    def __enter__(self):
        application = web.Application()
        application.add_routes(
            [web.post("/v1/files", self.upload), web.post("/v1/batches", self.create), web.get("/v1/batches", self.listed),
             web.get("/v1/batches/{id}", self.poll), web.get("/v1/files/{id}/content", self.content)]
        )  # fmt: skip
        self.loop = asyncio.new_event_loop()
        runner = web.AppRunner(application)
        self.loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self.loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        return self

    def __exit__(self, *args):
        self.loop.call_soon_threadsafe(self.loop.stop)

    def complete(self, store, questions=QUESTIONS, **options):
        endpoint = Endpoint(url=self.url, model="m", mode="batch", **options)
        return [c.text for c in complete(BatchModel(endpoint, store), questions, "teacher", Billing(store))]


TEXTS = [f"to q{i}" for i in range(7)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "s.sqlite")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(batch, "FIRST_POLL_SECONDS", 0.01)
    monkeypatch.setattr(retry, "FIRST_BACKOFF_SECONDS", 0.01)


def test_batches_cost_half_the_price(store):
    with Server(polls=3) as server:
        assert server.complete(store, price={"input": 1e6, "output": 1e6}) == TEXTS
        assert server.complete(store) == TEXTS
    assert len(server.batches) == 1
    assert store.spent("", "m")[2] == 7 * 12 / 2
    assert store.open_batches(f"{server.url} m") == []


def test_many_requests_are_split_into_files(store, monkeypatch):
    monkeypatch.setattr(batch, "MAX_LINES_PER_FILE", 3)
    with Server() as server:
        assert server.complete(store) == TEXTS
    assert [file.count("custom_id") for name, file in server.files.items() if name.startswith("file")] == [3, 3, 1]


def test_only_failed_requests_are_submitted_again(store):
    with Server(answer=lambda question, n: {"q1": 500, "q2": None}.get(question, 200) if n == 1 else 200) as server:
        assert server.complete(store) == TEXTS
    assert sorted(server.requested) == sorted([f"q{i}" for i in range(7)] + ["q1", "q2"])


def test_a_request_that_always_fails_is_one_failed_row(store, capsys):
    with Server(answer=lambda question, n: 500 if question == "q1" else 200) as server:
        assert server.complete(store, max_attempts=2) == [*TEXTS[:1], "", *TEXTS[2:]]
        assert server.requested.count("q1") == 2
        assert server.requested.count("q0") == 1
    assert "1 requests failed: 1 overloaded; the first: HTTP 500: no" in capsys.readouterr().err


def test_requests_that_mostly_fail_fail_the_run_and_the_rest_is_stored(store):
    with Server(answer=lambda question, n: 500 if question > "q1" else 200) as server:
        with pytest.raises(PotstillError, match="2 answers are saved"):
            server.complete(store, max_attempts=2)
        assert server.requested.count("q2") == 2
        assert server.requested.count("q0") == 1


def test_a_batch_of_an_interrupted_run_is_fetched_by_the_next(store, monkeypatch):
    with Server(polls=3) as server:
        monkeypatch.setattr(batch.interrupt, "stop_requested", lambda: len(server.batches) > 0)
        with pytest.raises(PotstillError, match="fetch their answers"):
            server.complete(store)
        monkeypatch.undo()
        more = [*QUESTIONS, Request("new", [{"role": "user", "content": "new"}])]
        assert server.complete(store, more) == [*TEXTS, "to new"]
    assert sorted(server.requested) == sorted([q.messages[0]["content"] for q in more])


def test_a_crash_between_submitting_a_batch_and_receiving_its_id(store, monkeypatch):
    with Server() as server:
        monkeypatch.setattr(store, "name_batch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            server.complete(store)
        monkeypatch.undo()
        monkeypatch.setattr(batch, "FIRST_POLL_SECONDS", 0.01)
        assert server.complete(store) == TEXTS
    assert len(server.batches) == 1


def test_answers_to_requests_of_an_earlier_run_are_stored(store, monkeypatch):
    with Server(polls=2) as server:
        monkeypatch.setattr(batch.interrupt, "stop_requested", lambda: len(server.batches) > 0)
        with pytest.raises(PotstillError):
            server.complete(store)
        monkeypatch.undo()
        monkeypatch.setattr(batch, "FIRST_POLL_SECONDS", 0.01)
        assert server.complete(store, QUESTIONS[:2]) == TEXTS[:2]
        assert server.complete(store) == TEXTS
    assert len(server.requested) == 7


def test_a_refused_batch_fails_the_run(store):
    with Server() as server:

        async def refuse(request):
            return web.json_response({"status": "failed", "errors": {"data": [{"message": "line 3 is invalid"}]}})

        server.poll = refuse
        with server, pytest.raises(PotstillError, match="refused the batch batch-0: line 3 is invalid"):
            server.complete(store)
    assert store.open_batches(f"{server.url} m") == []


def test_a_failed_download_does_not_submit_the_batch_again(store):
    with Server() as server:
        content, failures = server.content, iter([503, 429])

        async def failing(request):
            status = next(failures, None)
            return web.Response(status=status) if status else await content(request)

        server.content = failing
        with server:
            assert server.complete(store) == TEXTS
    assert len(server.batches) == 1


def test_the_other_token_limit_field_is_used_after_a_refusal(store):
    def answer(question, n):
        return 200 if n > 1 else 400

    with Server(answer=answer) as server:
        server.message = "use max_completion_tokens"
        assert server.complete(store) == TEXTS
    second = next(
        file for name, file in server.files.items() if name.startswith("file") and "max_completion_tokens" in file
    )
    assert second.count("max_completion_tokens") == 7
    assert len(server.batches) == 2


def test_azures_batches_belong_to_the_resource(store):
    url = "https://name.openai.azure.com/openai/deployments/big?api-version=2024-10-21"
    model = BatchModel(Endpoint(url=url, model="big", mode="batch"), store)
    assert str(model.server.address("batches")) == "https://name.openai.azure.com/openai/batches?api-version=2024-10-21"
    line = json.loads(model._line(QUESTIONS[0]))
    assert (line["url"], line["body"]["model"]) == ("/chat/completions", "big")


def interrupted_run(server, store, monkeypatch, questions=QUESTIONS, **options):
    """A run that is interrupted while its batch is at the server."""
    with monkeypatch.context() as within:
        within.setattr(batch.interrupt, "sleep", no_sleep)
        with pytest.raises(PotstillError):
            server.complete(store, questions, **options)


async def no_sleep(_):
    return False


def test_a_batch_that_the_server_lost_is_submitted_again(store, monkeypatch):
    with Server(polls=3) as server:
        interrupted_run(server, store, monkeypatch)
        server.batches.clear()
        assert server.complete(store, max_attempts=2) == TEXTS
    assert store.open_batches(f"{server.url} m") == []


def test_requests_whose_answers_the_server_lost_are_submitted_again(store):
    with Server() as server:
        process = server.process

        def lose_first(batch):
            name = process(batch)
            return "gone" if len(server.batches) == 1 else name

        server.process = lose_first
        assert server.complete(store, max_attempts=2) == TEXTS
    assert len(server.batches) == 2


def test_batches_of_other_requests_are_not_waited_for(store, monkeypatch):
    with Server(polls=10_000) as server:
        interrupted_run(server, store, monkeypatch)
        server.polls = 1
        server.batches["batch-0"]["status"] = "validating"  # its state until it is changed below
        others = [Request("a", [{"role": "user", "content": "other"}])]
        assert server.complete(store, others) == ["to other"]
        server.batches["batch-0"]["status"] = "in_progress"
        assert server.complete(store) == TEXTS
    assert len(server.batches) == 2


def test_a_run_waits_for_a_batch_that_another_process_is_submitting(store):
    with Server() as server:
        other = Store(store.path)
        upload, both = server.upload, []

        async def slowly(request):
            await asyncio.sleep(0.5)
            return await upload(request)

        server.upload = slowly
        first = threading.Thread(target=lambda: both.append(server.complete(store)))
        first.start()
        while not store.open_batches(f"{server.url} m"):
            pass
        both.append(server.complete(other))
        first.join()
    assert both == [TEXTS, TEXTS]
    assert len(server.batches) == 1
