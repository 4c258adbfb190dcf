"""The model card of an export, and its upload to a hub that a local server plays."""

import pytest
import yaml

import small
from played_hub import Hub
from potstill.errors import PotstillError, RecipeError
from potstill.export import card, forms, push
from potstill.recipe.recipe import Condition
from potstill.workspace.artifacts import EVALUATION, MANIFEST, STUDENT
from potstill.workspace.digests import Part

pytest_plugins = ("exported",)

CARD = "exports/safetensors/README.md"
FORM = forms.form_of("safetensors")


def metric(estimate):
    return {"estimate": estimate, "low": estimate - 0.1, "high": estimate + 0.1}


def evaluate(run):
    """Write an evaluation of the run's student, as the stage would."""
    systems = {"student": {"metrics": {"accuracy": metric(0.5)}}, "base": {"metrics": {"accuracy": metric(0.25)}}}
    split = {"measure": "accuracy", "n": 6, "groups": 6, "confidence": 0.95, "systems": systems}
    verdict = {"lines": ["NOT YET: the student | is <worse>."], "notes": ["One student was trained."]}
    run.write_json(EVALUATION, {"splits": {"test": split}, "verdict": verdict})
    inputs = {STUDENT: run.digest(Part(STUDENT))}
    run.write_json(MANIFEST, {"id": "one", "stages": {"evaluate": {"state": "done", "inputs": inputs}}})


def fill_in(run, fields=tuple(card.LICENCES)):
    path = run.path(CARD)
    text = path.read_text()
    for field in fields:
        text = text.replace(f"\n{field}: {card.OPEN}", f"\n{field}: apache-2.0")
    path.write_text(text)


@pytest.fixture
def exported(run, monkeypatch):
    """An export whose gate, tested elsewhere, was passed."""
    gate = {"state": "passed", "lines": ["greedy answers: 6 of 6 are the student's"]}
    monkeypatch.setattr("potstill.export.gate.gate.of_folder", lambda *_, **__: dict(gate))
    evaluate(run)
    forms.export(run, FORM)
    return run


def test_a_card_says_what_the_model_is_and_what_was_measured(exported):
    text = exported.path(CARD).read_text()
    head, _, body = text.removeprefix("---\n").partition("\n---\n")
    fields = yaml.safe_load(head)
    assert fields["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert fields["teacher"] == "packaged/qwen2.5-coder-0.5b-instruct"
    (result,) = fields["model-index"][0]["results"]
    assert result["metrics"] == [
        {"type": "accuracy", "value": 0.5, "args": {"low": 0.4, "high": 0.6, "confidence": 0.95}}
    ]
    assert "| base | 25.0 % | 15.0 to 35.0 % |" in body
    assert "NOT YET: the student &#124; is &lt;worse&gt;." in body
    assert "with at most 12 tokens" in body
    assert "greedy answers: 6 of 6" in body
    assert "One student was trained." in body.partition("## Limits")[2]


def test_the_hubs_own_library_reads_the_card(exported):
    from huggingface_hub import ModelCard

    loaded = ModelCard.load(exported.path(CARD))
    assert loaded.data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert [one.metric_value for one in loaded.data.eval_results] == [0.5]


def test_an_evaluation_of_another_student_is_not_on_the_card(exported):
    config = exported.path(STUDENT) / "generation_config.json"
    config.write_text(config.read_text().replace("{", '{"max_length": 900,', 1))
    forms.export(exported, FORM)
    text = exported.path(CARD).read_text()
    assert "model-index" not in text
    assert "Not evaluated" in text


def test_licences_that_the_user_wrote_stay_and_count_for_other_forms(exported):
    fill_in(exported)
    forms.export(exported, FORM)
    assert card.open_fields(exported, exported.path(CARD).read_text()) == []
    forms.export(exported, forms.form_of("vllm"))
    assert card.open_fields(exported, exported.path("exports/vllm/README.md").read_text()) == []


def test_push_refuses_without_licences(exported):
    with pytest.raises(RecipeError, match="license, base_model_license, teacher_license, data_license"):
        push.planned(exported, FORM, "org/name", True)
    fill_in(exported, ("license", "base_model_license", "data_license"))
    with pytest.raises(RecipeError, match="nobody has filled in teacher_license"):
        push.planned(exported, FORM, "org/name", True)


def test_a_student_without_a_teacher_needs_no_licence_of_one(exported):
    exported.recipe = exported.recipe.model_copy(update={"condition": Condition.GOLD})
    forms.export(exported, FORM)
    text = exported.path(CARD).read_text()
    assert "teacher" not in card.metadata(text)
    assert card.open_fields(exported, text) == ["license", "base_model_license", "data_license"]


@pytest.mark.parametrize("repository", ["name", "a/b/c", "org/../x", "https://hub/org/name", "org/na me"])
def test_push_refuses_what_is_no_repository(exported, repository):
    with pytest.raises(RecipeError, match="ORG/NAME"):
        push.planned(exported, FORM, repository, True)


def test_push_refuses_a_form_that_was_not_exported(exported):
    with pytest.raises(RecipeError, match=r"potstill export .* --to gguf --type f16"):
        push.planned(exported, forms.form_of("gguf"), "org/name", True)


@pytest.fixture
def at_hub(monkeypatch):
    """Makes a played hub the one of this process."""
    from huggingface_hub import constants

    def use(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    return use


def test_push_says_what_it_would_send(exported):
    fill_in(exported)
    arguments = ("--to", "safetensors", "--repo", "org/name")
    dry = small.potstill("push", exported.folder, *arguments, cwd=exported.folder.parent)
    assert dry.returncode == 0, dry.stderr
    assert "org/name (private)" in dry.stdout
    assert "model.safetensors" in dry.stdout
    assert "Nothing was sent. Send it with --upload." in dry.stdout


def test_push_sends_the_whole_export(exported, at_hub, capsys):
    fill_in(exported)
    with Hub() as hub:
        at_hub(hub)
        upload = push.planned(exported, FORM, "org/name", True)
        assert hub.seen == []
        assert push.push(upload) == f"{hub.url}/org/name"
    model = exported.path("exports/safetensors/model")
    expected = {file.name: file.read_bytes() for file in model.iterdir()} | {
        "README.md": exported.path(CARD).read_bytes()
    }
    assert hub.files == expected
    assert hub.repositories[0]["visibility"] == "private"
    assert hub.tokens == {"Bearer hf_secret"}
    assert "hf_secret" not in "".join(capsys.readouterr()) + exported.path("log.jsonl").read_text()


def test_what_the_hub_refuses_is_one_message(exported, at_hub):
    fill_in(exported)
    with Hub(refuses=403) as hub:
        at_hub(hub)
        with pytest.raises(PotstillError, match=r"the upload failed: .*403"):
            push.push(push.planned(exported, FORM, "org/name", True))
