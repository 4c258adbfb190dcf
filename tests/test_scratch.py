"""What a stage left unfinished is resumed under the same recipe, and never under another."""

from dataclasses import replace

import pytest

from potstill.pipeline import pipeline
from potstill.pipeline.stages import STAGES
from potstill.recipe import loading
from potstill.workspace.artifacts import CHECKPOINTS
from potstill.workspace.run import Run

RECIPE = """\
name: scratch
task: math
data: {{source: word_problems}}
teacher: {{model: {{url: "http://127.0.0.1:9", model: t}}}}
student: {{model: packaged/smollm2-135m-instruct}}
train: {{learning_rate: {rate}}}
"""
TRAIN = next(stage for stage in STAGES if stage.name == "train")


def run_of(tmp_path, rate):
    return Run(tmp_path / "run", loading.parse(RECIPE.format(rate=rate)), tmp_path / "store.sqlite")


@pytest.mark.parametrize(("rate", "resumes"), [(0.001, True), (0.002, False)])
def test_checkpoints_of_another_learning_rate_are_not_resumed_from(tmp_path, rate, resumes):
    found = []

    def interrupted(recipe, run):
        checkpoint = run.path(CHECKPOINTS) / "checkpoint-1"
        found.append(checkpoint.exists())
        checkpoint.mkdir(parents=True, exist_ok=True)
        raise KeyError("killed")

    stage = replace(TRAIN, carry_out=interrupted, prompts=lambda recipe, run: {})
    (tmp_path / "run").mkdir()
    for one in (0.001, rate):
        with pytest.raises(KeyError):
            pipeline._carry_out(stage, run_of(tmp_path, one))
    assert found == [False, resumes]
