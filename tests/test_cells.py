"""Lists and records in the cells of a table: as JSON, Python and numpy write them, and options of any writing."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_recipes import read
from potstill.tasks.columns import label_text, parse_options, parse_text
from potstill.tasks.literals import decode

TEXTS = st.text(max_size=12).filter(lambda text: text.isprintable())
SCALARS = TEXTS | st.integers(-(10**6), 10**6) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS, lambda of: st.lists(of, max_size=4) | st.dictionaries(TEXTS, of, max_size=4), max_leaves=12
)


@given(st.lists(VALUES, max_size=5) | st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_python_and_json_write_is_read(value):
    assert decode(json.dumps(value)) == value
    assert decode(str(value)) == value


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_what_numpy_writes_is_read(texts):
    with np.printoptions(linewidth=30):
        for array in (np.array(texts, dtype=object), np.array(texts)):
            assert decode(str(array)) == array.tolist()
            assert decode(str({"text": array})) == {"text": array.tolist()}


@given(
    st.lists(st.integers(-1000, 1000) | st.floats(-5, 5, width=32).map(lambda x: round(x, 3)), min_size=1, max_size=9)
)
def test_numbers_of_numpy_are_read(numbers):
    assert decode(str(np.array(numbers))) == pytest.approx(numbers, abs=1e-3)


@settings(max_examples=1000)
@given(
    st.text(alphabet="[](){}'\",:=. \\\nabcdtypearny01-", max_size=60).map(lambda text: "[" + text)
    | st.text(max_size=40)
)
def test_any_text_is_a_list_a_record_or_itself(text):
    assert isinstance(decoded := decode(text), list | dict) or decoded == text


@pytest.mark.parametrize(
    "text", ["[1, ..., 9]", "['a' 'b' ... 'y' 'z']", "[os.remove('x')]", "[f(1)]", "[a](http://b)", "(maybe) late", "['a'", "[a, b]"]
)  # fmt: skip
def test_what_is_no_list_stays_text(text):
    assert decode(text) == text


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "['" + "a" * 190_000, "[" + "'a' " * 50_000, "{'a': " * 30_000, "[1," * 60_000]
)
def test_hostile_cells_take_linear_time(text):
    import time

    started = time.perf_counter()
    decode(text)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "text",
    [
        '["red hat", "it\'s blue", "green"]', "['red hat', \"it's blue\", 'green']", "['red hat' \"it's blue\"\n 'green']",
        "{'label': array(['A', 'B', 'C'], dtype=object), 'text': array(['red hat', \"it's blue\", 'green'],\n      dtype=object)}",
        "{'A': 'red hat', 'B': \"it's blue\", 'C': 'green'}", "('red hat', \"it's blue\", 'green')",
        "red hat|it's blue|green", "red hat; it's blue; green", "A) red hat B) it's blue C) green",
        "a ) red hat , b ) it's blue , c ) green", "A. red hat\nB. it's blue\nC. green", "(A) red hat (B) it's blue (C) green",
    ],
)  # fmt: skip
def test_options_of_any_writing(text):
    assert parse_options(text) == ["red hat", "it's blue", "green"]


@pytest.mark.parametrize(
    "text", ["['red' 'green'\n ... 'blue' 'white']", "['red', 'green'", "[red", "{'a': red}", "a red hat"]
)
def test_a_cut_list_is_no_options(text):
    with pytest.raises(ValueError, match="holds no list"):
        parse_options(text)


def test_lists_in_cells_reach_the_tasks(tmp_path):
    (tmp_path / "l.csv").write_text("text,gold\n" + "A,\"['late', 'lost']\"\nB,['late']\nC,[]\nD,['lost' 'late']\n" * 3)
    data = {"source": "files", "validation": 1, "test": 1}
    rows = read(tmp_path, data | {"train": "l.csv"}, "{name: classification, labels: [late, lost], multi: true}")
    assert {(row["text"], row["gold"]) for row in rows} == {
        ("A", "late, lost"), ("B", "late"), ("C", "none"), ("D", "late, lost"),
    }  # fmt: skip
    (tmp_path / "r.csv").write_text("text,gold\n" + "".join(f"B{i},\"{{'n': {i}, 'paid': True}}\"\n" for i in range(5)))
    task = "{name: extraction, json_schema: {type: object, properties: {n: {type: number}, paid: {type: boolean}}}}"
    assert json.loads(read(tmp_path, data | {"train": "r.csv"}, task)[0]["gold"])["paid"] is True


def test_booleans_and_whole_numbers_as_text():
    assert (parse_text(True), parse_text(False), parse_text(1.0)) == ("true", "false", "1.0")
    assert [label_text(value) for value in (True, 1.0, 0.0, -1.0, 2.5, 3, " x ", "1.0")] == [
        "true", "1", "0", "-1", "2.5", "3", "x", "1.0",
    ]  # fmt: skip
