"""The whole pipeline on real weights: a small recipe through the command line."""

import json
import os
import re
import subprocess
import sys

import jsonschema
import pyarrow.parquet as pq
import pytest

from potstill.workspace.artifacts import CURATED

RECIPE = """\
name: small
task: math
data: {source: word_problems, train: 12, validation: 3, test: 6, test_unseen: 3}
teacher: {model: packaged/smollm2-135m-instruct}
generate: {max_tokens: 48}
curate: {filters: [parsed, finished, duplicate, in-test-set, too-long]}
student: {model: packaged/smollm2-135m-instruct, max_tokens: 32}
train: {epochs: 1, learning_rate: 2.0e-3}
evaluate: {systems: [base, student, teacher-direct]}
"""


def potstill(*arguments, cwd):
    command = [sys.executable, "-m", "potstill", *arguments]
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    (folder / "small.yaml").write_text(RECIPE)
    result = potstill("run", "small.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder / "runs" / "small", result


def test_every_row_is_accounted_for(run):
    folder, output = run
    generated = pq.read_table(folder / "generated.parquet").to_pylist()
    curated = pq.read_table(folder / "curated.parquet").to_pylist()
    assert len(generated) == len(curated) == 12
    assert all(row["kept"] == (row["reason"] == "") for row in curated)
    assert "12 rows:" in output.stderr


def test_systems_answer_the_same_questions_and_the_verdict_names_both_splits(run):
    folder, output = run
    evaluation = json.loads((folder / "evaluation.json").read_text())
    assert list(evaluation["splits"]) == ["test_unseen", "test"]
    for split, n in (("test_unseen", 3), ("test", 6)):
        systems = evaluation["splits"][split]["systems"]
        assert set(systems) == {"base", "student", "teacher-direct"}
        assert all(sum(s["outcomes"].values()) == s["n"] == n for s in systems.values())
        assert "few-questions" in [pitfall["name"] for pitfall in evaluation["splits"][split]["pitfalls"]]
    printed = " ".join(output.stdout.split())
    lines = evaluation["verdict"]["lines"]
    assert all(line in printed for line in [*lines, *evaluation["verdict"]["notes"]])
    assert ["(test_unseen," in lines[1], "(test," in lines[2]] == [True, True]
    schema = json.loads(potstill("schema", "evaluation", cwd=folder).stdout)
    jsonschema.validate(evaluation, schema)
    assert re.search(r"^\d+ pitfalls?: .*few-questions.*; see report$", output.stdout, re.M)
    assert "<b>few-questions</b>" in (folder / "report.html").read_text()
    assert (folder / "report.html").read_text().count('<figure class="split">') == 2


def test_an_evaluated_answer_has_twice_the_room_of_a_generated_one(run):
    folder, _ = run
    base = pq.read_table(folder / "predictions" / "base.parquet").to_pylist()
    assert 32 < max(row["completion_tokens"] for row in base) <= 64
    assert all(row["completion_tokens"] == 64 for row in base if row["outcome"] == "truncated")


def test_training_changed_the_weights(run):
    from safetensors.torch import load_file

    from potstill.models.local import packaged
    from potstill.models.local.weights import LocalWeights

    folder, _ = run
    student = load_file(folder / "student" / "model.safetensors")
    base = load_file(LocalWeights("packaged/smollm2-135m-instruct").download() / "model.safetensors")
    assert packaged.lookup("smollm2-135m-instruct").path.exists()
    assert any(not base[name].equal(student[name]) for name in base if name in student)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("student: {model: packaged/smollm2-135m-instruct", "student: {model: packaged/smol", "smollm2-135m-instruct"),
        ("student: {model: packaged/smollm2-135m-instruct", "student: {model: no/folder", "no config.json"),
        (
            "teacher: {model: packaged/smollm2-135m-instruct}",
            "teacher: {model: {url: 'http://127.0.0.1:9', model: m, api_key_env: NO_SUCH_KEY}}",
            "NO_SUCH_KEY",
        ),
    ],
)
def test_an_impossible_model_is_reported_before_any_request(tmp_path, old, new, text):
    assert old in RECIPE
    (tmp_path / "r.yaml").write_text(RECIPE.replace(old, new))
    result = potstill("run", "r.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_bad_recipe_ends_with_2_and_no_traceback(tmp_path):
    (tmp_path / "bad.yaml").write_text(RECIPE.replace("train:", "trian:"))
    result = potstill("run", "bad.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert "Did you mean 'train'" in result.stderr
    assert "Traceback" not in result.stderr


def test_python_carries_out_a_recipe_without_a_teacher(run, monkeypatch):
    import potstill

    folder = run[0].parent.parent
    (folder / "gold.yaml").write_text(
        RECIPE.replace("name: small", "name: gold\ncondition: gold").split("evaluate:")[0]
        + "evaluate: {systems: [student]}\n"
    )
    monkeypatch.chdir(folder)
    done = potstill.run("gold.yaml")
    assert done.report_path.is_file()
    assert done.evaluation["splits"]["test"]["systems"]["student"]["n"] == 6
    assert {row["completion"] for row in done.read(CURATED)} == {row["gold"] for row in done.examples("train")}
    assert not done.path("student-checkpoints").exists()


def test_evaluation_and_report_of_a_run_by_its_name(run):
    folder = run[0].parent.parent
    again = potstill("evaluate", "small", "--json", cwd=folder)
    assert json.loads(again.stdout) == json.loads((folder / "runs" / "small" / "evaluation.json").read_text())
    (folder / "runs" / "small" / "report.html").unlink()
    assert potstill("report", "small", cwd=folder).returncode == 0
    assert (folder / "runs" / "small" / "report.html").is_file()
    assert potstill("report", "smell", cwd=folder).returncode == 2


def test_help_and_schema_load_nothing_heavy(tmp_path):
    for arguments in (["--help"], ["--version"], ["schema"], ["schema", "evaluation"], ["models"]):
        code = f"import sys; sys.argv = {['potstill', *arguments]}\nfrom potstill.cli import main\n"
        code += "try: main()\nfinally: print({'torch', 'transformers', 'pyarrow', 'scipy'} & set(sys.modules), file=sys.stderr)"
        result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0
        assert result.stderr.strip() == "set()"
