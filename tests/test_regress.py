"""`potstill regress`: the shipped prompts, their checks, and what is said of a student that lost something."""

import json
import shutil
import sqlite3
from html import unescape

import jsonschema
import pytest

import small
import sure_student
from golden import prediction
from potstill.recipe.evaluating import Evaluate
from potstill.regress import comparing, regress, words
from potstill.regress.asking import Answers
from potstill.regress.result import schema
from potstill.regress.shipped import kinds, texts
from potstill.stages.report.stage import report
from potstill.tasks.conversation import Conversation
from potstill.tasks.math import Math
from test_report import HOSTILE, run  # noqa: F401 - a fixture

EVERY = [(name, number) for name, kind in kinds().items() for number in range(len(kind.prompts))]


@pytest.mark.parametrize("name", kinds())
def test_each_check_takes_a_correct_reply_and_refuses_another(name):
    kind = kinds()[name]
    for number, prompt in enumerate(kind.prompts):
        example = kind.example(name, number)
        for reply, score in ((prompt.right, 1.0), (prompt.wrong, 0.0)):
            parsed = kind.task.parse(reply, "stop", example, strict=False)
            assert kind.task.main_score(parsed.answer, example) == score, (prompt.ask, reply, parsed)


def test_there_are_enough_prompts_of_enough_kinds_and_each_is_asked_once():
    assert len(EVERY) >= 100
    assert len(kinds()) >= 9
    asked = [json.dumps(list(kinds()[name].request(name, number).messages)) for name, number in EVERY]
    assert len(set(asked)) == len(asked)
    assert len(texts()) >= comparing.MIN_TEXTS
    groups = {kinds()[name].example(name, number)["group"] for name, number in EVERY}
    assert 30 <= len(groups) < len(EVERY), "prompts about one text are one observation"


def test_a_passage_and_earlier_turns_are_in_the_prompt():
    reading = kinds()["reading"].request("reading", 0).messages
    assert reading[0]["content"].startswith("The market in Oldham Street")
    turns = kinds()["turns"].request("turns", 3).messages
    assert [message["role"] for message in turns] == ["user", "assistant"] * 2 + ["user"]


def test_what_a_cut_answer_mentions_counts_and_a_cut_list_does_not():
    assert kinds()["knowledge"].read_as("length") == "stop"
    assert kinds()["knowledge"].read_as("repeating") == "repeating"
    assert kinds()["instructions"].read_as("length") == "length"


def test_the_form_of_a_task():
    has_form = comparing.in_form(Math(), {"question": "?", "gold": "1"})
    assert has_form("3 + 4 = 7\nAnswer: 7")
    assert has_form("7")
    assert not has_form("The capital of France is Paris, which has 2 airports.")
    assert comparing.in_form(Conversation(), {}) is None


def answers(outcome_of, text="It is so.", finish_reason="stop", likelihood=-2.0):
    rows = {}
    for name, kind in kinds().items():
        rows[name] = [
            prediction(i, outcome_of(name, i)) | {
                "id": f"{name}-{i}", "group": kind.example(name, i)["group"], "text": text, "finish_reason": finish_reason,
                "messages": [{"role": "user", "content": "?"}],
            }
            for i in range(len(kind.prompts))
        ]  # fmt: skip
    return Answers(rows, [likelihood + i / 10 for i in range(len(texts()))])


def said(student, base, task=None):
    options = Evaluate()
    overall, of_kinds = comparing.compared(student, base, options)
    failed = comparing.failed(student, base, options.confidence)
    has_form = comparing.in_form(task or Math(), {"question": "?", "gold": "1"})
    form = comparing.fell_into_form(student, base, has_form, options.confidence)
    likelihood = comparing.likelihood(student, base, options.confidence)
    lines = words.lines(overall, of_kinds, failed, form, likelihood, options.margin, "math")
    return overall, of_kinds, failed, form, lines


def test_a_loss_is_said_by_kind():
    base = answers(lambda name, i: "correct")
    student = answers(lambda name, i: "incorrect" if name in ("json", "code") else "correct", "So.\nAnswer: 7")
    overall, of_kinds, failed, form, lines = said(student, base)
    assert overall["finding"] == "worse"
    assert [name for name, one in of_kinds.items() if one["finding"] == "worse"] == ["code", "json"]
    assert all(one["p_adjusted"] <= 0.05 for name, one in of_kinds.items() if name in ("json", "code"))
    assert failed["student"]["estimate"] == 0
    assert form["student"]["estimate"] == 1
    assert form["base"]["estimate"] == 0
    assert form["n"] < overall["n"], "prompts whose correct reply has this form are left out"
    assert len(lines) == 3
    assert "worse" in lines[0]
    assert "Worse: reading code (-100), JSON output (-100)." in lines[1]
    assert "In the form of the task math though not asked for it: student 100%, base 0%" in lines[2]


def test_no_difference_is_never_called_equal_and_says_what_it_would_take():
    base = answers(lambda name, i: "correct" if i % 2 else "incorrect")
    gains = ("arithmetic", "harmless", "instructions", "knowledge", "language", "reading")
    student = answers(lambda name, i: "correct" if (i % 2 and i != 3) or (i == 4 and name in gains) else "incorrect")
    overall, of_kinds, *_, lines = said(student, base)
    assert overall["finding"] == "not distinguishable"
    assert "no difference shown" in lines[0]
    assert "equal" not in lines[0]
    assert overall["needed"]["difference"]
    assert f"about {overall['needed']['difference']:,} prompts would show a difference of this size" in lines[0]
    assert "which is not equality" in lines[1]
    assert "no difference shown" in "\n".join(words.table(overall, of_kinds))


def test_empty_looping_and_cut_answers_are_counted():
    base = answers(lambda name, i: "correct")
    student = answers(lambda name, i: "correct", finish_reason="length")
    *_, failed, _, lines = said(student, base)
    assert failed["student"]["estimate"] == 1
    assert "Empty, looping or truncated: student 100%, base 0%" in lines[2]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run of a tiny student after `potstill regress`, and what that printed."""
    folder = tmp_path_factory.mktemp("regress")
    small.save_tiny_llama(folder / "base")
    sure_student.train(folder / "student", steps=1)
    one = sure_student.run_of(
        folder / "runs", folder / "student", folder / "base", "http://127.0.0.1:9/v1", validation=1, test=1
    )
    printed = small.potstill("regress", "one", "--runs", one.folder.parent, cwd=folder)
    assert printed.returncode == 0, printed.stderr
    return one, printed.stdout


def stored(one):
    with sqlite3.connect(one.store_path) as connection:
        return connection.execute("SELECT count(*) FROM completions").fetchone()[0]


def test_the_file_the_words_and_the_table(done):
    one, printed = done
    found = one.read_json("regressed.json")
    jsonschema.validate(found, schema())
    assert found["overall"]["n"] == len(EVERY)
    assert set(found["kinds"]) == set(kinds())
    assert found["likelihood"]["texts"] == len(texts())
    assert len(found["asked"]) == len(EVERY)
    lines = printed.splitlines()
    assert lines[0].startswith(f"Of {len(EVERY)} general prompts outside its task the student answers")
    table = [line for line in lines if line.startswith(tuple(kind.title for kind in kinds().values()))]
    assert len(table) == len(kinds())


def test_a_second_time_nothing_is_asked_and_the_result_is_the_same(done):
    one, _ = done
    before, n = one.read_json("regressed.json"), stored(one)
    again = small.potstill("regress", "one", "--runs", one.folder.parent, "--json", cwd=one.folder)
    assert json.loads(again.stdout) == before
    assert stored(one) == n == 2 * (len(EVERY) + len(texts()))


def test_a_run_without_a_student_is_refused_in_one_line(done, tmp_path):
    one, _ = done
    shutil.copytree(one.folder, tmp_path / "runs" / "one", ignore=shutil.ignore_patterns("student"))
    refused = small.potstill("regress", "one", "--runs", tmp_path / "runs", cwd=tmp_path)
    assert refused.returncode == 2
    assert "there is no student yet" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_report_shows_what_was_lost_and_no_text_of_a_model_becomes_markup(run):  # noqa: F811
    base = answers(lambda name, i: "correct")
    student = answers(lambda name, i: "incorrect" if name == "json" else "correct", text=HOSTILE)
    run.write_json("regressed.json", regress._regressed(run, "of the student", student, base))
    report(run.recipe, run)
    html = run.report_path.read_text(encoding="utf-8")
    n = len(kinds()["json"].prompts)
    assert f"{n} prompts that only the base answers as asked" in html
    assert "Of an earlier student" in html, "the manifest names other weights"
    assert "<script" not in html
    assert HOSTILE[:30] in unescape(html)


def test_the_schema_is_printed(tmp_path):
    for of in ("regressed", "cascade"):
        printed = small.potstill("schema", of, cwd=tmp_path)
        assert json.loads(printed.stdout)["title"].lower() == of
