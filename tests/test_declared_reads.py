"""A stage reads only what it declares, and runs again when that changes."""

from dataclasses import replace

import pytest

from potstill.pipeline import pipeline
from potstill.pipeline.stages import KEPT_ANSWERS, STAGES, TRAINED_ON
from potstill.recipe import loading
from potstill.workspace import artifacts
from potstill.workspace.access import Access, UndeclaredReadError
from potstill.workspace.artifacts import CALIBRATION, CURATED, DATA, EVALUATION, GENERATED, PREDICTIONS
from potstill.workspace.run import Run

RECIPE = """\
name: reads
task: math
data: {{source: word_problems, train: 4, validation: 1, test: 2, test_unseen: 1}}
teacher: {{model: {{url: "http://127.0.0.1:9", model: t}}}}
student: {{model: packaged/smollm2-135m-instruct}}
evaluate: {{systems: [base, student]}}
{more}
"""
SHOTS = "generate: {prompting: direct-fewshot, shots: {source: train}}"
OWN = "generate: {prompting: cot-fewshot}"


def stage(name):
    return next(one for one in STAGES if one.name == name)


def row(table, **values):
    return dict.fromkeys(table.schema.names) | values


@pytest.fixture
def run_with(tmp_path):
    """A run with examples of each split, and curated rows of which one is kept."""

    def run_with(more=""):
        recipe = loading.parse(RECIPE.format(more=more))
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        table = artifacts.examples(recipe.task)
        splits = ("train", "validation", "test", "test_unseen")
        run.write(
            table, [row(table, id=name, split=name, group=name, question=f"{name}?", gold="7") for name in splits]
        )
        kept = [
            row(CURATED, id=id_, kept=id_ == "a", turns=int(id_ == "a"), completion=id_, answer="7") for id_ in "ab"
        ]
        run.write(CURATED, kept)
        return run

    return run_with


READS = {
    "all examples": lambda run: list(run.examples()),
    "test questions": lambda run: list(run.examples("test")),
    "training examples": lambda run: list(run.examples("train")),
    "number of training examples": lambda run: run.count_examples("train"),
    "data": lambda run: run.read_json(DATA),
    "the calibrated task": lambda run: run.task,
    "generated rows": lambda run: run.read(GENERATED),
    "predictions": lambda run: run.read(artifacts.predictions("base")),
    "evaluation": lambda run: run.evaluation,
    "the student": lambda run: run.student_folder,
}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("generate", "all examples"),
        ("generate", "test questions"),
        ("curate", "data"),
        ("train", "test questions"),
        ("train", "training examples"),
        ("train", "generated rows"),
        ("train", "predictions"),
        ("evaluate", "training examples"),
        ("evaluate", "number of training examples"),
        ("evaluate", "generated rows"),
        ("curate", "the calibrated task"),
        ("report", "the student"),
        ("generate", "evaluation"),
    ],
)
def test_a_stage_that_reads_what_it_does_not_declare_stops_the_run(run_with, monkeypatch, name, what):
    run = run_with()
    odd = replace(
        stage(name),
        carry_out=lambda recipe, run: READS[what](run),
        prompts=lambda recipe, run: {},
        downloads=lambda _: False,
    )
    run.folder.mkdir(exist_ok=True)
    with pytest.raises(
        UndeclaredReadError, match=f"the stage {name} reads .* does not declare in potstill.pipeline.stages"
    ):
        pipeline._carry_out(odd, run)
    READS["all examples"](run)  # afterwards nothing is limited


def test_a_stage_sees_the_declared_rows_and_columns_of_a_table(run_with):
    run = run_with()
    assert len(run.read(CURATED)) == 2
    with run.limited_to(stage("train").access(run.recipe)):
        assert run.read(CURATED) == [{"student_messages": None, "completion": "a", "turns": 1, "id": "a"}]
        assert [one["id"] for one in run.examples("validation")] == ["validation"]
    with run.limited_to(stage("report").access(run.recipe)):
        assert len(run.read(CURATED)) == 2


def test_a_stage_reads_what_it_writes(run_with):
    run = run_with()
    with run.limited_to(stage("evaluate").access(run.recipe)):
        run.write(artifacts.predictions("base"), [])
        run.write_json(EVALUATION, {"verdict": {}})
        assert run.read(artifacts.predictions("base")) == []
        assert run.evaluation == {"verdict": {}}
    assert PREDICTIONS in stage("evaluate").writes


@pytest.mark.parametrize(("more", "decides"), [(SHOTS, True), (OWN, False), ("", False)])
def test_where_the_teacher_sees_training_examples_all_examples_decide_what_it_is_asked(run_with, more, decides):
    """A training example that is in another split, too, is not shown."""
    run = run_with(more)
    before = stage("generate").inputs(run)
    table = artifacts.examples(run.recipe.task)
    changed = [one | {"question": "other?"} if one["split"] == "test" else one for one in run.examples()]
    run.write(table, changed)
    assert (stage("generate").inputs(run) != before) is decides
    with run.limited_to(stage("generate").access(run.recipe)):
        if decides:
            assert len(list(run.examples())) == 4


def test_training_reads_validation_answers_by_the_calibrated_task(run_with):
    run = run_with()
    before = stage("train").inputs(run)
    run.write_json(CALIBRATION, {"task": {"name": "summarization", "round": 2}, "why": ""})
    assert stage("train").inputs(run) != before


def test_each_part_of_a_file_has_a_digest_of_its_own(run_with):
    """The rationales of kept rows decide what is shown, and not what the student is trained on."""
    run = run_with("")
    trained_on, shown = TRAINED_ON, KEPT_ANSWERS
    before = run.digest(trained_on), run.digest(shown)
    run.write(CURATED, [one | {"answer": "8"} for one in run.read(CURATED)])
    assert run.digest(trained_on) == before[0] != before[1]
    assert run.digest(shown) != before[1]
    run.folder.joinpath("digests.json").unlink(missing_ok=True)
    with run.locked():  # which keeps digests
        assert run.digest(trained_on) == before[0]
        assert run.digest(shown) != before[0]


def test_what_only_names_rows_decides_nothing(run_with):
    run = run_with("")
    before = run.digest(TRAINED_ON)
    run.write(CURATED, [one | {"id": f"another {one['id']}"} for one in run.read(CURATED)])
    assert run.digest(TRAINED_ON) == before


def test_of_two_declared_parts_of_a_table_the_columns_of_both_are_seen(run_with):
    run = run_with("")
    with run.limited_to(Access("evaluate", (TRAINED_ON, KEPT_ANSWERS), ())):
        (one,) = run.read(CURATED)
    assert set(one) == {*TRAINED_ON.columns, *KEPT_ANSWERS.columns}
