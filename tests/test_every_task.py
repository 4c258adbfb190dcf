"""Every recipe in `recipes/` end to end, with real weights and few rows."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from potstill.pipeline import pipeline
from potstill.stages.evaluate.outcome import Outcome
from potstill.tasks import Status

RECIPES = Path(__file__).parents[1] / "recipes"
NAMES = sorted(
    path.stem for path in RECIPES.glob("*.yaml") if path.stem != "math"
)  # math is in tests/test_end_to_end.py


def small(name, folder):
    values = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    values["data"] |= {"train": str(RECIPES / values["data"]["train"]), "limit": 7, "validation": 1, "test": 2}
    if name == "nli":
        values["data"]["limit"] = 12  # four premises
    if name in (
        "classification",
        "summarization",
    ):  # the smallest model reasons badly and cannot write a chain of density
        values["condition"] = "vanilla"
    values["teacher"]["model"] = values["student"]["model"]
    values["generate"] |= {"max_tokens": 112}
    values["student"]["max_tokens"] = 12
    values["train"]["epochs"] = 1
    values["curate"] = {"filters": ["parsed", "duplicate"], "extraction": "lenient"}
    values["evaluate"] = {"systems": ["student"]}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_each_recipe_begins_with_its_command():
    for path in RECIPES.rglob("*.yaml"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first == f"# potstill run recipes/{path.relative_to(RECIPES)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tasks")


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_runs_from_teacher_to_verdict(name, folder):
    from safetensors.torch import load_file

    from potstill.models.local.weights import LocalWeights

    run = pipeline.start(str(small(name, folder)), folder / "runs")
    pipeline.carry_out(run)

    def rows(file):
        return pq.read_table(run.path(file)).to_pylist()

    examples, generated, curated = (rows(f"{file}.parquet") for file in ("examples", "generated", "curated"))
    splits = Counter(row["split"] for row in examples)
    finished = {row["id"] for row in generated if row["answer"] is not None and row["finish_reason"] == "stop"}
    task, train = run.task, [row for row in examples if row["split"] == "train"]
    assert all({row["id"] for row in train}.issuperset(task.earlier_turns(row)) for row in train)
    asked = [row["id"] for row in train if finished.issuperset(task.earlier_turns(row))]
    assert [row["id"] for row in generated] == [row["id"] for row in curated] == asked
    assert asked
    assert {row["status"] for row in generated} <= {status.value for status in Status}
    assert all((row["answer"] is not None) == (row["status"] == "ok") for row in generated)
    assert any(row["status"] == "ok" for row in generated)
    assert all(row["kept"] == (not row["reason"]) for row in curated)
    student_prompts = " ".join(message["content"] for row in curated for message in row["student_messages"])
    assert "Answer: " not in student_prompts
    predictions = rows("predictions/student.parquet")
    assert len(predictions) == splits["test"]
    assert {row["outcome"] for row in predictions} <= {outcome.value for outcome in Outcome}
    summary = run.evaluation["splits"]["test"]["systems"]["student"]
    assert sum(summary["outcomes"].values()) == summary["n"] == splits["test"]
    base = load_file(LocalWeights("packaged/smollm2-135m-instruct").download() / "model.safetensors")
    student = load_file(run.path("student") / "model.safetensors")
    assert any(not base[name].equal(student[name]) for name in base if name in student)
    assert run.evaluation["verdict"]
    assert run.recipe.task.gradable or "descriptive only" in run.evaluation["verdict"]["lines"][1]
    assert run.report_path.read_text(encoding="utf-8").startswith("<!doctype html>")
