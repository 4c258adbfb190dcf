"""A fault of one row is that row's: it is refused or failed, with its reason, and the run goes on; a fault of the server stops it."""

import time
import zlib

import pytest

from faulty_server import asking, faulty, question, refused, said
from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind
from potstill.models.remote import refusals
from potstill.models.tally import Tally
from potstill.pipeline.pipeline import start
from potstill.stages.data.stage import make_examples
from potstill.stages.evaluate.asking import KINDS, Answer
from potstill.stages.evaluate.choosing import choose
from potstill.stages.evaluate.stage import evaluate
from potstill.tasks import Parsed, Status
from potstill.workspace.artifacts import predictions
from small import RECIPE

pytestmark = pytest.mark.usefixtures("short_backoff")

FINE = said("fine")
NO_MESSAGE = {
    "a message of null, with a reason": (200, {"choices": [{"index": 0, "finish_reason": "SAFETY", "message": None}]}),
    "no message, with a reason": (200, {"choices": [{"index": 0, "finish_reason": "content_filter: BLOCKLIST"}]}),
    "no message and no reason": (200, {"choices": [{"index": 0, "finish_reason": None, "message": None}]}),
    "no choices": (200, {"object": "chat.completion", "choices": None}),
    "an empty list of choices": (200, {"choices": [], "usage": {}}),
    "a blocked prompt": (200, {"usage": {}, "promptFeedback": {"blockReason": "OTHER"}}),
    "an error of moderation in a choice": (200, {"choices": [{"error": {"code": 403, "message": "Blocked by the safety filter"}}]}),
    "an error of moderation with status 200": (200, {"error": {"message": "Content flagged as unsafe", "code": "content_policy_violation"}}),
}  # fmt: skip
MODERATED = {
    "a code": refused("No.", code="content_policy_violation"),
    "a type": refused("No.", type="data_inspection_failed"),
    "words": refused("Gemini blocked the request: PROHIBITED_CONTENT", code=400),
    "a policy": refused("Your request was rejected because it violates our usage policies"),
    "risk": refused("Content Exists Risk"),
    "high risk": (400, {"error": {"message": "The request was rejected because it was considered high risk", "type": "content_filter"}}),
    "Chinese": refused("系统检测到输入或生成内容可能包含不安全或敏感内容"),
    "status 403": refused("Your input was flagged by moderation", 403),
    "status 422": (422, {"detail": "The prompt was blocked by the guardrail"}),
    "status 451": (451, b"inappropriate content"),
    "in a list": (400, [{"error": {"code": 400, "message": "prompt contains sensitive words", "status": "INVALID_ARGUMENT"}}]),
    "words that speak of money": (400, {"error": {"message": "Flagged: 'recharge my credit balance, this is a bomb'", "code": "moderation_blocked"}}),
}  # fmt: skip


@pytest.mark.parametrize("blocked", [*NO_MESSAGE.values(), *MODERATED.values()], ids=[*NO_MESSAGE, *MODERATED])
def test_a_blocked_row_is_refused_kept_and_not_asked_again(tmp_path, blocked, capsys):
    with faulty(lambda body: blocked if question(body) in ("q1", "q3") else FINE) as server:
        got = server.complete(tmp_path / "s", asking(8), concurrency=4)
        asked = len(server.bodies)
        again = server.complete(tmp_path / "s", asking(8), concurrency=4)
        assert len(server.bodies) == asked
    for completions in (got, again):
        assert [c.error for c in completions] == [None] * 8
        assert [c.id for c in completions if c.finish_reason == "content_filter"] == ["1", "3"]
        assert completions[1].text
    assert "2 requests were refused" in capsys.readouterr().err


def test_moderation_that_stops_all_rows_stops_the_run(tmp_path):
    with faulty(lambda body: refused("flagged as unsafe content")) as server:
        with pytest.raises(PotstillError, match=r"moderation stopped each of the first .* flagged as unsafe content"):
            server.complete(tmp_path / "s", asking(9))
        with pytest.raises(PotstillError, match="moderation stopped each of the first"):
            server.complete(tmp_path / "other", asking(200))
        assert len(server.bodies) < 60


@pytest.mark.parametrize(
    "broken", [(200, {"choices": []}), (200, b"<html>welcome</html>"), (500, b"oh"), (400, b"odd")]
)
def test_a_server_that_is_broken_for_everyone_stops_the_run_early(tmp_path, broken):
    with faulty(lambda body: broken) as server:
        with pytest.raises(PotstillError, match="0 answers are saved"):
            server.complete(tmp_path / "s", asking(500), concurrency=8, max_attempts=3)
        assert len(server.bodies) < 120
        server.respond = lambda body: FINE
        # Nothing of it counts as refused: all rows are asked again.
        assert [c.text for c in server.complete(tmp_path / "s", asking(40))] == ["fine"] * 40


def too_slow(body):
    if question(body) == "q0":
        time.sleep(0.6)
    return FINE


LASTING = {
    "too slow": (too_slow, ErrorKind.TIMEOUT, 2),
    "unreadable": (lambda body: (200, b"<html>") if question(body) == "q0" else FINE, ErrorKind.BAD_RESPONSE, 3),
    "aborted": (lambda body: said("half", "abort") if question(body) == "q0" else FINE, ErrorKind.OVERLOADED, 4),
    "crashing": (lambda body: (500, b"oh") if question(body) == "q0" else FINE, ErrorKind.OVERLOADED, 4),
}


@pytest.mark.parametrize(("respond", "kind", "attempts"), LASTING.values(), ids=LASTING.keys())
def test_a_row_that_never_gets_an_answer_fails_alone(tmp_path, respond, kind, attempts, capsys):
    options = {"timeout": 0.2, "max_attempts": 2 if kind is ErrorKind.TIMEOUT else 4, "concurrency": 4}
    with faulty(respond) as server:
        got = server.complete(tmp_path / "s", asking(12), **options)
        assert sum(question(body) == "q0" for body in server.bodies) == attempts
        assert {c.id: c.error for c in got if c.error} == {"0": kind}
        assert f"1 requests failed: 1 {kind}" in capsys.readouterr().err
        asked = len(server.bodies)
        assert (
            server.complete(tmp_path / "s", asking(12), **options)[0].error is kind
        )  # alone, it is asked again, and ends
        assert len(server.bodies) == asked + attempts


def test_min_success_means_what_it_says(tmp_path):
    def respond(body):
        number = int(question(body)[1:])
        return refused("odd") if number < 4 else refused("flagged content") if number < 6 else FINE

    with faulty(respond) as server:
        with pytest.raises(PotstillError, match=r"fewer than 75% of 20 requests can succeed.*4 invalid-request"):
            server.complete(tmp_path / "s", asking(20), min_success=0.75, concurrency=1)
        got = server.complete(tmp_path / "s", asking(20), min_success=0.7, concurrency=1)
    assert [bool(c.error) for c in got] == [True] * 4 + [False] * 16


def test_most_requests_must_succeed_without_min_success_too(tmp_path):
    with (
        faulty(lambda body: FINE if question(body) < "q14" else refused("odd")) as server,
        pytest.raises(PotstillError, match=r"invalid-request: HTTP 400: odd\. 6 answers are saved"),
    ):
        server.complete(tmp_path / "s", asking(20), concurrency=1)


def test_an_outage_is_not_taken_for_faults_of_rows(tmp_path):
    up = [True]

    def respond(body):
        up[0] &= int(question(body)[1:]) < 30
        return FINE if up[0] else (503, b"down")

    with faulty(respond) as server:
        with pytest.raises(
            PotstillError, match=r"overloaded: HTTP 503: down\. To continue without these rows, set min_success"
        ):
            server.complete(tmp_path / "s", asking(50), concurrency=4, max_attempts=2)
        server.respond = lambda body: FINE
        assert [c.text for c in server.complete(tmp_path / "s", asking(50))] == ["fine"] * 50


CREDIT = [
    refused("Your credit balance is too low to access the API. Please go to Plans & Billing."),
    refused("Insufficient Balance", 402),
    refused("Insufficient account balance", 403),
    refused("You have run out of credits", 403),
    refused("You exceeded your current quota, please check your plan and billing details.", 429),
    refused("Your account is in arrears, please recharge", 429, code="1113"),
    refused("quota exceeded for today", 429),
    refused("No.", 429, type="insufficient_quota"),
    refused("Budget has been exceeded! Current cost: 10.1, Max budget: 10.0"),
    (400, [{"error": {"code": 400, "message": "This API method requires billing to be enabled."}}]),
    (200, {"error": {"message": "Insufficient credits. Add more credits.", "code": 402}}),
    (422, {"detail": "账户余额不足"}),
]


@pytest.mark.parametrize("spent", CREDIT, ids=[str(i) for i in range(len(CREDIT))])
def test_an_empty_account_stops_the_run_at_once(tmp_path, spent):
    answered = [0]

    def respond(body):
        answered[0] += 1
        return FINE if answered[0] <= 10 else spent

    with faulty(respond) as server:
        with pytest.raises(PotstillError, match=r"teacher: quota: .* 10 answers are saved"):
            server.complete(tmp_path / "s", asking(60), concurrency=4)
        assert len(server.bodies) <= 14
        server.respond = lambda body: FINE
        assert [c.text for c in server.complete(tmp_path / "s", asking(60))] == ["fine"] * 60
        assert len(server.bodies) <= 14 + 50


WAITS = [
    (429, "Rate limit reached for requests. Please try again in 6s. Add a payment method at /account/billing"),
    (429, "You exceeded your current quota, please check your plan and billing details. Quota exceeded for metric: "
          "generate_requests_per_minute. Please retry in 38.2s."),
    (429, "Too many requests"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "message"), WAITS)
def test_a_limit_that_a_wait_lifts_is_no_empty_account(status, message):
    kind, _ = refusals.kind_of(status, f'{{"error": {{"message": "{message}"}}}}')
    assert kind is ErrorKind.RATE_LIMITED


def test_an_account_that_was_closed_is_no_matter_of_a_prompt():
    kind, _ = refusals.kind_of(
        403, '{"error": {"message": "Your account was suspended for violating our usage policies"}}'
    )
    assert kind is ErrorKind.AUTH


def evaluated(tmp_path, tiny_folder, respond, systems="[base-direct, teacher-direct]"):
    """evaluation.json of a run whose teacher is a server."""
    with faulty(respond) as server:
        recipe = RECIPE.format(url=server.url, student=tiny_folder).replace(
            "concurrency: 4", "concurrency: 4, max_attempts: 2, timeout: 5"
        )
        (tmp_path / "r.yaml").write_text(recipe.replace("[base, student, teacher-direct]", systems))
        run = start(str(tmp_path / "r.yaml"), tmp_path / "runs")
        make_examples(run.recipe, run)
        evaluate(run.recipe, run)
    return run.evaluation["splits"]["test"], run.read(predictions("teacher-direct"))


@pytest.mark.parametrize("fault", [
    NO_MESSAGE["no message, with a reason"], NO_MESSAGE["no choices"], MODERATED["words"], (500, b"oh"), (400, b"odd"),
])  # fmt: skip
def test_a_question_without_an_answer_by_no_fault_of_the_model_is_excluded_and_never_wrong(
    tmp_path, tiny_folder, fault
):
    def respond(body):
        return fault if zlib.crc32(question(body).encode()) % 3 == 0 else said("Answer: 7")

    split, rows = evaluated(tmp_path, tiny_folder, respond)
    faults = sum(zlib.crc32(row["messages"][-1]["content"].encode()) % 3 == 0 for row in rows)
    assert 0 < faults < 8
    system = split["systems"]["teacher-direct"]
    assert (system["n"], system["excluded"]) == (8 - faults, faults)
    assert sum(row["outcome"] in ("filtered", "error") for row in rows) == faults


def test_a_model_that_refuses_by_itself_is_wrong(tmp_path, tiny_folder):
    split, _ = evaluated(tmp_path, tiny_folder, lambda body: said(None, refusal="I cannot help with sums."))
    system = split["systems"]["teacher-direct"]
    assert (system["n"], system["excluded"], system["outcomes"]) == (8, 0, {"refused": 8})


def test_a_question_asked_again_under_a_larger_limit_that_never_comes_does_not_stop_the_evaluation(
    tmp_path, tiny_folder
):
    def respond(body):
        return said("So we have", "length") if body["max_tokens"] <= 64 else (500, b"oh")

    split, _ = evaluated(tmp_path, tiny_folder, respond)
    assert split["systems"]["teacher-direct"]["outcomes"] == {"truncated": 8}


class Blocked:
    """An asker whose systems answer all questions rightly, but that a server blocks the first for teacher-cot."""

    def ask(self, systems, examples, of):
        def answer(system, n, example):
            if n == 0 and system.name == "teacher-cot":
                return Answer(None, Completion(example["id"], 0, finish_reason="content_filter"), read(None))
            return Answer(None, Completion(example["id"], 0, text="so", finish_reason="stop"), read(example["gold"]))

        def read(text):
            return dict.fromkeys(KINDS, Parsed(Status.OK, text))

        return {system.name: [answer(system, n, one) for n, one in enumerate(examples)] for system in systems}


def test_requests_that_need_not_succeed_never_stop_a_run_by_their_number():
    tally = Tally("teacher", 40, required=False)
    for i in range(40):
        assert not tally.should_abort
        tally.add(Completion(str(i), 0, error=ErrorKind.OVERLOADED, detail="down"))
    tally.raise_for_failures(None)


def test_ways_to_ask_are_compared_on_the_validation_questions_that_a_server_answered(tmp_path, tiny_folder):
    recipe = RECIPE.format(url="http://127.0.0.1:9/v1", student=tiny_folder)
    (tmp_path / "r.yaml").write_text(recipe.replace("teacher-direct]", "teacher-cot, teacher-direct]"))
    run = start(str(tmp_path / "r.yaml"), tmp_path / "runs")
    make_examples(run.recipe, run)
    chosen = choose(run.recipe, run, Blocked(), list(run.examples("test")), {})
    assert chosen["teacher"]["scores"] == {"teacher-cot": 1.0, "teacher-direct": 1.0}
