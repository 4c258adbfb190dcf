"""Batch endpoints that refuse fields, block rows, leave no room, or answer in other marks: as for single requests."""

import json

import pytest
from aiohttp import web

from faulty_server import asking, said
from potstill.errors import PotstillError
from potstill.models import ErrorKind, Sampling
from potstill.models.complete import Billing, complete
from potstill.models.remote import batch, retry
from potstill.models.remote.batch import BatchModel
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store
from test_batch import Server


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(batch, "FIRST_POLL_SECONDS", 0.01)
    monkeypatch.setattr(retry, "FIRST_BACKOFF_SECONDS", 0.01)


class FaultyBatches(Server):
    """``respond(body)`` returns the status and body of each line's response."""

    def __init__(self, respond, **options):
        super().__init__(**options)
        self.respond, self.bodies = respond, []

    def process(self, order):
        lines = []
        for row in map(json.loads, self.files[order["input"]].splitlines()):
            self.bodies.append(row["body"])
            status, body = self.respond(row["body"])
            lines.append(json.dumps({"custom_id": row["custom_id"], "response": {"status_code": status, "body": body}}))
        self.files[name := f"out-{len(self.files)}"] = "\n".join(lines)
        return name

    def ask(self, path, asked, **options):
        store = Store(path)
        endpoint = Endpoint(url=self.url, model="m", mode="batch", **{"max_attempts": 3} | options)
        return list(complete(BatchModel(endpoint, store), asked, "teacher", Billing(store)))


DRAWN = Sampling(64, temperature=0.8)
FINE = said("fine")


def test_refused_fields_are_left_out_and_a_later_command_finds_the_answers(tmp_path, capsys):
    def respond(body):
        return (400, {"error": {"message": "unknown field: seed"}}) if "seed" in body else FINE

    with FaultyBatches(respond) as server:
        for _ in range(2):
            assert [c.text for c in server.ask(tmp_path / "s", asking(5, DRAWN))] == ["fine"] * 5
        assert len(server.batches) == 2
        assert [c.text for c in server.ask(tmp_path / "s", asking(7, DRAWN))] == ["fine"] * 7
        assert len(server.batches) == 3
    assert ["seed" in body for body in server.bodies] == [True] * 5 + [False] * 7
    assert capsys.readouterr().err.count("does not take 'seed'") == 1


def test_a_batch_in_another_dialect_is_resumed(tmp_path, monkeypatch):
    def respond(body):
        return (400, {"error": {"message": "unknown field: seed"}}) if "seed" in body else FINE

    with FaultyBatches(respond) as server:
        server.ask(tmp_path / "s", asking(2, DRAWN))
        server.polls = 10_000

        async def no_sleep(_):
            return False

        with monkeypatch.context() as within:
            within.setattr(batch.interrupt, "sleep", no_sleep)
            with pytest.raises(PotstillError, match="fetch their answers"):
                server.ask(tmp_path / "s", asking(6, DRAWN))
        server.polls = 1
        assert [c.text for c in server.ask(tmp_path / "s", asking(6, DRAWN))] == ["fine"] * 6
        assert len(server.batches) == 3


def test_a_batch_that_is_refused_as_a_whole_for_a_field_is_submitted_without_it(tmp_path):
    with FaultyBatches(lambda body: FINE) as server:
        poll = server.poll

        async def validating(request):
            order = server.batches[request.match_info["id"]]
            if "top_p" in server.files[order["input"]]:
                errors = {"data": [{"message": "Unsupported parameter: 'top_p'", "line": 1}]}
                return web.json_response(order | {"status": "failed", "errors": errors})
            return await poll(request)

        server.poll = validating
        with server:
            got = server.ask(tmp_path / "s", asking(3, Sampling(64, temperature=0.8, top_p=0.5)))
    assert [c.text for c in got] == ["fine"] * 3


def test_a_limit_without_room_shrinks(tmp_path):
    def respond(body):
        if body["max_tokens"] > 30:
            message = (
                "maximum context length is 100 tokens, you requested more (70 in the messages, 64 in the completion)"
            )
            return 400, {"error": {"message": message, "code": "context_length_exceeded"}}
        return FINE

    with FaultyBatches(respond) as server:
        got = server.ask(tmp_path / "s", asking(2, Sampling(64)))
        assert [c.text for c in got] == ["fine"] * 2
        server.ask(tmp_path / "s", asking(2, Sampling(64)))
    assert [body["max_tokens"] for body in server.bodies] == [64, 64, 30, 30]


def test_blocked_rows_are_refused_and_unreadable_ones_fail_alone(tmp_path):
    def respond(body):
        answers = {
            "q0": (400, {"error": {"message": "flagged as unsafe content"}}), "q1": (200, {"choices": []}), "q2": (200, {"odd": 1}),
            "q3": said("half", "abort"),
        }  # fmt: skip
        return answers.get(body["messages"][-1]["content"], said("<think>a</think>fine<|im_end|>"))

    with FaultyBatches(respond) as server:
        got = server.ask(tmp_path / "s", asking(10), max_attempts=4)
        batches = len(server.batches)
        assert [c.finish_reason for c in got[:2]] == ["content_filter"] * 2
        assert [c.error for c in got[2:4]] == [ErrorKind.BAD_RESPONSE, ErrorKind.OVERLOADED]
        assert {(c.reasoning, c.text) for c in got[4:]} == {("a", "fine")}
        assert batches == 4
        assert [sum(body["messages"][-1]["content"] == f"q{i}" for body in server.bodies) for i in range(5)] == [
            1,
            3,
            3,
            4,
            1,
        ]


def test_an_empty_account_stops_the_run(tmp_path):
    spent = (400, {"error": {"message": "Your credit balance is too low"}})
    with FaultyBatches(lambda body: spent if body["messages"][-1]["content"] > "q3" else FINE) as server:
        with pytest.raises(PotstillError, match=r"quota: .* 4 answers are saved"):
            server.ask(tmp_path / "s", asking(9))
        assert len(server.batches) == 1
