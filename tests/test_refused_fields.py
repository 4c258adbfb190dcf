"""Fields that a server does not take: one refusal teaches all requests, and what is left out decides the key of an answer."""

import json

import pytest

from faulty_server import asking, faulty, refused, said
from potstill.models import Completion, ErrorKind, Request, Sampling
from potstill.models.remote import wire
from potstill.models.remote.dialect import Dialect
from potstill.models.specs import Endpoint
from potstill.models.store.store import Store

pytestmark = pytest.mark.usefixtures("short_backoff", "head_start")


@pytest.fixture
def head_start(monkeypatch):
    """A machine under load answers later than one that is idle."""
    monkeypatch.setattr("potstill.models.remote.dispatch.HEAD_START_SECONDS", {True: 5.0, False: 5.0})


DRAWN = Sampling(64, temperature=0.8, top_p=0.9, seed=5, top_logprobs=2)
SYSTEM = "Be brief."
ENDPOINT = Endpoint(url="http://h/v1", model="m", extra_body={"stop": ["\n\n"], "n": 1})
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}}


def learned(status, value, request=None, dialect=Dialect(), endpoint=ENDPOINT):  # noqa: B008
    """What a refusal of a request with every optional field teaches."""
    request = request or asking(1, DRAWN, SYSTEM, SCHEMA)[0]
    body = value if isinstance(value, str) else json.dumps(value)
    refusal = wire.parse_completion(request, status, body.encode())
    after = dialect.after(request, refusal, wire.request_body(endpoint, request, dialect))
    return after and after.deviations[len(dialect.deviations) :]


def validator(*names):
    return {
        "detail": [
            {
                "type": "extra_forbidden",
                "loc": ["body", name],
                "msg": "Extra inputs are not permitted",
                "input": "x" * 900,
            }
            for name in names
        ]
    }


REFUSALS = {
    "param": (400, {"error": {"message": "Unsupported value.", "param": "temperature", "code": "unsupported_value"}}, ["temperature"]),
    "words": (400, {"error": {"message": "`temperature` is deprecated for this model."}}, ["temperature"]),
    "only one value": (400, {"error": {"message": "invalid temperature: only 1 is allowed for this model"}}, ["temperature"]),
    "thinking": (400, {"type": "error", "error": {"message": "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled"}}, ["top_p"]),
    "both": (400, {"error": {"message": "temperature and top_p cannot both be specified for this model"}}, ["top_p"]),
    "in a list": (400, [{"error": {"code": 400, "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}}], ["seed"]),
    "a validator's list": (422, validator("seed", "logprobs", "top_logprobs"), ["seed", "logprobs"]),
    "a validator's list under message": (422, {"object": "error", "message": validator("seed")}, ["seed"]),
    "a message in JSON": (400, {"error": {"message": json.dumps({"error": {"message": "Unrecognized request argument supplied: seed"}})}}, ["seed"]),
    "plain text": (400, "unknown field `seed`, expected one of `model`, `messages`, `temperature`, `top_p`", ["seed"]),
    "with a list of known fields": (400, {"error": "Unknown parameter: seed. Supported parameters are: temperature, top_p, max_tokens"}, ["seed"]),
    "404": (404, {"error": {"message": "No endpoints found that support the parameter logprobs", "code": 404}}, ["logprobs"]),
    "500": (500, {"error": {"message": "Jinja Exception: System role not supported"}}, ["system"]),
    "raw words of a provider": (400, {"error": {"message": "Provider returned error", "metadata": {"raw": '{"error":{"message":"\'stop\' is not supported with this model."}}'}}}, ["stop"]),
    "n": (400, {"error": {"message": "Unsupported parameter: 'n'"}}, ["n"]),
    "camel case": (400, {"error": {"message": 'Unknown name "topP" at generation_config'}}, ["top_p"]),
    "limit renamed": (400, {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}, ["max_completion_tokens"]),
    "limit by another name": (400, {"message": "max_tokens is not supported, use max_new_tokens"}, ["max_new_tokens"]),
    "limit unknown": (422, validator("max_tokens"), ["max_completion_tokens"]),
    "schema": (400, {"error": {"message": "This model does not support response_format of type json_schema"}}, ["response_format"]),
    "system role": (400, {"error": {"message": "Unsupported value: 'messages[0].role' does not support 'system' with this model."}}, ["system"]),
    "system, by alternation": (400, {"message": "Conversation roles must alternate user/assistant/user/assistant/..."}, ["system"]),
    "system, by a validator": (422, {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'"}]}, ["system"]),
    "system, by another name": (400, [{"error": {"message": "Developer instruction is not enabled for this model"}}], ["system"]),
}  # fmt: skip


@pytest.mark.parametrize(("status", "value", "fields"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_of_any_form_names_the_field(status, value, fields):
    assert learned(status, value) == tuple(fields)


OTHER = {
    "a value out of range": (400, {"error": {"message": "temperature must be less than or equal to 0.5"}}),
    "a limit too large": (400, {"error": {"message": "max_tokens is too large: 100000. This model supports at most 4096 completion tokens."}}),
    "a prompt too long": (400, {"error": {"message": "This model's maximum context length is 10 tokens, reduce max_tokens"}}),
    "another field": (400, {"error": {"message": "Unknown parameter: 'reasoning_effort'"}}),
    "words of no field": (400, {"error": {"message": "the model must not be asked about temperatures"}}),
    "a busy system": (503, {"error": {"message": "The system is not available right now"}}),
    "an unknown model": (404, {"error": {"message": "The model `m` does not exist"}}),
    "a key": (401, {"error": {"message": "invalid temperature key"}}),
}  # fmt: skip


@pytest.mark.parametrize(("status", "value"), OTHER.values(), ids=OTHER.keys())
def test_other_refusals_teach_nothing(status, value):
    assert learned(status, value) is None


def test_a_field_that_was_not_sent_is_not_left_out():
    greedy = asking(1)[0]
    assert learned(400, {"error": {"message": "'top_p' is not supported"}}, greedy) is None
    assert learned(400, {"error": {"message": "'temperature' must be positive"}}, greedy) == ("temperature",)


def test_a_limit_is_left_out_where_no_name_of_it_is_taken():
    renamed = Dialect(("max_completion_tokens",))
    assert learned(422, validator("max_completion_tokens"), dialect=renamed) == ("max_tokens",)
    body = wire.request_body(ENDPOINT, asking(1)[0], Dialect(("max_completion_tokens", "max_tokens")))
    assert not {"max_tokens", "max_completion_tokens"} & body.keys()


def test_one_request_is_refused_whatever_the_concurrency(tmp_path, capsys):
    def respond(body):
        odd = {"seed", "logprobs"} & body.keys()
        return (422, validator(*sorted(odd))) if odd else said("fine")

    with faulty(respond) as server:
        got = server.complete(tmp_path / "s", asking(40, DRAWN), concurrency=16)
    assert [c.text for c in got] == ["fine"] * 40
    assert [fields for fields in server.fields if "seed" in fields] == [
        ["logprobs", "max_tokens", "seed", "temperature", "top_logprobs", "top_p"]
    ]
    assert len(server.bodies) == 41
    told = capsys.readouterr().err
    assert told.count("m does not take 'seed'; it is left out from now on: the same draw cannot be repeated") == 1
    assert told.count("m does not take 'logprobs'") == 1


def test_fields_are_refused_one_after_the_other(tmp_path, capsys):
    def respond(body):
        for name in ("max_tokens", "temperature"):
            if name in body:
                return refused(f"Unsupported parameter: '{name}'", param=name)
        return said("fine")

    with faulty(respond) as server:
        got = server.complete(tmp_path / "s", asking(20), concurrency=8)
    assert [c.error for c in got] == [None] * 20
    assert server.fields[:3] == [
        ["max_tokens", "temperature"],
        ["max_completion_tokens", "temperature"],
        ["max_completion_tokens"],
    ]
    assert len(server.bodies) == 22
    assert "they are not greedy" in capsys.readouterr().err


def test_a_later_command_asks_nothing_twice_and_begins_with_what_was_learned(tmp_path):
    def respond(body):
        return refused("unknown field: seed") if "seed" in body else said("fine")

    with faulty(respond) as server:
        server.complete(tmp_path / "s", asking(6, DRAWN))
        assert len(server.bodies) == 7
        server.complete(tmp_path / "s", asking(6, DRAWN))
        assert len(server.bodies) == 7
        server.complete(tmp_path / "s", asking(8, DRAWN))
        assert ["seed" in fields for fields in server.fields[7:]] == [False, False]


def test_what_is_left_out_decides_the_key_of_requests_that_have_it(tmp_path):
    """A server that takes a field again, or answers of a complete request, are kept apart from those without it."""
    takes_seed = [True]

    def respond(body):
        return (
            said("with" if "seed" in body else "without")
            if takes_seed[0] or "seed" not in body
            else refused("unknown field: seed")
        )

    with faulty(respond) as server:
        assert [c.text for c in server.complete(tmp_path / "s", asking(2, DRAWN))] == ["with"] * 2
        greedy = [c.text for c in server.complete(tmp_path / "s", asking(2))]
        takes_seed[0] = False
        assert [c.text for c in server.complete(tmp_path / "s", asking(4, DRAWN))] == ["with"] * 2 + ["without"] * 2
        asked = len(server.bodies)
        # Greedy requests have no seed: what was learned does not concern their keys.
        assert [c.text for c in server.complete(tmp_path / "s", asking(2))] == greedy
        assert [c.text for c in server.complete(tmp_path / "s", asking(4, DRAWN))] == ["with"] * 2 + ["without"] * 2
        assert len(server.bodies) == asked
    assert Store(tmp_path / "s").left_out(f"{server.url} m") == ("seed",)


def test_a_system_prompt_is_folded_into_the_first_user_message(tmp_path, capsys):
    def respond(body):
        is_system = body["messages"][0]["role"] == "system"
        return refused("Only user and assistant roles are supported!") if is_system else said("fine")

    with faulty(respond) as server:
        server.complete(tmp_path / "s", asking(3, system=SYSTEM))
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": f"{SYSTEM}\n\nq2"}]
    assert len(server.bodies) == 4
    assert "the system prompt is put before the first user message" in capsys.readouterr().err


def test_a_top_p_of_one_is_never_sent_and_null_takes_a_field_out():
    request = asking(1, Sampling(temperature=0.5))[0]
    endpoint = ENDPOINT.model_copy(update={"extra_body": {"seed": None, "top_k": 5}})
    body = wire.request_body(endpoint, request, Dialect())
    assert sorted(body) == ["max_tokens", "messages", "model", "temperature", "top_k"]
    assert "top_p" in wire.request_body(endpoint, asking(1, DRAWN)[0], Dialect())


def test_what_a_server_refuses_for_another_reason_is_reported(tmp_path):
    failure = Completion("a", 0, error=ErrorKind.RATE_LIMITED, detail="temperature is not supported")
    assert Dialect().after(Request("a", []), failure, {"temperature"}) is None
