"""Error messages for unusable rows, files, tasks and presets."""

import subprocess
import sys

import pytest

from data_recipes import ENDS, lines, read, recipe
from potstill.data.examples import examples
from potstill.errors import PotstillError, RecipeError
from potstill.recipe import loading as recipe_file
from small import potstill

CHOICE = {"question": "Which?", "options": ["a", "b"], "gold": "A"}
UNUSABLE_ROWS = [
    ("math", [{"question": "1?", "answer": "1"}], "no column 'gold'.*question, answer.*data.columns"),
    ("nli", [{"premise": "a", "hypothesis": "b", "gold": "maybe"}], "none of the labels entailment, neutral"),
    ("multiple_choice", [CHOICE | {"options": ["a"]}], "at least two options"),
    ("multiple_choice", [{"question": "Which?", "gold": "A"}], "no column 'options'"),
    ("multiple_choice", [CHOICE | {"gold": "C"}], "'C' is none of the 2 options"),
    ("multiple_choice", [CHOICE | {"options": ["a", "a "]}], "same option twice"),
    ("multiple_choice", [CHOICE | {"options": ["a", ""]}], "is empty"),
    ("math", [{"question": " ", "gold": "1"}], "line 1: column 'question' is empty"),
    ("math", [{"question": ["x"], "gold": "1"}], "holds list, not text"),
    ("math", [{"id": "7", "question": f"{i}?", "gold": "1"} for i in range(2)], "the id '7' is duplicated"),
    ("conversation", [{"messages": [{"role": "assistant", "content": "Hi"}]}], "holds answers before the first question"),
    ("conversation", [{"messages": "hello"}], "no list of messages"),
    ("{name: extraction, json_schema: {type: object, properties: {n: {type: number}}}}", [{"text": "x", "gold": {"n": "1"}}],
     "does not follow task.json_schema"),
    ("{name: custom, prompts: {plain: '{{ ticket }}'}}", [{"text": "x", "gold": "y"}], "no column 'ticket'"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "rows", "message"), UNUSABLE_ROWS)
def test_an_unusable_row_is_named(task, rows, message, tmp_path):
    (tmp_path / "r.jsonl").write_text(lines(rows))
    with pytest.raises(RecipeError, match=message) as caught:
        read(tmp_path, {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1}, task)
    assert "r.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b'{"question": "caf\xe9", "gold": "1"}\n', "not UTF-8"),
        ("r.csv", b"question,gold\n1,2,3\n", "more or fewer cells"),
        ("r.csv", b'question,gold\n"a\n', "not CSV"),
        ("r.CSV", b"question,gold,gold\n1?,2,3\n", "two columns have the name 'gold'"),
        ("r.jsonl", b"[1, 2]", "element 1: must be a JSON object"),
        ("r.jsonl", b"{broken\n", "line 1: not JSON"),
        ("r.jsonl.gz", b"\x1f\x8bnot", "not a complete gzip"),
        ("r.parquet", b"PAR1", "not a readable Parquet file"),
        ("r.xlsx", b"x", "files must be"),
        ("r.jsonl", b"", "no rows"),
    ],
)
def test_an_unreadable_file_is_named(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, {"source": "files", "train": name, "validation": 1, "test": 1})


def test_an_endless_line_needs_only_the_memory_of_the_longest_line(tmp_path):
    with (tmp_path / "r.jsonl").open("wb") as file:
        file.write(b'{"question": "')
        file.truncate(1 << 30)  # sparse: a gigabyte of zero bytes
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
        "from potstill.data import files; from pathlib import Path; from potstill.errors import PotstillError, RecipeError\n"
        "try: list(files.read_rows(Path('r.jsonl')))\nexcept RecipeError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "line 1: longer than 64 million characters" in result.stdout


@pytest.mark.parametrize(
    ("task", "message"),
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
def test_an_invalid_task_is_reported_with_its_line(task, message, tmp_path):
    with pytest.raises(RecipeError) as caught:
        recipe(tmp_path, {}, task)
    assert message in str(caught.value)
    assert str(caught.value).startswith("r:2:")


def test_a_prompt_that_cannot_be_rendered_is_reported(tmp_path):
    task = recipe(tmp_path, {}, "{name: math, prompts: {plain: '{{ question.nothing.at_all }}'}}").task
    with pytest.raises(
        PotstillError, match="The prompt 'plain' of the task math cannot be filled in for the example 7"
    ):
        task.messages({"id": "7", "question": "?"})


def test_a_prompting_that_the_task_lacks_is_reported(tmp_path):
    with pytest.raises(RecipeError, match="the task summarization has no prompt 'cot'"):
        recipe_file.parse(f"name: r\ntask: summarization\ndata: {{}}\ngenerate: {{prompting: cot}}\n{ENDS}")
    with pytest.raises(RecipeError, match="has no prompt 'cod'"):
        recipe_file.parse(f"name: r\ntask: math\ndata: {{}}\ncondition: cod\n{ENDS}")


def test_an_unreachable_hub_is_reported(tmp_path, monkeypatch):
    models = (
        "teacher: {model: packaged/qwen2.5-coder-0.5b-instruct}\nstudent: {model: packaged/smollm2-135m-instruct}\n"
    )
    (tmp_path / "r.yaml").write_text(f"name: r\ntask: math\ndata: gsm8k\n{models}")
    result = potstill("preview", "r.yaml", cwd=tmp_path, env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")})
    assert result.returncode == 2
    assert "openai/gsm8k" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("gsm9k", "there is no 'gsm9k'. Did you mean 'gsm8k'"),
        ("mt_bench", "only test questions"),
        ("openai_chat", "not on the hub"),
    ],
)
def test_unusable_presets_are_reported(data, message, tmp_path):
    task = "math" if data == "gsm9k" else "conversation"
    with pytest.raises(RecipeError, match=message):
        list(examples(recipe_file.parse(f"name: r\ntask: {task}\ndata: {data}\n{ENDS}")))


@pytest.mark.parametrize(
    ("task", "data", "message"),
    [
        ("nli", {}, "word_problems are for the task math"),
        ("math", {"source": "files", "preset": "snli", "train": "r.jsonl"}, "snli is for the task nli"),
    ],
)
def test_data_for_another_task_is_reported(task, data, message, tmp_path):
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, data, task)
