"""Solved examples of few-shot prompts, and scorers of custom tasks."""

from importlib.metadata import EntryPoint

import pytest

from golden import prediction, summarize
from potstill.errors import PotstillError, RecipeError
from potstill.recipe import loading as recipe_file
from potstill.stages.few_shot import FewShotExamples
from potstill.tasks import Prompting, PromptSpec
from potstill.tasks import custom as custom_task
from potstill.tasks.registry import parse_task

RECIPE = """\
name: r
task: {task}
data: {{}}
generate: {{prompting: {prompting}, shots: {shots}}}
teacher: {{model: packaged/a}}
student: {{model: packaged/b}}
"""
LABELS = "{name: classification, labels: [late, lost]}"
ROWS = [
    {"id": f"train-{i}", "split": "train", "text": text, "gold": gold, "rationale": None}
    for i, (text, gold) in enumerate(
        [("My parcel is late again", "late"), ("The parcel was lost at sea", "lost"), ("The letter came late today", "late"),
         ("They lost my chair", "lost"), ("A chair without gold", None)]
    )
]  # fmt: skip


def shots(kind, prompting="direct-fewshot", task=LABELS, rows=ROWS):
    return FewShotExamples(recipe_file.parse(RECIPE.format(task=task, shots=kind, prompting=prompting)), lambda: rows)


def test_examples_by_seed_are_the_same_for_all_questions_but_never_the_question_itself():
    select = shots("{source: train, n: 2}")
    seen = [select(row, Prompting.DIRECT_FEWSHOT) for row in ROWS]
    for row, given in zip(ROWS, seen, strict=True):
        assert len(given) == 2
        assert row["id"] not in [shot["id"] for shot in given]
        assert all(shot["gold"] for shot in given)
    assert seen == [shots("{source: train, n: 2}")(row, Prompting.DIRECT_FEWSHOT) for row in ROWS]
    assert select(ROWS[0], Prompting.DIRECT) == ()


@pytest.mark.parametrize("select", ["seed", "similarity"])
def test_no_question_of_another_split_is_shown_with_its_answer(select):
    question = {"id": "test-1", "split": "test", "text": "they lost  MY chair", "gold": "lost", "rationale": None}
    other = {"id": "validation-1", "split": "validation", "text": "My parcel is late again", "gold": "late"}
    given = shots(f"{{source: train, n: 9, select: {select}}}", rows=[*ROWS, question, other])(
        question, Prompting.DIRECT_FEWSHOT
    )
    assert {shot["text"] for shot in given} == {"The parcel was lost at sea", "The letter came late today"}


def test_examples_by_similarity_are_the_most_similar_with_the_nearest_last():
    given = shots("{source: train, n: 2, select: similarity}")(
        {"id": "test-1", "text": "Is my chair lost?"}, Prompting.DIRECT_FEWSHOT
    )
    assert given[-1]["text"] == "They lost my chair"
    messages = parse_task({"name": "classification", "labels": ["late", "lost"]}).messages(
        {"text": "Is my chair lost?"}, PromptSpec(Prompting.DIRECT_FEWSHOT), given
    )
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2 + ["user"]
    assert messages[3]["content"] == "Answer: lost"


@pytest.mark.parametrize(
    ("kind", "prompting", "message"),
    [
        ("{source: task}", "direct-fewshot", "no solved examples of its own"),
        ("{source: train}", "cot-fewshot", "too few training examples have a rationale"),
    ],
)
def test_missing_examples_are_reported(kind, prompting, message):
    with pytest.raises(RecipeError, match=message):
        shots(kind, prompting)(ROWS[0], Prompting(prompting))


def test_a_task_with_its_own_examples_uses_them():
    given = shots("{}", "cot-fewshot", "nli")({"id": "1"}, Prompting.COT_FEWSHOT)
    assert [shot["gold"] for shot in given] == ["entailment", "neutral", "contradiction"]


def halves(answer, gold, example):
    return {"half": 1.0 if answer == gold else 0.5, "length": len(answer)}


def usurper(answer, gold, example):
    """A score that decides, and others under the names of potstill's metrics: in all of these each answer has 0.25."""
    return {"right": float(answer == gold)} | dict.fromkeys(("accuracy", "strict", "lenient", "macro_f1"), 0.25)


def broken(answer, gold, example):
    raise ZeroDivisionError("no")


@pytest.fixture
def scorers(monkeypatch):
    custom_task._scorer.cache_clear()
    entries = [EntryPoint(name, f"{__name__}:{name}", "potstill.tasks") for name in ("halves", "broken", "usurper")]
    monkeypatch.setattr(custom_task, "entry_points", lambda group: entries)
    yield
    custom_task._scorer.cache_clear()


def custom(scorer):
    return parse_task({"name": "custom", "prompts": {"plain": "{{ q }}"}, "scorer": scorer})


def test_a_scorer_from_another_package(scorers):
    row = {"id": "7", "q": "?", "gold": "yes"}
    assert custom("halves").scores("yes", row) == {"halves.half": 1.0, "halves.length": 3.0}
    with pytest.raises(PotstillError, match="The scorer 'broken' raised ZeroDivisionError: no for the example 7"):
        custom("broken").scores("yes", row)


def test_scores_of_a_scorer_take_the_place_of_no_metric(scorers):
    """Two of four answers are correct."""
    task, table = custom("usurper"), []
    for i, answer in enumerate(["yes", "yes", "no", "no"]):
        scores = task.all_scores(answer, {"id": f"q{i}", "q": "?", "gold": "yes"})
        kinds = dict.fromkeys(("strict", "lenient"), float(answer == "yes"))
        one = prediction(i, "correct" if answer == "yes" else "incorrect", gold="yes", answer=answer)
        table.append(one | {"scores": {**scores, **kinds}})
    metrics = summarize({"student": table}, task)["systems"]["student"]["metrics"]
    assert {name: metric["estimate"] for name, metric in metrics.items()} == {
        "accuracy": 0.5, "strict": 0.5, "lenient": 0.5,
        **dict.fromkeys(("usurper.accuracy", "usurper.strict", "usurper.lenient", "usurper.macro_f1"), 0.25),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scorer", "gold", "answer", "correct"),
    [
        ("exact", "Yes", "yes.", True),
        ("exact", "Yes", "yes indeed", False),
        ("regex", r"P[12]", "P2", True),
        ("regex", r"P[12]", "P3", False),
        ("numeric", "0.5", "50%", True),
        ("numeric", "1/3", "2/6", True),
    ],
)
def test_builtin_scorers(scorer, gold, answer, correct):
    assert custom(scorer).scores(answer, {"gold": gold}) == {"accuracy": float(correct)}


def test_a_slow_pattern_of_the_user_times_out():
    task = parse_task({"name": "custom", "prompts": {"plain": "{{ q }}"}, "answer_pattern": "(a+)+$"})
    assert task.parse("a" * 5000 + "b", "stop", {}, strict=False).answer is None
