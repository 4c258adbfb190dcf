"""Whatever `init` writes, the reader takes: for any table of the usual kinds, in any kind of file."""

import csv
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_recipes import ENDS, lines
from potstill.data.draft import recipe_text
from potstill.data.examples import examples
from potstill.data.guess import guess
from potstill.errors import RecipeError
from potstill.recipe import loading
from small import potstill

WORDS = ["yes", "no", "Yes", "NO", "true", "TRUE", "on", "off", "null", "none", "1", "1.0", "0", "-1", "1e3", "2024-01-01", "a: b", "~", "late",
         "#1", "'q'", "late fee", "[x]", "{y}", "0x1F", "12:30", "=", "é"]  # fmt: skip
LABELS = {
    "booleans": [True, False],
    "whole floats": [0.0, 1.0],
    "floats": [0.5, 1.0, 1.5],
    "integers": [0, 1, 2],
    "signed": [-1, 0, 1],
    "booleans and nothing": [True, False, None],
    "whole floats and nothing": [0.0, 1.0, None],
    "yes and no": ["yes", "no"],
    "any case": ["Yes", "yes", "NO", "no", "Maybe"],
    "spaces": ["late fee", "late  fee", " lost "],
    "booleans and words": [True, "false", "True"],
    "numbers as text": ["0.0", "1.0", "0", "1"],
    "YAML's": ["on", "off", "~", "null", "1e3", "12:30", "2024-01-01", "0x1F"],
    "lists": [["a"], ["a", "b"], []],
    "lists of booleans": [[True], [False, True]],
    "lists as Python's": ["['a']", "['a', 'b']", "[]"],
    "lists as numpy's": ["['a']", "['a' 'b']"],
    "records": [{"a": 1, "b": None}, {"a": 2.5, "b": "x"}],
    "records as Python's": ["{'a': 1, 'b': True}", "{'a': 2, 'b': None}"],
    "mixed": [True, 1, "1", 2.0, "two", None],
    "dates": ["2024-01-01", "2024-01-02"],
    "letters": ["A", "B", "C", "D"],
}
EXTRA = {
    "steps": [["x"], ["y"]],
    "group": [{"g": n} for n in range(60)],
    "system": [None],
    "uid": ["same"],
    "rationale": [["r"]],
    "id": [None],
}


def table(labels, n, gold, text, extra):
    rows = [{text: f"This is message {i} of somebody.", gold: labels[i % len(labels)]} for i in range(n)]
    return [row | {name: EXTRA[name][i % len(EXTRA[name])] for name in extra} for i, row in enumerate(rows)]


def write(folder, rows, kind):
    path = folder / f"r.{kind}"
    match kind:
        case "csv" | "tsv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]), delimiter=";" if kind == "csv" else "\t")
                writer.writeheader()
                writer.writerows(rows)
        case "json":
            path.write_text(json.dumps({"data": rows}))
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        case _:
            path.write_text(lines(rows))
    return path


def agrees(rows, kind):
    """Whether `init` refuses the file with a message, or its recipe reads it; returns the recipe's rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write(folder, rows, kind)
        try:
            guessed = guess(path)
        except RecipeError:
            return None
        recipe = loading.parse(recipe_text(path, guessed, "r", "packaged/a", "packaged/b"), "r", folder)
        read = list(examples(recipe))
        assert loading.parse(loading.dump(recipe), "r", folder).task == recipe.task
        for row in read[:5]:
            assert recipe.task.messages(row)
        return read


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "json", "parquet"])
def test_tables_of_labels_of_any_type(name, kind):
    rows = table(LABELS[name], 48, "label", "text", [])
    try:
        pa.Table.from_pylist(rows)
    except pa.ArrowException:
        if kind == "parquet":
            return  # a column of Parquet has one type
    read = agrees(rows, kind)
    assert read is not None
    with_gold = [label for label in LABELS[name] if label is not None]
    assert len(read) >= 48 * len(with_gold) // len(LABELS[name])


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    labels=st.sampled_from(list(LABELS.values())) | st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    n=st.integers(12, 60),
    gold=st.sampled_from(["label", "answer", "gold", "output", "class", "completion"]),
    text=st.sampled_from(["text", "question", "prompt", "note", "sentence"]),
    extra=st.sets(st.sampled_from(list(EXTRA))),
    kind=st.sampled_from(["jsonl", "csv", "tsv", "json"]),
)
@example(labels=["Yes", "yes", "no"], n=30, gold="label", text="text", extra=set(), kind="jsonl")
@example(labels=["none", ["none"]], n=30, gold="label", text="text", extra=set(), kind="jsonl")
def test_any_table_of_the_usual_kinds(labels, n, gold, text, extra, kind):
    agrees(table(labels, n, gold, text, extra), kind)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    replies=st.sampled_from([[json.dumps(label) for label in of] for of in LABELS.values()])
    | st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    n=st.integers(12, 60),
    system=st.sampled_from(["", "Answer yes or no."]),
)
def test_any_chats_of_the_usual_kinds(replies, n, system):
    before = [{"role": "system", "content": system}] if system else []
    rows = [
        {"messages": [*before, {"role": "user", "content": f"Message {i}"}, {"role": "assistant", "content": replies[i % len(replies)]}]}
        for i in range(n)
    ]  # fmt: skip
    read = agrees(rows, "jsonl")
    assert read is not None
    assert len(read) >= n * 0.9


def test_spellings_that_the_reader_takes_for_one_label_are_one(tmp_path):
    rows = [{"text": f"Message {i}", "label": ["Yes", "yes", "no", "Yes"][i % 4]} for i in range(32)]
    assert guess(write(tmp_path, rows, "jsonl")).task["labels"] == ["Yes", "no"]


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("yes", "'task.labels.0' is yes without quotes, which YAML reads as a boolean; quote it: \"yes\"."),
        ("Off", "is Off without quotes, which YAML reads as a boolean; quote it: \"Off\"."),
        ("1", "is 1 without quotes, which YAML reads as a number; quote it: \"1\"."),
        ("1.50", "is 1.50 without quotes, which YAML reads as a number; quote it: \"1.50\"."),
        ("2024-01-01", "is 2024-01-01 without quotes, which YAML reads as a date; quote it"),
        ("null", "is null without quotes, which YAML reads as nothing; quote it"),
    ],
)  # fmt: skip
def test_a_label_that_yaml_does_not_take_for_text_is_named(label, message):
    with pytest.raises(RecipeError) as caught:
        loading.parse(f"name: r\ntask: {{name: classification, labels: [{label}, b]}}\ndata: {{}}\n{ENDS}")
    assert message in str(caught.value)
    assert str(caught.value).startswith("recipe:2:39: ")


def test_booleans_are_yes_and_no_where_the_labels_are(tmp_path):
    rows = [{"text": f"Message {i}", "gold": i % 2 == 0} for i in range(12)]
    (tmp_path / "r.jsonl").write_text(lines(rows))
    data = {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1}
    for labels in ('["yes", "no"]', '["TRUE", "FALSE"]', '["0", "1"]'):
        text = f"name: r\ntask: {{name: classification, labels: {labels}}}\ndata: {json.dumps(data)}\n{ENDS}"
        golds = {row["text"]: row["gold"] for row in examples(loading.parse(text, "r", tmp_path))}
        assert golds["Message 0"] == {"yes": "yes", "TRUE": "TRUE", "0": "1"}[json.loads(labels)[0]]


def test_init_and_preview_of_booleans(tmp_path):
    write(tmp_path, table([True, False], 30, "label", "text", []), "jsonl")
    for command in (("init", "r.jsonl"), ("preview", "r.yaml")):
        result = potstill(*command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
