"""The whole pipeline on real weights: a small recipe through the command line."""

import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

RECIPE = """\
name: small
task: math
data: {source: word_problems, train: 12, validation: 3, test: 6, test_unseen: 3}
teacher: {model: packaged/smollm2-135m-instruct}
generate: {max_tokens: 48}
curate: {filters: [parsed, finished, duplicate, in-test-set, too-long]}
student: {model: packaged/smollm2-135m-instruct, max_tokens: 32}
train: {epochs: 1, learning_rate: 2.0e-3}
evaluate: {systems: [base, student, teacher-direct, teacher-cot-fewshot]}
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
        assert set(systems) == {"base", "student", "teacher-direct", "teacher-cot-fewshot"}
        assert all(sum(s["outcomes"].values()) == s["n"] == n for s in systems.values())
    assert evaluation["verdict"] in output.stdout
    assert evaluation["verdict"].index("test_unseen") < evaluation["verdict"].index("(test,")
    assert (folder / "report.html").read_text().count('<figure class="split">') == 2


def test_training_changed_the_weights(run):
    from safetensors.torch import load_file

    from potstill.models import packaged, weights

    folder, _ = run
    student = load_file(folder / "student" / "model.safetensors")
    base = load_file(weights.folder("packaged/smollm2-135m-instruct") / "model.safetensors")
    assert packaged.find("smollm2-135m-instruct").path.exists()
    assert any(not base[name].equal(student[name]) for name in base if name in student)


def test_a_bad_recipe_ends_with_2_and_no_traceback(tmp_path):
    (tmp_path / "bad.yaml").write_text(RECIPE.replace("train:", "trian:"))
    result = potstill("run", "bad.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert "Did you mean 'train'" in result.stderr
    assert "Traceback" not in result.stderr
