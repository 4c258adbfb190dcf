"""Synthesized inputs, and logs as data, from a mock teacher to a trained tiny student."""

import hashlib
import json
import re

import pyarrow.parquet as pq
import pytest

import small
from potstill.data import examples as data
from potstill.errors import PotstillError
from potstill.pipeline import forecast, pipeline
from potstill.recipe import loading as recipe_file
from potstill.stages.data.synthesize import _NearDuplicates, diversity, parse_input
from potstill.tasks.registry import parse_task

RECIPE = """\
name: synthetic
task: math
data:
  source: synthesize
  seeds: {{source: files, train: rows.jsonl, validation: 2, test: 4}}
  n: 12
  methods: [new, harder]
  topics: [boats]
  difficulties: [hard]
teacher: {{model: {{url: "{url}", model: t, concurrency: 2}}}}
student: {{model: "{student}", max_tokens: 8}}
curate: {{filters: [parsed, duplicate, in-test-set]}}
train: {{epochs: 1}}
evaluate: {{systems: [base, student]}}
"""
ROWS = [
    {"question": f"Ann has {i} red pens and buys {i + 3} blue pens today. How many?", "gold": str(2 * i + 3)}
    for i in range(12)
]


class Teacher(small.Teacher):
    """Replies to a request for a new input with a usable one, a duplicate, or text that is not JSON."""

    def answer(self, body):
        reply = super().answer(body)
        prompt = body["messages"][-1]["content"]
        if "Reply with JSON alone" in prompt:
            assert "topic: boats" in prompt
            assert re.search(r'"question": "Ann has', prompt)
            digest = hashlib.sha256(prompt.encode()).hexdigest()
            new = {
                "question": f"A boat called {' '.join(digest[i : i + 4] for i in range(0, 32, 4))} makes 3 trips. How many?"
            }
            texts = [json.dumps(new), json.dumps({"question": ROWS[int(digest, 16) % 12]["question"]}), "no JSON"]
            reply["choices"][0]["message"]["content"] = texts[int(digest[:8], 16) % 3]
        return reply


@pytest.fixture
def rows(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def test_new_inputs_are_used_for_training_and_never_for_testing(rows, tiny_folder):
    with Teacher() as teacher:
        (rows / "r.yaml").write_text(RECIPE.format(url=teacher.url, student=tiny_folder))
        run = pipeline.start(str(rows / "r.yaml"), rows / "runs")
        before = {part.what: part for part in forecast.estimate(run)}
        assert before["generate"].requests == 6 + 12
        pipeline.carry_out(run)
        after = {part.what: part for part in forecast.estimate(run)}
        assert after["generate"].requests == after["generate"].stored == run.count_examples("train")
        assert after["new inputs"].stored == 12
        requests = teacher.seen.total()
        pipeline.carry_out(pipeline.start(str(rows / "r.yaml"), rows / "runs"))
        assert teacher.seen.total() == requests
    examples = pq.read_table(run.path("examples.parquet")).to_pylist()
    new = [row for row in examples if row["origin"]]
    assert {row["split"] for row in new} == {"train"}
    assert {row["origin"] for row in new} <= {"new", "harder"}
    assert all(row["gold"] is None and "boat" in row["question"] for row in new)
    counts = run.read_json("synthesis.json")
    assert counts["created"] == len(new) > 2
    assert counts["requested"] == 12 == len(new) + sum(counts["dropped"].values())
    assert set(counts["dropped"]) == {"unreadable", "near-duplicate"}
    assert 0 < counts["new"]["distinct"] <= 1
    generated = {row["id"] for row in pq.read_table(run.path("generated.parquet")).to_pylist()}
    assert {row["id"] for row in new} <= generated


def test_near_duplicates_and_diversity():
    near = _NearDuplicates(0.6)
    near.add("Ann has three red pens and buys four blue pens")
    assert near.has_similar("ann has three red pens, and buys four blue pens!")
    assert not near.has_similar("A boat carries crates over the lake every day")
    assert not near.has_similar("")
    assert diversity(["a b c d", "a b c d"])["distinct"] == 0.5
    assert diversity([])["distinct"] == 0.0


def test_new_inputs_are_parsed_by_the_columns_of_the_task():
    choice, chat = parse_task("multiple_choice"), parse_task("conversation")
    assert parse_input(choice, '{"question": "q?", "options": ["a", "b"]}') == {"question": "q?", "options": ["a", "b"]}
    assert parse_input(choice, '{"question": "q?", "options": ["a"]}') is None
    assert parse_input(chat, '{"messages": "Hi"}') == {"messages": [{"role": "user", "content": "Hi"}]}
    assert parse_input(chat, "[]") is None


LOG = """\
name: logged
task: conversation
data: {{source: logs, train: log.jsonl, validation: 2, test: 3, redact: [email]}}
condition: vanilla
teacher: {{model: {{url: "http://127.0.0.1:9/v1", model: gone, api_key_env: NOT_SET}}}}
student: {{model: "{student}", max_tokens: 8}}
train: {{epochs: 1}}
"""


def test_logged_answers_are_not_requested_again(tmp_path, tiny_folder):
    with (tmp_path / "log.jsonl").open("w") as file:
        for i in range(12):
            messages = [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": f"I am a{i}@example.org. Hello {i}!"},
            ]
            answer = {"id": f"r{i}", "model": "big", "usage": {"prompt_tokens": 9, "completion_tokens": 4}}
            answer["choices"] = [{"message": {"role": "assistant", "content": f"Hi {i}!"}, "finish_reason": "stop"}]
            file.write(json.dumps({"request": {"model": "big", "messages": messages}, "response": answer}) + "\n")
    (tmp_path / "r.yaml").write_text(LOG.format(student=tiny_folder))
    run = pipeline.start(str(tmp_path / "r.yaml"), tmp_path / "runs")
    pipeline.carry_out(run)
    generated = pq.read_table(run.path("generated.parquet")).to_pylist()
    assert len(generated) == 7
    for row in generated:
        assert row["answer"].startswith("Hi ")
        assert (row["model"], row["completion_tokens"], row["key"]) == ("big", 4, "")
        assert row["messages"][0] == {"role": "system", "content": "Be kind."}
        assert row["messages"][1]["content"].startswith("I am [EMAIL]. Hello")
    assert "example.org" not in run.report_path.read_text()
    systems = run.evaluation["splits"]["test"]["systems"]
    assert set(systems) == {"base", "student", "teacher-plain"}
    assert systems["teacher-plain"]["outcomes"] == {"answered": 3}
    assert "descriptive only" in run.evaluation["verdict"]["lines"][1]


def test_turns_of_a_logged_chat_stay_in_one_split_and_ids_are_redacted(tmp_path):
    rows = []
    for chat in range(8):
        messages = [{"role": "user", "content": f"Hello, I am number {chat}."}]
        for turn in range(3):
            reply = {
                "choices": [{"message": {"role": "assistant", "content": f"Yes {turn}."}, "finish_reason": "stop"}]
            }
            rows.append(
                {"custom_id": f"a{chat}.{turn}@example.org", "request": {"messages": list(messages)}, "response": reply}
            )
            messages += [{"role": "assistant", "content": f"Yes {turn}."}, {"role": "user", "content": f"And {turn}?"}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = recipe_file.parse(LOG.format(student="packaged/a"), "r", tmp_path)
    read_rows = list(data.examples(recipe))
    splits = {}
    for row in read_rows:
        splits.setdefault(row["messages"][0]["content"], set()).add(row["split"])
    assert len(read_rows) == 24
    assert len(splits) == 8
    assert all(len(of_chat) == 1 for of_chat in splits.values())
    assert {"train", "validation", "test"} == set.union(*splits.values())
    assert not any("example.org" in str(row) for row in read_rows)


def test_a_log_of_single_questions_can_be_used_for_other_tasks(tmp_path, tiny_folder):
    rows = [{"prompt": f"Is mail {i} late or lost?", "completion": ["late", "lost"][i % 2]} for i in range(12)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = LOG.format(student=tiny_folder).replace(
        "task: conversation", "task: {name: classification, labels: [late, lost]}"
    )
    (tmp_path / "r.yaml").write_text(text)
    run = pipeline.start(str(tmp_path / "r.yaml"), tmp_path / "runs")
    pipeline.carry_out(run)
    curated = pq.read_table(run.path("curated.parquet")).to_pylist()
    assert all(row["completion"] in ("late", "lost") for row in curated)
    assert all(row["correct"] is None for row in curated)
    assert curated[0]["student_messages"][0]["content"].startswith("Is mail ")
    values = run.evaluation["splits"]["test"]
    assert "agreement" in values["comparisons"][0]
    assert "the same answer" in run.evaluation["verdict"]["lines"][1]


def test_a_teacher_without_readable_inputs_stops_the_run(rows, tiny_folder):
    with small.Teacher() as teacher:
        (rows / "r.yaml").write_text(RECIPE.format(url=teacher.url, student=tiny_folder))
        with pytest.raises(
            PotstillError, match="None of the teacher's 12 replies holds a new input in JSON; the first begins 'It is"
        ):
            pipeline.carry_out(pipeline.start(str(rows / "r.yaml"), rows / "runs"))
        assert teacher.seen.total() == len(teacher.seen) <= 12
