"""Which files of a folder are read, and the forms of JSON, CSV and Parquet files."""

import gzip
import json
import re
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes import lines, read
from potstill.data import csv_files, files, hub, json_files
from potstill.errors import RecipeError

ROWS = [{"question": f"How much is {i} less 1?", "gold": str(i - 1)} for i in range(1, 9)]


def rows_of(path, split="train"):
    return [row for _, row in files.read_rows(path, split)]


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_hidden_files_and_folders_are_not_read(tmp_path):
    written(tmp_path, "rows.jsonl", lines(ROWS))
    for hidden in (".ipynb_checkpoints/rows-checkpoint.jsonl", "sub/.git/old.jsonl", "._rows.jsonl", ".rows.csv"):
        (tmp_path / hidden).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / hidden).write_bytes(b"\x00\x05\x16\x07 not rows \xff")
    assert rows_of(tmp_path) == ROWS
    assert files.data_files(tmp_path) == [tmp_path / "rows.jsonl"]


def test_a_folder_whose_own_name_is_hidden_is_read(tmp_path):
    (tmp_path / ".data").mkdir()
    written(tmp_path / ".data", "rows.jsonl", lines(ROWS))
    assert rows_of(tmp_path / ".data") == ROWS


def test_a_folder_of_hidden_files_alone_says_so(tmp_path):
    written(tmp_path, ".rows.jsonl", lines(ROWS))
    with pytest.raises(RecipeError, match="names that begin with a dot are not read"):
        rows_of(tmp_path)


COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
FORMS = {
    "a list after space": "  \n\t" + json.dumps(ROWS),
    "a list after a BOM and a line": "\ufeff\n" + json.dumps(ROWS, indent=2),
    "an object in several lines": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "commas between lines": ",\n".join(map(json.dumps, ROWS)),
    "record separators": "".join(f"\x1e{json.dumps(row)}\n" for row in ROWS),
    "empty lines": "\n\n".join(map(json.dumps, ROWS)) + "\n\n",
    "under data": json.dumps({"version": "2", "data": ROWS}),
    "under rows, in lines": json.dumps({"about": {"by": "us"}, "rows": ROWS}, indent=1),
    "under any key alone": json.dumps({"sums": ROWS}),
    "under two keys": json.dumps({"dataset": {"examples": ROWS}}),
    "by column": json.dumps(COLUMNS),
    "by column and index": json.dumps({name: dict(enumerate(of)) for name, of in COLUMNS.items()}),
    "split": json.dumps({"columns": list(COLUMNS), "index": [*range(8)], "data": [list(row.values()) for row in ROWS]}),
    "table": json.dumps({"schema": {"fields": []}, "data": ROWS}),
    "viewer": json.dumps({"features": [], "rows": [{"row_idx": i, "row": row} for i, row in enumerate(ROWS)]}),
}


@pytest.mark.parametrize("name", FORMS)
def test_json_of_any_form(name, tmp_path):
    assert rows_of(written(tmp_path, "rows.json", FORMS[name])) == ROWS
    assert rows_of(written(tmp_path, "rows.jsonl.gz", gzip.compress(FORMS[name].encode()))) == ROWS
    assert rows_of(written(tmp_path, "utf16.jsonl", FORMS[name].lstrip("\ufeff").encode("utf-16"))) == ROWS


def test_rows_by_id_keep_their_id(tmp_path):
    path = written(tmp_path, "rows.json", json.dumps({f"q{i}": row for i, row in enumerate(ROWS)}))
    assert rows_of(path) == [{"id": f"q{i}", **row} for i, row in enumerate(ROWS)]


def test_the_rows_of_a_split_of_one_object(tmp_path):
    path = written(tmp_path, "all.json", json.dumps({"train": ROWS[:5], "dev": ROWS[5:6], "test": ROWS[6:]}))
    assert files.splits_of(path) == ["train", "validation", "test"]
    data = {"source": "files", "train": "all.json", "validation": "all.json", "test": "all.json"}
    splits = [row["split"] for row in read(tmp_path, data)]
    assert sorted(splits) == ["test"] * 2 + ["train"] * 5 + ["validation"]
    with pytest.raises(RecipeError, match=r"rows under 'train', 'dev', 'test', and none for data\.test_unseen"):
        read(tmp_path, data | {"test_unseen": "all.json"})


def test_squads_questions_are_rows_with_their_context(tmp_path):
    qas = [
        {"id": "a", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}, {"text": "Ann B.", "answer_start": 0}]},
        {"id": "b", "question": "When?", "answers": [], "is_impossible": True},
    ]  # fmt: skip
    value = {"version": "v2", "data": [{"title": "T", "paragraphs": [{"context": "Ann B. came.", "qas": qas}]}]}
    assert rows_of(written(tmp_path, "s.json", json.dumps(value, indent=1))) == [
        {"id": "a", "question": "Who?", "title": "T", "context": "Ann B. came.", "answer": "Ann"},
        {"id": "b", "question": "When?", "title": "T", "context": "Ann B. came.", "answer": None},
    ]


@pytest.mark.parametrize(
    "row", [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]},
        {"text": "a", "entities": [{"name": "b"}, {"name": "c"}]}, {"text": "a", "data": "b"}, {"gold": {"a": 1}, "text": "b"},
        {"options": ["a", "b"]}, {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]},
    ]
)  # fmt: skip
def test_one_row_is_one_row(row, tmp_path):
    assert rows_of(written(tmp_path, "r.json", json.dumps(row))) == [row]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[\n{"a": 1},\n{"a": }\n]', r"r\.json, line 3: not JSON"),
        ('{"a": 1}\n{"a": 2}\n\n{"a": 3\n', r"r\.json, line 4: not JSON"),
        ('{"data": [1, 2]}', r"r\.json, line 1"),
        ('{"columns": ["a"], "data": [[1], [2, 3]]}', "row 2: it has 2 cells"),
        ('{"a": 1}\n{"a": 2}\n[3]\n', "line 3: must be a JSON object"),
        (b'{"a": 1}\n{"a": 2}\n{"a": "caf\xe9"}\n', r"r\.json, line 3: not UTF-8 text .*Windows-1252"),
    ],
)
def test_the_line_of_an_error_is_that_of_the_file(content, message, tmp_path):
    with pytest.raises(RecipeError, match=message):
        read(
            tmp_path,
            {"source": "files", "train": str(written(tmp_path, "r.json", content)), "validation": 1, "test": 1},
        )


CELLS = [["late, very", 'it\'s "so"', "a;b"], ["two\nlines", "x|y", "tab\there"]]


def as_csv(separator, quote=True):
    def cell(text):
        return '"' + text.replace('"', '""') + '"' if quote else text

    return "\r\n".join(separator.join(map(cell, row)) for row in [["text", "label", "note"], *CELLS * 3]) + "\r\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "sep="])
def test_csv_of_any_separator(separator, first, tmp_path):
    content = (f"sep={separator}\r\n" if first else "") + as_csv(separator)
    expected = [dict(zip(("text", "label", "note"), row, strict=True)) for row in CELLS * 3]
    for name, encoding in (("r.csv", "utf-8-sig"), ("r.tsv", "utf-8"), ("u.csv", "utf-16")):
        assert rows_of(written(tmp_path, name, content.encode(encoding))) == expected


def test_commas_in_texts_of_another_separator_are_text(tmp_path):
    rows = [{"text": f"Hello, I am {i}, and late", "label": "late" if i % 2 else "lost"} for i in range(6)]
    content = "text;label\n" + "".join(f"{row['text']};{row['label']}\n" for row in rows)
    assert rows_of(written(tmp_path, "r.csv", content)) == rows


def test_semicolons_in_texts_of_the_usual_separator_are_text(tmp_path):
    content = "text,label\n" + "".join(f"One; two; three{i},late\n" for i in range(6))
    assert rows_of(written(tmp_path, "r.csv", content))[0] == {"text": "One; two; three0", "label": "late"}


def test_the_empty_cells_and_rows_of_a_spreadsheet_are_no_rows(tmp_path):
    content = "text,label,,\nA,x,,\nB,y\n,,,\n\n , \n"
    assert rows_of(written(tmp_path, "r.csv", content)) == [{"text": "A", "label": "x"}, {"text": "B", "label": "y"}]


def test_a_column_without_a_name_gets_one(tmp_path):
    assert rows_of(written(tmp_path, "r.csv", ",text, label\n7,A, x\n")) == [
        {"column 1": "7", "text": "A", "label": "x"}
    ]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('text,label\n"one\ntwo",a\n"three\nfour\nfive",b,c,d\n', 4, "more or fewer cells"),
        ('text,label\n"one\ntwo",a\n"say \\"hi\\"",b\n', 4, "not CSV.*written twice"),
        ('text,label\na,b\n"never closed,c\nd,e\n', 3, "not CSV"),
        ("sep=;\ntext;label\na;b\nc;d;e\n", 4, "Quote cells that contain semicolons"),
        (b"text,label\na,b\nc\xe9,d\n", 3, "not UTF-8"),
    ],
)
def test_a_faulty_record_is_named_by_the_line_where_it_begins(content, line, message, tmp_path):
    with pytest.raises(RecipeError, match=rf"r\.csv, line {line}: .*{message}"):
        rows_of(written(tmp_path, "r.csv", content))


def test_rows_of_several_lines_are_located_by_their_first(tmp_path):
    path = written(tmp_path, "r.csv", 'text,label\n"one\ntwo",a\n"three\nfour",b\n')
    assert [re.sub(".*, ", "", location) for location, _ in files.read_rows(path)] == ["line 2", "line 4"]


@given(st.text(max_size=200))
def test_a_separator_is_found_for_any_text(sample):
    assert csv_files.separator_of(sample, ",") in csv_files.SEPARATORS


@given(st.one_of(st.text(max_size=60), st.text(alphabet='{}[]",:01 \n\x1eabd', max_size=60)))
def test_any_text_is_json_or_an_error(text):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), "r.json", text.encode("utf-8", "replace"))
        with suppress(RecipeError):
            assert all(isinstance(row, dict) for _, row in json_files.read(path, "r.json", "train"))


def test_label_names_and_maps_of_parquet_are_read(tmp_path):
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["lost", "late"], "_type": "ClassLabel"},
        "tags": {"feature": {"names": ["x", "y"], "_type": "ClassLabel"}, "_type": "Sequence"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({
        "text": ["a", "b", "c"], "label": [1, 0, -1], "tags": [[0, 1], [], [1]],
        "options": pa.array([[("A", "one"), ("B", "two")]] * 3, pa.map_(pa.string(), pa.string())),
    })  # fmt: skip
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "r.parquet")
    rows = rows_of(tmp_path / "r.parquet")
    assert [(row["label"], row["tags"]) for row in rows] == [("late", ["x", "y"]), ("lost", []), (None, ["y"])]
    assert rows[0]["options"] == {"A": "one", "B": "two"}


def test_labels_of_the_recipes_own_names_are_taken_by_their_number(tmp_path):
    metadata = {
        "huggingface": json.dumps({"info": {"features": {"gold": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}})
    }
    table = pa.table({"text": [f"Film {i}" for i in range(8)], "gold": [i % 2 for i in range(8)]})
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "r.parquet")
    data = {"source": "files", "train": "r.parquet", "validation": 1, "test": 1}
    for labels in ("[neg, pos]", "[bad, good]"):
        rows = read(tmp_path, data, f"{{name: classification, labels: {labels}}}")
        assert {(row["text"], row["gold"]) for row in rows} >= {("Film 3", labels[1:-1].split(", ")[1])}


def test_label_names_of_the_hub_are_read(monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "gold": datasets.ClassLabel(names=["late", "lost"])}
    )
    rows = datasets.Dataset.from_dict({"text": [f"Mail {i}" for i in range(8)], "gold": [0, 1] * 4}, features)
    monkeypatch.setattr(hub, "_load", lambda *of: rows)
    data = {"source": "hub", "name": "any/mail", "validation": 1, "test": 1}
    read_rows = read(tmp_path, data, "{name: classification, labels: [lost, late]}")
    assert {row["text"]: row["gold"] for row in read_rows} == {f"Mail {i}": ["late", "lost"][i % 2] for i in range(8)}
