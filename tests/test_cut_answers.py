"""Cut texts: a finished answer counts, a loop is `repeating`, anything else is `truncated`."""

import json

import pytest

from potstill.models import repetition
from potstill.tasks import Status
from potstill.tasks.registry import parse_task

PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}, "required": ["name"]}
MATH = {"name": "math"}
CHOICE = {"name": "multiple_choice"}
LABELS = {"name": "classification", "labels": ["good", "very good", "bad"]}
SEVERAL = {**LABELS, "multi": True}
EXTRACTION = {"name": "extraction", "json_schema": PERSON}
CUSTOM = {"name": "custom", "prompts": {"plain": "{{ text }}"}}
EXAMPLE = {
    "question": "Which?", "options": ["a shed", "a bird"], "gold": "", "text": "t", "document": "d", "premise": "p",
    "hypothesis": "h", "messages": [],
}  # fmt: skip
LOOP = "She adds 12 and 12, which is 24 apples.\n" * 9


def parse(task, text, finish="length", *, strict=True):
    return parse_task(task).parse(text, finish, EXAMPLE, strict=strict)


@pytest.mark.parametrize(
    ("task", "text", "answer", "rule"),
    [
        (MATH, "6 * 2 = 12\nAnswer: 12\n", "12", "answer-line"),
        (MATH, "6 * 2 = 12\nAnswer: 12\nAnother way is", "12", "answer-line"),
        (MATH, "Answer: 12\n\nLet me check it.\nAnswer: 1", "12", "answer-line"),
        (MATH, "so it is $\\boxed{12}$, as", "12", "boxed"),
        (MATH, "so it is $\\boxed{12}", "12", "boxed"),
        (MATH, '{"rationale": "6 * 2", "answer": 12}', "12", "json"),
        (MATH, '```json\n{"answer": 12}\n```\nThat is', "12", "json"),
        ({"name": "nli"}, "It follows.\nAnswer: entailment\nThe pre", "entailment", "answer-line"),
        (CHOICE, "It sings.\nAnswer: B) a bird\nA shed does", "B", "answer-line"),
        (LABELS, "Answer: very good\nThe text", "very good", "answer-line"),
        (SEVERAL, "Answer: good, bad\nThe text", "good, bad", "answer-line"),
        (EXTRACTION, '{"name": "Ada", "n": 2}\n\nThe name', '{"name": "Ada", "n": 2}', "json"),
        (EXTRACTION, 'Answer: {"name": "Ada"}\nThe name', '{"name": "Ada"}', "answer-line"),
        (CUSTOM, "Paris is a city.\nAnswer: Paris\nIt li", "Paris", "answer-line"),
        ({**CUSTOM, "answer_pattern": r"#### (\d+)"}, "so\n#### 12\nand", "12", "pattern"),
        ({**CUSTOM, "json_schema": {"type": "integer"}}, "Answer: 12\nand", "12", "answer-line"),
    ],
)  # fmt: skip
def test_a_finished_answer_of_a_cut_text_counts(task, text, answer, rule):
    for finish in ("length", "repeating"):
        for strict in (True, False):
            parsed = parse(task, text, finish, strict=strict)
            same = (
                json.loads(parsed.answer) == json.loads(answer) if answer.startswith("{") else parsed.answer == answer
            )
            assert (parsed.status, same, parsed.rule) == (Status.OK, True, rule)


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (MATH, ""),
        (MATH, "12"),
        (MATH, "12\n"),
        (MATH, "6 * 2 = 12\nAnswer: 1"),
        (MATH, "6 * 2 = 12\nAnswer: 12 "),
        (MATH, "6 * 2 = 12\nAnswer:\n"),
        (MATH, "so it is $\\boxed{12"),
        (MATH, "Answer: \\frac{1}{2"),
        (MATH, '{"rationale": "6 * 2", "answer": 12'),
        (MATH, "so she has 12 apples.\nThen she"),
        ({"name": "nli"}, "neutral\n"),
        (CHOICE, "Answer: B"),
        (CHOICE, "B"),
        (LABELS, "Answer: very"),
        (LABELS, "good"),
        (LABELS, "good\n"),
        (SEVERAL, "good\n"),
        (SEVERAL, "good, bad\n"),
        (EXTRACTION, '{"name": "Ada", "n": 2'),
        (EXTRACTION, 'Answer: {"name": "Ada",\n "n": 2'),
        (CUSTOM, "Paris"),
        (CUSTOM, "Paris\n"),
        ({**CUSTOM, "answer_pattern": r"\d+"}, "so 12\nand"),
        ({**CUSTOM, "answer_pattern": r"(\d+)\s*$"}, "so 12\n"),
        ({**CUSTOM, "json_schema": {"type": "integer"}}, "12"),
        ({**CUSTOM, "json_schema": {"type": "integer"}}, "12\n"),
        ({"name": "summarization"}, "A summary of the text.\nIt"),
        ({"name": "conversation"}, "Hello!\nHow are"),
    ],
)
def test_an_answer_that_the_cut_may_have_split_does_not_count(task, text):
    for strict in (True, False):
        parsed = parse(task, text, strict=strict)
        assert (parsed.status, parsed.answer) == (Status.TRUNCATED, None)
        assert parse(task, text, "repeating", strict=strict).status is Status.REPEATING


@pytest.mark.parametrize(
    "task", [MATH, CHOICE, LABELS, EXTRACTION, CUSTOM, {"name": "summarization"}, {"name": "conversation"}]
)
def test_a_cut_loop_is_repeating(task):
    parsed = parse(task, LOOP[:-5])
    assert (parsed.status, parsed.answer) == (Status.REPEATING, None)


COUNTING = {
    "days": "".join(f"On day {n} she reads 3 * {n} = {3 * n} pages.\n" for n in range(1, 40)),
    "doubling": "He earns 3 dollars. "
    + "".join(f"He earns {2**n} * 2 = {2 ** (n + 1)} dollars. " for n in range(1, 40)),
    "list": "".join(f"{n}. Now we add 12 to {n * 12}, which is {12 * n + 12}.\n" for n in range(1, 40)),
}


@pytest.mark.parametrize("name", COUNTING)
def test_a_cut_text_that_only_counts_on_is_repeating_but_is_not_ended_for_it(name):
    """A table may count on as well: numbers are taken as equal only where the limit has ended the text."""
    text = COUNTING[name]
    assert parse(MATH, text).status is Status.REPEATING
    assert parse(MATH, text[:-7]).status is Status.REPEATING
    assert not repetition.repeated_period(text)
    assert parse(MATH, text[:90]).status is Status.TRUNCATED
    assert parse(MATH, text, "stop", strict=False).answer is not None


def test_numbers_in_varied_sentences_are_no_loop():
    kinds = (
        "apples",
        "pears",
        "plums",
        "lemons",
        "peaches",
        "figs",
        "dates",
        "grapes",
        "limes",
        "nuts",
        "beans",
        "leeks",
    )
    text = "".join(
        f"With {n} {kind} more she has {30 * n} things in {kind[:3]} boxes. " for n, kind in enumerate(kinds)
    )
    assert parse(MATH, text).status is Status.TRUNCATED


def test_an_answer_before_the_loop_counts():
    assert parse(MATH, "Answer: 24\n" + LOOP[:-5]).answer == "24"
    assert parse(MATH, "Answer: 24\n" * 40).answer == "24"


def test_a_text_that_ended_by_itself_is_no_loop():
    assert parse(MATH, LOOP, "stop", strict=False).answer == "24"
    assert parse({"name": "conversation"}, LOOP, "stop").status is Status.OK


def test_only_the_requested_form_is_read_in_a_cut_text():
    assert parse(MATH, "12 apples are left.\nThat", "stop", strict=False).answer == "12"
    assert parse(MATH, "12 apples are left.\nThat", strict=False).status is Status.TRUNCATED
