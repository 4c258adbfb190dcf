"""What is wrong with a student or another model in this process is found before the teacher is paid; its prompts agree."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

import small
import students
from potstill.errors import PotstillError, RecipeError
from potstill.models import Request, Sampling
from potstill.models.complete import Billing, complete
from potstill.models.local import loading
from potstill.models.local.model import LocalModel
from potstill.models.opening import open_folder, open_model
from potstill.models.served import launch
from potstill.models.specs import Served
from potstill.models.store.store import Store
from potstill.pipeline import pipeline, prompts
from potstill.recipe import loading as recipe_file
from potstill.stages import student_prompts
from potstill.workspace.run import Run

RECIPE = """\
name: checked
task: {task}
data: {{source: files, train: rows.jsonl, validation: 2, test: 3{data}}}
teacher: {{model: {teacher}}}
condition: vanilla
generate: {{max_tokens: 64}}
curate: {{filters: [parsed, finished]}}
student: {{model: student, max_tokens: 4{student}}}
train: {{epochs: 1}}
evaluate: {{systems: {systems}}}
"""
ROWS = [{"question": f"What is {i} + {i}?", "gold": str(2 * i), "sys": "Be brief."} for i in range(12)]


@pytest.fixture
def recipe(tmp_path, teacher, monkeypatch):
    """Writes a recipe with a student of a family; returns its path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POTSTILL_STORE", raising=False)
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))

    def recipe(family, vocabulary=None, **parts):
        students.save(family, tmp_path / "student", vocabulary)
        endpoint = f'{{url: "{teacher.url}", model: t}}'
        values = {"task": "math", "data": "", "teacher": endpoint, "student": "", "systems": "[base, student]"} | parts
        (tmp_path / "r.yaml").write_text(RECIPE.format(**values))
        return "r.yaml"

    return recipe


SYSTEM = ", columns: {system: sys}"
INSTRUCTED = "{name: math, prompts: {direct: {system: Answer at once.}}}"


@pytest.mark.parametrize(
    ("family", "parts", "said"),
    [
        ("no template", {}, r"student.model: .*student: its tokenizer has no chat template. Use an instruction-tuned"),
        ("no end at all", {}, r"student.model: .*no end token.* Set eos_token in its tokenizer_config.json"),
        ("gemma", {"data": SYSTEM}, r"takes no system message, as \S+ with the prompt plain: System role not supported. Leave out data.sys"),
        ("gemma", {"data": ", system: Be brief."}, "takes no system message"),
        ("gemma", {"task": INSTRUCTED, "systems": "[base-direct, student]"},
         r"with the prompt direct: .* Leave out the system message of task.prompts.direct and write it as a user's turn"),
        ("chatml", {"vocabulary": 256}, r"writes '<\|im_end\|>', token 257, and its weights know 256 tokens"),
        ("chatml", {"student": ", chat_template: {enable_thinking: false}"}, "'enable_thinking' is not used by the chat template"),
    ],
)  # fmt: skip
def test_a_student_that_cannot_be_used_is_named_before_the_first_request(recipe, teacher, family, parts, said):
    path = recipe(family, **parts)
    with pytest.raises(RecipeError, match=said) as raised:
        pipeline.run(path)
    assert "\n" not in str(raised.value)
    assert teacher.seen.total() == 0
    assert not Path("runs").exists()
    with pytest.raises(RecipeError, match=said):
        prompts.check(recipe_file.load(path))


def test_commands_that_only_look_say_so_too(recipe, tmp_path, teacher):
    recipe("gemma", data=SYSTEM)
    for command in (["preview"], ["plan"], ["run", "--dry-run"]):
        done = small.potstill(*command, "r.yaml", cwd=tmp_path)
        assert done.returncode == 2
        assert "takes no system message" in done.stderr
        assert "Traceback" not in done.stderr
    assert teacher.seen.total() == 0


@pytest.mark.parametrize("family", students.REAL)
def test_students_of_all_families_pass(recipe, family):
    system = "" if students.FAMILIES[family].refuses else SYSTEM
    prompts.check(recipe_file.load(recipe(family, data=system)))


@pytest.mark.parametrize(("family", "data", "code"), [("chatml", SYSTEM, 0), ("gemma", "", 0), ("gemma", SYSTEM, 2)])
def test_what_was_checked_is_not_loaded_again(recipe, tmp_path, monkeypatch, family, data, code):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    recipe(family, data=data)
    command = "import sys; sys.argv = ['potstill', 'run', '--dry-run', 'r.yaml']\nfrom potstill.cli import main\n"
    command += "try: main()\nfinally: print('torch' in sys.modules)"
    loaded = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        loaded.append(done.stdout.splitlines()[-1])
    assert loaded == ["True", "False"]
    (kept,) = (tmp_path / "cache" / "chat-checks").iterdir()
    before = kept.read_bytes()
    kept.write_bytes(before[:-2])
    with suppress(RecipeError):
        prompts.check(recipe_file.load("r.yaml"))
    assert kept.read_bytes() == before
    (tmp_path / "student" / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role")
    with pytest.raises(RecipeError, match="unexpected end of template"):
        prompts.check(recipe_file.load("r.yaml"))


def test_a_system_message_that_a_template_leaves_out_is_told(recipe, tmp_path):
    path = recipe("chatml", data=SYSTEM)
    silent = students.CHATML.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")
    (tmp_path / "student" / "chat_template.jinja").write_text(silent)
    with pytest.raises(RecipeError, match=r"takes no system message.*it leaves out the system message"):
        prompts.check(recipe_file.load(path))


def test_a_template_with_an_error_is_told_in_one_line(recipe, tmp_path):
    path = recipe("chatml")
    (tmp_path / "student" / "chat_template.jinja").write_text("{% for m in messages %}\n{{ m.role")
    with pytest.raises(
        RecipeError, match=r"cannot show a chat of user, as \S+ with the prompt plain: .* correct its chat"
    ) as raised:
        prompts.check(recipe_file.load(path))
    assert "\n" not in str(raised.value)


def test_other_models_in_this_process_are_checked(recipe, tmp_path):
    path = recipe("chatml", data=SYSTEM, teacher="other")
    students.save("gemma", tmp_path / "other")
    with pytest.raises(RecipeError, match=r"teacher.model .*other: its chat template takes no system message"):
        prompts.check(recipe_file.load(path))


def test_a_student_that_is_not_on_disk_is_checked_when_it_is(recipe, tmp_path, teacher, monkeypatch):
    """Nothing is downloaded to look; before the first request everything is."""
    path = recipe("no template")
    weights = tmp_path / "student" / "model.safetensors"
    hidden = weights.rename(tmp_path / "elsewhere")
    started = pipeline.start(path)
    real = type(started.recipe.student.model).download

    def download(model):
        if hidden.exists():
            hidden.rename(weights)
        return real(model)

    monkeypatch.setattr(type(started.recipe.student.model), "download", download)
    with pytest.raises(RecipeError, match="no chat template"):
        pipeline.carry_out(started)
    assert teacher.seen.total() == 0


@pytest.fixture
def trained(recipe):
    """A run, carried out, of a student without an end token and without padding."""
    return pipeline.run(recipe("no end token"))


def test_a_student_without_end_token_learns_the_templates_end(trained, tmp_path):
    saved = loading.load_model(trained.student_folder, "float32")
    assert saved.generation_config.eos_token_id == [257]
    assert AutoTokenizer.from_pretrained(trained.student_folder).convert_ids_to_tokens(257) == "<|im_end|>"
    stages = trained.stages
    assert len(stages["train"]["prompts"]["sha256"]) == 64
    assert stages["train"]["prompts"] == stages["evaluate"]["prompts"]
    # A student that would be prompted otherwise is not asked.
    (trained.student_folder / "chat_template.jinja").write_text("Hear!\n" + students.CHATML)
    with pytest.raises(
        PotstillError, match=r"another form than it was trained on.*Delete that folder, and train again"
    ):
        student_prompts.of_evaluation(trained.recipe, trained)


def test_the_manifest_tells_the_fixed_date(recipe, tmp_path):
    loaded = recipe_file.load(recipe("dated", student=", chat_template: {date_string: 1 May 2025}"))
    run = Run(tmp_path / "run", loaded, tmp_path / "store.sqlite")
    prompted = student_prompts.of_training(loaded, run)["prompts"]
    assert prompted["pinned"][0] == '{%- set date_string = "1 May 2025" %}'
    default = recipe_file.load(recipe("dated"))
    assert student_prompts.of_training(default, run)["prompts"]["sha256"] != prompted["sha256"]


def test_an_answer_in_this_process_ends_at_the_templates_end(tmp_path):
    folder = students.save("phi", tmp_path / "model")
    model = loading.load_model(folder, "float32")
    end = loading.load_chat(folder).end
    with torch.no_grad():  # whatever it reads, it says the end
        model.model.norm.weight.zero_()
        model.lm_head = torch.nn.Linear(32, model.config.vocab_size)
        model.lm_head.weight.zero_()
        model.lm_head.bias.zero_()
        model.lm_head.bias[end] = 1.0

    local = LocalModel(lambda: (model, loading.load_tokenizer(folder)), {"weights": str(folder)}, "m", batch_size=2)
    sent = [Request("a", [{"role": "user", "content": "Hi"}], Sampling(20))]
    (answer,) = complete(local, sent, "m", Billing(Store(tmp_path / "s.sqlite")))
    assert (answer.text, answer.finish_reason, answer.completion_tokens) == ("", "stop", 0)


def test_keywords_are_part_of_the_key_and_of_the_prompt(tmp_path):
    folder = students.save("qwen", tmp_path)
    thinking, not_thinking = (
        open_folder(folder, "m", 1, "float32", {"enable_thinking": value}) for value in (True, False)
    )
    assert thinking.identity != not_thinking.identity
    sent = [Request("a", [{"role": "user", "content": "Hi"}], Sampling(2))]
    first, second = (
        next(complete(model, sent, "m", Billing(Store(tmp_path / "s.sqlite")))) for model in (thinking, not_thinking)
    )
    assert second.prompt_tokens > first.prompt_tokens


def test_the_base_and_the_student_are_asked_with_the_same_keywords(recipe):
    loaded = recipe_file.load(recipe("qwen", student=", chat_template: {enable_thinking: false}"))
    (base, _) = loaded.systems
    assert loaded.asked(base).chat_template == {"enable_thinking": False}


def test_servers_that_potstill_starts_get_keywords_and_the_end(tmp_path):
    folder = students.save("qwen", tmp_path)
    vllm = Served(serve="vllm", model=str(folder))
    keywords = {"enable_thinking": False}
    end = loading.load_chat(folder).end
    fields = {"chat_template_kwargs": keywords, "stop_token_ids": [end]}
    assert launch.extra_body(vllm, str(folder), keywords) == fields
    llama = Served(serve="llama.cpp", model="packaged/smollm2-135m-instruct")
    assert launch.extra_body(llama, "m.gguf", keywords) == {"chat_template_kwargs": keywords}
    assert launch.extra_body(llama, "m.gguf", {}) == {}


@pytest.mark.parametrize(
    ("keywords", "said"),
    [("{a: 1}", r"write model: \{extra_body: \{chat_template_kwargs"), ("{a-b: 1}", "'a-b' cannot be a keyword")],
)
def test_keywords_are_for_templates_at_hand(recipe, keywords, said):
    path = recipe("chatml")
    text = Path(path).read_text().replace("model: t}}", f"model: t}}, chat_template: {keywords}}}")
    Path(path).write_text(text)
    with pytest.raises(RecipeError, match=said):
        recipe_file.load(path)


def test_a_changed_keyword_makes_training_stale(recipe):
    pipeline.run(recipe("qwen"))
    assert not any(plan.stale for plan in pipeline.plan(pipeline.start("r.yaml")))
    text = Path("r.yaml").read_text()
    Path("r.yaml").write_text(text.replace("max_tokens: 4", "max_tokens: 4, chat_template: {enable_thinking: false}"))
    plans = {plan.stage: plan.stale for plan in pipeline.plan(pipeline.start("r.yaml"))}
    assert (plans["generate"], plans["curate"], plans["train"], plans["evaluate"]) == (False, True, True, True)


def test_open_model_takes_keywords(tmp_path):
    recipe = recipe_file.parse(small.RECIPE.format(url="http://127.0.0.1:9", student=students.save("qwen", tmp_path)))
    opened = open_model(recipe.student.model, 1, "float32", None, {"enable_thinking": False})
    assert opened.identity["chat"]["enable_thinking"] is False
