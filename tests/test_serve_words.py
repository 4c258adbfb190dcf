"""What a server says when it is ready: how the student wants to be asked."""

import json
import shlex

import pytest

import served
from evaluated import example
from potstill.serve.student import Student
from potstill.serve.words import ready


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    served.tiny_weights(folder / "hf", folder / "tiny.gguf")
    return folder


@pytest.mark.parametrize(
    ("task", "rows", "words"),
    [
        ("math", [None, None], ["question alone", "no system message"]),
        ("math", ["Be brief.", "Be long."], ["several system messages"]),
        ("math", ["Be brief."], ['gets that of training: "Be brief."']),
    ],
)
def test_what_a_server_says_of_prompts(tmp_path, weights, task, rows, words):
    examples = [example(str(i), split="train") | {"system": system} for i, system in enumerate(rows)]
    run = served.run_with_student(tmp_path, weights / "hf", None, task=task, rows=examples)
    text = "\n".join(ready(run, Student.of(run), "x", "http://h:1", "KEY"))
    assert all(word in text for word in words)
    assert '-H "Authorization: Bearer $KEY"' in text


def test_a_form_around_the_columns_is_said_and_shown(tmp_path, weights):
    columns = {"premise": "It's wet", "hypothesis": "It rains"}
    row = {key: value for key, value in example("a", split="train").items() if key != "question"} | columns
    run = served.run_with_student(tmp_path, weights / "hf", None, task="nli", rows=[row | {"gold": "neutral"}])
    lines = list(ready(run, Student.of(run), "x", "http://h:1", ""))
    assert any("form of the line below" in line for line in lines)
    (command,) = [line for line in lines if "curl" in line]
    body = json.loads(shlex.split(command)[-1])
    assert body["messages"] == run.task.messages(row)
