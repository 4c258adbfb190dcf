"""`potstill measure`: a student on a real llama.cpp, a teacher that streams with known delays, and what is made of their times."""

import json
import re
import signal
import socket

import jsonschema
import pytest

import measured_run
import served
import small
from measured_run import BETWEEN, FIRST, N, measurable_run
from potstill.measure.result import schema
from potstill.models.prices import Price
from recorded import reply, upstream

QUICK = ("--form", served.FORM, "--concurrency", "2", "--questions", "8")
FLAGS = ("--form", served.FORM, "--concurrency", "1,2", "--questions", "8")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The folder of a tiny student, and its GGUF file."""
    folder = tmp_path_factory.mktemp("weights")
    served.tiny_weights(folder / "model", folder / "tiny.gguf")
    return folder / "model", folder / "tiny.gguf"


def endpoint(url, price="price: {input: 2, output: 10}"):
    return f"{{url: '{url}', model: big, {price}}}".replace(", }", "}")


@pytest.fixture(scope="module")
def measured(tmp_path_factory, weights):
    """A run that was measured by the command, its folder, what it printed, and the teacher that it asked."""
    folder = tmp_path_factory.mktemp("measured")
    with upstream(measured_run.respond) as teacher:
        run = measurable_run(folder / "runs", *weights, endpoint(teacher.url))
        done = small.potstill("measure", "one", *FLAGS, "--machine-price", "0.5", "--yes", cwd=folder)
    assert done.returncode == 0, done.stderr
    return run, folder, done, teacher


def phases(run, name):
    return {
        (one["concurrency"], one["cache"]): one for one in run.read_json("measured.json")["systems"][name]["phases"]
    }


def test_it_is_what_its_schema_says(measured):
    run, _, _, _ = measured
    result = run.read_json("measured.json")
    jsonschema.validate(result, schema())
    printed = small.potstill("schema", "measured", cwd=run.folder)
    assert json.loads(printed.stdout) == schema()


def test_all_systems_are_measured_in_all_phases(measured):
    run, _, _, teacher = measured
    assert list(run.read_json("measured.json")["systems"]) == ["student", "teacher-direct", "teacher-plain"]
    assert set(phases(run, "student")) == {(1, "cold"), (1, "warm"), (2, "cold"), (2, "warm")}
    for name in ("teacher-direct", "teacher-plain"):
        assert set(phases(run, name)) == {(1, "as served"), (2, "as served")}
    assert all(
        one["n"] == 8 and not one["failed"]
        for name in ("student", "teacher-plain")
        for one in phases(run, name).values()
    )
    assert len(teacher.seen) == 2 * 2 * 8


def test_the_teachers_times_are_those_of_its_stream(measured):
    run, _, _, _ = measured
    for (concurrency, _), phase in phases(run, "teacher-direct").items():
        assert FIRST <= phase["first_token"]["p50"] < 10 * FIRST
        assert BETWEEN <= phase["per_token"]["p50"] < 10 * BETWEEN
        least = FIRST + 6 * BETWEEN
        assert least <= phase["latency"]["p50"] < 10 * least
        assert phase["latency"]["p90"] is None  # of 8 answers
        assert phase["answers_per_second"] <= concurrency / least
        assert phase["seconds"] >= 8 / concurrency * least
        assert phase["completion_tokens"]["estimate"] == 6


def test_prompts_are_those_of_the_verdict(measured):
    """The student and the plain teacher are asked the same, the teacher of the verdict with its instruction; greedy, with the verdict's limit."""
    run, _, _, teacher = measured
    bodies = [json.loads(body) for _, body in teacher.seen]
    direct, plain = ([body["messages"][-1]["content"] for body in some] for some in (bodies[:16], bodies[16:]))
    questions = {row["question"] for row in run.examples("test")}
    assert set(plain) <= questions
    assert len(set(plain)) == 8
    assert all(any(question in asked and question != asked for question in plain) for asked in direct)
    assert {(body["temperature"], body["max_tokens"]) for body in bodies} == {(0.0, 64)}
    assert phases(run, "student")[1, "cold"]["prompt_tokens"]["estimate"] < 40


def test_the_cache_is_cold_and_warm(measured):
    """Of cold requests nothing is in the cache; of warm ones what the template begins with, and no whole prompt."""
    run, _, _, _ = measured
    student = phases(run, "student")
    for concurrency in (1, 2):
        assert student[concurrency, "cold"]["cached_tokens"]["estimate"] == 0
        warm = student[concurrency, "warm"]
        assert 0 < warm["cached_tokens"]["estimate"] < warm["prompt_tokens"]["estimate"] - 1
    assert student[1, "cold"]["memory"] > 10e6


def test_money_is_that_of_tokens_and_of_the_machines_time(measured):
    run, _, _, _ = measured
    teacher, student = phases(run, "teacher-direct")[2, "as served"], phases(run, "student")[2, "warm"]
    prompt = teacher["prompt_tokens"]["estimate"]
    assert teacher["cost"]["estimate"] == pytest.approx((2 * prompt + 10 * 6) / 1e6 * 1000)
    assert student["cost"]["estimate"] == pytest.approx(0.5 / 3600 * student["seconds"] / 8 * 1000)
    assert teacher["machine_seconds"] is None


def test_the_payback_is_the_runs_cost_by_what_a_call_saves(measured):
    run, _, _, _ = measured
    result = run.read_json("measured.json")
    one = result["payback"][0]
    assert (one["system"], one["unit"]) == ("teacher-direct", "dollars")
    assert one["training"] == pytest.approx(40 * 0.5 / 3600)
    tokens = [(5, 10 if i % 2 == 0 else 12) for i in range(N)]
    price = Price(input=2, output=10)
    assert one["evaluation"] == pytest.approx(10 * 0.5 / 3600 + sum(price.cost(*pair) for pair in tokens))
    assert one["generation"] == 0  # nothing was generated in this run
    saved = (
        phases(run, "teacher-direct")[2, "as served"]["cost"]["estimate"]
        - phases(run, "student")[2, "warm"]["cost"]["estimate"]
    ) / 1000
    assert one["saved"]["estimate"] == pytest.approx(saved)
    assert one["calls"] == -(-one["fixed"] // one["saved"]["estimate"])


def test_claim_c_is_answered_in_words(measured):
    run, _, done, _ = measured
    verdict = run.read_json("measured.json")["verdict"]
    against = run.read_json("measured.json")["against"][0]
    low, high = against["latency"]["low"], against["latency"]["high"]
    assert verdict["faster"] is (True if low > 1 else False if high < 1 else None)
    assert len(verdict["lines"]) == 3
    assert re.match(
        r"(CHEAPER|DEARER|NOT SHOWN TO BE CHEAPER) AND (FASTER|SLOWER|NOT SHOWN TO BE FASTER): with its plain prompt \(\d+ tokens",
        verdict["lines"][0],
    )
    assert f"{against['latency']['estimate']:.3g} [" in verdict["lines"][0]
    assert any("endpoint" in note for note in verdict["notes"])
    assert done.stdout.startswith(verdict["lines"][0][:60])
    assert "teacher-plain" in done.stdout


def test_the_same_command_measures_nothing_again(measured):
    run, folder, _, teacher = measured
    before = run.read_json("measured.json")
    asked = len(teacher.seen)
    done = small.potstill(
        "measure", "one", *FLAGS, "--machine-price", "0.5", cwd=folder
    )  # which no --yes has to agree to
    assert done.returncode == 0, done.stderr
    assert (run.read_json("measured.json"), len(teacher.seen)) == (before, asked)


def test_another_machine_price_changes_the_money_alone(measured):
    run, folder, _, _ = measured
    before = phases(run, "student")[1, "warm"]
    done = small.potstill("measure", "one", *FLAGS, "--json", cwd=folder)
    result = json.loads(done.stdout)
    after = result["systems"]["student"]["phases"][1]
    assert after == before | {"cost": None}
    assert (result["payback"], result["cost_unit"], result["front"]) == ([], None, [])
    assert "COSTS NOT KNOWN" in result["verdict"]["lines"][0]
    assert "--machine-price" in result["verdict"]["lines"][1]
    small.potstill("measure", "one", *FLAGS, "--machine-price", "0.5", cwd=folder)


def test_plan_and_agreement(tmp_path, weights):
    """Nothing is asked before somebody agreed to what it costs."""
    with upstream(measured_run.respond) as teacher:
        measurable_run(tmp_path / "runs", *weights, endpoint(teacher.url))
        planned = small.potstill("measure", "one", *QUICK, "--plan", cwd=tmp_path)
        refused = small.potstill("measure", "one", *QUICK, cwd=tmp_path)
        assert not teacher.seen
    assert re.search(r"teacher-direct \(endpoint\): 8 requests, about \$0\.00", planned.stdout)
    assert f"student (llama.cpp, {served.FORM}): 16 requests\n" in planned.stdout
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)


def test_a_limit_on_the_cost_stops_and_resumes(tmp_path, weights):
    with upstream(measured_run.respond) as teacher:
        run = measurable_run(tmp_path / "runs", *weights, endpoint(teacher.url))
        one = (2 * 5 + 10 * 11) / 1e6  # by the tokens of the verdict
        stopped = small.potstill("measure", "one", *QUICK, "--yes", "--max-cost", f"{4 * one}", cwd=tmp_path)
        asked = len(teacher.seen)
        assert (stopped.returncode, "--max-cost" in stopped.stderr) == (1, True)
        assert 1 <= asked < 8
        assert not run.path("measured.json").exists()
        done = small.potstill("measure", "one", *QUICK, "--yes", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(teacher.seen) == 2 * 8  # none was asked twice


def test_a_limit_on_unknown_costs_is_refused(tmp_path, weights):
    with upstream(measured_run.respond) as teacher:
        measurable_run(tmp_path / "runs", *weights, endpoint(teacher.url, ""))
        done = small.potstill("measure", "one", *QUICK, "--max-cost", "1", cwd=tmp_path)
        assert (done.returncode, "teacher.model.price" in done.stderr, teacher.seen) == (2, True, [])


def test_an_interrupted_measurement_resumes(tmp_path, weights):
    def slowly(head, body):
        return [0.1, *measured_run.respond(head, body)]

    with upstream(slowly) as teacher:
        run = measurable_run(tmp_path / "runs", *weights, endpoint(teacher.url))
        begun = small.Begun("measure", "one", *QUICK, "--yes", cwd=tmp_path)
        assert served.eventually(lambda: len(teacher.seen) >= 3, 60)
        begun.send_signal(signal.SIGINT)
        _, code = begun.end()
        asked = len(teacher.seen)
        assert (code, 3 <= asked < 16) == (130, True)
        assert not run.path("measured.json").exists()
        assert run.path("measurements/student.json").exists()
        student = run.path("measurements/student.json").read_bytes()
        done = small.potstill("measure", "one", *QUICK, "--yes", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(teacher.seen) == 16
        assert run.path("measurements/student.json").read_bytes() == student


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def test_an_endpoint_that_is_down(tmp_path, weights):
    run = measurable_run(tmp_path / "runs", *weights, endpoint(f"http://127.0.0.1:{closed_port()}/v1"))
    done = small.potstill("measure", "one", *QUICK, "--yes", cwd=tmp_path)
    assert (done.returncode, "most requests failed" in done.stderr) == (1, True), done.stderr
    assert "resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert run.path("measurements/student.json").exists()


def test_some_failed_requests_are_counted_and_in_no_number(tmp_path, weights):
    asked = []

    def sometimes(head, body):
        asked.append(body)
        if len(asked) % 4 == 0:
            return reply({"error": {"message": "slower"}}, "429 Too Many Requests")
        return measured_run.respond(head, body)

    with upstream(sometimes) as teacher:
        run = measurable_run(tmp_path / "runs", *weights, endpoint(teacher.url, ""))
        done = small.potstill("measure", "one", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [(one["n"], one["failed"]) for one in phases(run, "teacher-direct").values()] == [(6, 2)]
    assert "teacher-direct: 2 requests failed, and are in no number" in " ".join(done.stdout.split())
    assert "price" in run.read_json("measured.json")["verdict"]["lines"][1]


@pytest.mark.parametrize(("change", "message"), [
    ({"arguments": ["--concurrency", "0"]}, "--concurrency"),
    ({"arguments": ["--concurrency", "one"]}, "--concurrency"),
    ({"arguments": ["--form", "gguf-f17"]}, "f17"),
    ({"without": "student"}, "no student"),
    ({"without": "evaluation.json"}, "not evaluated"),
])  # fmt: skip
def test_bad_usage(tmp_path, weights, change, message):
    run = measurable_run(tmp_path / "runs", *weights, endpoint("http://127.0.0.1:9/v1"))
    if missing := change.get("without"):
        run.remove(missing)
    done = small.potstill("measure", "one", *change.get("arguments", ()), "--yes", cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_without_test_questions(tmp_path, weights):
    run = measurable_run(tmp_path / "runs", *weights, endpoint("http://127.0.0.1:9/v1"))
    from potstill.workspace import artifacts

    run.write(artifacts.examples(run.recipe.task), [row for row in run.examples() if row["split"] != "test"])
    done = small.potstill("measure", "one", cwd=tmp_path)
    assert (done.returncode, "no test questions" in done.stderr) == (2, True), done.stderr


def test_a_local_teacher_runs_as_the_student_does(tmp_path, weights, monkeypatch):
    """Both on one machine: the same engine and form, and a payback that no price decides."""
    from potstill.measure import measuring, places

    monkeypatch.setattr(places, "_converted", lambda *_: weights[1])
    run = measurable_run(tmp_path / "runs", *weights, f"'{weights[0]}'")
    options = measuring.Options(served.FORM, (2,), 6)
    asked = measuring.prepare(run, options)
    result = measuring.measure(run, options, asked, measuring.placing(run, served.FORM))
    jsonschema.validate(result, schema())
    assert {(one["engine"], one["form"], one["remote"]) for one in result["systems"].values()} == {
        ("llama.cpp", served.FORM, False)
    }
    assert all(one["alike"] for one in result["against"])
    [first, _] = result["payback"]
    assert (first["unit"], first["generation"], first["training"], first["evaluation"]) == (
        "machine seconds",
        50.0,
        40.0,
        10.0,
    )
    assert result["cost_unit"] == "machine seconds"
    plain = result["against"][1]
    assert plain["prompt_tokens"]["estimate"] == 1.0  # the same prompts
    assert plain["completion_tokens"]["estimate"] == 1.0  # of the same weights
    assert result["against"][0]["prompt_tokens"]["estimate"] > 1.0


def test_a_teacher_that_the_recipe_serves(tmp_path, weights):
    """A GGUF file of the user's own, asked by its server's chat API; it differs from the student in form, which is said."""
    teacher = f"{{serve: llama.cpp, model: '{weights[1]}', context: 512}}"
    run = measurable_run(tmp_path / "runs", *weights, teacher)
    done = small.potstill("measure", "one", *QUICK, "--machine-price", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = phases(run, "teacher-plain")
    assert set(found) == {(2, "cold"), (2, "warm")}
    assert found[2, "cold"]["cached_tokens"]["estimate"] == 0
    assert found[2, "cold"]["n"] == 8
    result = run.read_json("measured.json")
    assert not result["against"][0]["alike"]
    assert any("they differ in more than the model" in note for note in result["verdict"]["notes"])


def test_more_phases_ask_the_same_questions_first(measured):
    """So that another concurrency, or more questions, adds to what was measured."""
    run, _, _, _ = measured
    from potstill.measure.measuring import Options, prepare

    few, many = (prepare(run, Options(served.FORM, at_once, n)) for at_once, n in (((1,), 3), ((1, 2), 9)))
    for one, other in zip(few, many, strict=True):
        assert other.questions[: len(one.questions)] == one.questions
        assert (len(one.questions), len(other.questions)) == (4, 9)
    assert len({question.id for question in many[0].questions}) == 9
