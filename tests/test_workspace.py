"""A workspace owns runs and the store; a run keeps its id; tables of many runs can be concatenated."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import small
from potstill.errors import PotstillError
from potstill.pipeline import pipeline
from potstill.recipe import loading
from potstill.workspace import artifacts
from potstill.workspace.artifacts import CURATED, GENERATED
from potstill.workspace.run import Run
from potstill.workspace.workspace import Workspace


def generate(folder):
    """Carry out the recipe up to the teacher's answers, with ``folder`` as workspace."""
    run = pipeline.start("r.yaml", Path(folder))
    pipeline.carry_out(run, "generate")
    return run


def test_a_run_in_a_study_shares_the_store_of_the_workspace(work, teacher, monkeypatch):
    monkeypatch.chdir(work)
    own = generate("runs")
    requested = teacher.seen.total()
    nested = generate("runs/study")
    assert teacher.seen.total() == requested == 24
    assert not Path("runs/study/completions.sqlite").exists()
    generate("elsewhere")
    assert teacher.seen.total() == 2 * requested, "another workspace has a store of its own"
    assert own.id != nested.id
    assert [(one.name, one.state) for one in Workspace(Path("runs")).summaries()] == [
        ("small", "done up to generate"),
        ("study/small", "done up to generate"),
    ]
    assert Workspace(work / "runs").open("study/small").store_path == work / "runs" / "completions.sqlite"


def test_a_budget_survives_moving_the_workspace(work, teacher, monkeypatch):
    text = (work / "r.yaml").read_text()
    (work / "r.yaml").write_text(
        re.sub(r"(teacher: .*)\}$", r"\1, budget: {max_requests: 24}}", text, flags=re.MULTILINE)
    )
    monkeypatch.chdir(work)
    before = generate("runs").id
    Path("runs").rename("moved")
    (work / "r.yaml").write_text((work / "r.yaml").read_text().replace("train: 24", "train: 25"))
    with pytest.raises(PotstillError, match="its budget is spent: max_requests is 24"):
        generate("moved")
    assert Workspace(Path("moved")).open("small").id == before
    assert teacher.seen.total() == 24


def test_tables_of_runs_without_gold_and_with_gold_have_the_same_schema(tmp_path):
    run = Run(
        tmp_path, loading.parse(small.RECIPE.format(url="http://127.0.0.1:9", student="packaged/b")), tmp_path / "s"
    )
    tables = []
    for name, known in (("gold", True), ("none", None)):
        row = dict.fromkeys(CURATED.schema.names) | {"id": name, "correct": known, "agreement": None, "kept": True}
        run.write(CURATED, [row])
        assert run.read(CURATED)[0]["correct"] is known
        tables.append(pq.read_table(run.path(CURATED.file)))
    assert pa.concat_tables(tables).column("correct").to_pylist() == [True, None]


def test_scores_come_back_as_a_mapping(tmp_path):
    run = Run(
        tmp_path, loading.parse(small.RECIPE.format(url="http://127.0.0.1:9", student="packaged/b")), tmp_path / "s"
    )
    table = artifacts.predictions("student")
    row = dict.fromkeys(table.schema.names) | {"id": "a", "group": "g", "scores": {"accuracy": 1.0, "strict": None}}
    run.write(table, [row])
    assert run.read(table) == [row]


def test_curated_rows_have_the_columns_of_generated_rows():
    assert set(GENERATED.schema.names) < set(CURATED.schema.names)
    assert GENERATED.schema.names == CURATED.schema.names[: len(GENERATED.schema.names)]
