import json
import os
from pathlib import Path

import pytest

from potstill.data import presets
from potstill.errors import RecipeError
from potstill.tasks.messages import parse_turns
from potstill.tasks.registry import names, task_class
from preset_rows import LAMP, MIA, ROWS, WET, turns

DATA = os.environ.get("POTSTILL_TEST_DATA")
with_data = pytest.mark.skipif(not DATA, reason="POTSTILL_TEST_DATA is not set to a folder of real data sets")

EXTRAS = ("id", "group", "rationale", "reference")


def read(name, row):
    """A row as potstill converts it: the parsed columns of the task, gold, and the optional columns unchanged."""
    preset = presets.lookup(name)
    task = task_class(preset.task)()
    converted = preset.convert(row)
    example = {
        column: parse_turns(converted["turns"]) if "turns" in converted else kind.parse(converted[column])
        for column, kind in task.columns.items()
    }
    gold = converted["gold"]
    return example | {
        "gold": None if gold is None else task.parse_gold(gold, example),
        **{extra: converted[extra] for extra in EXTRAS if converted.get(extra) is not None},
    }


CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f"}}],
}

UNUSABLE = [
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
    ("baize_quora", {"topic": "Tea", "messages": turns("Tea?")}),
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
    ("openai_chat", {"messages": turns("Tea?", "Yes.")[1:]}),
    ("openai_chat", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
]


@pytest.mark.parametrize(("name", "row", "expected"), ROWS)
def test_a_row_of_the_data_set_is_converted(name, row, expected):
    assert read(name, row) == expected


@pytest.mark.parametrize(("name", "row"), UNUSABLE)
def test_a_row_in_another_format_is_refused(name, row):
    with pytest.raises((KeyError, TypeError, ValueError)):
        read(name, row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [*turns("Rain?"), CALL]}, "tool calls"),
        (
            {"messages": [*turns("Rain?"), CALL, {"role": "tool", "tool_call_id": "t1", "content": "no"}]},
            "tool calls",
        ),
        (
            {"messages": [*turns("Rain?"), {"role": "assistant", "content": "", "function_call": {"name": "f"}}]},
            "tool calls",
        ),
        (
            {"messages": [*turns("Rain?"), {"role": "function", "name": "f", "content": "no"}]},
            "tool calls",
        ),
        (
            {"input": {"messages": turns("Tea?")}, "preferred_output": [], "non_preferred_output": []},
            "preferences between two replies are not supported",
        ),
    ],
)
def test_unsupported_features_of_openai_chat_are_named(row, message):
    with pytest.raises(ValueError, match=message):
        presets.lookup("openai_chat").convert(row)


def test_conversion_does_not_change_the_row():
    for name, row, _ in ROWS:
        before = json.dumps(row)
        presets.lookup(name).convert(row)
        assert json.dumps(row) == before


def test_each_preset_has_test_rows_a_reference_and_a_task():
    assert {name for name, *_ in ROWS} == {name for name, _ in UNUSABLE} == set(presets.PRESETS)
    for name, preset in presets.PRESETS.items():
        assert name == preset.name
        assert preset.reference
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
def test_empty_rows_are_left_out(name, row):
    assert presets.lookup(name).convert(row) is None


def test_pairs_without_a_label_are_dropped():
    assert presets.lookup("snli").unlabelled == presets.lookup("conjnli").unlabelled == "drop"


def test_an_unknown_name_gives_a_suggestion():
    with pytest.raises(RecipeError, match=r"there is no 'gms8k'.*gsm8k"):
        presets.lookup("gms8k")


def load_rows(file):
    with (Path(DATA) / file).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@with_data
def test_gold_of_gsm8k_is_a_number():
    rows = [read("gsm8k", row) for row in load_rows("gsm8k_test_a.jsonl")]
    assert len(rows) == 660
    for row in rows:
        float(row["gold"].replace(",", ""))
        assert "####" not in row["rationale"]


@with_data
def test_gold_of_aqua_rat_is_the_option_of_its_letter():
    pairs = [(row, read("aqua_rat", row)) for row in load_rows("aqua_dev.jsonl")]
    assert len(pairs) == 254
    duplicated = 0
    for row, example in pairs:
        options = [option.partition(")")[2].strip() for option in row["options"]]
        assert len(options) == 5
        if len(set(options)) == 5:
            assert example["options"] == options
            assert example["gold"] == row["correct"]
        else:
            duplicated += 1
            assert example["options"] == list(dict.fromkeys(options))
        correct = example["options"][ord(example["gold"]) - ord("A")]
        assert correct == options["ABCDE".index(row["correct"])]
    assert duplicated == 1


@with_data
def test_questions_of_mt_bench_have_two_turns():
    pairs = [(row, read("mt_bench", row)) for row in load_rows("mt_bench_questions.jsonl")]
    assert len({example["id"] for _, example in pairs}) == 80
    for row, example in pairs:
        assert example == {
            "id": row["question_id"],
            "messages": turns(row["turns"][0], "", row["turns"][1]),
            "gold": None,
            **{name: value for name, value in row.items() if name == "reference"},
        }
