"""Answers that were made elsewhere are a system beside the others."""

import json
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import small
from evaluated import example, run_with
from potstill.data.predictions import completions
from potstill.errors import PotstillError, RecipeError
from potstill.models import ErrorKind
from potstill.pipeline import preflight
from potstill.pipeline.added import add_predictions
from potstill.pipeline.stages import STAGES
from potstill.recipe import loading
from potstill.stages.evaluate.stage import evaluate, planned
from potstill.stages.planned import KnownExamples
from potstill.tasks.registry import parse_task
from potstill.workspace import artifacts
from potstill.workspace.run import Run

EXAMPLES = [example(f"q{i}") for i in range(4)]
MATH = parse_task("math")
EVALUATE = next(stage for stage in STAGES if stage.name == "evaluate")


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path, *rows, task=MATH, examples=EXAMPLES):
    return completions(lines(path, *rows), task, examples)


def test_rows_name_a_question_by_its_id_or_its_text(tmp_path):
    rows = (
        {"id": "q2", "completion": "Answer: 7", "finish_reason": "max_tokens", "tokens": 5, "seconds": 0.5},
        {"question": "what is  Q0?", "completion": "7"},
        {"id": "q3", "completion": 7},
    )
    q0, q1, q2, q3 = read(tmp_path / "a.jsonl", *rows)
    assert (q0.id, q0.text, q0.finish_reason, q0.error) == ("q0", "7", "stop", None)
    assert (q2.text, q2.finish_reason, q2.completion_tokens, q2.seconds) == ("Answer: 7", "length", 5, 0.5)
    assert (q1.id, q1.error, q1.text) == ("q1", ErrorKind.NO_ANSWER, "")
    assert q3.text == "7"


def test_csv_and_parquet_are_read_too(tmp_path):
    (tmp_path / "a.csv").write_text('id,prediction,seconds\nq0,"so, 7",\nq1,8,2\n')
    answers = completions(tmp_path / "a.csv", MATH, EXAMPLES)
    assert [one.text for one in answers] == ["so, 7", "8", "", ""]
    assert [one.seconds for one in answers] == [0, 2, 0, 0]
    pq.write_table(pa.table({"id": ["q1"], "text": ["7"], "completion_tokens": [3]}), tmp_path / "a.parquet")
    assert completions(tmp_path / "a.parquet", MATH, EXAMPLES)[1].completion_tokens == 3


def test_a_column_of_the_task_is_the_question_and_not_the_answer(tmp_path):
    task = parse_task({"name": "classification", "labels": ["a", "b"]})
    examples = [{"id": "1", "text": "A text", "gold": "a"}]
    assert read(tmp_path / "a.jsonl", {"text": "a text", "answer": "a"}, task=task, examples=examples)[0].text == "a"
    with pytest.raises(RecipeError, match="line 1: there is no 'completion'"):
        read(tmp_path / "a.jsonl", {"id": "1", "text": "a"}, task=task, examples=examples)
    options = parse_task("multiple_choice")
    examples = [{"id": "1", "question": "Which?", "options": ["x", "y"], "gold": "A"}]
    row = {"question": "Which?", "options": '["y", "x"]', "completion": "A"}
    assert read(tmp_path / "a.jsonl", row, task=options, examples=examples)[0].text == "A"


def test_a_question_that_the_test_set_holds_twice_has_one_answer(tmp_path):
    examples = [example(name, question="Same?") for name in "ab"]
    answers = read(tmp_path / "a.jsonl", {"question": "same?", "completion": "7"}, examples=examples)
    assert [(one.id, one.text) for one in answers] == [("a", "7"), ("b", "7")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "q9", "completion": "7"}], "line 1: 'q9' is the id of no test question of this run. Did you mean"),
        ([{"id": "q1", "completion": "7"}, {"id": "q1", "completion": "8"}], "line 2: a second answer to the question 'q1'; the first is in .*line 1"),
        ([{"id": "q1", "completion": "7"}, {"question": "What is q1?", "completion": "8"}], "line 2: a second answer"),
        ([{"question": "What else?", "completion": "7"}], "line 1: this run has no such test question: What else"),
        ([{"completion": "7"}], "line 1: there is no 'id' and no 'question'"),
        ([{"id": "q1"}], "line 1: there is no 'completion'"),
        ([{"id": "q1", "completion": None}], "line 1: 'completion' holds no text"),
        ([{"id": "q1", "completion": ["7"]}], "line 1: 'completion' holds no text"),
        ([{"id": "q1", "completion": "7", "seconds": "fast"}], "line 1: 'seconds' is 'fast'"),
        ([{"id": "q1", "completion": "7", "tokens": -1}], "line 1: 'tokens' is '-1'"),
        ([{"question": ["x"], "completion": "7"}], "line 1: the question holds list"),
        ([], "holds no rows"),
    ],
)  # fmt: skip
def test_a_faulty_row_is_one_message_with_its_line(tmp_path, rows, message):
    with pytest.raises(RecipeError, match=message):
        read(tmp_path / "a.jsonl", *rows)


def test_nan_and_half_a_character_harm_nothing(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "q0", "completion": "7\\ud83d", "seconds": NaN, "finish_reason": null}\n')
    answer = completions(path, MATH, EXAMPLES)[0]
    assert (answer.text, answer.seconds, answer.finish_reason) == ("7?", 0, "stop")
    with pytest.raises(RecipeError, match="there is no such file"):
        completions(tmp_path / "none.jsonl", MATH, EXAMPLES)


def answers(path, *golds):
    return lines(path, *({"id": f"q{i}", "completion": f"Answer: {gold}"} for i, gold in enumerate(golds)))


def test_files_are_systems_that_are_compared_and_ask_nobody(tmp_path):
    answers(tmp_path / "a.jsonl", 7, 7, 8)  # none for q3
    answers(tmp_path / "b.jsonl", 8, 7, 7, 7)
    systems = "[{name: rival, predictions: a.jsonl}, {name: other, predictions: b.jsonl}]"
    run = run_with(tmp_path, EXAMPLES, systems=systems)
    evaluate(run.recipe, run)
    (values,) = run.evaluation["splits"].values()
    rival = values["systems"]["rival"]
    assert (rival["role"], rival["engine"], rival["tells_task"], rival["max_tokens"]) == ("other", "file", True, 0)
    assert (rival["n"], rival["excluded"]) == (3, 1)
    assert rival["outcomes"] == {"correct": 2, "incorrect": 1, "error": 1}
    assert rival["metrics"]["accuracy"]["estimate"] == pytest.approx(2 / 3)
    sealed = values["sealed"]["settings"]
    assert sealed["systems"]["rival"]["model"].startswith("a.jsonl ")
    assert sealed["limits"] == {}
    row = run.read(artifacts.predictions("rival"))[3]
    assert (row["outcome"], row["error"], row["text"]) == ("error", "no-answer", "")


def test_a_faulty_file_stops_before_the_look_is_recorded(tmp_path):
    answers(tmp_path / "a.jsonl", 7, 7, 7, 7, 7)
    run = run_with(tmp_path, EXAMPLES, systems="[{name: rival, predictions: a.jsonl}]")
    with pytest.raises(RecipeError, match="'q4' is the id of no test question"):
        evaluate(run.recipe, run)
    answers(tmp_path / "a.jsonl", 7, 7)
    evaluate(run.recipe, run)
    (values,) = run.evaluation["splits"].values()
    assert (values["sealed"]["test_sets"], values["sealed"]["set_after_looking"]) == (1, {})


def test_the_content_of_the_file_decides_staleness_and_not_its_time(tmp_path):
    file = answers(tmp_path / "a.jsonl", 7, 7)
    run = run_with(tmp_path, EXAMPLES, systems="[{name: rival, predictions: a.jsonl}]")
    before = EVALUATE.inputs(run)
    answers(file, 7, 7)
    assert EVALUATE.inputs(run) == before
    answers(file, 7, 8)
    after = EVALUATE.inputs(run)
    assert {key for key in after if after[key] != before[key]} == {f"content of {file}"}
    assert [
        stage.name for stage in STAGES if stage.name != "evaluate" and f"content of {file}" in stage.inputs(run)
    ] == []


def test_a_system_is_added_replaced_and_written_into_the_recipe(tmp_path):
    run = run_with(tmp_path, EXAMPLES, systems="[student]")
    first, second = answers(tmp_path / "my model.v2.jsonl", 7), answers(tmp_path / "b.jsonl", 8)
    added = add_predictions(run, [str(first), f"rival={second}"])
    assert [one.name for one in added.recipe.systems] == ["student", "my-model", "rival"]
    again = Run(run.folder, loading.load(str(run.path("recipe.yaml"))), run.store_path)
    assert again.recipe == added.recipe
    assert again.recipe.systems[2].predictions == second
    replaced = add_predictions(again, [f"rival={first}"])
    assert [(one.name, one.predictions) for one in replaced.recipe.systems][2:] == [("rival", first)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["student={file}"], "there is a system 'student' already"), (["a={file}", "A={file}"], "there is a system 'A' already"),
        (["base={file}"], "'base' is the name of a system of the run's own models"), (["none.jsonl"], "there is no such file"),
        (["a={bad}"], "is the id of no test question"),
    ],
)  # fmt: skip
def test_a_system_that_cannot_be_added_leaves_the_recipe_alone(tmp_path, given, message):
    run = run_with(tmp_path, EXAMPLES, systems="[student]")
    file, bad = answers(tmp_path / "f.jsonl", 7), lines(tmp_path / "bad.jsonl", {"id": "x", "completion": "7"})
    before = run.path("recipe.yaml").read_text()
    with pytest.raises(RecipeError, match=message):
        add_predictions(run, [one.format(file=file, bad=bad) for one in given])
    assert run.path("recipe.yaml").read_text() == before


def test_a_run_without_examples_says_what_to_do(tmp_path):
    run = run_with(tmp_path, EXAMPLES)
    run.path(artifacts.EXAMPLES).unlink()
    with pytest.raises(PotstillError, match="run the earlier stages first"):
        add_predictions(run, [str(answers(tmp_path / "f.jsonl", 7))])


@pytest.mark.parametrize(
    ("system", "message"),
    [
        ("{name: x, predictions: a.jsonl, model: packaged/smollm2-135m-instruct}", "needs a model, predictions or an export, and only one of these"),
        ("{name: x}", "needs a model, predictions or an export"), ("{name: x, predictions: a.jsonl, prompting: cot}", "prompting is for models"),
        ("{name: student, predictions: a.jsonl}", "choose another"),
    ],
)  # fmt: skip
def test_what_a_recipe_may_not_say(tmp_path, system, message):
    with pytest.raises(RecipeError, match=message):
        run_with(tmp_path, EXAMPLES, systems=f"[{system}]")


def test_20000_rows_are_read_in_seconds(tmp_path):
    examples = [example(f"q{i}", question=f"How much is {i} and {i}?") for i in range(20_000)]
    path = lines(tmp_path / "a.jsonl", *({"question": one["question"], "completion": "7"} for one in examples))
    began = time.process_time()
    assert all(one.text == "7" for one in completions(path, MATH, examples))
    assert time.process_time() - began < 10


def test_the_command_adds_a_system_and_pays_nothing_again(work, teacher):
    assert small.potstill("run", "r.yaml", cwd=work).returncode == 0
    asked = teacher.seen.total()
    run = Run(
        work / "runs" / "small", loading.load(str(work / "runs/small/recipe.yaml")), work / "runs/completions.sqlite"
    )
    tests = list(run.examples(*artifacts.TEST_SPLITS))
    rows = [{"id": one["id"], "completion": f"Answer: {one['gold']}"} for one in tests]
    lines(work / "rival.jsonl", *rows[1:])
    done = small.potstill("evaluate", "small", "--predictions", "rival.jsonl", "--json", cwd=work)
    assert done.returncode == 0, done.stderr
    splits = json.loads(done.stdout)["splits"]
    assert sum(values["systems"]["rival"]["outcomes"]["correct"] for values in splits.values()) == len(tests) - 1
    assert sum(values["systems"]["rival"]["excluded"] for values in splits.values()) == 1
    assert "rival" in [c["b"] for values in splits.values() for c in values["comparisons"]]
    assert teacher.seen.total() == asked
    again = small.potstill("evaluate", "small", cwd=work)
    assert "evaluate: up to date" in again.stderr
    exported = small.potstill("evaluate", "small", "--export", "inspect", cwd=work)
    assert "evaluate: up to date" in exported.stderr
    assert "Export: runs/small/exports/inspect" in exported.stdout
    assert len(list((work / "runs/small/exports/inspect").glob("*.json"))) == 4
    assert small.potstill("report", "small", cwd=work).returncode == 0
    lines(work / "rival.jsonl", {"id": "no", "completion": "7"})
    faulty = small.potstill("evaluate", "small", cwd=work)
    assert faulty.returncode == 2
    assert "rival.jsonl, line 1: 'no' is the id of no test question" in faulty.stderr


def test_a_missing_file_is_said_at_the_start_and_nothing_is_planned_for_one(tmp_path):
    lines(tmp_path / "train.jsonl", {"question": "?", "gold": "7"})
    run = run_with(tmp_path, EXAMPLES, systems="[{name: rival, predictions: a.jsonl}]")
    with pytest.raises(RecipeError, match=r"a\.jsonl: there is no such file"):
        preflight.check(run)
    answers(tmp_path / "a.jsonl", 7)
    preflight.check(run)
    known = KnownExamples(lambda *splits: iter(EXAMPLES), complete=True)
    assert list(planned(run.recipe, known)) == []
