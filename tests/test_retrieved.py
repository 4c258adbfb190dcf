"""Prompts that show the training rows that are most similar to the question, and which rows these can be."""

import pytest

from potstill.recipe import loading
from potstill.stages import few_shot
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.training_rows import training_rows
from potstill.tasks import Prompting
from potstill.tasks.registry import parse_task
from potstill.workspace import artifacts
from potstill.workspace.artifacts import CURATED
from potstill.workspace.run import Run

RECIPE = """\
name: r
task: {task}
data: {data}
condition: {condition}
teacher: {{model: packaged/a}}
student: {{model: packaged/b}}
evaluate: {{retrieved: {k}}}
"""
LABELS = "{name: classification, labels: [late, lost]}"
FILES = "{source: files, train: t.jsonl}"


def recipe_with(task=LABELS, data=FILES, condition="vanilla", k=3):
    return loading.parse(RECIPE.format(task=task, data=data, condition=condition, k=k))


def row(id_, text, gold="late", split="train", group=None, **columns):
    empty = dict.fromkeys(("system", "prompt", "rationale", "steps", "logged", "origin"))
    return empty | {"id": id_, "split": split, "group": group or id_, "text": text, "gold": gold} | columns


TRAIN = [
    row("1", "My parcel is late again"), row("2", "The parcel was lost at sea", "lost"), row("3", "The letter came late today"),
    row("4", "They lost my chair", "lost"), row("5", "The chair came late, a week late"),
]  # fmt: skip
QUESTION = row("t", "Is my chair lost?", "lost", "test")


def retrieved(rows=TRAIN, question=QUESTION, others=(), way="retrieved", **options):
    select = FewShotExamples(recipe_with(**options), lambda: iter([*rows, question, *others]), lambda: iter(rows))
    return [shot["id"] for shot in select(question, Prompting(way))]


def test_the_most_similar_rows_are_shown_the_most_similar_last():
    assert retrieved()[-1] == "4"
    assert len(retrieved()) == 3
    assert retrieved(k=1) == retrieved(way="direct-retrieved", k=1) == ["4"]
    assert sorted(retrieved(k=64)) == ["1", "2", "3", "4", "5"]
    assert retrieved(rows=[]) == []


def test_neither_the_question_nor_a_question_of_another_split_is_shown():
    same = row("6", "IS  my chair lost?", "lost")
    assert "6" not in retrieved([*TRAIN, same], k=64)
    validation = row("v", "they lost my CHAIR", "lost", "validation")
    assert "4" not in retrieved(others=[validation], k=64)


def test_rows_of_a_held_out_group_are_not_shown_unless_the_data_shares_groups():
    rows = [one | {"group": "shared"} if one["id"] in "24" else one for one in TRAIN]
    held_out = row("v", "Where is it?", "lost", "validation", "shared")
    assert sorted(retrieved(rows, others=[held_out], k=64)) == ["1", "3", "5"]
    problems = [{**one, "question": one["text"]} for one in rows]
    shared = {**held_out, "question": "Where?"}
    question = {**QUESTION, "question": "Is my chair lost?", "group": "shared"}
    assert len(retrieved(problems, question, [shared], task="math", data="{source: word_problems}", k=64)) == 5


def test_a_question_with_several_kept_samples_is_shown_once():
    again = [one | {"gold": "late", "rationale": "again"} for one in TRAIN]
    assert sorted(retrieved([*TRAIN, *again], k=64)) == ["1", "2", "3", "4", "5"]


def test_rows_are_shown_as_long_as_they_fit(monkeypatch):
    monkeypatch.setattr(few_shot, "SHOWN_CHARACTERS", len("They lost my chair" + "lost") + 30)
    assert retrieved()[-1] == "4"
    assert len(retrieved(k=64)) == 2
    long = [*TRAIN, row("6", "Is my chair lost? " * 5000, "lost")]
    assert retrieved(long, k=64) == retrieved(k=64)
    assert retrieved(long, k=1) == []
    monkeypatch.setattr(few_shot, "SHOWN_CHARACTERS", 1_000_000)
    assert retrieved(long, k=1) == ["6"]


@pytest.mark.parametrize(
    ("texts", "question", "nearest"),
    [
        (["我的包裹迟到了", "信今天来晚了", "他们弄丢了我的椅子"], "我的椅子丢了吗", 2),
        (["荷物が遅れています", "椅子を失くしました", "手紙が来ません"], "椅子はどこですか", 1),
        (["พัสดุมาช้า", "เก้าอี้หาย", "จดหมายไม่มา"], "เก้าอี้อยู่ที่ไหน", 1),
    ],
)
def test_similarity_in_scripts_without_spaces(texts, question, nearest):
    rows = [row(str(i), text) for i, text in enumerate(texts)]
    assert retrieved(rows, row("t", question, "lost", "test"), k=1) == [str(nearest)]


def test_nothing_in_common_gives_the_first_rows_and_no_words_are_no_fault():
    assert len(retrieved(question=row("t", "zzz", "lost", "test"), k=2)) == 2
    signs = [row(str(i), "!" * (i + 1)) for i in range(3)]
    assert len(retrieved(signs, row("t", "?", "lost", "test"))) == 3


def test_similar_rows_are_found_among_thousands():
    rows = [row(str(i), f"thing{i % 97} number{i} of{i % 1009} the list") for i in range(5000)]
    select = FewShotExamples(recipe_with(k=1), lambda: iter(rows), lambda: iter(rows))
    for i in range(0, 5000, 250):
        (shot,) = select(row("t", f"which list has number{i}", "lost", "test"), Prompting.RETRIEVED)
        assert shot["id"] == str(i)


def test_prompts_are_those_of_training_or_name_the_labels():
    task = parse_task({"name": "classification", "labels": ["late", "lost"]})
    recipe = recipe_with(k=1)
    select = FewShotExamples(recipe, lambda: iter([*TRAIN, QUESTION]), lambda: iter(TRAIN))

    def messages(way):
        return [
            m["content"] for m in task.messages(QUESTION, recipe.prompt_spec(Prompting(way)), select(QUESTION, Prompting(way)))
        ]  # fmt: skip

    assert messages("retrieved") == ["They lost my chair", "lost", "Is my chair lost?"]
    first, reply, last = messages("direct-retrieved")
    assert "late, lost" in first
    assert (reply, last.endswith("Is my chair lost?")) == ("Answer: lost", True)
    assert task.tells_task(Prompting.RETRIEVED)
    assert not task.tells_task(Prompting.FEWSHOT)
    assert recipe.max_tokens(Prompting.RETRIEVED) == recipe.max_tokens(Prompting.PLAIN)


def test_a_reply_is_word_for_word_what_the_student_is_trained_on():
    task = parse_task("math")
    shown = {"question": "How much is 3 and 4?", "gold": "7", "rationale": "3 + 4 = 7.", "prompt": None, "system": None}
    spec = recipe_with("math").prompt_spec(Prompting.RETRIEVED)
    question, reply, _ = task.messages({**shown, "question": "And 5?"}, spec, [shown])
    assert reply["content"] == task.target_text("3 + 4 = 7.", "7") != "7"
    assert question == task.messages(shown)[0]


# The rows


def curated(id_, answer, kept=True, sample=0):
    empty = {field.name: None for field in CURATED.schema}
    return empty | {"id": id_, "sample": sample, "answer": answer, "rationale": f"because {id_}", "kept": kept}


@pytest.mark.parametrize(("condition", "rationale"), [("cot-rationale", "because 1"), ("cot-answer", None)])
def test_training_rows_are_the_kept_ones_with_the_answer_that_the_student_learns(tmp_path, condition, rationale):
    """Without gold, with another gold, and with two kept samples."""
    run = Run(tmp_path / "run", recipe_with(condition=condition), tmp_path / "store.sqlite")
    examples = [row("1", "a", None), row("2", "b", "lost"), row("3", "c"), row("v", "d", "late", "validation")]
    run.write(artifacts.examples(run.recipe.task), examples)
    rows = [
        curated("3", "late", kept=False),
        curated("2", "late"),
        curated("1", "lost"),
        curated("1", "late", sample=1),
    ]
    run.write(CURATED, rows)
    given = [(one["id"], one["text"], one["gold"]) for one in training_rows(run.recipe, run)]
    assert given == [("1", "a", "lost"), ("1", "a", "late"), ("2", "b", "late")]
    assert next(iter(training_rows(run.recipe, run)))["rationale"] == rationale
