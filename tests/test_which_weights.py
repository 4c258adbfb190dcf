"""Predictions come from the weights that their system names, and a stage's scratch folder outlives no change of its inputs."""

import shutil

import pytest
import torch

import small
from potstill.models.complete import Billing, complete
from potstill.models.opening import open_folder
from potstill.models.store.store import Store
from potstill.pipeline import pipeline
from potstill.pipeline.stage import Stage
from potstill.recipe import loading
from potstill.recipe.systems import System
from potstill.stages.evaluate import stage as evaluate
from potstill.stages.evaluate.asking import requests
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.limits import TokenLimits
from potstill.tasks import Prompting
from potstill.workspace import artifacts
from potstill.workspace.run import Run

RECIPE = """\
name: weights
task: math
data: {{source: word_problems, train: 2, validation: 1, test: 3, test_unseen: 1}}
teacher: {{model: {{url: "{url}", model: t}}}}
student: {{model: "{student}", max_tokens: 6, dtype: float32}}
train: {{learning_rate: {rate}}}
evaluate: {{systems: [base, student, teacher-direct]}}
"""


@pytest.fixture
def student_folder(tiny_folder, tmp_path):
    """Other weights than the base's, of the same shape."""
    model, tokenizer = small.tiny_llama(2048)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    return tmp_path / "other"


def test_each_system_is_answered_by_its_own_model(tiny_folder, student_folder, tmp_path):
    with small.Teacher() as teacher:
        recipe = loading.parse(RECIPE.format(url=teacher.url, student=tiny_folder, rate="1.0e-3"))
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        examples = [
            dict.fromkeys(("system", "prompt", "rationale", "logged", "origin"))
            | {"id": str(i), "split": "test", "group": str(i), "gold": "7", "question": f"How many are {i}?"}
            for i in range(3)
        ]
        run.write(artifacts.examples(recipe.task), examples)
        shutil.copytree(student_folder, run.student_folder)
        evaluate.evaluate(recipe, run)
        limits = TokenLimits(recipe)
        limits.double(Prompting.PLAIN)  # both answer until the limit: the truncated answers are requested again
        asked = {system.name: requests(recipe, system, examples, FewShotExamples(recipe, run.examples), limits)
                 for system in map(System.model_validate, ("base", "teacher-direct"))}  # fmt: skip
        by_teacher = [
            teacher.answer({"messages": [dict(m) for m in request.messages]})["choices"][0]["message"]["content"]
            for request in asked["teacher-direct"]
        ]

    def answered(folder):
        """What the weights in a folder answer, without potstill's evaluation and with a store of their own."""
        model = open_folder(folder, "apart", 4, "float32")
        return [
            c.text
            for c in complete(model, asked["base"], "apart", Billing(Store(tmp_path / f"{folder.name}.sqlite"), ""))
        ]

    predicted = {
        name: [row["text"] for row in run.read(artifacts.predictions(name))]
        for name in ("base", "student", "teacher-direct")
    }
    assert predicted == {
        "base": answered(tiny_folder),
        "student": answered(student_folder),
        "teacher-direct": by_teacher,
    }
    assert predicted["base"] != predicted["student"]


def test_scratch_is_kept_to_resume_and_removed_when_inputs_changed(tmp_path, monkeypatch):
    found = []
    stops = True

    def carry_out(recipe, run):
        """Notes what an earlier invocation left, leaves something itself, and is interrupted while ``stops``."""
        scratch = run.path("student-checkpoints")
        found.append(sorted(path.name for path in scratch.glob("*")))
        scratch.mkdir(exist_ok=True)
        (scratch / f"step-{len(found)}").touch()
        if stops:
            raise RuntimeError("interrupted")
        run.write_text("training.json", "{}")

    stage = Stage("train", carry_out, recipe=("train",), writes=("training.json",), scratch="student-checkpoints")
    monkeypatch.setattr(pipeline, "STAGES", (stage,))

    def invoke(rate):
        recipe = loading.parse(RECIPE.format(url="http://127.0.0.1:9", student=tmp_path, rate=rate))
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        pipeline.carry_out(run, "train")
        return run

    for rate in ("1.0e-3", "1.0e-3", "2.0e-3"):
        with pytest.raises(RuntimeError, match="interrupted"):
            invoke(rate)
    # Nothing at first, the same inputs resume, others start again.
    assert found == [[], ["step-1"], []]
    stops = False
    run = invoke("2.0e-3")
    assert found[3] == ["step-3"]
    assert not run.path("student-checkpoints").exists()
    assert run.stages["train"]["state"] == "done"
    invoke("2.0e-3")
    assert len(found) == 4  # it is up to date
    # After it is done, other inputs find nothing either.
    run.path("student-checkpoints").mkdir()
    (run.path("student-checkpoints") / "old").touch()
    invoke("3.0e-3")
    assert found[4] == []
