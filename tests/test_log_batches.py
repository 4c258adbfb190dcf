"""Input and output files of a batch, whose lines are joined by custom_id."""

import json
import weakref
from collections import Counter

import pytest

from log_rows import USER, answered, batch_request, expired, read
from potstill.data import files, logs
from potstill.data.logs import LoggedAnswer
from potstill.errors import RecipeError


def test_batch_lines_in_any_order_and_over_two_files(tmp_path):
    lines = {
        "a.jsonl": [batch_request("1", "a"), answered("3", "C"), batch_request("2", "b"), answered("2", "B")],
        "b.jsonl": [batch_request("3", "c"), answered("1", "A")],
    }
    for name, rows in lines.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = logs.parse(files.read_rows(tmp_path), Counter())
    assert [(location, one.id, one.messages[0]["content"], one.text) for location, one in answers] == [
        (f"{tmp_path}/a.jsonl, line 4", "2", "b", "B"),
        (f"{tmp_path}/a.jsonl, line 2", "3", "c", "C"),
        (f"{tmp_path}/b.jsonl, line 2", "1", "a", "A"),
    ]


def test_all_fields_of_a_batch_line_are_parsed():
    [(_, logged)] = read(answered("1"), batch_request("1"))
    assert logged == LoggedAnswer("1", USER, "4", "gpt-4o-2024-08-06", "stop", 24, 15)


class Body(dict):
    """A request body that can be referenced weakly."""


def test_batch_lines_are_freed_when_their_other_half_arrives():
    watched = []

    def rows():
        for n in range(300):
            line = batch_request(str(n))
            line["body"] = Body(line["body"])
            watched.append(weakref.ref(line["body"]))
            yield f"line {2 * n}", line
            del line
            yield f"line {2 * n + 1}", answered(str(n))

    lazily = logs.parse(rows(), Counter())
    assert next(lazily)[0] == "line 1"
    assert len(watched) == 1
    for _ in lazily:
        assert sum(body() is not None for body in watched) <= 2


def test_failed_batch_lines_and_unanswered_requests_are_counted():
    rows = [
        batch_request("1"),
        expired("1"),
        batch_request("2"),
        answered("2", status=500),
        batch_request("3"),
        batch_request("4"),
        answered("4"),
    ]
    left_out = Counter()
    assert [logged.id for _, logged in read(*rows, left_out=left_out)] == ["4"]
    assert left_out == {"failed requests": 2, "requests without an answer": 1}


def test_a_later_batch_can_answer_a_failed_line():
    rows, left_out = [batch_request("1"), batch_request("1"), expired("1"), answered("1")], Counter()
    assert [logged.text for _, logged in read(*rows, left_out=left_out)] == ["4"]
    assert left_out == {"failed requests": 1}


def test_answers_without_their_input_file_are_refused():
    with pytest.raises(
        RecipeError, match=r"line 1: .* custom_id '7' \(2 such answers\).* input file must be in the same"
    ):
        read(answered("7"), answered("8"))


def test_a_custom_id_in_two_batches_is_refused():
    with pytest.raises(RecipeError, match=r"line 2: the custom_id '1' is also in another line \(log.jsonl, line 1\)"):
        read(batch_request("1", "a"), batch_request("1", "b"))


def test_a_bad_request_of_a_batch_is_named():
    with pytest.raises(
        RecipeError, match=r"line 2 and its request \(log.jsonl, line 1\): .*neither 'messages' nor 'prompt'"
    ):
        read(batch_request("1") | {"body": {"question": "a"}}, answered("1"))
