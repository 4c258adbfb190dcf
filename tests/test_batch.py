"""Batch endpoints against a real HTTP server: nothing is handed in twice, what falls is handed in again."""

import asyncio
import json
import threading

import pytest
from aiohttp import web

from potstill.errors import PotstillError
from potstill.models import Request
from potstill.models.complete import Billing, complete
from potstill.models.remote import batch
from potstill.models.remote.batch import BatchModel
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store

QUESTIONS = [Request(str(i), [{"role": "user", "content": f"q{i}"}]) for i in range(7)]


class Server:
    """Keeps files and batches; a batch is completed when it has been looked at ``looks`` times."""

    def __init__(self, looks=1, answer=lambda question, n: 200):
        self.looks, self.answer, self.message = looks, answer, "no"
        self.files, self.batches, self.asked, self.seen = {}, {}, [], {}

    async def upload(self, request):
        form = await request.post()
        assert form["purpose"] == "batch"
        self.files[name := f"file-{len(self.files)}"] = form["file"].file.read().decode()
        return web.json_response({"id": name})

    async def make(self, request):
        order = await request.json()
        made = {"id": f"batch-{len(self.batches)}", "status": "in_progress", "metadata": order["metadata"], "looks": 0,
                "input": order["input_file_id"]}  # fmt: skip
        assert order["endpoint"] == "/v1/chat/completions"
        self.batches[made["id"]] = made
        return web.json_response(made)

    async def look(self, request):
        if (found := self.batches.get(request.match_info["id"])) is None:
            raise web.HTTPNotFound
        found["looks"] += 1
        if found["looks"] >= self.looks and found["status"] == "in_progress":
            found |= {"status": "completed", "output_file_id": self.carry_out(found)}
        return web.json_response(found)

    def carry_out(self, found):
        lines = []
        for line in self.files[found["input"]].splitlines():
            row = json.loads(line)
            question = row["body"]["messages"][-1]["content"]
            self.asked.append(question)
            status = self.answer(question, self.asked.count(question))
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
            [web.post("/v1/files", self.upload), web.post("/v1/batches", self.make), web.get("/v1/batches", self.listed),
             web.get("/v1/batches/{id}", self.look), web.get("/v1/files/{id}/content", self.content)]
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

    def ask(self, store, questions=QUESTIONS, **options):
        endpoint = Endpoint(url=self.url, model="m", mode="batch", **options)
        return [c.text for c in complete(BatchModel(endpoint, store), questions, "teacher", Billing(store))]


TEXTS = [f"to q{i}" for i in range(7)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "s.sqlite")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(batch, "FIRST_POLL", 0.01)
    monkeypatch.setattr(batch, "FIRST_WAIT", 0.01)


def test_answers_come_by_file_at_half_the_price(store):
    with Server(looks=3) as server:
        assert server.ask(store, price={"input": 1e6, "output": 1e6}) == TEXTS
        assert server.ask(store) == TEXTS
    assert len(server.batches) == 1
    assert store.spent("", "m")[2] == 7 * 12 / 2
    assert store.open_batches(f"{server.url} m") == []


def test_several_files_for_many_requests(store, monkeypatch):
    monkeypatch.setattr(batch, "MOST_LINES", 3)
    with Server() as server:
        assert server.ask(store) == TEXTS
    assert [file.count("custom_id") for name, file in server.files.items() if name.startswith("file")] == [3, 3, 1]


def test_what_the_server_let_fall_is_handed_in_again_and_nothing_else(store):
    with Server(answer=lambda question, n: {"q1": 500, "q2": None}.get(question, 200) if n == 1 else 200) as server:
        assert server.ask(store) == TEXTS
    assert sorted(server.asked) == sorted([f"q{i}" for i in range(7)] + ["q1", "q2"])


def test_what_never_comes_fails_the_run_and_the_rest_is_kept(store):
    with Server(answer=lambda question, n: 500 if question == "q1" else 200) as server:
        with pytest.raises(PotstillError, match="6 answers came and are kept"):
            server.ask(store, max_attempts=2)
        assert server.asked.count("q1") == 2
        assert server.asked.count("q0") == 1


def test_a_sitting_that_ends_while_the_batch_runs_is_followed_by_one_that_fetches_it(store, monkeypatch):
    with Server(looks=3) as server:
        monkeypatch.setattr(batch.interrupt, "stop_requested", lambda: len(server.batches) > 0)
        with pytest.raises(PotstillError, match="fetches them"):
            server.ask(store)
        monkeypatch.undo()
        more = [*QUESTIONS, Request("new", [{"role": "user", "content": "new"}])]
        assert server.ask(store, more) == [*TEXTS, "to new"]
    assert sorted(server.asked) == sorted([q.messages[0]["content"] for q in more])


def test_a_crash_between_handing_in_and_hearing_its_name(store, monkeypatch):
    with Server() as server:
        monkeypatch.setattr(store, "name_batch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            server.ask(store)
        monkeypatch.undo()
        monkeypatch.setattr(batch, "FIRST_POLL", 0.01)
        assert server.ask(store) == TEXTS
    assert len(server.batches) == 1


def test_answers_that_nobody_asks_for_any_more_are_kept(store, monkeypatch):
    with Server(looks=2) as server:
        monkeypatch.setattr(batch.interrupt, "stop_requested", lambda: len(server.batches) > 0)
        with pytest.raises(PotstillError):
            server.ask(store)
        monkeypatch.undo()
        monkeypatch.setattr(batch, "FIRST_POLL", 0.01)
        assert server.ask(store, QUESTIONS[:2]) == TEXTS[:2]
        assert server.ask(store) == TEXTS
    assert len(server.asked) == 7


def test_a_batch_that_the_server_refuses(store):
    with Server() as server:

        async def refuse(request):
            return web.json_response({"status": "failed", "errors": {"data": [{"message": "line 3 is no good"}]}})

        server.look = refuse
        with server, pytest.raises(PotstillError, match="refused the batch batch-0: line 3 is no good"):
            server.ask(store)
    assert store.open_batches(f"{server.url} m") == []


def test_a_download_that_fails_does_not_buy_the_batch_again(store):
    with Server() as server:
        content, failures = server.content, iter([503, 429])

        async def stumbling(request):
            status = next(failures, None)
            return web.Response(status=status) if status else await content(request)

        server.content = stumbling
        with server:
            assert server.ask(store) == TEXTS
    assert len(server.batches) == 1


def test_a_server_that_wants_the_other_name_for_the_limit(store):
    def answer(question, n):
        return 200 if n > 1 else 400

    with Server(answer=answer) as server:
        server.message = "use max_completion_tokens"
        assert server.ask(store) == TEXTS
    second = next(
        file for name, file in server.files.items() if name.startswith("file") and "max_completion_tokens" in file
    )
    assert second.count("max_completion_tokens") == 7
    assert len(server.batches) == 2


def test_azures_batches_belong_to_the_resource(store):
    url = "https://name.openai.azure.com/openai/deployments/big?api-version=2024-10-21"
    model = BatchModel(Endpoint(url=url, model="big", mode="batch"), store)
    assert str(model.server.address("batches")) == "https://name.openai.azure.com/openai/batches?api-version=2024-10-21"
    line = json.loads(model._line(b"k", QUESTIONS[0]))
    assert (line["url"], line["body"]["model"]) == ("/chat/completions", "big")


def stopped(server, store, monkeypatch, questions=QUESTIONS, **options):
    """A sitting that is interrupted while its batch is at the server."""
    with monkeypatch.context() as within:
        within.setattr(batch.interrupt, "sleep", no_sleep)
        with pytest.raises(PotstillError):
            server.ask(store, questions, **options)


async def no_sleep(_):
    return False


def test_a_batch_that_the_server_has_lost_is_handed_in_again(store, monkeypatch):
    with Server(looks=3) as server:
        stopped(server, store, monkeypatch)
        server.batches.clear()
        assert server.ask(store, max_attempts=2) == TEXTS
    assert store.open_batches(f"{server.url} m") == []


def test_answers_that_the_server_has_lost_are_asked_for_again(store):
    with Server() as server:
        whole = server.carry_out

        def carry_out(found):
            name = whole(found)
            return "gone" if len(server.batches) == 1 else name

        server.carry_out = carry_out
        assert server.ask(store, max_attempts=2) == TEXTS
    assert len(server.batches) == 2


def test_batches_of_others_are_not_waited_for(store, monkeypatch):
    with Server(looks=10_000) as server:
        stopped(server, store, monkeypatch)
        server.looks = 1
        server.batches["batch-0"]["status"] = "validating"  # and so it stays
        others = [Request("a", [{"role": "user", "content": "other"}])]
        assert server.ask(store, others) == ["to other"]
        server.batches["batch-0"]["status"] = "in_progress"
        assert server.ask(store) == TEXTS
    assert len(server.batches) == 2


def test_a_batch_that_another_process_is_handing_in_is_waited_for(store):
    with Server() as server:
        other = Store(store.path)
        upload, both = server.upload, []

        async def slowly(request):
            await asyncio.sleep(0.5)
            return await upload(request)

        server.upload = slowly
        first = threading.Thread(target=lambda: both.append(server.ask(store)))
        first.start()
        while not store.open_batches(f"{server.url} m"):
            pass
        both.append(server.ask(other))
        first.join()
    assert both == [TEXTS, TEXTS]
    assert len(server.batches) == 1
