"""What the command `review` refuses, its export, and how labels reach the run."""

import csv
import json
import re
import socket
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from potstill.cli.review import review
from potstill.errors import PotstillError, RecipeError
from potstill.labels import table
from potstill.labels.table import Form, State
from potstill.pipeline.pipeline import carry_out_only
from potstill.review.collect import collect
from potstill.review.database import FILE, connect
from potstill.review.defaults import defaults
from potstill.review.export import export
from potstill.review.filling import settle
from potstill.review.reviewing import Answer
from reviewed import SUMMARIES, answer_all, begun, math_run, served, summarization_run
from small import potstill

PASSES = Answer(State.GIVEN, {"overall": 1.0})


def test_what_is_no_database_is_named(tmp_path):
    (tmp_path / FILE).write_text("this is no database, but a text that is long enough to be one" * 20)
    with pytest.raises(PotstillError, match="cannot be used as the database of a review"):
        connect(tmp_path / FILE)


def test_the_database_of_another_run_is_refused(tmp_path):
    one, other = math_run(tmp_path, 1), math_run(tmp_path, 1, name="other")
    connection, _ = begun(one)
    with pytest.raises(PotstillError, match="belongs to another run"):
        settle(connection, other, defaults(other, {}), {})


def test_what_a_review_began_with_is_kept(tmp_path):
    run = math_run(tmp_path, 3)
    connection, settings = begun(run, form="pass", questions=2)
    assert settle(connection, run, defaults(run, {}), {}) == settings
    with pytest.raises(RecipeError, match="began with --form pass"):
        settle(connection, run, defaults(run, {"form": "pairwise"}), {"form": "pairwise"})


# The command


@pytest.mark.parametrize(
    ("options", "words", "name", "code"),
    [
        ({"form": "pairwise"}, "at least two systems", "short", 2),
        ({"form": "stars"}, "there are scores, pairwise and pass", "sums", 2),
        ({"form": "reference"}, "is for judges", "sums", 2),
        ({"systems": "studnet"}, "Did you mean 'student'", "sums", 2),
        ({"overlap": 1.5}, "--overlap 1.5 is not between 0 and 1", "sums", 2),
        ({"rubric": "summarisation"}, "Did you mean 'summarization'", "sums", 2),
        ({"attention": 1}, "leave out --attention", "short", 1),
        ({}, "no test question has an answer", "empty", 1),
        ({"export": Path("x.xlsx")}, "must end with .parquet", "sums", 2),
        ({"export": Path("x.csv")}, "no review has begun", "sums", 1),
        ({"host": "203.0.113.77"}, "Cannot listen at 203.0.113.77", "sums", 2),
    ],
)
def test_bad_options_are_refused(tmp_path, options, words, name, code):
    runs = {
        "sums": lambda: math_run(tmp_path, 2),
        "short": lambda: math_run(tmp_path, 2, answers={"student": "7"}, name="short"),
        "empty": lambda: summarization_run(tmp_path, 1, summaries={"student": ""}, name="empty"),
    }
    with pytest.raises(PotstillError, match=re.escape(words)) as error:
        review(str(runs[name]().folder), port=0, **options)
    assert error.value.exit_code == code


def test_no_predictions_yet_and_a_taken_port(tmp_path):
    run = math_run(tmp_path, 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = potstill("review", run.folder, "--port", port, cwd=tmp_path)
    assert (done.returncode, f"Port {port} is taken" in done.stderr) == (1, True)
    run.remove("predictions")
    done = potstill("review", run.folder, "--port", 0, cwd=tmp_path)
    assert (done.returncode, "first run `potstill evaluate`" in done.stderr) == (1, True)


def test_labels_are_brought_in_when_the_server_stops_and_are_exported(tmp_path):
    run = summarization_run(
        tmp_path, 2, summaries=SUMMARIES | {"base": "=1+1 is what a spreadsheet computes, <b>though</b>."}
    )
    connection, settings = begun(run, form="pairwise")
    answer_all(connection, "=Ana", Answer(State.GIVEN, {"overall": 0.0}, reason="@so"))
    connection.close()
    with served(run) as server:
        assert server.stop() == 0
    assert len(table.read(run)) == 2
    for name, expected in (("a.parquet", 2), ("a.jsonl", 2), ("a.csv", 2), ("a.json", 2)):
        assert export(run, tmp_path / name) == expected
    assert pq.read_table(tmp_path / "a.parquet").schema.equals(table.LABELS.schema)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert rows == pq.read_table(tmp_path / "a.parquet").to_pylist()
    with (tmp_path / "a.csv").open(newline="") as file:
        assert [(row["rater"], row["reason"], row["value"]) for row in csv.DictReader(file)] == [
            ("'=Ana", "'@so", "0.0")
        ] * 2
    tasks = json.loads((tmp_path / "a.json").read_text())
    assert {task["data"]["system"] for task in tasks} == {"student"}
    result = tasks[0]["annotations"][0]["result"]
    assert result[0] == {
        "from_name": "overall",
        "to_name": "answer",
        "type": "choices",
        "value": {"choices": ["other_answer"]},
    }
    assert result[1]["value"] == {"text": ["@so"]}
    assert sqlite3.connect(run.path(FILE)).execute("SELECT count(*) FROM answers").fetchone()[0] == 2
    assert settings.form is Form.PAIRWISE


def test_a_run_that_is_in_use_gets_its_labels_later(tmp_path):
    run = math_run(tmp_path, 1)
    connection, _ = begun(run, form="pass")
    answer_all(connection, "Ana", PASSES)
    connection.close()
    with served(run) as server:
        with run.locked():
            assert server.stop() == 0
        assert "will be brought into labels.parquet later" in server.process.stderr.read()
    assert table.read(run) == []
    with run.locked():
        collect(run)
    assert len(table.read(run)) == 2


def test_the_pipeline_brings_in_labels_of_a_killed_server(tmp_path):
    run = math_run(tmp_path, 1)
    connection, _ = begun(run, form="pass")
    answer_all(connection, "Ana", PASSES)
    connection.close()
    with pytest.raises(PotstillError, match="which is out of date"):
        carry_out_only(run, "report")
    assert len(table.read(run)) == 2


def test_a_file_in_which_no_review_has_begun_has_nothing_to_export_or_collect(tmp_path):
    run = math_run(tmp_path, 1)
    connect(run.path(FILE)).close()  # as --browse leaves it
    with pytest.raises(PotstillError, match="no review has begun"):
        export(run, tmp_path / "a.csv")
    with run.locked():
        collect(run)
    assert table.read(run) == []
