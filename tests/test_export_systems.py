"""An exported form, or the address of a server, as a system of an evaluation: the verdict is about the file that will run."""

import json
import shutil

import pytest
import yaml

import small
from potstill.errors import RecipeError
from potstill.export import forms
from potstill.pipeline import preflight
from potstill.pipeline.stages import STAGES
from potstill.recipe import loading
from potstill.recipe.systems import Role
from potstill.stages.evaluate.stage import evaluate, planned
from potstill.stages.planned import KnownExamples
from potstill.workspace import artifacts, exports
from potstill.workspace.artifacts import RECIPE, STUDENT
from student_runs import QUESTIONS

pytest_plugins = ("exported",)

EVALUATE = next(stage for stage in STAGES if stage.name == "evaluate")
SHIPPED = "[{name: student, export: gguf-f16}, {name: trained, export: safetensors}]"


def with_systems(run, systems):
    text = run.path(RECIPE).read_text()
    values = loading.parse(text, "r", run.folder).model_dump(mode="json")
    values["evaluate"]["systems"] = yaml.safe_load(systems)
    run.recipe = loading.parse(yaml.safe_dump(values), "r", run.folder)
    run.write_text(RECIPE, loading.dump(run.recipe))
    return run


def test_a_verdict_is_about_the_exported_file(run, conversion):
    for name in ("gguf-f16", "safetensors"):
        forms.write(run, name)
    evaluate(with_systems(run, SHIPPED).recipe, run)
    split = run.evaluation["splits"]["test"]
    assert {name: (one["role"], one["engine"]) for name, one in split["systems"].items()} == {
        "student": ("student", "server"), "trained": ("student", "in process"),
    }  # fmt: skip
    (comparison,) = split["comparisons"]
    assert (comparison["a"], comparison["b"], comparison["n"]) == ("student", "trained", len(QUESTIONS))
    # llama.cpp leaves out bytes at the end that are no whole character.
    shipped, trained = (
        [row["text"].rstrip("�") for row in run.read(artifacts.predictions(one))] for one in ("student", "trained")
    )
    assert shipped == trained, "the exported file answers as the weights"
    assert "The system student is the student as the export gguf-f16." in run.evaluation["verdict"]["notes"]
    sealed = split["sealed"]["settings"]["systems"]["student"]["model"]
    assert sealed == f"gguf-f16 {run.digest(exports.part('gguf-f16'))}"


def test_the_content_of_an_export_decides_staleness(run, conversion):
    forms.write(run, "gguf-f16")
    with_systems(run, "[{name: student, export: gguf-f16}]")
    before = EVALUATE.inputs(run)
    record = run.path("exports/gguf-f16/export.json")
    record.write_text(record.read_text().replace("torch", "torch2"))
    assert EVALUATE.inputs(run) == before
    file = run.path("exports/gguf-f16/model.gguf")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    changed = {key for key, value in EVALUATE.inputs(run).items() if before[key] != value}
    assert changed == {"exports/gguf-f16/model.gguf"}


def test_an_export_that_is_not_there_or_of_other_weights_stops_before_anything_is_asked(run, conversion):
    with_systems(run, "[{name: student, export: gguf-f16}]")
    with pytest.raises(RecipeError, match=r"has no export gguf-f16. Make it: potstill export .* --to gguf --type f16"):
        evaluate(run.recipe, run)
    forms.write(run, "gguf-f16")
    config = run.path(STUDENT) / "generation_config.json"
    config.write_text(config.read_text().replace("{", '{"max_length": 900,', 1))
    with pytest.raises(RecipeError, match="is of other weights"):
        evaluate(run.recipe, run)
    assert not run.path(artifacts.PREDICTIONS).exists()


def recipe_with(folder, export, url):
    small.save_tiny_llama(folder / "base")
    text = small.RECIPE.format(url=url, student=folder / "base")
    systems = f"[base, {{name: student, export: {export}}}, teacher-direct]"
    (folder / "small.yaml").write_text(text.replace("[base, student, teacher-direct]", systems))


def test_one_command_makes_the_export_that_the_verdict_is_about(tmp_path):
    with small.Teacher() as teacher:
        recipe_with(tmp_path, "safetensors", teacher.url)
        done = small.potstill("run", "small.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        steps = [
            line for line in done.stderr.splitlines() if line.startswith(("train: done", "safetensors: ", "evaluate: "))
        ]
        assert [one.split()[:2] for one in steps] == [
            ["train:", "done"], ["safetensors:", "started"], ["safetensors:", "gate"], ["evaluate:", "started"], ["evaluate:", "done"],
        ]  # fmt: skip
        shutil.rmtree(tmp_path / "runs" / "small" / "exports")
        again = small.potstill("evaluate", "small", cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        assert "evaluate: up to date" in again.stderr, "the same files are made again"
    evaluation = json.loads((tmp_path / "runs" / "small" / "evaluation.json").read_text())
    assert "The system student is the student as the export safetensors." in evaluation["verdict"]["notes"]
    card = tmp_path / "runs" / "small" / "exports" / "safetensors" / "README.md"
    assert "model-index" in card.read_text(), "the card of an export that was made before has the evaluation"


def test_a_template_that_ollama_cannot_express_is_refused_before_anything_is_paid(tmp_path):
    with small.Teacher() as teacher:
        recipe_with(tmp_path, "ollama-f16", teacher.url)
        template = tmp_path / "base" / "chat_template.jinja"
        template.write_text(template.read_text().replace("{{ m.role }}", "{{ loop.index }}{{ m.role }}", 1))
        done = small.potstill("run", "small.yaml", cwd=tmp_path)
        assert (done.returncode, "evaluate.systems: ollama-f16: The student's chat template cannot be written" in done.stderr) == (
            2, True,
        ), done.stderr  # fmt: skip
        assert teacher.seen.total() == 0


def test_the_disk_must_have_room_for_the_exports_too(tmp_path):
    recipe_with(tmp_path, "safetensors", "http://127.0.0.1:1/v1")
    recipe = loading.load(str(tmp_path / "small.yaml"))
    kept = [one for one in recipe.systems if not one.export]
    without = recipe.model_copy(update={"evaluate": recipe.evaluate.model_copy(update={"systems": kept})})
    more = preflight.needed_bytes(recipe) - preflight.needed_bytes(without)
    assert more == recipe.student.model.float32_bytes() > 0


@pytest.mark.parametrize(
    ("export", "words"),
    [("gguf-q9", "no such type"), ("gguf-q4_k_m", "llama-quantize"), ("vllm", "there is no vllm on the PATH")],
)
def test_an_export_that_cannot_be_made_here_is_refused_before_anything_is_paid(tmp_path, export, words):
    with small.Teacher() as teacher:
        recipe_with(tmp_path, export, teacher.url)
        done = small.potstill("run", "small.yaml", cwd=tmp_path)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
        assert "Traceback" not in done.stderr
        assert teacher.seen.total() == 0


def test_an_export_that_failed_its_gate_stops_the_run(run):
    forms.write(run, "safetensors")
    record = exports.record(run, "safetensors")
    run.write_json("exports/safetensors/export.json", record | {"gate": {"state": "failed", "lines": []}})
    with pytest.raises(RecipeError, match="failed its gate"):
        forms.keep_up(run, "safetensors")


def test_a_served_address_may_stand_for_the_student(run):
    with small.Teacher() as server:
        address = json.dumps({"url": server.url, "model": "shipped"})
        evaluate(with_systems(run, f"[{{name: student, model: {address}}}]").recipe, run)
        assert server.seen.total() == len(QUESTIONS)
    (system,) = run.recipe.systems
    assert (system.role, system.form) == (Role.STUDENT, "shipped on a server")
    known = KnownExamples(lambda *splits: iter(QUESTIONS if "test" in splits else ()), complete=True)
    assert [one.model.name for one in planned(run.recipe, known)] == ["shipped"], "what it costs is known before"


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ("[{name: student, export: gguf}]", "export"),
        (
            "[{name: student, model: hf/org/name}]",
            "an export of it, or the address where it is served, may stand for it",
        ),
        ("[{name: student, export: gguf-f16, prompting: cot}]", "it is student-cot"),
        ("[{name: base, export: gguf-f16}]", "choose another"),
        ("[{name: mine, export: gguf-f16, model: hf/org/name}]", "only one of these"),
        ("[{name: mine, export: gguf-f16, cheaper: true}]", "other than the run's own"),
        ("[student, {name: student, export: gguf-f16}]", "listed twice"),
    ],
)
def test_what_no_recipe_may_say(run, systems, message):
    with pytest.raises(RecipeError, match=message):
        with_systems(run, systems)


def test_a_recipe_is_written_as_it_was_read(run):
    with_systems(run, "[{name: student, export: gguf-q8_0}, {name: student-cot, export: vllm, prompting: cot}, base]")
    again = loading.parse(loading.dump(run.recipe), "r", run.folder)
    assert again.systems == run.recipe.systems
    assert [one.export for one in again.systems] == ["gguf-q8_0", "vllm", None]
