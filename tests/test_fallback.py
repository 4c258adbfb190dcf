"""`potstill serve --fallback`: a real llama.cpp engine with a student that knows what it knows, and a teacher's server."""

import asyncio
import json
import shutil

import pytest

import served
import small
import sure_student
import tiny_gguf
from evaluated import example
from evaluated import run_with as run_with_examples
from potstill.cascade import ready
from potstill.cascade.fallback import Escalating, TeacherServer, endpoint, require_other, said, tokens_of
from potstill.cascade.signals import SIGNALS, signal
from potstill.errors import RecipeError
from potstill.models import stream
from potstill.models.local.scoring import scored, scoring_model
from potstill.models.remote.chat import ChatModel
from potstill.serve import engine as engines
from potstill.serve.metrics import Metrics
from potstill.serve.prompt import Prompt, Reply
from potstill.serve.requests import Asked
from potstill.serve.student import Student

ASKED = [sure_student.question(i, dim=i % 4 >= 2) for i in range(700, 748)]


@pytest.fixture(scope="module")
def decided(tmp_path_factory):
    """A run with a confirmed threshold and an export for llama.cpp."""
    folder = tmp_path_factory.mktemp("fallback")
    sure_student.train(folder / "student")
    small.save_tiny_llama(folder / "base")
    tiny_gguf.write(folder / "student", folder / "tiny.gguf")
    with sure_student.KnowingTeacher() as teacher:
        run = sure_student.run_of(folder / "runs", folder / "student", folder / "base", teacher.url)
        done = small.potstill("cascade", "one", "--runs", run.folder.parent, cwd=folder)
        assert done.returncode == 0, done.stderr
    served.add_export(run, folder / "tiny.gguf")
    return run


@pytest.fixture(scope="module")
def teacher():
    with sure_student.KnowingTeacher() as teacher:
        yield teacher


@pytest.fixture(scope="module")
def server(decided, teacher):
    with served.Server(decided.folder.parent, "--concurrency", 4, "--fallback", teacher.url) as running:
        yield running


def chat(text):
    return [{"role": "user", "content": text}]


def reply(server, text, **more):
    status, body, headers = server.post({"messages": chat(text), **more})
    assert status == 200, body
    return body["choices"][0]["message"]["content"], headers["x-potstill-answered-by"]


def gold_of(text):
    kind, _, number = text.split()
    return sure_student.gold(int(number), dim=kind == "dim")


def in_process(run):
    """Each question's answer and signals by transformers."""
    from potstill.models import Request, Sampling
    from potstill.models.complete import Billing, complete
    from potstill.models.opening import open_folder

    model = open_folder(run.student_folder, "student", 64, "float32")
    requests = [Request(text, chat(text), Sampling(6)) for text in ASKED]
    answers = list(complete(model, requests, "student", Billing(run.store)))
    scoring = scoring_model(run.student_folder, "student", "float32")

    async def scores():
        sent = [scored(one.id, chat(one.id), one.text) for one in answers]
        return {one.id: one async for group in scoring.complete(stream(sent)) for one in group}

    found = asyncio.run(scores())
    tokens = {one.id: [tuple(token) for (token,) in json.loads(found[one.id].logprobs)] for one in answers}
    return {
        one.id: (one.text, {name: signal(name, tokens[one.id], one.finish_reason) for name in SIGNALS})
        for one in answers
    }


async def from_engine(run):
    """The same by the engine."""
    student = Student.of(run)
    async with engines.running(run, served.FORM, 4) as client:

        async def one(text):
            reply = await client.reply(Prompt(student.chat.tokens(chat(text)), 6, top_logprobs=0))
            return reply.text, {name: signal(name, tokens_of(reply), reply.finish_reason) for name in SIGNALS}

        return dict(zip(ASKED, await asyncio.gather(*map(one, ASKED)), strict=True))


def test_signals_of_the_engine_are_those_of_transformers(decided):
    ours, found_ = in_process(decided), asyncio.run(from_engine(decided))
    assert len({text for text, _ in ours.values()}) > 1
    same = [text for text in ASKED if ours[text][0] == found_[text][0]]
    assert len(same) >= 0.95 * len(ASKED), "a dim question may be a toss-up"
    for text in same:
        for name in SIGNALS:
            assert found_[text][1][name] == pytest.approx(ours[text][1][name], abs=0.02), (text, name)


def test_the_student_answers_what_it_is_sure_of_and_the_teacher_the_rest(server, decided, teacher):
    before, asked = server.metrics(), teacher.seen.total()
    answers = {text: reply(server, text) for text in ASKED}
    by = [who for _, who in answers.values()]
    assert set(by) == {"student", "teacher"}
    assert teacher.seen.total() - asked == by.count("teacher")
    assert all(answer == gold_of(text) for text, (answer, who) in answers.items() if who == "teacher")
    kept = [text.startswith("clear") for text, (_, who) in answers.items() if who == "student"]
    assert sum(kept) >= 0.8 * len(kept), "nobody can be sure of a dim question"
    chosen, signals = decided.read_json("cascade.json")["chosen"], in_process(decided)
    for text, (_, who) in answers.items():
        value = signals[text][1][chosen["signal"]]
        if abs(value - chosen["threshold"]) > 0.02:
            assert who == ("student" if value >= chosen["threshold"] else "teacher")
    after = server.metrics()
    for who in ("student", "teacher"):
        key = f'potstill_answers_total{{by="{who}"}}'
        assert after[key] - before[key] == by.count(who)
    assert after['potstill_answers_total{by="student (fallback failed)"}'] == 0


def test_a_stream_is_held_back_until_it_is_known_who_answers(server):
    for text in ASKED[:4]:
        whole, who = reply(server, text)
        with server.client().chat.completions.with_streaming_response.create(
            model="one", messages=chat(text), stream=True
        ) as response:
            assert response.headers["x-potstill-answered-by"] == who
            events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: {")]
        assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events) == whole


def test_log_probabilities_are_only_sent_where_a_client_asks_for_them(server):
    sure = next(text for text in ASKED if reply(server, text)[1] == "student")
    _, body, _ = server.post({"messages": chat(sure)})
    assert body["choices"][0]["logprobs"] is None
    _, body, _ = server.post({"messages": chat(sure), "logprobs": True, "top_logprobs": 2})
    assert len(body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2


def test_a_cut_answer_is_not_the_students_and_the_client_limits_the_teachers(server, teacher):
    sure = next(text for text in ASKED if reply(server, text)[1] == "student")
    before = {*teacher.seen}
    assert reply(server, sure, max_tokens=1)[1] == "teacher"
    (body,) = {*teacher.seen} - before
    assert json.loads(body)["max_tokens"] == 1
    dim = next(text for text in ASKED if reply(server, text)[1] == "teacher" and gold_of(text) == "yes")
    assert reply(server, dim, stop=["s"])[0] == "ye"


def test_where_the_fallback_fails_the_students_answer_is_given_and_marked(decided):
    with small.Teacher(busy_after=0) as gone:
        address = gone.url
    arguments = ("--concurrency", 2, "--fallback", address, "--fallback-timeout", 5)
    with served.Server(decided.folder.parent, *arguments) as running:
        answers = [reply(running, text) for text in ASKED[:12]]
        failed = running.metrics()['potstill_answers_total{by="student (fallback failed)"}']
        assert running.end() == 0
        errors = running.errors()
    assert failed == [who for _, who in answers].count("student (fallback failed)") > 0
    assert all(answer in ("yes", "no") for answer, _ in answers)
    assert "fallback: connection" in errors


def test_what_was_not_confirmed_is_said_when_a_server_starts(decided):
    found, agreed = endpoint(decided, "teacher", 5), ready.ready(decided)
    assert len(said(agreed, found, list, "gguf-f16")) == 1
    assert "not for gguf-q4_0" in said(agreed, found, list, "gguf-q4_0")[1]
    assert "as they come" in said(agreed, found, None, "gguf-f16")[1]


class Scripted:
    """A student that gives one greedy answer, and drawn ones by their seed."""

    def __init__(self, greedy, drawn):
        self.greedy, self.drawn = greedy, drawn

    async def reply(self, asked):
        text = self.drawn[asked.prompt.seed - 1] if asked.prompt.temperature else self.greedy
        return Reply(text, [], "stop", 3, 0, 1)


@pytest.mark.parametrize(("drawn", "by"), [(("yes", "yes", "no"), "student"), (("yes", "no", "no"), "teacher")])
def test_agreement_decides_who_answers(decided, drawn, by):
    cascade = decided.read_json("cascade.json")
    chosen = {"signal": "agreement", "threshold": 2 / 3, "samples": 3}
    decided.write_json("cascade.json", cascade | {"chosen": chosen})
    try:
        agreed = ready.ready(decided)
    finally:
        decided.write_json("cascade.json", cascade)
    asked = Asked(chat("clear a 1"), Prompt([1, 2, 3], 6), False, False)

    async def answer(address):
        model = ChatModel(endpoint(decided, address, 5))
        async with model.server.session() as session:
            teacher = TeacherServer(model, session, agreed, None)
            return await Escalating(Scripted("yes", drawn), agreed, teacher, Metrics()).reply(asked)

    with sure_student.KnowingTeacher() as teacher:
        reply = asyncio.run(answer(teacher.url))
    assert reply.answered_by == by
    assert reply.text == ("yes" if by == "student" else gold_of("clear a 1"))


def test_no_server_starts_without_a_confirmed_threshold_of_these_weights(decided, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(decided.folder, runs / "one")
    for found, words in ((None, "Choose one: potstill cascade one"), ({"weights": "other"}, "about another student")):
        if found is None:
            (runs / "one" / "cascade.json").unlink()
        else:
            (runs / "one" / "cascade.json").write_text(json.dumps(decided.read_json("cascade.json") | found))
        refused = small.potstill("serve", "one", "--runs", runs, "--fallback", "http://127.0.0.1:9/v1", cwd=tmp_path)
        assert refused.returncode == 2
        assert words in refused.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("http://127.0.0.1:8322/v1", "is this server itself"),
        ("ftp://somewhere", "url"),
        ("{url: 'http://127.0.0.1:9/v1', model: t, api_key_env: NO_SUCH_KEY}", "NO_SUCH_KEY"),
        ("{url: 'http://127.0.0.1:9/v1'}", "model"),
    ],
)
def test_a_fallback_that_cannot_be_asked_is_one_message(decided, given, words):
    refused = small.potstill(
        "serve", "one", "--runs", decided.folder.parent, "--fallback", given, cwd=decided.folder.parent
    )
    assert refused.returncode == 2
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_teacher_of_the_recipe_is_asked_as_the_recipe_says(decided, tmp_path):
    found = endpoint(decided, "teacher", 7.0)
    assert (found.model, found.timeout, found.concurrency) == ("t", 7.0, 8)
    assert endpoint(decided, "http://127.0.0.1:9/v1", 7.0).model == "t"
    require_other(found, "127.0.0.1", 8322)
    local = run_with_examples(tmp_path, [example("a", split="train")])
    with pytest.raises(RecipeError, match="is no server"):
        endpoint(local, "teacher", 7.0)


def test_the_teacher_gets_its_own_prompt_around_the_question(tmp_path):
    run = run_with_examples(tmp_path, [example("a", split="train")], systems="[student, teacher-cot-fewshot]")
    teacher = run.recipe.systems[1]
    asked = ready.prompter(run, teacher)([{"role": "system", "content": "Be brief."}, *chat("What is 2 + 3?")])
    row = example("b", question="What is 2 + 3?") | {"system": "Be brief."}
    assert asked == run.task.messages(row, run.recipe.prompt_spec(teacher.prompting))
    several = [*chat("Hello"), {"role": "assistant", "content": "Hi"}, *chat("What is 2 + 3?")]
    assert ready.prompter(run, teacher)(several) == several
