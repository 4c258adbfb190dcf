"""Chats of which the data have the user's turns alone, as MT-Bench's: each system answers all turns, and judges and people see both."""

import json
import re

import pytest

from faulty_server import faulty, refused, said
from potstill import rubrics
from potstill.data.examples import examples
from potstill.data.guess import guess
from potstill.errors import RecipeError
from potstill.labels import table
from potstill.labels.items import items
from potstill.labels.table import Form
from potstill.pipeline.rendering import preview
from potstill.recipe import loading
from potstill.review.browse_index import index
from potstill.review.settings import Settings
from potstill.review.view import view
from potstill.review.visit import rendered
from potstill.stages.evaluate.stage import evaluate
from potstill.stages.evaluate.stage import planned as planned_evaluation
from potstill.stages.generate import planned as planned_generation
from potstill.stages.judge.inquiry import Case, Inquiry
from potstill.stages.judge.stage import judge
from potstill.stages.judge.stage import planned as planned_judging
from potstill.stages.planned import KnownExamples
from potstill.tasks.messages import LeftOutError, parse_messages, parse_turns
from potstill.workspace import artifacts
from potstill.workspace.run import Run

N = 4
RUBRIC = rubrics.load("conversation")
ROWS = [
    {"question_id": 81 + i, "category": "writing", "turns": [f"Name river {i}.", "Which country?"]} for i in range(N)
]
RECIPE = """\
name: turns
task: conversation
condition: vanilla
data: {{source: files, train: train.jsonl, test: test.jsonl, validation: 1}}
teacher: {{model: {{url: "{url}", model: t}}}}
generate: {{max_tokens: 40}}
student: {{model: packaged/smollm2-135m-instruct, max_tokens: 30}}
evaluate:
  systems: [{{name: one, model: {{url: "{url}", model: one}}, prompting: plain}}, {{name: two, model: {{url: "{url}", model: two}}, prompting: plain}}]
  judge: {{models: {{url: "{url}", model: judge}}, form: {form}, repeats: 0}}
"""


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def contents(body):
    return [message["content"] for message in body["messages"]]


def reply(body):
    """A system names a river, and then the country of its own river."""
    name, turns = body["model"], contents(body)
    if name == "judge":
        return said('{"reason": "Because.", "better": "A"}')
    return said(f"{turns[0]} It is {name}." if len(turns) == 1 else f"The country of <{turns[1]}>")


def run_of(folder, url, form="pairwise"):
    write(folder / "test.jsonl", ROWS)
    write(
        folder / "train.jsonl",
        [
            {"messages": [{"role": "user", "content": f"Hi {i}"}, {"role": "assistant", "content": "Ho"}]}
            for i in range(3)
        ],
    )
    run = Run(folder / "run", loading.parse(RECIPE.format(url=url, form=form), folder=folder), folder / "store.sqlite")
    run.write(artifacts.examples(run.recipe.task), list(examples(run.recipe)))
    run.write_json(artifacts.MANIFEST, {"id": "turns", "stages": {"evaluate": {"state": "done"}}})
    return run


def rows_of(run, system):
    return {row["id"]: row for row in run.read(artifacts.predictions(system))}


# Data


def test_a_list_of_texts_are_the_users_turns():
    chat = parse_turns(["one?", "two?"])
    assert [message["role"] for message in chat] == ["user", "assistant", "user"]
    assert chat[1]["content"] == ""
    assert parse_turns('["one?"]') == [{"role": "user", "content": "one?"}]
    with pytest.raises(LeftOutError, match="empty questions"):
        parse_turns(["one?", " "])
    assert parse_turns([{"role": "user", "content": "one?"}]) == parse_turns(["one?"])
    with pytest.raises(ValueError, match="only a column named turns"):
        parse_messages(["one?", "two?"])
    with pytest.raises(ValueError, match="half of a character"):
        parse_turns(["one?", "\ud800"])


def test_rows_with_turns_are_read_beside_chats_and_each_turn_is_a_question(tmp_path):
    run = run_of(tmp_path, "http://127.0.0.1:9/v1")
    found = {row["id"]: row for row in run.examples("test")}
    assert list(found)[:2] == ["test-1/0", "test-1/2"]
    second = found["test-1/2"]
    assert run.recipe.task.own_turns(second) == ["test-1/0"]
    assert second["group"] == found["test-1/0"]["group"]
    assert (second["gold"], found["test-1/0"]["gold"]) == (None, None)
    assert [message["content"] for message in run.recipe.task.asked(second)] == ["Name river 0.", "Which country?"]
    assert not any(run.recipe.task.own_turns(row) for row in run.examples("train"))


def test_only_the_last_turn_needs_the_replies_before_it(tmp_path):
    write(tmp_path / "rows.jsonl", ROWS)
    text = RECIPE.format(url="http://127.0.0.1:9/v1", form="pairwise").replace(
        "task: conversation", "task: {name: conversation, turns: last}"
    )
    recipe = loading.parse(text.replace("train.jsonl, test: test.jsonl", "rows.jsonl"), folder=tmp_path)
    with pytest.raises(RecipeError, match=r"task.turns: last needs the replies"):
        list(examples(recipe))


def test_init_recognises_the_turns(tmp_path):
    write(tmp_path / "mt.jsonl", ROWS)
    guessed = guess(tmp_path / "mt.jsonl")
    assert (guessed.task, guessed.columns["messages"], guessed.columns["id"]) == (
        {"name": "conversation"},
        "turns",
        "question_id",
    )
    assert guessed.unused == ["category"]


# Evaluation


def test_each_system_answers_the_second_turn_after_its_own_first_answer(tmp_path):
    with faulty(reply) as server:
        run = run_of(tmp_path, server.url)
        evaluate(run.recipe, run)
        asked = {(body["model"], *contents(body)) for body in server.bodies}
        assert len(server.bodies) == 2 * 2 * N
        for name in ("one", "two"):
            first = f"Name river 2. It is {name}."
            assert (name, "Name river 2.", first, "Which country?") in asked
            row = rows_of(run, name)["test-3/2"]
            assert row["text"] == f"The country of <{first}>"
            assert [message["content"] for message in row["messages"]] == ["Name river 2.", first, "Which country?"]
        evaluate(run.recipe, run)
        assert len(server.bodies) == 2 * 2 * N, "all turns are in the store"


def test_no_turn_is_asked_after_one_that_failed(tmp_path):
    def answer(body):
        turns = contents(body)
        if body["model"] == "one" and turns[0] == "Name river 0.":
            return refused("This prompt is too strange", 422)
        return said("") if body["model"] == "two" and turns[0] == "Name river 1." else reply(body)

    with faulty(answer) as server:
        run = run_of(tmp_path, server.url)
        evaluate(run.recipe, run)
        later = [body for body in server.bodies if len(contents(body)) == 3]
    assert len(later) == 2 * (N - 1)
    one, two = (rows_of(run, name) for name in ("one", "two"))
    assert one["test-1/0"]["error"]
    assert one["test-1/2"]["error"] == one["test-1/0"]["error"]
    assert (two["test-2/2"]["status"], two["test-2/2"]["completion_tokens"]) == ("empty", 0)
    assert [message["role"] for message in two["test-2/2"]["messages"]] == ["user", "assistant", "user"]
    questions = {item.question for item in items(run, ["one", "two"], True)}
    assert questions == {f"test-{i}/{turn}" for i in (3, 4) for turn in (0, 2)}


def test_a_longer_first_answer_comes_before_the_second_turn(tmp_path):
    """A limit that truncates first answers is doubled, and the second turn follows the longer ones."""

    def answer(body):
        if len(contents(body)) == 1:
            return said("A short", "length") if body["max_tokens"] == 30 else said("A short river.")
        return said("A country.")

    with faulty(answer) as server:
        run = run_of(tmp_path, server.url)
        evaluate(run.recipe, run)
        later = [contents(body)[1] for body in server.bodies if len(contents(body)) == 3]
    assert later == ["A short river."] * 2 * N


# Judges and people


@pytest.mark.parametrize("form", ["pairwise", "scores"])
def test_judges_see_both_turns_of_each_system(tmp_path, form):
    def answer(body):
        if body["model"] != "judge" or form == "pairwise":
            return reply(body)
        required = body["response_format"]["json_schema"]["schema"]["required"]
        return said(json.dumps(dict.fromkeys(required, 4) | {"reason": "Because."}))

    with faulty(answer) as server:
        run = run_of(tmp_path, server.url, form)
        evaluate(run.recipe, run)
        server.bodies.clear()
        judge(run.recipe, run)
        prompts = [contents(body)[0] for body in server.bodies]
    both = [prompt for prompt in prompts if "-turn-2" in prompt]
    assert len(both) == len(prompts) / 2 == 2 * N
    for prompt in both:
        marks = re.findall(r"^<([\w-]+)-\w{10}>$", prompt, re.MULTILINE)
        assert marks[:2] == ["user", "user"]
        answers = ["answer-A", "answer-B"] if "answer-A" in prompt else ["answer"]
        assert sorted(marks[2:]) == [f"{name}-turn-{n}" for name in answers for n in (1, 2)]
        river = re.search(r"Name river \d\.", prompt)[0]
        assert f"{river} It is " in prompt
        assert "Judge the reply to the last turn" in prompt
    assert {label["state"] for label in table.read(run)} == {"given"}


def test_labels_of_a_turn_are_about_the_turns_before_it_too(tmp_path):
    """Another first answer, and the label of the second turn is obsolete."""
    with faulty(reply) as server:
        run = run_of(tmp_path, server.url)
        evaluate(run.recipe, run)
        judge(run.recipe, run)
        assert run.judged["obsolete"] == 0
        before = {item.question: item for item in items(run, ["one", "two"], True)}
        answers = artifacts.predictions("one")
        rows = run.read(answers)
        for row in rows:
            if row["id"] == "test-1/2":
                row["messages"][1]["content"] = "Another river."
        run.write(answers, rows)
    after = {item.question: item for item in items(run, ["one", "two"], True)}
    changed = {question for question, item in after.items() if item.shown != before[question].shown}
    assert changed == {"test-1/2"}


def test_a_judges_prompt_escapes_marks_in_earlier_replies():
    item_case = Case(
        [{"role": "user", "content": "q"}] * 2,
        None,
        (),
        ("a", "b"),
        earlier=(("</answer-A-turn-1-0123456789>",), ("fine",)),
    )
    inquiry = Inquiry(Form.PAIRWISE, RUBRIC, 1)
    prompt = inquiry.prompt(item_case)
    assert "&lt;/answer-A-turn-1-0123456789>" in prompt
    assert inquiry.tag(item_case) != inquiry.tag(Case(item_case.question, None, (), ("a", "b")))
    assert inquiry.prompt(item_case.swapped).index("fine") < inquiry.prompt(item_case.swapped).index("&lt;/answer-A")


def test_reviewers_read_the_chat_of_each_system(tmp_path):
    with faulty(reply) as server:
        run = run_of(tmp_path, server.url)
        evaluate(run.recipe, run)
    item = next(item for item in items(run, ["one", "two"], True) if item.question.endswith("/2"))
    shown = view(item, swapped=True)
    assert [message["content"] for message in shown.messages] == ["Name river 0."]
    assert [one.before for one in shown.answers] == [
        [(f"Name river 0. It is {name}.", "Which country?")] for name in ("two", "one")
    ]
    settings = Settings(Form.PAIRWISE, ("one", "two"), RUBRIC, 0, 1.0, 0, 1)
    page = rendered(
        "item.html.jinja", 200, settings=settings, item=shown, shown_at="0", action="/label", fault="", said=[], run="r", reviewer="A", token="t",
        filled={"scores": {}, "failed": [], "reason": ""}, progress={"done": 0, "total": 8}, reviewing=True,
    ).body.decode()  # fmt: skip
    assert page.count("Which country?") == 2
    assert page.count("reply 2, the one to label") == 2
    row = index(run).execute("SELECT content FROM rows WHERE id = ?", (item.question,)).fetchone()
    content = json.loads(row["content"])
    assert content["answers"]["one"]["earlier"] == ["Name river 0. It is one."]
    assert content["example"]["question"] == "Name river 0.\n\nWhich country?"


# Plans


def test_plans_and_prompts_have_a_stand_in_for_what_is_not_said_yet(tmp_path):
    run = run_of(tmp_path, "http://127.0.0.1:9/v1")
    known = KnownExamples(run.examples, complete=True)
    (one, _) = planned_evaluation(run.recipe, known)
    sent = list(one.requests)
    assert (len(sent), one.estimated) == (2 * N, True)
    assert all(message["content"].strip() for request in sent for message in request.messages)
    (judging,) = planned_judging(run.recipe, known)
    assert len(list(judging.requests)) == 2 * 2 * N
    write(tmp_path / "train.jsonl", ROWS)
    recipe = loading.parse(RECIPE.format(url="http://127.0.0.1:9/v1", form="pairwise"), folder=tmp_path)
    shown = [prompt.text for prompt in preview(recipe, 2) if prompt.who == "student"]
    assert "(the model's own reply)" in shown[1]
    turns = [row for row in examples(recipe) if row["split"] == "train"]
    _, later = planned_generation(
        recipe, KnownExamples(lambda *splits: iter(turns if "train" in splits else ()), complete=True)
    )
    assert all(len(request.messages[1]["content"]) > 40 for request in later.requests)
