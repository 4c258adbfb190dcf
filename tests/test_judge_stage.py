"""`potstill judge` and the stage `judge`: a real server as judge, runs on disk, labels.parquet and what is refused."""

import json
import re

import pyarrow.parquet as pq
import pytest
import yaml

import evaluated
from evaluated import evaluated_run, example
from faulty_server import faulty, refused, said
from potstill.errors import PotstillError, RecipeError
from potstill.labels.items import items
from potstill.labels.table import LABELS, Label
from potstill.pipeline import added, preflight
from potstill.pipeline.stages import STAGES
from potstill.recipe import loading
from potstill.stages.judge import stage
from potstill.workspace import artifacts
from potstill.workspace.digests import Part
from potstill.workspace.run import Run

STAGE = next(one for one in STAGES if one.name == "judge")
N = 6


def asked(body):
    return body["messages"][-1]["content"]


def shown(body):
    """The answers of a prompt, by letter, or alone."""
    return dict(re.findall(r"^<answer-?(\w?)-\w{10}>\n(.*?)\n</answer", asked(body), re.DOTALL | re.MULTILINE))


def prefers_long(body):
    """A judge of pairs that prefers the longer answer, whose number is in the reason."""
    longest = max(shown(body).items(), key=lambda one: len(one[1]))
    return said(json.dumps({"reason": f"I like {longest[1]}", "better": longest[0]}))


def run_of(tmp_path, texts, judge, url="", task="math", gold="7", more="", **judged):
    """A run whose systems, by name, gave these texts to the test questions, with a judge."""
    examples = [example(f"q{i}", gold=gold, group=f"g{i // 2}") for i in range(N)]
    run = evaluated_run(tmp_path, examples, {name: ["correct"] * N for name in texts}, task=task)
    for name, text in texts.items():
        rows = run.read(artifacts.predictions(name))
        for i, row in enumerate(rows):
            row |= {"text": text(i), "rationale": text(i), "answer": "7" if text(i) else None}
        run.write(artifacts.predictions(name), rows)
    values = run.recipe.model_dump(mode="json")
    if judge:
        values["evaluate"]["judge"] = {"models": {"url": url, "model": judge}, "repeats": 2, **judged}
    recipe = loading.parse(yaml.safe_dump(values), folder=tmp_path)
    run.write_text(artifacts.RECIPE, loading.dump(recipe))
    run.write_json(artifacts.EVALUATION, {"chosen": {}, "splits": {}})
    return Run(run.folder, recipe, run.store_path)


def carry_out(run):
    with run.locked(), run.limited_to(STAGE.access(run.recipe)):
        stage.judge(run.recipe, run)
    return rows_of(run)


def rows_of(run):
    return pq.read_table(run.path(LABELS.file)).to_pylist() if run.path(LABELS.file).exists() else []


TWO = {"student": lambda i: f"{i} is short.", "base": lambda i: f"{i} is a much longer answer than that."}


def test_pairs_are_judged_in_both_orders_without_the_names_of_systems(tmp_path):
    with faulty(prefers_long) as server:
        run = run_of(tmp_path, TWO, "j", server.url, form="pairwise", rubric="conversation")
        rows = carry_out(run)
        assert len(server.bodies) == 2 * N + 2 * 2
        assert len({asked(body) for body in server.bodies}) == 2 * N + 2 * 2
        for body in server.bodies:
            assert "student" not in asked(body)
            assert "base" not in asked(body)
            assert "<source-" not in asked(body), "a math problem has none"
            assert body["response_format"]["json_schema"]["schema"]["required"] == ["reason", "better"]
        before = len(server.bodies)
        assert [{**row, "time": ""} for row in carry_out(run)] == [{**row, "time": ""} for row in rows]
        assert len(server.bodies) == before, "judgements are stored"
    assert len(rows) == 2 * N + 2 * 2
    assert {row["value"] for row in rows} == {0.0}, "value is about the system, in whatever order"
    assert {(row["system"], row["other"]) for row in rows} == {("student", "base")}
    assert all(row["reason"] == f"I like {TWO['base'](int(row['question'][1:]))}\n\n7" for row in rows)
    assert [row["first"] for row in rows] == ["student", "base"] * (N + 2)
    assert [row["repeat"] for row in rows] == [0] * 2 * N + [1] * 4
    known = {item.id: item for item in items(run, ["student", "base"], True)}
    for row in rows:
        item = known[row["item"]]
        assert (row["question"], row["split"], row["group"], row["shown"]) == (
            item.question,
            item.split,
            item.group,
            item.shown,
        )
        assert (row["kind"], row["rater"], row["form"], row["criterion"], row["state"]) == (
            "judge",
            "j",
            "pairwise",
            "overall",
            "given",
        )
        assert row["rubric"].startswith("conversation@")


def test_a_judge_that_always_prefers_what_is_first_disagrees_with_itself(tmp_path):
    def first(body):
        return said(json.dumps({"reason": "First.", "better": next(iter(shown(body)))}))

    with faulty(first) as server:
        rows = carry_out(run_of(tmp_path, TWO, "j", server.url, form="pairwise", repeats=0))
    assert {(row["first"], row["value"]) for row in rows} == {("student", 1.0), ("base", 0.0)}


def test_equal_answers_are_a_tie_that_nobody_is_asked_about(tmp_path):
    same = {"student": lambda i: "It is so.", "base": lambda i: "It is so." if i else "It is not."}
    with faulty(prefers_long) as server:
        rows = carry_out(run_of(tmp_path, same, "j", server.url, form="pairwise", repeats=0))
        assert len(server.bodies) == 2
    assert [row["value"] for row in rows if row["question"] != "q0"] == [0.5] * 2 * (N - 1)
    assert {row["reason"] for row in rows if row["question"] != "q0"} == {stage.SAME}


def scores(body):
    """A judge by scores: prose at q0, a wrong scale at q1, nothing at q2, a refused request at q3, a repaired reply at q4."""
    question = int(re.search(r"q(\d)\?", asked(body))[1])
    good = said('{"reason": "Fine.", "sound": 4, "supports": 5, "overall": 4}')
    reminded = "Begin the reply with" in asked(body)
    return {
        0: said("What a fine answer, I would say 4 or 5."),
        1: said('{"reason": "Fine.", "sound": 80, "supports": 90, "overall": 85}'),
        2: said(""),
        3: refused("This prompt is too strange", 422),
        4: good if reminded else said("I think it is good."),
    }.get(question, good)


def test_what_is_unreadable_is_asked_once_more_and_never_counts_as_a_score(tmp_path):
    with faulty(scores) as server:
        rows = carry_out(run_of(tmp_path, {"student": TWO["student"]}, "j", server.url, repeats=0))
        asked_about = [int(re.search(r"q(\d)\?", asked(body))[1]) for body in server.bodies]
    assert {i: asked_about.count(i) for i in range(N)} == {0: 2, 1: 2, 2: 2, 3: 1, 4: 2, 5: 1}
    states = {row["question"]: row["state"] for row in rows}
    assert states == dict(
        zip((f"q{i}" for i in range(N)), ["unreadable"] * 3 + ["failed"] + ["given"] * 2, strict=True)
    )
    assert all((row["value"] is None) == (row["state"] != "given") for row in rows)
    by_criterion = [(row["criterion"], row["value"]) for row in rows if row["question"] == "q4"]
    assert by_criterion == [("sound", 4.0), ("supports", 5.0), ("overall", 4.0)]
    assert "too strange" in next(row["reason"] for row in rows if row["question"] == "q3")
    assert all(row["other"] is None and row["first"] is None for row in rows)


def test_a_judge_that_is_down_stops_the_stage_and_nothing_is_written(tmp_path, short_backoff):
    with faulty(lambda body: refused("no such key", 401)) as server:
        run = run_of(tmp_path, {"student": TWO["student"]}, "j", server.url)
        with pytest.raises(PotstillError):
            carry_out(run)
    assert not run.path(LABELS.file).exists()


def test_a_jury_labels_each_for_itself_and_a_sample_of_questions_grows_with_its_size(tmp_path):
    def judge(body):
        return said(json.dumps({"reason": body["model"], "right": body["model"] == "kind"}))

    with faulty(judge) as server:
        jury = [{"url": server.url, "model": name} for name in ("kind", "harsh")]
        drawn = []
        for n in (1, 3, 5):
            run = run_of(
                tmp_path / str(n),
                {"student": TWO["student"]},
                "j",
                models=jury,
                form="reference",
                questions=n,
                repeats=0,
            )
            rows = carry_out(run)
            assert {(row["rater"], row["value"]) for row in rows} == {("kind", 1.0), ("harsh", 0.0)}
            drawn.append({row["question"] for row in rows})
        assert [len(one) for one in drawn] == [1, 3, 5]
        assert drawn[0] < drawn[1] < drawn[2]


def test_a_question_that_a_system_has_no_text_for_has_no_pair(tmp_path):
    texts = TWO | {"base": lambda i: TWO["base"](i) if i else ""}
    with faulty(prefers_long) as server:
        run = run_of(tmp_path, texts, "j", server.url, form="pairwise", repeats=0)
        rows = run.read(artifacts.predictions("base"))
        rows[0] |= {"answer": None, "text": "", "error": "timeout"}
        run.write(artifacts.predictions("base"), rows)
        assert {row["question"] for row in carry_out(run)} == {f"q{i}" for i in range(1, N)}


def test_agreement_with_gold_needs_gold(tmp_path):
    run = run_of(tmp_path, {"student": TWO["student"]}, "j", "http://127.0.0.1:9/v1", form="reference", gold=None)
    with pytest.raises(PotstillError, match="no test question has gold"):
        carry_out(run)


def person(run, value=1.0):
    item = next(items(run, ["student"], False))
    return Label(
        item=item.id, question=item.question, split=item.split, group=item.group, system="student", other=None, shown=item.shown,
        kind="person", rater="Ada", rubric="rationale@0", form="pass", criterion="overall", value=value, state="given", reason="",
        first=None, repeat=0, probability=1.0, seconds=3.0, time="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def test_labels_by_people_stay_and_make_the_stage_run_again(tmp_path):
    run = run_of(tmp_path, {"student": TWO["student"]}, None)
    assert carry_out(run) == []
    assert not run.path(artifacts.JUDGED).exists()
    before = STAGE.inputs(run)
    run.write(LABELS, [person(run)])
    after = STAGE.inputs(run)
    assert {name for name in after if before.get(name) != after[name]} == {"labels.parquet (rows of the kind person)"}
    assert carry_out(run) == [person(run)]
    assert run.judged
    with faulty(scores) as server:
        with_judge = run_of(tmp_path, {"student": TWO["student"]}, "j", server.url)
        rows = carry_out(with_judge)
        assert {row["kind"] for row in rows} == {"person", "judge"}
    part = Part(LABELS.file, kind="person")
    assert with_judge.digest(part) == run.digest(part) == after["labels.parquet (rows of the kind person)"]
    # Without the judge its rows are gone; the store has them.
    assert carry_out(run_of(tmp_path, {"student": TWO["student"]}, None)) == [person(run)]


def test_rows_of_judges_alone_are_no_labels_by_people(tmp_path):
    with faulty(scores) as server:
        run = run_of(tmp_path, {"student": TWO["student"]}, "j", server.url)
        before = STAGE.inputs(run)
        carry_out(run)
        assert STAGE.inputs(run) == before


def test_concurrency_and_budget_of_a_judge_change_nothing(tmp_path):
    run = run_of(tmp_path, {"student": TWO["student"]}, "j", "http://127.0.0.1:9/v1")
    values = run.recipe.model_dump(mode="json")
    values["evaluate"]["judge"]["models"][0] |= {"budget": {"max_requests": 3}, "min_success": 0.5}
    values["evaluate"]["judge"]["models"][0]["model"]["concurrency"] = 2
    other = Run(run.folder, loading.parse(yaml.safe_dump(values), folder=tmp_path), run.store_path)
    assert STAGE.inputs(other) == STAGE.inputs(run)
    values["evaluate"]["judge"]["models"][0]["model"]["model"] = "k"
    another = Run(run.folder, loading.parse(yaml.safe_dump(values), folder=tmp_path), run.store_path)
    assert STAGE.inputs(another) != STAGE.inputs(run)
    evaluation = next(one for one in STAGES if one.name == "evaluate")
    assert evaluation.inputs(another) == evaluation.inputs(run), "a judge beside the scores changes no evaluation"


def test_a_rubric_of_the_user_is_used_and_a_faulty_one_is_refused_before_anything(tmp_path):
    rubric = tmp_path / "mine.yaml"
    rubric.write_text(
        "name: mine\noverall: Short is good.\nlowest: 0\nhighest: 2\ncriteria:\n- {name: short, question: 'Is it short?', low: Long, high: Short}\n"
    )
    with faulty(lambda body: said('{"reason": "a", "short": 2, "overall": 1}')) as server:
        run = run_of(tmp_path, {"student": TWO["student"]}, "j", server.url, rubric="mine.yaml", repeats=0)
        rows = carry_out(run)
        assert "whole number from 0 to 2" in asked(server.bodies[0])
        assert "- short: Is it short? 0: Long 2: Short" in asked(server.bodies[0])
    assert {row["criterion"] for row in rows} == {"short", "overall"}
    before = STAGE.inputs(run)
    rubric.write_text("name: mine\noverall: Short is good.\n")
    assert STAGE.inputs(run) != before
    for text, message in (
        ("name: mine\noverall: Short is good.\n", "criteria"),
        ("name: mine\noverall: Short is good.\ncriteria: []\n", "criteria"),
        ("[", "cannot be read as YAML"),
    ):
        rubric.write_text(text)
        with pytest.raises(RecipeError, match=message):
            preflight.check(run)
    rubric.unlink()
    with pytest.raises(RecipeError, match=r"No rubric '.*mine\.yaml'"):
        preflight.check(run)


THREE = TWO | {"teacher-cot": lambda i: f"{i} again."}


def test_a_relative_of_the_teacher_may_compare_it_with_the_student_only_where_allowed(tmp_path):
    place = "http://127.0.0.1:9/v1"
    with pytest.raises(RecipeError, match="of the family of the teacher"):
        run_of(tmp_path, THREE, "Qwen2.5-72B-Instruct", place)
    allowed = run_of(tmp_path, THREE, "Qwen2.5-72B-Instruct", place, allow_related=True)
    assert allowed.recipe.judge_relatives == {"Qwen2.5-72B-Instruct": ["teacher-cot"]}
    without = run_of(tmp_path, THREE, "Qwen2.5-72B-Instruct", place, systems=["base", "student"])
    assert without.recipe.judge_relatives == {"Qwen2.5-72B-Instruct": []}
    of_student = run_of(tmp_path, THREE, "SmolLM2-1.7B-Instruct", place)
    assert of_student.recipe.judge_relatives == {"SmolLM2-1.7B-Instruct": ["student", "base"]}


def test_which_systems_are_judged(tmp_path):
    texts = THREE | {"base-direct": lambda i: "a", "teacher-direct": lambda i: "b"}
    run = run_of(tmp_path, texts, "j", "http://127.0.0.1:9/v1")
    judges = run.recipe.evaluate.judge
    assert stage._systems(run.recipe, judges, {}) == ["student", "base", "teacher-cot"]
    chosen = {"base": {"system": "base-direct"}, "teacher": {"system": "teacher-direct"}}
    assert stage._systems(run.recipe, judges, chosen) == ["student", "base-direct", "teacher-direct"]
    listed = judges.model_copy(update={"systems": ["teacher-cot", "base"]})
    assert stage._systems(run.recipe, listed, chosen) == ["base", "teacher-cot"]


def test_judges_are_written_into_the_recipe_of_a_run(tmp_path, monkeypatch):
    run = run_of(tmp_path, TWO, None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="no model judges"):
        added.add_judges(run, form="scores")
    with pytest.raises(RecipeError, match=r"No rubric '.*convresation'.*Did you mean 'conversation'"):
        added.add_judges(run, ["packaged/j"], rubric="convresation")
    with pytest.raises(RecipeError, match=r"one\W+recipe.yaml with the judges"):
        added.add_judges(run, ["{url: 'http://h/v1'}"])
    run = added.add_judges(
        run, ["{url: 'http://h/v1', model: j}", "some/folder", "packaged/j"], "pairwise", "conversation"
    )
    judges = run.recipe.evaluate.judge
    assert [one.name for one in judges.models] == ["j", str(tmp_path / "some" / "folder"), "packaged/j"]
    assert (judges.form, judges.rubric) == ("pairwise", "conversation")
    again = added.add_judges(run, form="scores", questions=30)
    assert again.recipe.evaluate.judge == judges.model_copy(update={"form": "scores", "questions": 30})
    assert loading.load(str(run.path(artifacts.RECIPE))).evaluate.judge == again.recipe.evaluate.judge


def test_the_default_form(tmp_path):
    place = "http://127.0.0.1:9/v1"
    assert stage.form_of(run_of(tmp_path, TWO, "j", place).recipe) == "scores"
    recipe = evaluated.RECIPE.format(
        name="chat",
        task="conversation",
        systems="[student, base]",
        more=f", judge: {{models: {{url: '{place}', model: j}}}}",
    )
    assert stage.form_of(loading.parse(recipe)) == "pairwise"
    assert stage.form_of(loading.parse(recipe.replace(", base]", "]"))) == "scores"
