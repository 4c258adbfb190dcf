"""The student answers with the weights that training wrote, those of the chosen epoch; the base with those before."""

import shutil
from unittest import mock

import pytest

from fields.asking import example
from potstill.models import Completion
from potstill.models import complete as completing
from potstill.models.local import weights
from potstill.recipe import loading
from potstill.recipe.systems import System
from potstill.stages.evaluate import asking
from potstill.stages.evaluate.asking import Asker
from potstill.stages.train import stage as train
from potstill.stages.train.checkpoints import ENGINE
from potstill.workspace.artifacts import CURATED, TRAINING
from potstill.workspace.run import Run

RECIPE = """\
name: weights
task: math
data: {{source: word_problems}}
teacher: {{model: {{url: "http://127.0.0.1:9", model: t}}}}
student: {{model: "{base}", dtype: float32}}
train: {{epochs: 3}}
evaluate: {{systems: [base, student, base-cot, teacher-cot]}}
"""


@pytest.fixture
def run(tmp_path, tiny_folder):
    """A run whose student differs from its base."""
    recipe = loading.parse(RECIPE.format(base=tiny_folder))
    run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
    shutil.copytree(tiny_folder, run.student_folder)
    (run.student_folder / "trained.json").write_text("{}")
    return run


@pytest.mark.parametrize(("name", "is_trained"), [("base", False), ("base-cot", False), ("student", True)])
def test_each_system_answers_with_its_own_weights(run, tiny_folder, name, is_trained):
    question = example("Three and four?", split="test")
    answered = [Completion(question["id"], 0, text="Answer: 7", finish_reason="stop")]
    asked = []

    def complete(model, *_):
        asked.append(model)
        return answered

    with mock.patch.object(asking, "complete", complete), mock.patch.object(completing, "complete", complete):
        Asker(run.recipe, run).ask([System.model_validate(name)], [question])
    (model,) = asked
    assert model.identity["weights"] == weights.sha256(run.student_folder if is_trained else tiny_folder)
    assert weights.sha256(run.student_folder) != weights.sha256(tiny_folder)


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [([[1.0] * 8, [0.0] * 8, [0.0] * 8], 1), ([[0.0] * 8, [1.0] * 8, [0.0] * 8], 2), ([[0.0] * 8] * 3, 3)],
)
def test_the_student_is_the_checkpoint_of_the_chosen_epoch(run, tmp_path, monkeypatch, scores, chosen):
    row = dict.fromkeys(CURATED.schema.names)
    run.write(CURATED, [row | {"id": id_, "turns": turns} for id_, turns in (("a", 1), ("b", 0), ("c", 2))])
    folders = [tmp_path / f"epoch-{i}" for i in (1, 2, 3)]
    saved, fitted, validated = [], [], []

    class Checkpoint:
        def __init__(self, recipe, base, folders, epochs):
            (self.folder,), self.epochs = folders, epochs

        def save(self, folder, rows):
            saved.append((self.folder, [one["id"] for one in rows]))
            folder.mkdir(parents=True)
            return {"lost": None}

    def fit(recipe, base, rows, work):
        fitted.append([one["id"] for one in rows])
        work.mkdir()
        (work / ENGINE).write_text("modules")
        return folders, []

    def validation_scores(recipe, run, checkpoint, limits):
        validated.append(checkpoint.folder)
        return scores[folders.index(checkpoint.folder)]

    monkeypatch.setattr(train, "Checkpoint", Checkpoint)
    monkeypatch.setattr(train, "_fit", fit)
    monkeypatch.setattr(train, "_validation_scores", validation_scores)
    train.train(run.recipe, run)
    assert fitted == [["a", "c"]]
    assert validated == folders
    assert saved == [(folders[chosen - 1], ["a", "c"])]
    written = run.read_json(TRAINING)
    assert (written["rows"], written["chosen"], len(written["validation"])) == (2, chosen, 3)
