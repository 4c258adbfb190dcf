"""The recipes of arXiv 2410.18588 state the published experiment: prompts, targets, data, settings. None is trained here."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from paper_teacher import ROWS, Teacher, rows_of_the_hub
from potstill.data.examples import examples
from potstill.errors import RecipeError
from potstill.models.local import gpu
from potstill.pipeline import forecast, pipeline
from potstill.pipeline.rendering import preview
from potstill.recipe import loading
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.generate import requests
from potstill.tasks import Prompting

PAPER = Path(__file__).parents[1] / "recipes" / "paper"
RECIPES = sorted(path.relative_to(PAPER).with_suffix("").as_posix() for path in PAPER.rglob("*.yaml"))
WAYS = {"nli": "cot", "math": "cot", "multiple-choice": "cot", "summarization": "cod", "conversation": ""}
SIZES = ("8b", "70b")
COT_SYSTEMS = ["base", "base-cot", "student", "student-cot", "teacher-plain", "teacher-direct", "teacher-cot"]

PUBLISHED = {
    "cot": "1bb5344f4f1e2705", "math-cot": "c8eef8713474afa5", "cod": "427be2fb25c94178",
    "nli": ("6532e49a5cbf6664", "8fb9f95889e7449a"), "math": ("50bc459ce9827d41", "b3ea8d49b56b0bc5"),
    "multiple-choice": ("5f741613258393be", "884f9fae1f26326a"), "summarization": ("b01eb86d99225c75", "75fde45a11cbb9bc"),
    "conversation": ("85a56c9b0e326ce5", None),
}  # fmt: skip
"""The start of the SHA-256 of what the pipeline sends: `SystemPrompt` of Azure/azureml-assets, .../distillation/src/common/constants.py
at bb084d5 (`default_cot_prompt()`, `math_cot_prompt()`, `get_cod_prompt(80)`); `system_prompt`, and `user_prompt_template` filled in
with the values of `QUESTIONS`, of the notebooks of Azure/azureml-examples at 5df47a0."""
QUESTIONS = {
    "nli": {"premise": "P", "hypothesis": "H"}, "math": {"question": "Q"}, "summarization": {"document": "D"},
    "multiple-choice": {"question": "Q", "options": ["x", "y"]},
    "conversation": {"messages": [{"role": "user", "content": "U"}]},
}  # fmt: skip
SPLITS = {
    "nli": (512, 256, 623), "math": (378, 42, 180), "multiple-choice": (512, 256, 768), "summarization": (500, 400, 100),
    "conversation": (100, 100, 100),
}  # fmt: skip
"""Rows to train on, to choose a checkpoint and to test on."""


def load(name):
    return loading.load(str(PAPER / f"{name}.yaml"))


def family_of(name):
    return next(family for family in WAYS if name.partition("/")[2].startswith(family))


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(a, b, prefix=""):
    """The keys whose values differ, of nested mappings."""
    if isinstance(a, dict) and isinstance(b, dict):
        return {key for name in {*a, *b} for key in differences(a.get(name), b.get(name), f"{prefix}.{name}")}
    return set() if a == b else {prefix.removeprefix(".")}


def changed(a, b):
    return differences(*(load(name).model_dump(mode="json") for name in (a, b)))


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("potstill.data.hub._load", rows_of_the_hub)


def test_every_family_condition_size_and_setting_has_a_recipe():
    published = {f"{family}-{way}" for family, cot in WAYS.items() for way in ("vanilla", cot) if way}
    expected = {f"{where}/{one}-{size}" for where in ("notebooks", "defaults") for one in published for size in SIZES}
    expected |= {f"rationales/{family}-{size}" for family, way in WAYS.items() if way == "cot" for size in SIZES}
    assert set(RECIPES) == expected


@pytest.mark.parametrize("name", RECIPES)
def test_training_is_that_of_the_published_pipeline(name):
    recipe, train = load(name), load(name).train
    assert (train.method, train.lora.rank, train.lora.alpha, train.lora.dropout) == ("lora", 8, 128, 0)
    assert (train.batch_size, train.warmup_ratio, train.weight_decay, train.max_length) == (1, 0, 0.1, 8192)
    assert (train.learning_rate, train.epochs) == ((3e-4, 1) if name.startswith("defaults/") else (2e-5, 3))
    assert recipe.teacher.min_success == 0.7
    assert recipe.teacher.model.model == "meta-llama/Llama-3.1-405B-Instruct"
    size = name.rpartition("-")[2]
    assert recipe.student.model.location == f"hf/meta-llama/Llama-3.1-{size.upper()}-Instruct"
    long = family_of(name) in ("summarization", "conversation")
    assert recipe.needs.gpu_memory_gb == {"8b": (24, 40), "70b": (160, 220)}[size][long]
    assert not {"correct", "duplicate"} & set(recipe.curate.filters)


@pytest.mark.parametrize("name", RECIPES)
def test_the_teacher_is_asked_as_the_published_pipeline_asks(name):
    recipe, family = load(name), family_of(name)
    options = recipe.generate
    way = "vanilla" if "vanilla" in name else WAYS[family]
    assert (options.temperature, options.top_p) == (0.2 if name.startswith("defaults/") else 0.8, 0.1)
    assert options.output == "text"
    system, user = PUBLISHED[family]
    instruction = {
        "vanilla": system,
        "cod": PUBLISHED["cod"],
        "cot": PUBLISHED["math-cot" if family == "math" else "cot"],
    }
    example = QUESTIONS[family] | {"id": "1", "system": recipe.data.system}
    (_, sent), *more = requests(recipe, [example], FewShotExamples(recipe, list), 1)
    assert not more
    assert [message["role"] for message in sent.messages] == ["system", "user"]
    assert sha(sent.messages[0]["content"]) == instruction[way]
    assert family == "conversation" or sha(sent.messages[1]["content"]) == user
    assert sent.schema is None  # the pipeline sends none
    assert sent.sampling.max_tokens == options.max_tokens


@pytest.mark.parametrize("name", RECIPES)
def test_the_student_keeps_the_rows_own_messages(name):
    recipe, family = load(name), family_of(name)
    example = QUESTIONS[family] | {"id": "1", "system": recipe.data.system}
    *system, user = recipe.task.messages(example)
    if name.startswith("rationales/"):
        assert not system  # it forbids reasoning
    else:
        assert [sha(message["content"]) for message in system] == [PUBLISHED[family][0]]
    assert family == "conversation" or sha(user["content"]) == PUBLISHED[family][1]


@pytest.mark.parametrize("name", RECIPES)
def test_the_student_is_trained_on_the_answer_alone_except_where_the_name_says_rationales(name):
    recipe = load(name)
    conditions = {"vanilla": "vanilla", "cot": "cot-answer", "cod": "cod"}
    way = "rationales" if name.startswith("rationales/") else name.split("-")[-2]
    assert recipe.condition == (conditions | {"rationales": "cot-rationale"})[way]
    assert recipe.prompting is {"vanilla": Prompting.PLAIN, "cod": Prompting.COD}.get(way, Prompting.COT)
    if way == "cod":
        assert recipe.task.round == 4
        assert not recipe.calibrates


@pytest.mark.parametrize("name", RECIPES)
def test_the_systems_of_claims_b_and_c_are_evaluated(name):
    systems = [system.name for system in load(name).systems]
    others = {
        "summarization": [name.replace("-cot", "-cod") for name in COT_SYSTEMS],
        "conversation": ["base", "student", "teacher-plain"],
    }
    assert systems == others.get(family_of(name), COT_SYSTEMS)


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("notebooks/")])
def test_the_two_settings_and_the_two_sizes_differ_in_nothing_else(name):
    defaults = name.replace("notebooks/", "defaults/")
    settings = {"name", "generate.temperature", "generate.max_tokens", "train.learning_rate", "train.epochs"}
    assert changed(name, defaults) <= settings
    assert load(defaults).generate.max_tokens == (1024 if family_of(name) in ("summarization", "conversation") else 128)
    size = {"name", "student.model", "needs.gpu_memory_gb"}
    if name.endswith("-8b"):
        assert changed(name, name.replace("-8b", "-70b")) == size
        assert changed(defaults, defaults.replace("-8b", "-70b")) == size


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("rationales/")])
def test_our_recipes_differ_from_the_paper_s_in_what_is_trained_on(name):
    published = name.replace("rationales/", "notebooks/").replace("-8b", "-cot-8b").replace("-70b", "-cot-70b")
    assert changed(name, published) == {"name", "condition", "data.system"}


@pytest.mark.parametrize("name", [f"notebooks/{family}-vanilla-8b" for family in WAYS])
def test_the_data_has_the_sizes_of_the_notebooks(name, hub):
    splits = [row["split"] for row in examples(load(name))]
    assert tuple(map(splits.count, ("train", "validation", "test"))) == SPLITS[family_of(name)]


def test_options_keep_their_order_and_letters(hub):
    *_, teacher, _ = preview(load("notebooks/multiple-choice-cot-8b"), 1)
    assert "Answer Choices:\n(A) shelf 0\n(B) sea 0" in teacher.text


def test_the_rows_are_those_of_all_data_sets():
    assert {load(name).data.preset for name in RECIPES} == set(ROWS)


# What a 70B student needs


def test_the_memory_is_that_of_the_first_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.memory_bytes() == 0
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda n: SimpleNamespace(total_memory=(80e9, 160e9)[n]))
    assert gpu.memory_bytes() == 80e9


@pytest.mark.parametrize(
    ("memory", "found"),
    [(0, "this machine has no GPU that torch can use"), (84.9e9, "the GPU of this machine has 85 GB")],
)
def test_a_recipe_is_refused_on_a_machine_that_lacks_what_it_needs(memory, found, tmp_path, monkeypatch, hub):
    monkeypatch.setattr(gpu, "memory_bytes", lambda: memory)
    file = tmp_path / "math.yaml"
    with Teacher() as teacher:
        text = (PAPER / "notebooks/math-cot-70b.yaml").read_text(encoding="utf-8")
        file.write_text(text.replace("http://localhost:8000/v1", teacher.url))
        with pytest.raises(RecipeError) as refused:
            pipeline.run(str(file), tmp_path / "runs")
        assert str(refused.value).startswith(
            "paper-notebook-math-cot-70b: to train and evaluate hf/meta-llama/Llama-3.1-70B-Instruct, a GPU with 160 GB of "
            f"memory is needed (needs.gpu_memory_gb), and {found}."
        )
        assert not (tmp_path / "runs").exists()
        run = pipeline.start(str(file), tmp_path / "runs")  # costs can be seen, and the teacher asked, anywhere
        assert sum(one.requests for one in forecast.estimate(run)) == 378 + 3 * (42 + 180)
        assert teacher.seen.total() == 0
