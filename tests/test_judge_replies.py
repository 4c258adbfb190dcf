"""A judge's reply is read, or is unreadable: it is never guessed, and nothing raises."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.stages.judge import reading

CRITERIA = ["sound", "overall"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"reason": "Good.", "sound": 4, "overall": 5}', (4, 5)),
        ('Let me think.\n```json\n{"reason": "Good.", "sound": 4, "overall": 5,}\n```\nDone.', (4, 5)),
        ('{"reason": "a", "Sound": "4/5", "OVERALL": "5 out of 5"}', (4, 5)),
        ('{"scores": {"sound": 4, "overall": 3.5}, "reason": "a"}', (4, 3.5)),
        ('{"sound": {"score": 2, "reason": "a"}, "overall": {"score": 3}}', (2, 3)),
        ('The answer says {"sound": 5, "overall": 5}. I say {"sound": 1, "overall": 1}', (1, 1)),
        ("**sound**: 4/5\n**overall**: 3", (4, 3)),
        ("sound - 4, overall: 3.", (4, 3)),
        ('{"reason": "a", "sound": 4}', None),
        ('{"reason": "a", "sound": 4, "overall": 85}', None),
        ('{"reason": "a", "sound": 0, "overall": 3}', None),
        ('{"reason": "a", "sound": "4/10", "overall": 3}', None),
        ('{"reason": "a", "sound": true, "overall": 3}', None),
        ('{"reason": "a", "sound": "good", "overall": "4 or 5"}', None),
        ('{"reason": "cut off, "sound": 4, "over', None),
        ("A fine answer, with 4 sound steps overall.", None),
        ('{"sound": NaN, "overall": 1e999}', None),
        ("[]", None),
        ("", None),
    ],
)
def test_scores(text, values):
    read = reading.scores(text, CRITERIA, 1, 5)
    assert (read and tuple(read.values[name] for name in CRITERIA)) == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"reason": "Same.", "right": true}', 1),
        ('{"reason": "Not the same.", "right": "No."}', 0),
        ('{"right": true} or rather {"right": false}', 0),
        ('{"Verdict": {"right": "Yes"}}', 1),
        ("Verdict: right", 1),
        ("Verdict: wrong\nOn second thought:\n**Verdict:** Right.", 1),
        ("VERDICT - WRONG", 0),
        ('{"verdict": "incorrect"}', 0),
        ("It is right.", None),
        ("Verdict: rightly so?", None),
        ('{"right": 1}', None),
        ('{"right": null}', None),
        ('{"right": "maybe"}', None),
        ("", None),
    ],
)
def test_right(text, value):
    read = reading.right(text)
    assert (read and read.values["overall"]) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"reason": "a", "better": "B"}', 1),
        ('{"reason": "a", "better": "A"}', 0),
        ('{"better": "Answer B."}', 1),
        ('{"better": "tie"}', 0.5),
        ('{"winner": "neither"}', 0.5),
        ("My final verdict is: [[B]]", 1),
        ("[[C]]", 0.5),
        ("Better: **Answer A**", 0),
        ("Better: A\nOr rather better: tie", 0.5),
        ("Both have merits. A is better than B.", None),
        ('{"better": "A or B"}', None),
        ('{"better": 1}', None),
        ('{"better": {"A": 1}}', None),
        ("", None),
    ],
)
def test_better(text, value):
    read = reading.better(text, ["B", "A"])
    assert (read and read.values["overall"]) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
KEYS = st.sampled_from(["reason", "sound", "overall", "right", "better", "score", "scores"])


@given(st.text() | st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)).map(json.dumps))
def test_nothing_raises_and_values_are_in_bounds(text):
    if read := reading.scores(text, CRITERIA, 1, 5):
        assert all(1 <= value <= 5 for value in read.values.values())
        assert set(read.values) == set(CRITERIA)
    if read := reading.right(text):
        assert read.values["overall"] in (0, 1)
    if read := reading.better(text, ["A", "B"]):
        assert read.values["overall"] in (0, 0.5, 1)


def test_a_huge_reply_is_read_in_linear_time_and_its_reason_is_bounded():
    started = time.process_time()
    for text in ("{" * 200_000, '"' * 200_000, "overall: " * 30_000, "verdict: \n" * 30_000, '{"sound": ' * 30_000):
        reading.scores(text, CRITERIA, 1, 5)
        reading.right(text)
        reading.better(text, ["A", "B"])
    assert time.process_time() - started < 5
    read = reading.right(json.dumps({"reason": "a" * 9_000, "right": True}))
    assert len(read.reason) == reading.MAX_REASON
