"""Browse: every row of a run is found, filtered and shown, and no text of a model becomes markup or a query."""

import sqlite3
from contextlib import closing

import pytest

from potstill.errors import PotstillError
from potstill.review.browse_index import FILE, index
from potstill.review.browsing import PAGE, search
from potstill.workspace.artifacts import CURATED
from reviewed import RATIONALES, math_run, served, summarization_run
from test_review_http import Client


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return math_run(
        tmp_path_factory.mktemp("runs"),
        120,
        answers=RATIONALES | {"base-direct": "<script>x</script> Zürich's “quince”"},
    )


@pytest.fixture(scope="module")
def client(run):
    with served(run, "--browse") as server:
        yield Client(server).enter(server.link)


def found(connection, searched="", state=""):
    tables, number, values = search(searched, state)
    return [row["id"] for row in connection.execute(f"SELECT r.id FROM {tables} ORDER BY {number}", values)]


def test_all_rows_are_there_and_searched_by_words(run):
    connection = index(run)
    assert len(found(connection)) == 360
    assert found(connection, "(77)") == ["test-77", "train-77/0", "train-77/1"]
    assert found(connection, "test-77") == ["test-77"]
    assert len(found(connection, "zurich QUIN")) == 120
    assert found(connection, "no such words") == []
    for hostile in ('"', "'; DROP TABLE rows; --", "a AND", "NEAR(", "* OR x", "text:x", "-x", "ä" * 9000):
        found(connection, hostile)


def test_rows_are_filtered_by_what_became_of_them(run):
    connection = index(run)
    states = dict(connection.execute("SELECT state, count(*) FROM states GROUP BY state").fetchall())
    assert states["training row, kept"] == states["base: incorrect"] == states["test question"] == 120
    dropped = next(name for name in states if name.startswith("training row, dropped: "))
    assert set(found(connection, "", dropped)) == {f"train-{i}/1" for i in range(120)}
    assert found(connection, "(77)", "training row, kept") == ["train-77/0"]


def test_pages_follow_each_other(client):
    _, _, first = client.request("GET", "/browse?state=test+question")
    assert first.count('<span class="title"') == PAGE
    following = first.partition("after=")[2].partition('"')[0]
    _, _, second = client.request("GET", f"/browse?state=test+question&after={following}")
    assert "test-50<" in second
    assert "test-49<" not in second
    for odd in ("after=x", "after=-1", "after=9" + "9" * 30, "state=none", "q=%00%ff"):
        assert client.request("GET", f"/browse?{odd}")[0] == 200


def test_a_row_shows_its_history(client):
    _, _, text = client.request("GET", "/browse/row?id=train-3/1")
    for piece in ("Dropped", "correct", "So it covers 180 + 2", "teacher, sample 1", "agreement: 0.50"):
        assert piece in text
    assert "Answer: 300" in client.request("GET", "/browse/row?id=train-3/0")[2]
    assert client.request("GET", "/browse/row?id=train-3/7")[0] == 404


def test_answers_are_compared_and_escaped(client):
    _, _, text = client.request("GET", "/browse/row?id=test-3&with=student")
    assert "<mark>" in text
    assert "<script>" not in text
    assert "&lt;" in text
    assert client.request("GET", "/browse/row?id=test-3&with=nobody")[0] == 200


def test_the_index_follows_the_tables(tmp_path):
    run = math_run(tmp_path, 3)
    index(run).close()
    made = run.path(FILE).stat().st_mtime_ns
    index(run).close()
    assert run.path(FILE).stat().st_mtime_ns == made
    run.write(CURATED, run.read(CURATED)[:2])
    with closing(index(run)) as connection:
        assert len(found(connection, "", "training row, kept")) == 1
        assert len(found(connection, "", "other example")) == 2
    run.path(FILE).write_bytes(b"damaged")
    with closing(index(run)) as connection:
        assert len(found(connection)) == 7
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("DELETE FROM rows")


def test_a_run_without_examples_is_refused(tmp_path):
    run = summarization_run(tmp_path, 1)
    run.remove("examples.parquet")
    with pytest.raises(PotstillError, match=r"no examples\.parquet yet"):
        index(run)
