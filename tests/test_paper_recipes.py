"""The recipes of arXiv 2410.18588: each validates, previews and runs, with a mock teacher and a tiny random Llama 3.1."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

import small
from potstill.data import hub
from potstill.pipeline import pipeline
from potstill.pipeline.rendering import preview
from potstill.recipe import loading as recipe_file

PAPER = Path(__file__).parents[1] / "recipes" / "paper"
RECIPES = sorted(path.stem for path in PAPER.glob("*.yaml"))
CHAT = "A talk.\n[|Human|] Why is tea {i}?\n[|AI|] It is brewed {i} times.\n[|Human|] "
ROWS = {
    "conj_nli": lambda i: {"premise": f"Ann and Bo{i} sing.", "hypothesis": f"Bo{i} sings.", "label": i % 3},
    "commonsense_qa": lambda i: {
        "id": f"q{i}", "question": f"Where is cup {i}?", "answerKey": "AB"[i % 2],
        "choices": {"label": ["A", "B"], "text": [f"shelf {i}", f"sea {i}"]},
    },
    "gsm8k": lambda i: {"question": f"What is {i} + {i}?", "answer": f"Twice {i}.\n#### {2 * i}"},
    "dialogsum": lambda i: {"id": f"d{i}", "dialogue": f"A: Lunch at {i}?\nB: Yes.", "summary": f"Lunch at {i}.", "topic": "x"},
    "baize": lambda i: {"chat_sample": CHAT.format(i=i), "dataset_origin": "quora"},
}  # fmt: skip


class Teacher(small.Teacher):
    """Answers in the format that the prompt requires."""

    def answer(self, body):
        reply = super().answer(body)
        prompt = body["messages"][-1]["content"]
        if "denser_summary" in prompt:
            steps = [{"missing_entities": "x", "denser_summary": f"Lunch, round {i}."} for i in range(4)]
            text = json.dumps(steps)
        else:
            label = re.search(r"LABEL is one of (\w+)", prompt)
            text = f"Because.\nAnswer: {label[1] if label else 'A' if 'A) ' in prompt else '4'}"
        reply["choices"][0]["message"]["content"] = text
        return reply


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama31")
    small.save_tiny_llama_31(folder)
    return folder


@pytest.fixture(autouse=True)
def data_sets(monkeypatch):
    """Rows in the format of each data set replace those of the hub."""

    def load(name, config, revision, split):
        row = next(row for part, row in ROWS.items() if part in name)
        n, start = (1200, 0) if split == "train" else (2, 100)
        return [row(i) for i in range(start, start + n)]

    monkeypatch.setattr(hub, "_load", load)


def small_recipe(name, folder, url, llama):
    values = yaml.safe_load((PAPER / f"{name}.yaml").read_text(encoding="utf-8"))
    values["data"] = {"source": "hub", "preset": values["data"], "validation": 2, "limit": 10}
    if values["task"] in ("conversation",):
        values["data"]["test"] = 2
    values["teacher"]["model"] |= {"url": url, "concurrency": 2}
    values["student"] |= {"model": str(llama), "max_tokens": 8}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_every_family_condition_and_size_has_a_recipe():
    families = {"nli": "cot", "multiple-choice": "cot", "math": "cot", "summarization": "cod", "conversation": ""}
    expected = {f"{family}-vanilla-{size}" for family in families for size in ("8b", "70b")}
    expected |= {f"{family}-{how}-{size}" for family, how in families.items() if how for size in ("8b", "70b")}
    assert set(RECIPES) == expected


@pytest.mark.parametrize("name", RECIPES)
def test_the_settings_are_those_of_the_published_pipeline(name):
    recipe = recipe_file.load(str(PAPER / f"{name}.yaml"))
    options = recipe.generate
    assert (options.temperature, options.top_p) == (0.2, 0.1)
    long = "vanilla" not in name or recipe.task.name in ("summarization", "conversation")
    assert options.max_tokens == (1024 if long else 128)
    assert options.max_words == (None if "vanilla" in name else 80)
    assert (recipe.train.lora.rank, recipe.train.lora.alpha) == (8, 128)
    assert (recipe.train.learning_rate, recipe.train.epochs, recipe.teacher.min_success) == (3e-4, 1, 0.7)
    assert recipe.student.model.location == f"hf/meta-llama/Llama-3.1-{name.rsplit('-', 1)[1].upper()}-Instruct"
    prompts_for = {prompt.who for prompt in preview(recipe, 1)}
    assert prompts_for == {"teacher", "student"}


@pytest.mark.parametrize("name", [name for name in RECIPES if name.endswith("8b")])
def test_a_recipe_of_the_paper_runs(name, tmp_path, llama):
    with Teacher() as teacher:
        run = pipeline.start(str(small_recipe(name, tmp_path, teacher.url, llama)), tmp_path / "runs")
        pipeline.carry_out(run)
    curated = pq.read_table(run.path("curated.parquet")).to_pylist()
    kept = [row for row in curated if row["kept"]]
    assert kept
    assert all(row["status"] == "ok" for row in kept)
    if "-cot-" in name:
        assert all(row["completion"].startswith("Because.\nAnswer: ") for row in kept)
    if "-cod-" in name:
        assert "round" in run.read_json("calibration.json")["why"]
        assert kept[0]["completion"].startswith("Lunch, round")
    assert run.evaluation["verdict"]
    assert run.report_path.exists()


def test_a_teacher_that_fails_too_often_gets_no_more_requests(tmp_path, llama):
    from potstill.errors import PotstillError

    class Failing(Teacher):
        def answer(self, body):
            reply = super().answer(body)
            reply["choices"][0]["finish_reason"] = "content_filter"
            return reply

    with Failing() as teacher:
        run = pipeline.start(str(small_recipe("math-cot-8b", tmp_path, teacher.url, llama)), tmp_path / "runs")
        with pytest.raises(PotstillError, match=r"fewer than 70% of 8 requests can succeed"):
            pipeline.carry_out(run)
        assert teacher.seen.total() < 8
