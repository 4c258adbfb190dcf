"""Sources of rows, and how rows become examples. No model is used."""

import gzip
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_recipes import ENDS, lines, read, recipe
from potstill.data import hub
from potstill.errors import RecipeError

ROWS = [{"question": f"What is {i} + 1?", "gold": str(i + 1)} for i in range(12)]


def as_csv(rows, delimiter):
    return "\n".join(delimiter.join(line) for line in [list(rows[0]), *([*row.values()] for row in rows)])


def write(folder, extension):
    path = folder / f"rows{extension}"
    match extension:
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(ROWS), path)
        case ".jsonl.gz":
            path.write_bytes(gzip.compress(lines(ROWS).encode()))
        case ".json":
            path.write_text(json.dumps(ROWS))
        case ".csv" | ".tsv":
            path.write_text("\ufeff" + as_csv(ROWS, "," if extension == ".csv" else "\t"), encoding="utf-8")
        case _:
            path.write_text("\ufeff" + lines(ROWS), encoding="utf-8")
    return path


@pytest.mark.parametrize("extension", [".jsonl", ".jsonl.gz", ".json", ".csv", ".tsv", ".parquet"])
def test_every_kind_of_file_gives_the_same_rows(extension, tmp_path):
    rows = read(tmp_path, {"source": "files", "train": str(write(tmp_path, extension)), "validation": 2, "test": 3})
    assert sorted((row["question"], row["gold"]) for row in rows) == sorted((r["question"], r["gold"]) for r in ROWS)
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_a_folder_gives_the_rows_of_all_its_files(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.jsonl").write_text(lines(ROWS[:6]))
    (tmp_path / "in" / "2026" / "11").mkdir(parents=True)
    (tmp_path / "in" / "2026" / "11" / "a.csv").write_text(as_csv(ROWS[6:], ","))
    (tmp_path / "in" / "notes.txt").write_text("not rows")
    rows = read(tmp_path, {"source": "files", "train": "in", "validation": 1, "test": 1})
    assert len(rows) == 12
    assert len({row["id"] for row in rows}) == 12


def test_rows_from_standard_input(tmp_path):
    code = (
        "from potstill.data.examples import examples; from potstill.recipe import loading; import sys;"
        "rows = list(examples(loading.load(sys.argv[1]))); print(len(rows), rows[0]['question'])"
    )
    (tmp_path / "r.yaml").write_text(
        f"name: r\ntask: math\ndata: {{source: files, train: '-', validation: 2, test: 2}}\n{ENDS}"
    )
    piped = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "r.yaml")],
        input=lines(ROWS),
        capture_output=True,
        text=True,
        check=True,
    )
    assert piped.stdout.startswith("12 What is")


def test_groups_are_never_split(tmp_path):
    rows = [
        {
            "premise": f"Premise {i}.",
            "hypothesis": f"Hypothesis {i} {j}.",
            "gold": ["entailment", "neutral", "contradiction"][j],
        }
        for i in range(20)
        for j in range(3)
    ]
    (tmp_path / "n.jsonl").write_text(lines(rows))
    splits: dict = {}
    for row in read(tmp_path, {"source": "files", "train": "n.jsonl", "validation": 5, "test": 12}, "nli"):
        splits.setdefault(row["group"], set()).add(row["split"])
    assert len(splits) == 20
    assert all(len(of_group) == 1 for of_group in splits.values())


def test_named_columns_of_the_user_are_mapped(tmp_path):
    rows = [
        {
            "q": f"{i} + 1?",
            "a": str(i + 1),
            "n": f"row {i}",
            "sys": "Be brief.",
            "mine": f" Reckon: {i} + 1\n",
            "why": "One more.",
        }
        for i in range(4)
    ]
    (tmp_path / "r.jsonl").write_text(lines(rows))
    columns = {"question": "q", "gold": "a", "id": "n", "system": "sys", "prompt": "mine", "rationale": "why"}
    read_rows = read(tmp_path, {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1, "columns": columns})
    example = next(row for row in read_rows if row["id"].endswith("row 2"))
    assert (example["system"], example["prompt"], example["rationale"], example["gold"]) == (
        "Be brief.",
        " Reckon: 2 + 1\n",
        "One more.",
        "3",
    )
    task = recipe(tmp_path, {"source": "files", "train": "r.jsonl"}).task
    assert task.messages(example) == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": " Reckon: 2 + 1\n"}
    ]  # fmt: skip


def test_rows_without_gold_are_refused_kept_or_dropped(tmp_path):
    (tmp_path / "r.jsonl").write_text(lines([*ROWS, {"question": "Why?", "gold": None}]))
    data = {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1}
    with pytest.raises(RecipeError, match=r"line 13: column 'gold' is empty.*unlabelled: drop"):
        read(tmp_path, data)
    assert len(read(tmp_path, data | {"unlabelled": "drop"})) == 12
    assert sum(row["gold"] is None for row in read(tmp_path, data | {"unlabelled": "keep"})) == 1


def test_a_gold_column_that_no_row_has_is_reported_even_where_gold_is_optional(tmp_path):
    (tmp_path / "r.jsonl").write_text(lines(ROWS))
    data = {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1, "unlabelled": "keep"}
    with pytest.raises(RecipeError, match="no row has the column 'gold_answer'"):
        read(tmp_path, data | {"columns": {"gold": "gold_answer"}})


def test_chats_that_end_in_a_reply_have_gold(tmp_path):
    chats = [
        [
            {"role": "user", "content": f"Hi from {i}"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Bye"},
        ]
        for i in range(6)
    ]
    (tmp_path / "r.jsonl").write_text(lines([{"messages": chat} for chat in chats]))
    data = {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1, "unlabelled": "drop"}
    rows = read(tmp_path, data, "conversation")
    assert [row["gold"] for row in rows] == ["Hello"] * 6


def test_the_split_of_a_row_without_an_id_does_not_depend_on_its_position(tmp_path):
    questions = [{"question": f"What is {i} + {i}?", "gold": str(2 * i)} for i in range(60)]
    data = {"source": "files", "train": "r.jsonl", "validation": 9, "test": 12}

    def splits(rows):
        (tmp_path / "r.jsonl").write_text(lines(rows))
        return {row["question"]: row["split"] for row in read(tmp_path, data)}

    before = splits(questions)
    assert splits(questions[::-1]) == before
    after = splits([{"question": "What is 7 + 8?", "gold": "15"}, *questions])
    assert sum(after[question] != split for question, split in before.items()) <= 2
    repeated = [*questions, *({**row, "id": f"again-{i}"} for i, row in enumerate(questions))]
    (tmp_path / "r.jsonl").write_text(lines([{k: v for k, v in row.items() if k != "id"} for row in repeated]))
    seen = {}
    for row in read(tmp_path, data):
        assert seen.setdefault(row["question"], row["split"]) == row["split"]


def test_a_column_mapped_to_the_question_is_not_also_the_students_prompt(tmp_path):
    (tmp_path / "r.jsonl").write_text(
        lines([{"prompt": r["question"], "gold": r["gold"], "id": f"n{r['gold']}"} for r in ROWS])
    )
    data = {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1, "columns": {"question": "prompt"}}
    rows = read(tmp_path, data)
    assert {row["prompt"] for row in rows} == {None}
    assert all("-n" in row["id"] for row in rows)


def test_empty_values_become_none(tmp_path):
    table = {
        "question": ["1?", "2?", "3?", "4?"],
        "gold": [1.0, 2.0, 3.0, float("nan")],
        "rationale": [" ", None, "", "x"],
    }
    pq.write_table(pa.table(table), tmp_path / "r.PARQUET")
    data = {"source": "files", "train": "r.PARQUET", "validation": 1, "test": 1}
    with pytest.raises(RecipeError, match="row 4: column 'gold' is empty"):
        read(tmp_path, data)
    rows = read(tmp_path, data | {"unlabelled": "keep"})
    assert {(row["question"], row["gold"], row["rationale"]) for row in rows} == {
        ("1?", "1.0", None), ("2?", "2.0", None), ("3?", "3.0", None), ("4?", None, "x"),
    }  # fmt: skip


def test_splits_of_a_preset_are_loaded_from_the_hub(monkeypatch, tmp_path):
    rows = {
        "train": [{"question": f"{i}?", "answer": f"so\n#### {i}"} for i in range(300)],
        "test": [{"question": "t?", "answer": "#### 5"}],
    }
    monkeypatch.setattr(hub, "_load", lambda name, config, revision, split: rows[split])
    loaded = read(tmp_path, "gsm8k")
    counts = {split: sum(row["split"] == split for row in loaded) for split in ("train", "validation", "test")}
    assert counts == {"train": 100, "validation": 200, "test": 1}
    assert loaded[-1]["rationale"] == "so"
