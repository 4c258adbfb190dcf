"""Recipes of arXiv 2410.18588 run from the teacher to the verdict, with a mock teacher and a tiny random Llama 3.1."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

import small
from paper_teacher import Teacher, rows_of_the_hub
from potstill.errors import PotstillError, RecipeError
from potstill.models.local import gpu
from potstill.pipeline import pipeline

PAPER = Path(__file__).parents[1] / "recipes" / "paper"


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama31")
    small.save_tiny_llama_31(folder)
    return folder


@pytest.fixture(autouse=True)
def hub(monkeypatch):
    monkeypatch.setattr("potstill.data.hub._load", rows_of_the_hub)


def small_recipe(name, folder, url, llama, needs=None):
    values = yaml.safe_load((PAPER / f"{name}.yaml").read_text(encoding="utf-8"))
    values["data"] |= {"limit": 10, "validation": 2}
    if "test" in values["data"]:
        values["data"]["test"] = 2
    values["teacher"] = {"model": values["teacher"]["model"] | {"url": url, "concurrency": 2}}
    values["student"] |= {"model": str(llama), "max_tokens": 8}
    values["needs"] = {"gpu_memory_gb": needs}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def run_of(name, tmp_path, llama):
    with Teacher() as teacher:
        run = pipeline.start(str(small_recipe(name, tmp_path, teacher.url, llama)), tmp_path / "runs")
        pipeline.carry_out(run)
        sent = [json.loads(body) for body in teacher.seen]
    assert run.evaluation["verdict"]
    assert run.report_path.exists()
    assert not any("response_format" in body for body in sent)
    return run, pq.read_table(run.path("curated.parquet")).to_pylist()


@pytest.mark.parametrize(
    ("name", "answer", "keys"),
    [
        ("notebooks/nli-cot-8b", "neutral", "'reason' and 'answer_choice'"),
        ("notebooks/math-cot-8b", "4", "'reason' and 'answer'"),
        ("defaults/multiple-choice-cot-8b", "A", "'reason' and 'answer_choice'"),
    ],
)
def test_chains_of_thought_are_trained_on_without_the_reasoning(name, answer, keys, tmp_path, llama):
    run, rows = run_of(name, tmp_path, llama)
    kept = [row for row in rows if row["kept"]]
    assert {row["completion"] for row in kept} == {answer}
    assert {row["rationale"] for row in kept} == {"Because."}
    assert {row["correct"] for row in kept} == {True, False}  # no filter by gold
    assert {row["status"] for row in rows if not row["kept"]} == {"unparseable"}
    for row in rows:
        (instruction, question), (own, same_question) = row["messages"], row["student_messages"]
        assert keys in instruction["content"]
        assert keys not in own["content"]
        assert own["content"] == run.recipe.data.system
        assert question == same_question
    systems = run.evaluation["splits"]["test"]["systems"]
    assert list(systems) == [system.name for system in run.recipe.systems]
    asked = {name: pq.read_table(run.path(f"predictions/{name}.parquet")).to_pylist() for name in systems}
    assert {row["messages"][0]["content"] for row in asked["student-cot"]} == {rows[0]["messages"][0]["content"]}
    assert {row["messages"][0]["content"] for row in asked["base"]} == {run.recipe.data.system}
    assert [row["messages"] for row in asked["base"]] == [row["messages"] for row in asked["teacher-plain"]]


def test_our_rationales_are_trained_on_with_the_reasoning(tmp_path, llama):
    _, rows = run_of("rationales/math-8b", tmp_path, llama)
    kept = [row for row in rows if row["kept"]]
    assert {row["completion"] for row in kept} == {"Because.\nAnswer: 4"}
    assert {len(row["student_messages"]) for row in kept} == {1}


def test_the_bare_answer_is_that_to_the_students_own_prompt(tmp_path, llama):
    _, rows = run_of("defaults/math-vanilla-8b", tmp_path, llama)
    assert {row["completion"] for row in rows} == {"4"}
    assert all(row["messages"] == row["student_messages"] for row in rows)
    assert {row["reason"] for row in rows} == {""}


def test_the_last_of_four_rounds_is_trained_on(tmp_path, llama):
    run, rows = run_of("notebooks/summarization-cod-8b", tmp_path, llama)
    assert {row["completion"] for row in rows} == {"Lunch, round 4."}
    assert all("Denser_Summary" not in row["student_messages"][0]["content"] for row in rows)
    assert not run.read_json("calibration.json")


def test_a_conversation_is_trained_on_after_its_system_message(tmp_path, llama):
    run, rows = run_of("notebooks/conversation-vanilla-8b", tmp_path, llama)
    assert all(row["student_messages"][0] == {"role": "system", "content": run.recipe.data.system} for row in rows)
    assert all(row["completion"].startswith("A summary or reply") for row in rows if row["kept"])


def test_a_teacher_that_fails_too_often_gets_no_more_requests(tmp_path, llama):
    class Failing(Teacher):
        def answer(self, body):
            reply = super().answer(body)
            reply["choices"][0]["finish_reason"] = "content_filter"
            return reply

    with Failing() as teacher:
        path = small_recipe("notebooks/math-cot-8b", tmp_path, teacher.url, llama)
        values = yaml.safe_load(path.read_text())
        values["teacher"]["min_success"] = 0.7
        path.write_text(yaml.safe_dump(values))
        run = pipeline.start(str(path), tmp_path / "runs")
        with pytest.raises(PotstillError, match=r"fewer than 70% of 8 requests can succeed"):
            pipeline.carry_out(run)
        assert teacher.seen.total() < 8


def test_a_machine_that_is_too_small_can_ask_the_teacher_and_show_a_finished_run(tmp_path, llama, monkeypatch):
    monkeypatch.setattr(gpu, "memory_bytes", lambda: 24.1e9)
    with Teacher() as teacher:
        path = str(small_recipe("defaults/nli-vanilla-8b", tmp_path, teacher.url, llama, needs=25))
        pipeline.carry_out(pipeline.start(path, tmp_path / "runs"), "curate")
        asked = teacher.seen.total()
        for last in ("train", "report"):
            with pytest.raises(RecipeError, match="25 GB of memory is needed"):
                pipeline.carry_out(pipeline.start(path, tmp_path / "runs"), last)
        with pytest.raises(RecipeError, match="25 GB of memory is needed"):
            pipeline.carry_out_only(pipeline.start(path, tmp_path / "runs"), "evaluate")
        assert teacher.seen.total() == asked
        monkeypatch.setattr(gpu, "memory_bytes", lambda: 25e9)
        pipeline.run(path, tmp_path / "runs")
        monkeypatch.setattr(gpu, "memory_bytes", lambda: 0)
        assert pipeline.run(path, tmp_path / "runs").evaluation["verdict"]  # nothing is left to do
