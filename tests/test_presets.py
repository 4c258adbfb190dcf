import json
import os
from pathlib import Path

import pytest

from potstill import tasks
from potstill.data import presets
from potstill.errors import RecipeError

DATA = os.environ.get("POTSTILL_TEST_DATA")
with_data = pytest.mark.skipif(not DATA, reason="POTSTILL_TEST_DATA names no folder of real data sets")

EXTRAS = ("id", "group", "rationale")


def read(name, row):
    """A row as potstill reads it: the task's columns, gold, and what is optional, as it is."""
    preset = presets.find(name)
    task = tasks.find(preset.task)()
    mapped = preset.row(row)
    example = {column: kind.read(mapped[column]) for column, kind in task.columns.items()}
    gold = mapped["gold"]
    return example | {
        "gold": None if gold is None else task.parse_gold(gold, example),
        **{extra: mapped[extra] for extra in EXTRAS if mapped.get(extra) is not None},
    }


def asked(question, *options, **more):
    return {"question": question, "options": list(options), **more}


def said(*turns):
    roles = ("user", "assistant")
    return [{"role": roles[place % 2], "content": turn} for place, turn in enumerate(turns)]


WET = {"premise": "A man walks through the rain.", "hypothesis": "The man is wet."}
PLANK = "A plank of 3 m is cut in two. How long is each piece?"
LAMP = "Mia: Is the lamp broken?\nTom: No, it was only unplugged."
MIA = "Mia asks about the lamp; Tom says that it was unplugged."
SYSTEM = {"role": "system", "content": "Be brief."}

ROWS = [
    (
        "gsm8k",
        {"question": "Bo has 4 pens and buys 3. How many now?", "answer": "4 + 3 = <<4+3=7>>7 pens.\n#### 7"},
        {"question": "Bo has 4 pens and buys 3. How many now?", "rationale": "4 + 3 = 7 pens.", "gold": "7"},
    ),
    ("gsm8k", {"question": "Of 2000 seats half are sold. How many?", "answer": "#### 1,000"}, {
        "question": "Of 2000 seats half are sold. How many?", "gold": "1,000",
    }),
    ("multiarith", {"question": " Ann baked 12 rolls and ate 2. How many are left? ", "final_ans": "10"}, {
        "question": "Ann baked 12 rolls and ate 2. How many are left?", "gold": "10",
    }),
    (
        "svamp",
        {
            "ID": "chal-x", "Body": "A box holds 6 eggs. If there are 5", "Question": "how many eggs are there?",
            "Equation": "( 6.0 * 5.0 )", "Answer": 30.0, "Type": "Multiplication",
        },
        {"id": "chal-x", "question": "A box holds 6 eggs. If there are 5 how many eggs are there?", "gold": "30"},
    ),
    (
        "svamp",
        {
            "ID": "chal-y", "Body": "Ten eggs fill four cups. ", "Question": "How many eggs fill one?",
            "Equation": "( 10.0 / 4.0 )", "Answer": "2.5", "Type": "Common-Division",
            "question_concat": "Ten eggs fill four cups. How many eggs fill one?",
        },
        {"id": "chal-y", "question": "Ten eggs fill four cups. How many eggs fill one?", "gold": "2.5"},
    ),
    ("snli", WET | {"label": 0}, WET | {"gold": "entailment"}),
    ("snli", WET | {"label": 1}, WET | {"gold": "neutral"}),
    ("snli", WET | {"label": 2}, WET | {"gold": "contradiction"}),
    ("snli", WET | {"label": -1}, WET | {"gold": None}),
    *(
        (
            "snli",
            {
                "annotator_labels": ["neutral", "entailment"], "captionID": "1.jpg#0", "gold_label": label,
                "pairID": "1.jpg#0r1n", "sentence1": WET["premise"], "sentence2": WET["hypothesis"],
            },
            WET | {"gold": gold},
        )
        for label, gold in (("neutral", "neutral"), ("-", None))
    ),
    ("anli", WET | {"uid": "u-1", "label": 1, "reason": "He may have an umbrella."}, WET | {
        "id": "u-1", "gold": "neutral", "rationale": "He may have an umbrella.",
    }),
    ("anli", WET | {"uid": "u-2", "label": 2, "reason": ""}, WET | {"id": "u-2", "gold": "contradiction"}),
    ("conjnli", WET | {"label": 0}, WET | {"gold": "entailment"}),
    ("conjnli", WET | {"label": -1}, WET | {"gold": None}),
    ("conjnli", {"Premise": WET["premise"], "Hypothesis": WET["hypothesis"], "Label": "contradiction"}, WET | {
        "gold": "contradiction",
    }),
    ("conjnli", {"Premise": WET["premise"], "Hypothesis": WET["hypothesis"]}, WET | {"gold": None}),
    (
        "commonsense_qa",
        {
            "id": "c0", "question": "Where is bread baked?", "question_concept": "bread", "answerKey": "C",
            "choices": {"label": ["A", "B", "C", "D", "E"], "text": ["bed", "river", "oven", "shoe", "sky"]},
        },
        asked("Where is bread baked?", "bed", "river", "oven", "shoe", "sky", id="c0", gold="C"),
    ),
    (
        "commonsense_qa",
        {
            "id": "c1", "question": "Where do fish live?", "question_concept": "fish", "answerKey": "",
            "choices": {"label": ["A", "B"], "text": ["river", "oven"]},
        },
        asked("Where do fish live?", "river", "oven", id="c1", gold=None),
    ),
    (
        "commonsense_qa",
        {
            "id": "c2", "answerKey": "B",
            "question": {
                "question_concept": "fish", "stem": "Where do fish live?",
                "choices": [{"label": "A", "text": "oven"}, {"label": "B", "text": "river"}],
            },
        },
        asked("Where do fish live?", "oven", "river", id="c2", gold="B"),
    ),
    (
        "arc",
        {
            "id": "Own_1", "question": "What do plants take in?", "answerKey": "B",
            "choices": {"text": ["sand", "light", "noise", "glass"], "label": ["A", "B", "C", "D"]},
        },
        asked("What do plants take in?", "sand", "light", "noise", "glass", id="Own_1", gold="B"),
    ),
    (
        "arc",
        {
            "id": "Own_2", "question": "Which is the third planet?", "answerKey": "3",
            "choices": {"text": ["Mars", "Venus", "Earth", "Saturn"], "label": ["1", "2", "3", "4"]},
        },
        asked("Which is the third planet?", "Mars", "Venus", "Earth", "Saturn", id="Own_2", gold="C"),
    ),
    # A label that is the text of another option, and options that look like marks.
    (
        "arc",
        {
            "id": "Own_3", "question": "How many legs has a tripod?", "answerKey": "4",
            "choices": {"text": ["4", "2", "1", "3"], "label": ["1", "2", "3", "4"]},
        },
        asked("How many legs has a tripod?", "4", "2", "1", "3", id="Own_3", gold="D"),
    ),
    (
        "arc",
        {
            "id": "Own_4", "question": PLANK, "answerKey": "A",
            "choices": {"text": ["1.5 m", "2.5 m", "3.5 m", "4.5 m"], "label": ["A", "B", "C", "D"]},
        },
        asked(PLANK, "1.5 m", "2.5 m", "3.5 m", "4.5 m", id="Own_4", gold="A"),
    ),
    (
        "arc",
        {
            "id": "Own_5", "question": "Which letter comes first?", "answerKey": "A",
            "choices": {"text": ["A", "D", "C", "B"], "label": ["A", "B", "C", "D"]},
        },
        asked("Which letter comes first?", "A", "D", "C", "B", id="Own_5", gold="A"),
    ),
    (
        "arc",
        {
            "id": "Own_6", "question": "Which letter comes last?", "answerKey": "B",
            "choices": {"text": ["B", "D", "C", "A"], "label": ["A", "B", "C", "D"]},
        },
        asked("Which letter comes last?", "B", "D", "C", "A", id="Own_6", gold="B"),
    ),
    (
        "aqua_rat",
        {
            "question": "What is 3 times 7?", "options": ["A)20", "B)21", "C)24", "D)27", "E)None of these"],
            "rationale": "7 + 7 + 7 = 21\nAnswer is B.", "correct": "B",
        },
        asked(
            "What is 3 times 7?", "20", "21", "24", "27", "None of these", gold="B",
            rationale="7 + 7 + 7 = 21",
        ),
    ),
    # An option that stands there twice is put once: a wrong one, and the right one.
    (
        "aqua_rat",
        {
            "question": "Half of 18?", "options": ["A)8", "B)7", "C)8", "D)9", "E)10"], "rationale": "", "correct": "D",
        },
        asked("Half of 18?", "8", "7", "9", "10", gold="C"),
    ),
    (
        "aqua_rat",
        {
            "question": "Half of 18?", "options": ["A)8", "B)9", "C)7", "D)9 ", "E)10"],
            "rationale": "", "correct": "D",
        },
        asked("Half of 18?", "8", "9", "7", "10", gold="B"),
    ),
    ("samsum", {"id": "77", "dialogue": LAMP, "summary": MIA}, {
        "id": "77", "document": LAMP, "group": LAMP, "gold": MIA,
    }),
    ("dialogsum", {"id": "test_4_2", "dialogue": LAMP, "summary": MIA, "topic": "a lamp"}, {
        "id": "test_4_2", "document": LAMP, "group": LAMP, "gold": MIA,
    }),
    ("dialogsum", {"fname": "train_4", "dialogue": LAMP, "summary": MIA, "topic": "a lamp"}, {
        "id": "train_4", "document": LAMP, "group": LAMP, "gold": MIA,
    }),
    (
        "dialogsum",
        {
            "fname": "test_4", "dialogue": LAMP, "summary1": MIA, "topic1": "a lamp", "summary2": "The lamp is well.",
            "topic2": "lamps", "summary3": "It was unplugged.", "topic3": "light",
        },
        {"id": "test_4", "document": LAMP, "group": LAMP, "gold": MIA},
    ),
    (
        "chain_of_density",
        {
            "article": "The bridge over the Elm opened today.", "highlights": "A bridge opened.", "id": "f00",
            "prediction": ["This text is about a bridge.", "The Elm bridge opened."], "missing": ["bridge", "Elm"],
            "model": "gpt-4", "num_tokens": [6, 4], "num_entities": [1, 1], "entity_density": [0.16, 0.25],
        },
        {
            "document": "The bridge over the Elm opened today.", "group": "The bridge over the Elm opened today.",
            "gold": "A bridge opened.",
        },
    ),
    (
        "baize_quora",
        {
            "topic": "Why is tea hot?",
            "input": "The conversation between human and AI assistant.\n[|Human|] Hello!\n[|AI|] Hi!\nWhat is it?\n"
            "[|Human|] Why is tea hot?\n[|AI|] It is brewed hot.\n[|Human|] ",
        },
        {"messages": said("Hello!", "Hi!\nWhat is it?", "Why is tea hot?"), "gold": "It is brewed hot."},
    ),
    (
        "baize_quora",
        {"chat_sample": "A talk.\n[|Human|] Hello!\n[|AI|] Hi!\n[|Human|] ", "dataset_origin": "quora"},
        {"messages": said("Hello!"), "gold": "Hi!"},
    ),
    (
        "baize_quora",
        {"topic": "Tea", "input": "A talk.\n[|Human|] Hello!\n[|AI|] Hi!\n[|Human|] Tea?\n[|AI|] \n[|Human|] "},
        {"messages": said("Hello!"), "gold": "Hi!"},
    ),
    ("mt_bench", {"question_id": 7, "category": "writing", "turns": ["Write a rhyme.", "Now without an e."]}, {
        "id": 7, "messages": said("Write a rhyme."), "gold": None,
    }),
    (
        "mt_bench",
        {"question_id": 8, "category": "math", "turns": ["What is 2 + 2?", "And times 3?"], "reference": ["4", "12"]},
        {"id": 8, "messages": said("What is 2 + 2?"), "gold": None},
    ),
    ("openai_chat", {"messages": [SYSTEM, *said("What is a comma?", "A short pause.")]}, {
        "messages": [SYSTEM, *said("What is a comma?")], "gold": "A short pause.",
    }),
    (
        "openai_chat",
        {
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "And a dot?"}], "name": "Kim"},
                {"role": "assistant", "content": "A dash.", "weight": 0, "function_call": None, "tool_calls": None},
                {"role": "user", "content": "Sure?"},
                {"role": "assistant", "content": "No: an end.", "weight": 1},
            ]
        },
        {"messages": [SYSTEM, *said("And a dot?", "A dash.", "Sure?")], "gold": "No: an end."},
    ),
    ("alpaca", {"instruction": "Name a tea.", "input": "", "output": "Assam.", "text": "..."}, {
        "messages": said("Name a tea."), "gold": "Assam.",
    }),
    ("alpaca", {"instruction": "Shorten.", "input": "Tea is a hot drink.", "output": "Tea is hot."}, {
        "messages": said("Shorten.\n\nTea is a hot drink."), "gold": "Tea is hot.",
    }),
    ("alpaca", {"instruction": "Name a tea.", "output": "Assam."}, {"messages": said("Name a tea."), "gold": "Assam."}),
    ("dolly", {"instruction": "Shorten.", "context": "Tea is hot.", "response": "Hot.", "category": "summarization"}, {
        "messages": said("Shorten.\n\nTea is hot."), "gold": "Hot.",
    }),
    ("prompt_completion", {"prompt": "Name a tea.", "completion": "Assam."}, {
        "messages": said("Name a tea."), "gold": "Assam.",
    }),
    ("openai_chat", {"messages": said("Unanswered?")}, {"messages": said("Unanswered?"), "gold": None}),
]  # fmt: skip

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
        assert preset.task in tasks.names()
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
