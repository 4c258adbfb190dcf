"""Replies in JSON as models write them: what is read, what stays as it was written, and what is no JSON."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.answers.json_replies import (
    answer_object,
    find_json,
    parse_json,
    rationale_from_json,
    without_raw_json,
)
from potstill.tasks import Status
from potstill.tasks.registry import parse_task


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2]", [1, 2]), ('x {"a": 1} y', {"a": 1}), ('```json\n{"a": 1}\n```', {"a": 1}), ("```\n[1]\n``` and ```\n[2]\n```", [2]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}), ('x {"a": 1}y', {"a": 1}), ('{"a": 1} y', {"a": 1}),
        ("```\n[2]\n```", [2]), ("} {", None), ("{", None), ("none", None), ("NaN", None), ('x {"a": Infinity}', None),
        ("[" * 100_000, None), ('{"a": 1} {"b": 2}', {"b": 2}), ("{}", {}),
    ],
)  # fmt: skip
def test_json_in_a_text(text, value):
    assert parse_json(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"answer": 1}', {"answer": 1}), ('so {"rationale": "x", "answer": null}', {"rationale": "x", "answer": None}),
        ('{"a": 1}', None), ('{"\\u0061nswer": 1}', None), ('["answer"]', None), ('{"x": "\\"answer\\""}', None), ('"answer"', None),
    ],
)  # fmt: skip
def test_a_reply_in_json(text, value):
    assert answer_object(text) == value


@pytest.mark.parametrize(
    ("value", "rationale"),
    [(" x ", "x"), (["a ", "", " b"], "a\nb"), (None, ""), (5, ""), (["a", 5, None, " "], "a"), ({"a": "b"}, "")],
)
def test_the_rationale_of_a_reply_in_json(value, rationale):
    assert rationale_from_json(value) == rationale


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"s": "so \frac{3}{4} \times 8 = \boxed{6}"}', r"so \frac{3}{4} \times 8 = \boxed{6}"),
        (
            r'{"s": "\right) \rho \beta \theta \neq \nabla \underline{x}"}',
            r"\right) \rho \beta \theta \neq \nabla \underline{x}",
        ),
        (r'{"s": "\(x\) and \$5 and 50\% and \alpha"}', r"\(x\) and \$5 and 50\% and \alpha"),
        (r'{"s": "\\frac{3}{4} \\neq 1"}', r"\frac{3}{4} \neq 1"),
        (r'{"s": "\alpha \nu \tan x"}', r"\alpha \nu \tan x"),
        (r'{"s": "First.\nu = 3\tan apple"}', "First.\nu = 3\tan apple"),
        (r'{"s": "First.\nThen\tmore.\r\n\u00e9 \"x\" \/ it\'s"}', 'First.\nThen\tmore.\r\n\u00e9 "x" / it\'s'),
        ('{"s": "First.\nThen\tmore."}', "First.\nThen\tmore."),
        (r'{"s": "\ud83d\udc4d"}', "\U0001f44d"),
    ],
)
def test_a_string_means_what_was_written(text, value):
    assert parse_json(text) == {"s": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2,], "b": 3,}', {"a": [1, 2], "b": 3}), ("{'a': 'it's', 'b': 'say \"x\"'}", {"a": "it's", "b": 'say "x"'}),
        ("{'a': True, 'b': None, 'c': False}", {"a": True, "b": None, "c": False}), ("{“a”: “b “c” d”}", {"a": "b “c” d"}),
        ('{"a": 1, // one\n "b": 2 /* two */, # three\n}', {"a": 1, "b": 2}), ("{a: 1, b_2: 2}", {"a": 1, "b_2": 2}),
        ('{"a": "http://x.y/#z"}', {"a": "http://x.y/#z"}), ('The {set} holds {"a": 1} (in {EUR}).', {"a": 1}),
        ('~~~json\n{"a": 1}\n~~~', {"a": 1}), ('```JSON {"a": 1} ```', {"a": 1}), ('<json>{"a": 1}</json>', {"a": 1}),
        ('First {"a": 1}, corrected {"a": 2}', {"a": 2}), ('So [{"a": 1}, {"a": 2}] it is', [{"a": 1}, {"a": 2}]),
        ("['x', 'y',]", ["x", "y"]), ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)  # fmt: skip
def test_json_as_models_write_it(text, value):
    assert parse_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1', '{"a": [1, 2}', '{"a": 1 "b": 2}', '{"a": }', '{"a": 1, "b"}', '{"a": 12,50}', '{"a": 1 000}', '{"a": NaN}',
        '{"a": "x" y "z"}', '{"a": {"b": 1}, "c": 2', '{"a": "The "b" shop", "c": {"d": 1}}', "{'a', 'b'}", "I think {x, y} is a set",
        '[{"a": 1}, {"b": 2}',
    ],
)  # fmt: skip
def test_nothing_is_completed_or_guessed(text):
    assert parse_json(text) is None


def test_the_object_with_the_asked_keys_counts():
    text = 'Schema {"x": 0}. Result {"name": "Ann"}. Cost {"tokens": 5}.'
    assert parse_json(text, ["name"]) == {"name": "Ann"}
    assert parse_json(text) == {"tokens": 5}
    assert text[find_json(text, ["name"]).start :].startswith('{"name"')


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ('{"rationale": "a\nb", "answer": 7,}', {"rationale": "a\nb", "answer": 7}), ("{'reason': 'x', 'answer_choice': 'B'}", {"rationale": "x", "answer": "B"}),
        ('{"answer": 7}\nNo: {"answer": 8}', {"answer": 8}), ('{"answer": 7}\nNo: {"answer": 8', None), ('[{"answer": 7}]', {"answer": 7}),
        ('{"answer": 7} {"answer": {"x": 1}', None), ('{"rationale": "x", "items": [{"answer": 3}], "answer": 7', None),
        ('{"answer": 7} as in {"note": 1}', {"answer": 7}),
    ],
)  # fmt: skip
def test_the_last_reply_counts_and_a_cut_one_leaves_none(text, reply):
    assert answer_object(text) == reply


@pytest.mark.parametrize(
    ("rationale", "shown"),
    [
        ('{"rationale": "Half of 14.", "answer": 7', ""), ('I reason: {"rationale": "Half", "answer": 7', "I reason:"),
        ('```json\n{"reason": "x"', ""), ('{"steps": [1]}', ""), ("Half of {14} is 7.", "Half of {14} is 7."),
        ("[1] says so.", "[1] says so."), ("Plain.", "Plain."), (r"\frac{1}{2}", r"\frac{1}{2}"),
    ],
)  # fmt: skip
def test_a_rationale_is_never_raw_json(rationale, shown):
    assert without_raw_json(rationale) == shown


def test_a_reply_that_is_no_json_gives_no_rationale():
    for text in ('{"rationale": "7 + 8 = 15", "answer": 15', '{"rationale": "7 + 8 = 15"\n"answer": 15}'):
        parsed = parse_task("math").parse(text, "stop", {}, strict=False)
        assert (parsed.status, parsed.answer, parsed.rationale) == (Status.OK, "15", "")


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"}, "price": {"type": "number"}, "open": {"type": "boolean"}, "rooms": {"type": "integer"},
        "owner": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}  # fmt: skip
RECORD = {"city": "Oslo", "price": 30.5}


def score(text, gold=RECORD, *, strict=False, schema=SCHEMA):
    task = parse_task({"name": "extraction", "json_schema": schema})
    answer = task.parse(text, "stop", {"text": ""}, strict=strict).answer
    gold = task.parse_gold(gold, {})
    return answer and task.scores(answer, {"text": "", "gold": gold})["exact_record"]


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Oslo", "price": 30.5} (in {NOK})', "{'city': 'Oslo', 'price': 30.5,}", '[{"city": "Oslo", "price": 30.5}]',
        '{"result": {"city": "Oslo", "price": 30.5}}', '{"city": "Oslo", "price": 30.5, "comment": "cheap"}', '{"x": 1} {"city": "Oslo", "price": 30.5}',
        'Answer: {"city": "Oslo", "price": 30.5}. Not {"city": "Rome", "price": 1}.', '{"city": "Oslo", "price": 30.5, "owner": {"age": 7}}',
    ],
)  # fmt: skip
def test_a_record_in_the_words_of_a_model(text):
    assert score(text, strict=True) == 1.0
    assert score(text) == 1.0


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ('{"price": "30,50"}', {"price": 30.5}), ('{"price": "1.030,5"}', {"price": 1030.5}), ('{"open": "True"}', {"open": True}),
        ('{"rooms": "1,200"}', {"rooms": 1200}),
    ],
)  # fmt: skip
def test_text_in_the_place_of_a_number_is_read_leniently(text, gold):
    assert score(text, gold) == 1.0
    assert score(text, gold, strict=True) is None


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ('{"city": "1,5"}', {"city": "1.5"}), ('{"rooms": "2.5"}', {"rooms": 2}), ('{"open": "yes"}', {"open": True}),
        ('[{"city": "Oslo", "price": 30.5}, {"city": "Rome", "price": 1}]', RECORD), ('{"city": "Oslo", "price": 30.5', RECORD),
        ('{"city": "Oslo", "price": 30.5, "stars": 2}', {**RECORD, "stars": 3}),
    ],
)  # fmt: skip
def test_another_record_is_never_right(text, gold):
    assert not score(text, gold)


def test_a_field_that_the_schema_forbids_is_wrong():
    closed = {**SCHEMA, "additionalProperties": False}
    assert not score('{"city": "Oslo", "price": 30.5, "comment": "cheap"}', schema=closed)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=8,
    )
)
def test_valid_json_is_read_as_it_is(value):
    if "\\" not in (text := json.dumps(value, ensure_ascii=False)):
        assert parse_json(text) == value


PIECES = [
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "“",
    "”",
    ":",
    ",",
    "\\",
    "\\f",
    "/*",
    "//",
    "#",
    "answer",
    '"answer":',
    "1",
    " ",
    "\n",
    "```",
    "a",
    "True",
    "\ud800",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@settings(deadline=1000, max_examples=300)
def test_no_text_raises(text):
    parse_json(text)
    answer_object(text)
    without_raw_json(text)


@pytest.mark.parametrize(
    "piece", ["{", "[", '{"a":', "{'", "{“e5", '["', '"', "/*", "{a:", '{"a":1}', "{b}", "\\", "[{", '{"answer":', "{ "]
)
def test_hostile_texts_take_linear_time(piece):
    text = (piece * 100_000)[:100_000]
    began = time.process_time()
    parse_json(text)
    answer_object(text)
    without_raw_json(text)
    assert time.process_time() - began < 2  # three readings
