"""What is said of rows, files, tasks and presets that cannot be used."""

import subprocess
import sys

import pytest

from data_recipes import ENDS, lines, read, recipe
from potstill.data.examples import examples
from potstill.errors import PotstillError, RecipeError
from potstill.recipe import loading as recipe_file
from small import potstill

CHOICE = {"question": "Which?", "options": ["a", "b"], "gold": "A"}
BAD = [
    ("math", [{"question": "1?", "answer": "1"}], "no column 'gold'.*question, answer.*data.columns"),
    ("nli", [{"premise": "a", "hypothesis": "b", "gold": "maybe"}], "none of the labels entailment, neutral"),
    ("multiple_choice", [CHOICE | {"options": ["a"]}], "at least two options"),
    ("multiple_choice", [{"question": "Which?", "gold": "A"}], "no column 'options'"),
    ("multiple_choice", [CHOICE | {"gold": "C"}], "'C' is none of the 2 options"),
    ("multiple_choice", [CHOICE | {"options": ["a", "a "]}], "same option twice"),
    ("multiple_choice", [CHOICE | {"options": ["a", ""]}], "is empty"),
    ("math", [{"question": " ", "gold": "1"}], "line 1: column 'question' is empty"),
    ("math", [{"question": ["x"], "gold": "1"}], "holds list, not text"),
    ("math", [{"id": "7", "question": f"{i}?", "gold": "1"} for i in range(2)], "the id '7' stands there twice"),
    ("conversation", [{"messages": [{"role": "assistant", "content": "Hi"}]}], "user and assistant by turns"),
    ("conversation", [{"messages": "hello"}], "no list of messages"),
    ("{name: extraction, json_schema: {type: object, properties: {n: {type: number}}}}", [{"text": "x", "gold": {"n": "1"}}],
     "does not follow task.json_schema"),
    ("{name: custom, prompts: {plain: '{{ ticket }}'}}", [{"text": "x", "gold": "y"}], "no column 'ticket'"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "rows", "said"), BAD)
def test_a_row_that_cannot_be_used_is_named(task, rows, said, tmp_path):
    (tmp_path / "r.jsonl").write_text(lines(rows))
    with pytest.raises(RecipeError, match=said) as caught:
        read(tmp_path, {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1}, task)
    assert "r.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("r.jsonl", b'{"question": "caf\xe9", "gold": "1"}\n', "not UTF-8"),
        ("r.csv", b"question,gold\n1,2,3\n", "more or fewer cells"),
        ("r.csv", b'question,gold\n"a\n', "not CSV"),
        ("r.CSV", b"question,gold,gold\n1?,2,3\n", "two columns have the name 'gold'"),
        ("r.jsonl", b"[1, 2]", "element 1: must be a JSON object"),
        ("r.jsonl", b"{broken\n", "line 1: not JSON"),
        ("r.jsonl.gz", b"\x1f\x8bnot", "not a whole gzip"),
        ("r.parquet", b"PAR1", "not a Parquet file"),
        ("r.xlsx", b"x", "files must be"),
        ("r.jsonl", b"", "no rows"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name, content, said, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=said):
        read(tmp_path, {"source": "files", "train": name, "validation": 1, "test": 1})


def test_a_line_without_end_takes_no_more_memory_than_a_line_may_have(tmp_path):
    with (tmp_path / "r.jsonl").open("wb") as file:
        file.write(b'{"question": "')
        file.truncate(1 << 30)  # sparse: a gigabyte of zero bytes
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
        "from potstill.data import files; from pathlib import Path; from potstill.errors import PotstillError, RecipeError\n"
        "try: list(files.rows(Path('r.jsonl')))\nexcept RecipeError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "line 1: longer than 64 million characters" in said.stdout


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("mth", "there is no task 'mth'. Did you mean 'math'?"),
        ("{name: nli, lables: [a, b]}", "unknown key 'lables'. Did you mean 'labels'?"),
        ("classification", "'task.labels' is missing"),
        ("{name: classification, labels: [a, A]}", "labels must differ"),
        ("{name: extraction, json_schema: {type: obj}}", "no JSON Schema"),
        ("{name: custom, prompts: {plain: '{{ a'}}", "prompts.plain"),
        ("{name: custom, prompts: {plain: a}, answer_pattern: '('}", "no regular expression"),
        ("{name: custom, prompts: {plain: a}, scorer: exat}", "scorer 'exat' is none of"),
        ("{name: math, prompts: {plian: a}}", "plian"),
        ("{name: math, prompts: {plain: '{{ qestion }}'}}", "names 'qestion'. Did you mean 'question'?"),
        ("{name: math, prompts: {plain: '{{ gold }}'}}", "names 'gold'"),
        ("{name: custom, prompts: {plain: '{{ gold }}'}}", "which is the answer"),
    ],
)
def test_a_bad_task_is_said_with_its_place(task, said, tmp_path):
    with pytest.raises(RecipeError) as caught:
        recipe(tmp_path, {}, task)
    assert said in str(caught.value)
    assert str(caught.value).startswith("r:2:")


def test_a_prompt_that_cannot_be_filled_in_is_said(tmp_path):
    task = recipe(tmp_path, {}, "{name: math, prompts: {plain: '{{ question.nothing.at_all }}'}}").task
    with pytest.raises(
        PotstillError, match="The prompt 'plain' of the task math cannot be filled in for the example 7"
    ):
        task.messages({"id": "7", "question": "?"})


def test_a_prompting_that_the_task_lacks_is_said(tmp_path):
    with pytest.raises(RecipeError, match="the task summarization has no prompt 'cot'"):
        recipe_file.parse(f"name: r\ntask: summarization\ndata: {{}}\ngenerate: {{prompting: cot}}\n{ENDS}")
    with pytest.raises(RecipeError, match="has no prompt 'cod'"):
        recipe_file.parse(f"name: r\ntask: math\ndata: {{}}\ncondition: cod\n{ENDS}")


def test_a_hub_that_is_out_of_reach_is_said(tmp_path, monkeypatch):
    (tmp_path / "r.yaml").write_text(f"name: r\ntask: math\ndata: gsm8k\n{ENDS}")
    said = potstill("preview", "r.yaml", cwd=tmp_path, env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")})
    assert said.returncode == 2
    assert "openai/gsm8k" in said.stderr
    assert "Traceback" not in said.stderr
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("gsm9k", "there is no 'gsm9k'. Did you mean 'gsm8k'"),
        ("mt_bench", "only questions to test on"),
        ("openai_chat", "not on the hub"),
    ],
)
def test_presets_that_cannot_be_are_said(data, said, tmp_path):
    task = "math" if data == "gsm9k" else "conversation"
    with pytest.raises(RecipeError, match=said):
        list(examples(recipe_file.parse(f"name: r\ntask: {task}\ndata: {data}\n{ENDS}")))


@pytest.mark.parametrize(
    ("task", "data", "said"),
    [
        ("nli", {}, "word_problems are for the task math"),
        ("math", {"source": "files", "preset": "snli", "train": "r.jsonl"}, "snli is for the task nli"),
    ],
)
def test_data_for_another_task_is_said(task, data, said, tmp_path):
    with pytest.raises(RecipeError, match=said):
        read(tmp_path, data, task)
