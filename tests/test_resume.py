"""The same command again: what is up to date is left alone, what was interrupted resumes, nothing is requested twice."""

import json
import re
import shutil
import signal
import time

import pyarrow.parquet as pq
import pytest

import small
from small import Begun, potstill

TIMES = {"seconds"}
STAGES = ["data", "generate", "curate", "train", "evaluate", "judge", "report"]


def wait_in(stage, folder, teacher):
    """Until a stage that has started has done a part of its work."""
    checkpoints = folder / "runs" / "small" / "student-checkpoints"
    begun = {
        "generate": lambda: teacher.seen.total() >= 6,
        "train": lambda: list(checkpoints.glob("checkpoint-*/complete.json")),
    }.get(stage, lambda: True)
    deadline = time.monotonic() + 120
    while not begun():
        assert time.monotonic() < deadline, f"{stage} does not begin"
        time.sleep(0.005)
    time.sleep(0.05)


def rows(run):
    """All tables of a run, without times, and the weights of the student."""
    from safetensors.torch import load_file

    tables = {}
    for file in sorted(run.rglob("*.parquet")):
        tables[file.name] = [
            {k: v for k, v in row.items() if k not in TIMES} for row in pq.read_table(file).to_pylist()
        ]
    weights = load_file(run / "student" / "model.safetensors")
    return tables, {name: weights[name].tolist() for name in weights}, json.loads((run / "training.json").read_text())


def stale(folder, *arguments):
    return {stage["stage"] for stage in json.loads(potstill("run", "r.yaml", "--dry-run", "--json", cwd=folder).stdout)
            if stage["stale"]}  # fmt: skip


@pytest.fixture(scope="module")
def teacher():
    with small.Teacher(delay=0.02) as server:
        yield server


@pytest.fixture(scope="module")
def recipe(teacher, tiny_folder):
    return small.RECIPE.format(url=teacher.url, student=tiny_folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, recipe):
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "r.yaml").write_text(recipe)
    result = potstill("run", "r.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_an_unchanged_recipe_requests_and_trains_nothing(undisturbed, teacher):
    before = rows(undisturbed / "runs" / "small")
    requested = teacher.seen.total()
    again = potstill("run", "r.yaml", cwd=undisturbed)
    assert again.returncode == 0
    assert [f"{stage}: up to date" in again.stderr for stage in STAGES] == [True] * len(STAGES)
    assert "Report: runs/small/report.html" in again.stdout
    assert teacher.seen.total() == requested
    assert rows(undisturbed / "runs" / "small") == before
    assert stale(undisturbed) == set()


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("concurrency: 4", "concurrency: 2, price: {input: 1, output: 2}", {"report"}),
        ("max_tokens: 8", "batch_size: 2, max_tokens: 8", {"report"}),
        ("max_tokens: 8", "dtype: bfloat16, max_tokens: 8", {"train", "evaluate", "report"}),
        ("test: 8", "test: 9", {"data", "curate", "evaluate", "judge", "report"}),
        ("train: 24", "train: 25", {"data", "generate", "curate", "report"}),
        ("[parsed, finished,", "[finished, parsed,", {"curate", "report"}),
        ("1.0e-3", "1.5e-3", {"train", "report"}),
        ("student, teacher-direct]", "student]", {"evaluate", "judge", "report"}),
        ("max_tokens: 64", "max_tokens: 65", {"generate", "evaluate", "report"}),
        ("seed: 3", "seed: 4\nreport: {examples: 3}", {*STAGES}),
        ("seed: 3", "seed: 3\nreport: {examples: 3}", {"report"}),
    ],
)
def test_a_dry_run_says_which_stages_a_changed_field_concerns(undisturbed, recipe, teacher, old, new, again):
    assert old in recipe
    requested = teacher.seen.total()
    (undisturbed / "r.yaml").write_text(recipe.replace(old, new))
    try:
        assert stale(undisturbed) == again
        output = potstill("run", "r.yaml", "--dry-run", cwd=undisturbed).stdout
        assert sum(": will run: " in line for line in output.splitlines()) == len(again)
    finally:
        (undisturbed / "r.yaml").write_text(recipe)
    assert teacher.seen.total() == requested


def test_what_the_student_is_trained_on_concerns_evaluation_too(undisturbed):
    """Test questions are looked for in it: it is no longer known whether they stand there."""
    file = undisturbed / "runs" / "small" / "curated.parquet"
    before, table = file.read_bytes(), pq.read_table(file)
    completions = [text and f"{text} indeed" for text in table["completion"].to_pylist()]
    column = table.schema.get_field_index("completion")
    pq.write_table(table.set_column(column, table.schema.field(column), [completions]), file)
    try:
        assert stale(undisturbed) == {"curate", "train", "evaluate", "report"}
    finally:
        file.write_bytes(before)


def test_a_dry_run_writes_nothing(tmp_path, recipe):
    (tmp_path / "r.yaml").write_text(recipe)
    assert potstill("run", "r.yaml", "--dry-run", cwd=tmp_path).stdout.count("will run: not done yet") == len(STAGES)
    assert [path.name for path in tmp_path.iterdir()] == ["r.yaml"]


def test_a_changed_field_reruns_what_depends_on_it_and_no_more(tmp_path, recipe, teacher):
    (tmp_path / "r.yaml").write_text(recipe)
    assert potstill("run", "r.yaml", cwd=tmp_path).returncode == 0
    requested = teacher.seen.total()
    (tmp_path / "r.yaml").write_text(recipe.replace("test: 8", "test: 9"))
    plan = potstill("run", "r.yaml", "--dry-run", cwd=tmp_path).stdout
    assert "data: will run: data.test was 8, is 9" in plan
    log = potstill("run", "r.yaml", cwd=tmp_path).stderr
    assert "data: done" in log
    # The kept rows are the same, so the student is up to date; the teacher gets one new question and no other.
    assert [stage for stage in STAGES if f"{stage}: up to date" in log] == ["generate", "train"]
    assert teacher.seen.total() == requested + 1

    (tmp_path / "r.yaml").write_text(recipe.replace("test: 8", "test: 9").replace("1.0e-3", "2.0e-3"))
    refused = potstill("report", "small", cwd=tmp_path)
    assert refused.returncode == 0  # of the run as it was carried out
    assert potstill("train", "r.yaml", cwd=tmp_path).returncode == 0
    refused = potstill("report", "small", cwd=tmp_path)
    assert refused.returncode == 1
    assert "evaluate, which is out of date" in refused.stderr


def test_what_is_corrupt_or_missing_is_written_again(undisturbed, teacher):
    run = undisturbed / "runs" / "small"
    before, requested = rows(run), teacher.seen.total()
    (run / "generated.parquet").write_bytes((run / "generated.parquet").read_bytes()[:100])
    (run / "report.html").unlink()
    output = potstill("run", "r.yaml", "--dry-run", cwd=undisturbed).stdout
    assert "generated.parquet was modified" in output
    assert "report: will run" in output
    assert potstill("run", "r.yaml", cwd=undisturbed).returncode == 0
    assert rows(run) == before
    assert teacher.seen.total() == requested


@pytest.mark.parametrize("stage", ["generate", "train", "evaluate"])
def test_a_run_killed_in_a_stage_resumes_to_the_same_result(undisturbed, tmp_path, recipe, teacher, stage):
    (tmp_path / "r.yaml").write_text(recipe)
    teacher.seen.clear()
    process = Begun("run", "r.yaml", cwd=tmp_path)
    process.wait_for(f"{stage}: started")
    wait_in(stage, tmp_path, teacher)
    process.send_signal(signal.SIGKILL)
    process.end()
    again = potstill("run", "r.yaml", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"{stage}: resuming" in again.stderr
    assert rows(tmp_path / "runs" / "small") == rows(undisturbed / "runs" / "small")
    assert teacher.seen.total() - len(teacher.seen) <= 4  # the recipe's concurrency


@pytest.mark.parametrize("stage", ["generate", "train"])
def test_ctrl_c_saves_what_is_in_flight_and_says_how_to_resume(undisturbed, tmp_path, recipe, teacher, stage):
    (tmp_path / "r.yaml").write_text(recipe.replace("epochs: 2", "epochs: 60") if stage == "train" else recipe)
    teacher.seen.clear()
    process = Begun("run", "r.yaml", cwd=tmp_path)
    process.wait_for(f"{stage}: started")
    wait_in(stage, tmp_path, teacher)
    process.send_signal(signal.SIGINT)
    output, code = process.end()
    assert code == 130, output
    assert "Stopping" in output
    assert "rerun the same command" in output
    assert "Traceback" not in output
    if stage == "train":
        assert list((tmp_path / "runs" / "small" / "student-checkpoints").glob("checkpoint-*/complete.json"))
        return
    again = potstill("run", "r.yaml", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert rows(tmp_path / "runs" / "small") == rows(undisturbed / "runs" / "small")
    assert teacher.seen.total() == len(teacher.seen)


def test_ctrl_c_does_not_wait_for_a_busy_server(tmp_path, recipe):
    with small.Teacher(busy_after=3) as server:
        (tmp_path / "r.yaml").write_text(re.sub('url: "[^"]*"', f'url: "{server.url}"', recipe))
        process = Begun("run", "r.yaml", cwd=tmp_path)
        while server.seen.total() < 6:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        output, code = process.end()
    assert code == 130, output
    assert "interrupted with 3 of 24 answers" in output
    assert time.monotonic() - began < 10


def test_changed_weights_of_the_same_name_are_noticed(tmp_path, recipe, tiny_folder):
    shutil.copytree(tiny_folder, tmp_path / "student")
    (tmp_path / "r.yaml").write_text(recipe.replace(str(tiny_folder), "student"))
    assert potstill("train", "r.yaml", cwd=tmp_path).returncode == 0
    assert "train" not in stale(tmp_path)
    weights = tmp_path / "student" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    output = potstill("run", "r.yaml", "--dry-run", cwd=tmp_path).stdout
    assert re.search(r"^train: will run: weights of .*student changed", output, re.MULTILINE)


def test_a_second_process_learns_who_holds_the_run(undisturbed, tmp_path, recipe):
    (tmp_path / "r.yaml").write_text(recipe)
    process = Begun("run", "r.yaml", cwd=tmp_path)
    process.wait_for("generate: started")
    second = potstill("run", "r.yaml", cwd=tmp_path)
    process.send_signal(signal.SIGKILL)
    process.end()
    assert second.returncode == 1
    assert f"in use by process {process.pid} on " in second.stderr
    assert potstill("generate", "r.yaml", cwd=tmp_path).returncode == 0  # the dead owner's lock is free


def test_another_recipe_of_the_same_name_is_refused(undisturbed, recipe):
    (undisturbed / "other.yaml").write_text(recipe)
    result = potstill("run", "other.yaml", cwd=undisturbed)
    assert result.returncode == 2
    assert "belongs to another recipe of the same name" in result.stderr
    assert "'name'" in result.stderr
