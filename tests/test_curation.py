"""Which rows the student is trained on: correctness with and without gold, duplicates, held-out questions, lengths, limits."""

import random

import pytest

from potstill.errors import PotstillError
from potstill.recipe import loading
from potstill.recipe.curating import Filter
from potstill.stages.curate import agreements, curate, first_failure, in_words, is_correct
from potstill.tasks.math import Math
from potstill.tasks.summarization import Summarization
from potstill.workspace import artifacts
from potstill.workspace.artifacts import CURATED, GENERATED
from potstill.workspace.run import Run

RECIPE = """\
name: curated
task: math
teacher: {{model: {{url: "http://127.0.0.1:9", model: t}}}}
student: {{model: "{student}"}}
{more}
"""
MATH = Math()


def example(id_, split="train", question=None, gold="7", **columns):
    row = dict.fromkeys(("system", "prompt", "rationale", "logged", "origin"))
    return row | {"id": id_, "split": split, "group": id_, "gold": gold, "question": question or f"q{id_}"} | columns


def generated(id_, answer="7", *, sample=0, status=None, finish_reason="stop", rationale="so"):
    return {
        "id": id_, "sample": sample, "messages": [], "text": "t", "reasoning": "", "rationale": rationale, "answer": answer,
        "status": status or ("unparseable" if answer is None else "ok"), "rule": "", "finish_reason": finish_reason,
        "prompt_tokens": 1, "cached_tokens": 0, "completion_tokens": 1, "reasoning_tokens": 0, "logprobs": "", "model": "t",
        "key": "", "error": None,
    }  # fmt: skip


@pytest.fixture
def curated(tmp_path, tiny_folder):
    """The rows that curation writes."""

    def curated(examples, rows, more=""):
        data = (
            "" if "data:" in more else "data: {source: word_problems, train: 1, validation: 1, test: 1, test_unseen: 1}"
        )
        recipe = loading.parse(RECIPE.format(student=tiny_folder, more=f"{data}\n{more}"))
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        run.write(artifacts.examples(recipe.task), examples)
        run.write(GENERATED, rows)
        curate(recipe, run)
        return run.read(CURATED)

    return curated


def reasons(rows):
    return [row["reason"] for row in rows]


# Correctness


@pytest.mark.parametrize(
    ("answer", "gold", "agreed", "correct"),
    [
        ("7", "7", None, True),
        ("7.0", "7", None, True),
        ("8", "7", None, False),
        (None, "7", None, False),
        ("8", "7", 1.0, False),  # gold decides, whatever the samples agree on
        ("7", "7", 0.1, True),
        ("8", None, None, None),
        ("8", None, 0.5, False),  # half is no majority
        ("8", None, 0.51, True),
        ("8", None, 0.0, False),
        ("8", None, 1.0, True),
    ],
)
def test_gold_decides_and_without_it_a_majority_of_samples(answer, gold, agreed, correct):
    assert is_correct(MATH, answer, example("1", gold=gold), agreed) is correct


def test_nothing_is_correct_where_no_score_decides():
    assert is_correct(Summarization(), "a summary", {"gold": "a summary"}, 1.0) is None


def test_agreement_is_the_fraction_of_a_questions_samples_with_an_equivalent_answer():
    """Of question 1 three samples say 7 (one as 7.0), one says 8 and one nothing; of question 2 there is one sample."""
    rows = [generated("1", answer, sample=i) for i, answer in enumerate(("7", "7.0", "8", None, "7"))]
    rows.insert(2, generated("2", "7"))
    assert agreements(MATH, rows) == [0.6, 0.6, None, 0.2, 0.0, 0.6]
    assert agreements(Summarization(), rows) == [None] * 6


def test_without_gold_rows_of_the_minority_are_dropped(curated):
    rows = curated(
        [example("1", gold=None)],
        [generated("1", answer, sample=i, rationale=f"r{i}") for i, answer in enumerate("7787")],
    )
    assert reasons(rows) == ["", "", "correct", ""]
    assert [(row["agreement"], row["correct"]) for row in rows] == [
        (0.75, True),
        (0.75, True),
        (0.25, False),
        (0.75, True),
    ]


def test_a_single_sample_without_gold_is_kept_unchecked(curated):
    (row,) = curated([example("1", gold=None)], [generated("1")])
    assert (row["correct"], row["agreement"], row["kept"]) == (None, None, True)


# Checks in their order


ALL_PASS = {
    Filter.PARSED: True, Filter.FINISHED: True, Filter.CORRECT: True, Filter.DUPLICATE: False, Filter.IN_TEST_SET: False,
    Filter.GROUP_IN_TEST_SET: False, Filter.TOO_LONG: False,
}  # fmt: skip


@pytest.mark.parametrize("failing", list(Filter))
def test_each_check_can_fail_and_can_be_left_out(failing):
    labels = ALL_PASS | {failing: not ALL_PASS[failing]}
    assert first_failure(ALL_PASS, list(Filter)) == ""
    assert first_failure(labels, list(Filter)) == failing.value
    assert first_failure(labels, [f for f in Filter if f is not failing]) == ""
    assert first_failure(labels | {failing: None}, list(Filter)) == ""


def test_the_reason_is_the_first_check_in_the_recipes_order_that_fails():
    labels = ALL_PASS | {Filter.FINISHED: False, Filter.TOO_LONG: True}
    assert first_failure(labels, [Filter.TOO_LONG, Filter.FINISHED]) == "too-long"
    assert first_failure(labels, [Filter.FINISHED, Filter.TOO_LONG]) == "finished"


def test_reasons_in_words():
    assert [in_words(f.value) for f in Filter] == [
        "not parsed", "not finished", "not correct", "duplicate", "in-test-set",
        "group-in-test-set", "too-long",
    ]  # fmt: skip
    assert in_words("max-rows") == "max-rows"


def test_a_row_for_each_reason(curated):
    """The student's prompt of q1 is "user:q1;a:", 10 bytes; with "so\\nAnswer: 7", 12 bytes, and the end token 23 tokens."""
    examples = [example(str(i)) for i in range(7)]
    examples += [example("v", "validation", "q4"), example("t", "test", " Q5  "), example("u", "test_unseen", "q6")]
    rows = [
        generated("0"),
        generated("1", None),
        generated("2", finish_reason="length"),
        generated("3", "8"),
        generated("0"),
        generated("4"),
        generated("5"),
        generated("6"),
    ]
    rows = curated(examples, rows)
    assert reasons(rows) == [
        "",
        "parsed",
        "finished",
        "correct",
        "duplicate",
        "in-test-set",
        "in-test-set",
        "in-test-set",
    ]
    assert [row["kept"] for row in rows] == [True] + [False] * 7
    assert rows[0]["student_messages"] == [{"role": "user", "content": "q0"}]
    assert (rows[0]["completion"], rows[0]["tokens"]) == ("so\nAnswer: 7", 23)
    assert (rows[1]["completion"], rows[1]["parsed"], rows[1]["correct"]) == ("", False, False)
    assert (rows[2]["finished"], rows[4]["duplicate"], rows[5]["in_test_set"]) == (False, True, True)


FILES = "data: {source: files, train: train.jsonl, test: test.jsonl}"


def test_a_row_whose_group_is_in_a_test_split_is_dropped(curated):
    """A premise, passage or chat that stands in both files: other questions about it are not new."""
    examples = [example("1", group="passage"), example("2", group="other"), example("t", "test", group="passage")]
    rows = curated(examples, [generated("1"), generated("2")], FILES)
    assert reasons(rows) == ["group-in-test-set", ""]
    assert [row["group_in_test_set"] for row in rows] == [True, False]
    kept = "curate: {filters: [parsed, finished, correct, duplicate, in-test-set, too-long]}"
    assert reasons(curated(examples, [generated("1"), generated("2")], f"{FILES}\n{kept}")) == ["", ""]


def test_word_problems_of_the_test_split_have_the_templates_of_training_on_purpose(curated):
    examples = [example("1", group="share"), example("t", "test", group="share")]
    assert reasons(curated(examples, [generated("1")])) == [""]


def test_a_question_of_the_training_split_is_not_held_out(curated):
    rows = curated(
        [example("1", question="same"), example("2", question="same")], [generated("1"), generated("2", "7.0")]
    )
    assert reasons(rows) == ["", ""]


@pytest.mark.parametrize(("limit", "reason"), [(22, "too-long"), (23, "")])
def test_rows_longer_than_the_limit_are_too_long(curated, limit, reason):
    """23 tokens, as counted above."""
    rows = curated(
        [example("1"), example("2", question="q")], [generated("1"), generated("2")], f"train: {{max_length: {limit}}}"
    )
    assert reasons(rows) == [reason, ""]  # the other question is a byte shorter
    assert [row["too_long"] for row in rows] == [bool(reason), False]


def test_rationales_are_trained_on_only_by_conditions_that_say_so(curated):
    (row,) = curated([example("1")], [generated("1", rationale="because")], "condition: cot-answer")
    assert row["completion"] == "7"
    (row,) = curated([example("1")], [generated("1", rationale="because")], "condition: cot-rationale")
    assert row["completion"] == "because\nAnswer: 7"


# The limit on rows


def test_max_rows_keeps_that_many_drawn_by_seed(curated):
    examples = [example(str(i)) for i in range(9)]
    rows = [generated(str(i), "8" if i == 0 else "7") for i in range(9)]
    drawn = {}
    for seed in (1, 2):
        result = curated(examples, rows, f"curate: {{max_rows: 3}}\nseed: {seed}")
        assert sorted(reasons(result)) == [""] * 3 + ["correct"] + ["max-rows"] * 5
        assert reasons(result)[0] == "correct"
        assert [row["kept"] for row in result] == [row["reason"] == "" for row in result]
        drawn[seed] = [row["id"] for row in result if row["kept"]]
        # Python's own sample of the five that are dropped among the eight that passed.
        dropped = random.Random(seed).sample([str(i) for i in range(1, 9)], 5)
        assert set(drawn[seed]) == {str(i) for i in range(1, 9)} - set(dropped)
    assert drawn[1] != drawn[2]


@pytest.mark.parametrize("most", [2, 3])
def test_max_rows_drops_nothing_where_no_more_are_kept(curated, most):
    rows = curated([example("1"), example("2")], [generated("1"), generated("2")], f"curate: {{max_rows: {most}}}")
    assert reasons(rows) == ["", ""]


def test_per_question_keeps_the_first_samples_of_each_question(curated):
    """Before max_rows; samples that fail a check do not count."""
    rows = [generated("1", answer, sample=i, rationale=f"r{i}") for i, answer in enumerate("78777")]
    rows.append(generated("2"))
    limited = curated([example("1"), example("2")], rows, "curate: {per_question: 2}")
    assert reasons(limited) == ["", "correct", "", "per-question", "per-question", ""]
    limited = curated([example("1"), example("2")], rows, "curate: {per_question: 1, max_rows: 1}")
    assert sorted(reasons(limited)) == ["", "correct", "max-rows", *["per-question"] * 3]


def test_a_row_that_is_dropped_makes_no_other_a_duplicate(curated):
    """A cut text with a finished answer, and then a finished one with the same."""
    rows = [generated("1", finish_reason="length"), generated("1", sample=1), generated("1", sample=2)]
    assert reasons(curated([example("1")], rows, "condition: cot-answer")) == ["finished", "", "duplicate"]


def test_no_row_left_is_an_error(curated):
    with pytest.raises(PotstillError, match="No row is left to train on"):
        curated([example("1")], [generated("1", "8")])
