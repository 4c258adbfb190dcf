"""CPU time of stages: that of this process and its children, added up over interruptions."""

import subprocess
import sys
import time

import pytest

import small
from potstill import processor
from potstill.pipeline import pipeline
from potstill.pipeline.stage import Stage
from potstill.recipe import loading
from potstill.workspace.run import Run

BUSY = "import time\nwhile time.process_time() < {}: pass"


def test_cpu_seconds_include_ended_children_and_no_waiting():
    before = processor.cpu_seconds()
    subprocess.run([sys.executable, "-c", BUSY.format(0.4)], check=True)
    time.sleep(0.1)
    assert 0.35 <= processor.cpu_seconds() - before < 0.8


def test_utilisation_is_a_fraction_of_all_cores():
    assert processor.utilisation(70.0, 50.0, 2) == 0.7
    assert processor.utilisation(0.0, 0.0, 2) == 0.0
    assert processor.cores() >= 1


def test_the_manifest_has_the_cpu_seconds_of_a_stage_with_those_before_an_interruption(tmp_path, monkeypatch, capsys):
    stops = True

    def carry_out(recipe, run):
        subprocess.run([sys.executable, "-c", BUSY.format(0.4)], check=True)
        time.sleep(0.4)
        if stops:
            raise RuntimeError("interrupted")
        run.write_text("training.json", "{}")

    monkeypatch.setattr(pipeline, "STAGES", (Stage("train", carry_out, recipe=("train",), writes=("training.json",)),))
    recipe = loading.parse(small.RECIPE.format(url="http://127.0.0.1:9", student=tmp_path))
    run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
    with pytest.raises(RuntimeError, match="interrupted"):
        pipeline.carry_out(run, "train")
    first = run.stages["train"]
    assert 0.3 <= first["cpu_seconds"] < first["seconds"]
    stops = False
    pipeline.carry_out(run, "train")
    both = run.stages["train"]
    assert both["cpu_seconds"] >= first["cpu_seconds"] + 0.3
    cores = processor.cores()
    assert run.manifest["hardware"]["cores"] == cores
    assert f" of {cores} cores" in capsys.readouterr().err.splitlines()[-1]
