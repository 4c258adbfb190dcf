"""Training that cannot go on: one message that names the cause, and nothing that was computed is lost."""

import os
import re
import shutil
import subprocess
import sys
from itertools import count

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

import small
import students
from potstill import interrupt
from potstill.errors import PotstillError
from potstill.recipe import loading as recipe_file
from potstill.stages.train import stage as train
from potstill.stages.train.student import Checkpoint
from test_bad_input import needs_unshare, small_disk

ROWS = [
    {"student_messages": [{"role": "user", "content": "q" * (1 + i)}], "completion": f"answer {i}", "turns": 1}
    for i in range(12)
]


@pytest.fixture
def curated(tmp_path):
    """A folder with a recipe whose rows are curated."""
    small.save_tiny_llama(tmp_path / "tiny")
    with small.Teacher() as teacher:
        text = small.RECIPE.format(url=teacher.url, student=tmp_path / "tiny")
        text = text.replace("train: 24", "train: 12").replace("max_tokens: 8}", "max_tokens: 8, dtype: float32}")
        (tmp_path / "r.yaml").write_text(text)
        done = small.potstill("curate", "r.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        yield tmp_path


def test_a_rate_at_which_training_diverges_names_the_examples(curated):
    recipe = (curated / "r.yaml").read_text()
    diverging = recipe.replace("learning_rate: 1.0e-3", "method: full, batch_size: 6, learning_rate: 1.0e+30")
    (curated / "r.yaml").write_text(diverging)
    done = small.potstill("train", "r.yaml", cwd=curated)
    assert done.returncode == 1
    said = re.search(r"diverged at step (\d+): the loss is nan in the rows (.*) and 1 more\. Lower", done.stderr)
    assert said, done.stderr
    ids = {row["id"] for row in pq.read_table(curated / "runs/small/curated.parquet").to_pylist() if row["kept"]}
    named = said[2].split(", ")
    assert len(named) == len(set(named)) == 5
    assert set(named) <= ids
    assert "Traceback" not in done.stderr


SCRIPT = """
cp -r curated/. runs
train() { $PYTHON -m potstill train r.yaml > /dev/null 2> $1.err; echo $? > $1.rc; }
head -c $(($(df --output=avail -B1 runs | tail -1) - ROOM)) /dev/zero > runs/big
train full
(cd runs/small/student-checkpoints && echo checkpoint-*/complete.json checkpoint-*) > left
rm runs/big
train again
cp -r runs/small/student student
"""


@needs_unshare
def test_a_disk_that_is_full_when_a_checkpoint_is_saved(curated):
    """The second of two checkpoints does not fit. When there is room again, training resumes from the first."""
    recipe = recipe_file.load(str(curated / "r.yaml"))
    rows = [row for row in pq.read_table(curated / "runs/small/curated.parquet").to_pylist() if row["kept"]]
    (first, last), _ = train._fit(recipe, curated / "tiny", rows, curated / "work")
    size = (
        sum(file.stat().st_size for file in first.iterdir()) + 2 * (first / "adapter_model.safetensors").stat().st_size
    )
    shutil.copytree(curated / "runs", curated / "curated")
    (curated / "run.sh").write_text(SCRIPT.replace("ROOM", str(3 * size // 2)))
    (curated / "sitecustomize.py").write_text(
        "from potstill.pipeline import preflight\npreflight._check_disk_space = lambda *_: None\n"  # there was space when it was checked
    )
    path = os.pathsep.join([str(curated), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, **small.OFFLINE, "PYTHONPATH": path, "PYTHON": sys.executable}
    before = small_disk(curated / "runs", "size=16m")
    done = subprocess.run([*before, "sh", "run.sh"], cwd=curated, env=env, capture_output=True, text=True, check=False)
    said = (curated / "full.err").read_text()
    assert (curated / "full.rc").read_text() == "1\n", done.stderr + said
    assert said.count("The disk is full") == 1
    assert "rerun the same command to resume from step 3" in said
    assert "Traceback" not in said
    assert (curated / "left").read_text().split() == ["checkpoint-3/complete.json", "checkpoint-3"]
    assert (curated / "again.rc").read_text() == "0\n", (curated / "again.err").read_text()
    assert "train: resuming" in (curated / "again.err").read_text()
    undisturbed = Checkpoint(recipe, curated / "tiny", (last,), (2,)).merged().state_dict()
    student = load_file(curated / "student" / "model.safetensors")
    assert all(weight.equal(undisturbed[name]) for name, weight in student.items())


@pytest.fixture
def recipe_with(tiny_folder):
    def recipe_with(settings):
        text = small.RECIPE.format(url="http://127.0.0.1:9", student=tiny_folder)
        text = text.replace("lora: {dropout: 0.1}", settings)
        return recipe_file.parse(text.replace("max_tokens: 8}", "max_tokens: 8, dtype: float32}"))

    return recipe_with


def test_checkpoints_of_another_training_are_refused(recipe_with, tiny_folder, tmp_path, monkeypatch):
    work, recipe = tmp_path / "work", recipe_with("lora: {rank: 4}")
    steps = count(1)
    monkeypatch.setattr(interrupt, "stop_requested", lambda: next(steps) >= 4)
    with pytest.raises(interrupt.Interrupted):
        train._fit(recipe, tiny_folder, ROWS, work)
    monkeypatch.setattr(interrupt, "stop_requested", lambda: False)
    larger = students.save("chatml", tmp_path / "other", 300)
    for changed in (
        (recipe_with("lora: {rank: 8}"), tiny_folder, ROWS),
        (recipe, tiny_folder, [*ROWS[:-1], {**ROWS[-1], "completion": "another"}]),
        (recipe, larger, ROWS),
    ):
        with pytest.raises(PotstillError, match=r"work: these checkpoints are of another training.*Delete that folder"):
            train._fit(*changed, work)
    named = [{**row, "id": f"q{i}"} for i, row in enumerate(ROWS)]  # a name decides nothing
    resumed, _ = train._fit(recipe, tiny_folder, named, work)
    shutil.rmtree(work)
    whole, _ = train._fit(recipe, tiny_folder, ROWS, work)
    assert [one.name for one in resumed] == [one.name for one in whole] == ["checkpoint-3", "checkpoint-6"]


def test_a_process_that_is_gone_is_said(recipe_with, tiny_folder, tmp_path, monkeypatch):
    """What a worker says on its own is above; what it raises for users is what this process raises."""
    recipe = recipe_with("lora: {rank: 4}, processes: 2")
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    (broken / "tokenizer.json").write_text("{")
    with pytest.raises(PotstillError, match="its tokenizer cannot be read"):
        train._fit(recipe, broken, ROWS, tmp_path / "work")
