import json
import os
from pathlib import Path

import pytest

from potstill.data import presets
from potstill.errors import RecipeError
from potstill.tasks.registry import names, task_class
from preset_rows import LAMP, MIA, ROWS, WET, said

DATA = os.environ.get("POTSTILL_TEST_DATA")
with_data = pytest.mark.skipif(not DATA, reason="POTSTILL_TEST_DATA names no folder of real data sets")

EXTRAS = ("id", "group", "rationale")


def read(name, row):
    """A row as potstill reads it: the task's columns, gold, and what is optional, as it is."""
    preset = presets.find(name)
    task = task_class(preset.task)()
    mapped = preset.row(row)
    example = {column: kind.read(mapped[column]) for column, kind in task.columns.items()}
    gold = mapped["gold"]
    return example | {
        "gold": None if gold is None else task.parse_gold(gold, example),
        **{extra: mapped[extra] for extra in EXTRAS if mapped.get(extra) is not None},
    }


CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f"}}],
}

WRONG = [
    ("gsm8k", {"question": "Bo has 4 pens.", "final_ans": "4"}),
    ("gsm8k", {"question": "Bo has 4 pens.", "answer": "many\n#### many"}),
    ("multiarith", {"question": "Bo has 4 pens.", "answer": "4"}),
    ("svamp", {"ID": "chal-x", "question": "Bo has 4 pens.", "Answer": 4.0}),
    ("svamp", {"ID": "chal-x", "Body": "Bo has 4 pens.", "Question": "How many?", "Answer": None}),
    ("snli", {"premise": WET["premise"], "label": 0}),
    ("snli", WET),
    ("snli", WET | {"label": "perhaps"}),
    ("snli", WET | {"label": 3}),
    ("anli", WET | {"label": 0}),
    ("anli", {"uid": "u", "context": WET["premise"], "hypothesis": "He is wet.", "label": "e", "reason": ""}),
    ("conjnli", {"sentence1": WET["premise"], "sentence2": WET["hypothesis"]}),
    ("conjnli", WET | {"label": 7}),
    ("commonsense_qa", {"id": "c", "question": "Where?", "answerKey": "A"}),
    ("commonsense_qa", {"id": "c", "question": "Where?", "choices": ["bed", "oven"], "answerKey": "A"}),
    (
        "commonsense_qa",
        {"id": "c", "question": "Where?", "choices": {"label": ["A", "B"], "text": ["bed", "oven"]}, "answerKey": "E"},
    ),
    ("arc", {"id": "c", "question": "Which?", "choices": {"label": ["A"], "text": ["bed"]}, "answerKey": "A"}),
    ("arc", {"id": "c", "question": {"stem": "Which?"}, "answerKey": "A"}),
    ("aqua_rat", {"question": "Half of 18?", "options": ["8", "9"], "rationale": "", "correct": "B"}),
    ("aqua_rat", {"question": "Half of 18?", "options": ["A)8", "B)9"], "rationale": "", "correct": "E"}),
    ("aqua_rat", {"question": "Half of 18?", "options": [], "rationale": "", "correct": "A"}),
    ("aqua_rat", {"question": "Half of 18?", "options": ["A)8", "B)9"], "answer": "B"}),
    ("samsum", {"id": "1", "document": LAMP, "summary": MIA}),
    ("dialogsum", {"fname": "test_1", "dialogue": LAMP}),
    ("dialogsum", {"id": "test_1_1", "dialogue": LAMP, "topic": "a lamp"}),
    ("chain_of_density", {"id": "f00", "article": "The bridge opened.", "prediction": ["A bridge."]}),
    ("baize_quora", {"topic": "Tea", "messages": said("Tea?")}),
    ("baize_quora", {"topic": "Tea", "input": "Human: Tea?\nAI: Yes."}),
    ("mt_bench", {"prompt_id": 7, "category": "writing", "prompt": ["Write a rhyme.", "Now without an e."]}),
    ("mt_bench", {"question_id": 7, "category": "writing", "turns": [""]}),
    ("alpaca", {"instruction": "Name a tea.", "input": ""}),
    ("dolly", {"instruction": "Name a tea.", "context": ""}),
    ("prompt_completion", {"prompt": "Name a tea."}),
    ("gsm8k", {"question": "What is 1 + 1?", "answer": "A"}),
    ("openai_chat", {"prompt": "Tea?", "completion": "Yes."}),
    ("openai_chat", {"messages": []}),
    ("openai_chat", {"messages": ["Tea?"]}),
    ("openai_chat", {"messages": said("Tea?", "Yes.")[1:]}),
    ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
]


@pytest.mark.parametrize(("name", "row", "expected"), ROWS)
def test_a_row_in_the_form_of_the_data_set_is_read(name, row, expected):
    assert read(name, row) == expected


@pytest.mark.parametrize(("name", "row"), WRONG)
def test_a_row_in_another_form_is_refused(name, row):
    with pytest.raises((KeyError, TypeError, ValueError)):
        read(name, row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [*said("Rain?"), CALL]}, "calls of tools and functions are not supported"),
        (
            {"messages": [*said("Rain?"), CALL, {"role": "tool", "tool_call_id": "t1", "content": "no"}]},
            "calls of tools and functions are not supported",
        ),
        (
            {"messages": [*said("Rain?"), {"role": "assistant", "content": "", "function_call": {"name": "f"}}]},
            "calls of tools and functions are not supported",
        ),
        (
            {"messages": [*said("Rain?"), {"role": "function", "name": "f", "content": "no"}]},
            "calls of tools and functions are not supported",
        ),
        (
            {"input": {"messages": said("Tea?")}, "preferred_output": [], "non_preferred_output": []},
            "preferences between two replies are not supported",
        ),
    ],
)
def test_what_openai_chat_does_not_support_is_named(row, message):
    with pytest.raises(ValueError, match=message):
        presets.find("openai_chat").row(row)


def test_rows_are_left_as_they_are():
    for name, row, _ in ROWS:
        before = json.dumps(row)
        presets.find(name).row(row)
        assert json.dumps(row) == before


def test_each_preset_has_rows_here_a_source_and_a_task():
    assert {name for name, *_ in ROWS} == {name for name, _ in WRONG} == set(presets.PRESETS)
    for name, preset in presets.PRESETS.items():
        assert name == preset.name
        assert preset.cites
        assert preset.schema
        assert preset.task in names()
        assert set(preset.splits) <= {"train", "validation", "test", "test_unseen"}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("samsum", {"id": "78", "dialogue": "", "summary": "A picture."}),
        ("samsum", {"id": "79", "dialogue": None, "summary": "A picture."}),
        ("baize_quora", {"chat_sample": "A talk.\n[|Human|] Hello!\n[|AI|] Hi!", "dataset_origin": "medical"}),
        ("baize_quora", {"topic": "Tea", "input": "A talk.\n[|Human|] Tea?\n[|AI|] \n[|Human|] "}),
    ],
)
def test_rows_with_nothing_to_learn_from_are_left_out(name, row):
    assert presets.find(name).row(row) is None


def test_pairs_without_a_label_are_dropped():
    assert presets.find("snli").unlabelled == presets.find("conjnli").unlabelled == "drop"


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(RecipeError, match=r"there is no 'gms8k'.*gsm8k"):
        presets.find("gms8k")


def real(file):
    with (Path(DATA) / file).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@with_data
def test_gold_of_gsm8k_is_a_number():
    rows = [read("gsm8k", row) for row in real("gsm8k_test_a.jsonl")]
    assert len(rows) == 660
    for row in rows:
        float(row["gold"].replace(",", ""))
        assert "####" not in row["rationale"]


@with_data
def test_gold_of_aqua_rat_is_the_option_that_its_letter_marks():
    pairs = [(row, read("aqua_rat", row)) for row in real("aqua_dev.jsonl")]
    assert len(pairs) == 254
    twice = 0
    for row, example in pairs:
        options = [option.partition(")")[2].strip() for option in row["options"]]
        assert len(options) == 5
        if len(set(options)) == 5:
            assert example["options"] == options
            assert example["gold"] == row["correct"]
        else:
            twice += 1
            assert example["options"] == list(dict.fromkeys(options))
        right = example["options"][ord(example["gold"]) - ord("A")]
        assert right == options["ABCDE".index(row["correct"])]
    assert twice == 1


@with_data
def test_questions_of_mt_bench_are_their_first_turns():
    pairs = [(row, read("mt_bench", row)) for row in real("mt_bench_questions.jsonl")]
    assert len({example["id"] for _, example in pairs}) == 80
    for row, example in pairs:
        assert example == {"id": row["question_id"], "messages": said(row["turns"][0].strip()), "gold": None}
