"""What the product concludes, from typed predictions to the summary, the verdict and the first lines of the report.

The tables of golden.py name the sources of their numbers; others are derived where they are used.
"""

import pytest

from golden import (
    TEST,
    WILSON,
    accuracy,
    assert_equal,
    comparison,
    concluded,
    in_words,
    line_of,
    metric,
    of_pair,
    pair,
    prediction,
    rows,
    split,
    summarize,
    system,
)
from potstill.recipe.evaluating import Evaluate
from potstill.stages.evaluate.compare import compare, finding
from potstill.tasks.math import Math


def test_better():
    """The student is correct on 36 + 12 = 48 of 50, the base on 36 + 2 = 38; 12 - 2 = 10 of 50 is a difference of 0.2."""
    values = of_pair(pair(36, 12, 2, 0))
    expected = split(
        {"student": system(48, 50, "student"), "base": system(38, 50, "base")},
        [comparison(36, 12, 2, 0, finding="better")],
    )
    assert_equal(values, expected)
    assert line_of(values) == (
        f"{TEST} (test, 50 questions) the student answers 96% correctly. Against base (76%) +20 [+6, +34] points: better."
    )


def test_worse():
    values = of_pair(pair(36, 2, 12, 0))
    expected = split(
        {"student": system(38, 50, "student"), "base": system(48, 50, "base")},
        [comparison(36, 2, 12, 0, finding="worse")],
    )
    assert_equal(values, expected)
    assert line_of(values) == (
        f"{TEST} (test, 50 questions) the student answers 76% correctly. Against base (96%) -20 [-34, -6] points: worse."
    )


def test_equivalent_within_the_margin():
    """Tango's one-sided limits of (3 - 2) / 400 lie within 0.05; with a margin of 0.009 the lower one does not."""
    values = of_pair(pair(290, 3, 2, 105))
    expected = split(
        {"student": system(293, 400, "student"), "base": system(292, 400, "base")},
        [comparison(290, 3, 2, 105, finding="equivalent")],
    )
    assert_equal(values, expected)
    assert line_of(values, "test_unseen").startswith(
        "On questions of a kind never trained on (test_unseen, 400 questions) the student answers 73% correctly. Against base "
        "(73%) +0 [-1, +2] points: equivalent"
    )
    (narrower,) = of_pair(pair(290, 3, 2, 105), margin=0.009)["comparisons"]
    assert narrower["finding"] == "not distinguishable"


def test_not_distinguishable():
    values = of_pair(pair(10, 7, 3, 20))
    expected = split(
        {"student": system(17, 40, "student"), "base": system(13, 40, "base")},
        [comparison(10, 7, 3, 20, finding="not distinguishable")],
    )
    assert_equal(values, expected)
    assert line_of(values).startswith(
        f"{TEST} (test, 40 questions) the student answers 42% correctly. Against base (32%) +10 [-6, +25] points: not "
        "distinguishable (about "
    )


def test_another_level_moves_every_interval_and_the_test():
    """At 90 percent: R's prop.test(48, 50, conf.level = 0.9, correct = FALSE), and method 10 with z = 1.6449. The p-value stays.
    A p of 0.0129 is significant at 98 percent, and not at 99."""
    values = of_pair(pair(36, 12, 2, 0), confidence=0.9)
    assert values["systems"]["student"]["metrics"]["accuracy"] == pytest.approx(
        metric(0.96, 0.8861, 0.986674), abs=1.1e-6
    )
    (compared,) = values["comparisons"]
    assert (compared["low"], compared["high"], compared["p_value"]) == pytest.approx(
        (0.081665, 0.317123, 0.012939), abs=1.1e-6
    )
    findings = [of_pair(pair(36, 12, 2, 0), confidence=c)["comparisons"][0]["finding"] for c in (0.9, 0.98, 0.99)]
    assert findings == ["better", "better", "not distinguishable"]


def test_strict_and_lenient_extraction_are_counted_apart():
    """One correct answer of the student is found only by lenient extraction: strict 47 of 50."""
    student, base = pair(36, 12, 2, 0)
    student[0]["scores"]["strict"] = 0.0
    metrics = of_pair((student, base))["systems"]["student"]["metrics"]
    assert_equal(metrics, {**accuracy(48, 50), "strict": metric(*WILSON[47, 50])})


@pytest.mark.parametrize(
    ("low", "high", "p", "within", "expected"),
    [
        (0.01, 0.2, 0.04, False, "better"),
        (-0.2, -0.01, 0.04, False, "worse"),
        (0.0, 0.2, 0.04, False, "not distinguishable"),  # the interval touches 0
        (-0.2, 0.0, 0.04, False, "not distinguishable"),
        (0.01, 0.2, 0.05, False, "not distinguishable"),  # the test does not agree
        (-0.2, -0.01, 0.06, False, "not distinguishable"),
        (0.001, 0.049, 0.06, True, "equivalent"),
        (-0.049, 0.049, 1.0, True, "equivalent"),
        (0.001, 0.049, 0.01, True, "better"),  # small, but shown
        (-0.049, -0.001, 0.01, True, "worse"),
    ],
)
def test_interval_and_test_must_agree(low, high, p, within, expected):
    shown = {"limit": 0.0, "p_value": 0.0, "shown": within}
    difference = {"low": low, "high": high, "not_worse": shown, "matched": shown}
    # 0.75 and 0.25 are exact in binary, so that the limits of the test are those that are meant.
    assert finding(difference, None, 5 * p, 0.75) == expected


@pytest.mark.parametrize("missing", ["not_worse", "matched"])
def test_equivalence_needs_both_one_sided_tests(missing):
    shown, not_shown = ({"limit": 0.0, "p_value": 0.0, "shown": is_shown} for is_shown in (True, False))
    difference = {"low": -0.1, "high": 0.1, "not_worse": shown, "matched": shown, missing: not_shown}
    assert finding(difference, None, 1.0, 0.95) == "not distinguishable"


def test_pairs_are_matched_by_id_not_by_position():
    student, base = pair(36, 12, 2, 0)
    compared = compare((student, base[::-1]), Math(), [], Evaluate())
    assert (compared["only_a"], compared["only_b"]) == (12, 2)


# Several systems of a role


def other(both, only_b):
    """Of 100 questions: ``both`` of the student's 90 and ``only_b`` of the other 10."""
    return rows((both, "correct"), (90 - both, "incorrect"), (only_b, "correct"), (10 - only_b, "incorrect"))


def several_systems(chosen, **others):
    tables = {
        "base-fewshot": other(60, 5), "base": other(70, 5), "student": rows((90, "correct"), (10, "incorrect")),
        "teacher-cot-fewshot": other(80, 5), "teacher-cot": other(88, 8),
    }  # fmt: skip
    return summarize(tables | others, Math(), chosen)


def test_the_verdict_names_the_systems_that_validation_chose():
    """Not those that happened to be the best on the test questions, which are base and teacher-cot."""
    values = several_systems({"base": "base-fewshot", "teacher": "teacher-cot-fewshot"})
    few = {"prompting": "fewshot"}, {"prompting": "cot-fewshot"}
    expected = split(
        {
            "base-fewshot": system(65, 100, "base", **few[0]),
            "base": system(75, 100, "base"),
            "student": system(90, 100, "student"),
            "teacher-cot-fewshot": system(85, 100, "teacher", **few[1]),
            "teacher-cot": system(96, 100, "teacher", prompting="cot"),
        },
        [
            comparison(60, 30, 5, 5, finding="better", b="base-fewshot"),
            comparison(70, 20, 5, 5, finding="better", chosen=False),
            comparison(80, 10, 5, 5, finding="not distinguishable", b="teacher-cot-fewshot", role="teacher"),
            comparison(88, 2, 8, 2, finding="not distinguishable", b="teacher-cot", role="teacher", chosen=False),
        ],
    )
    assert_equal(values, expected)
    assert line_of(values).startswith(
        f"{TEST} (test, 100 questions) the student answers 90% correctly. Against base-fewshot (65%) +25 [+14, +35] points: "
        "better. Against teacher-cot-fewshot (85%) +5 [-3, +13] points: not distinguishable; "
    )
    text = in_words({"test": values})
    assert "test: base-fewshot is the way of asking the base chosen on validation questions, of 2." in text
    assert "test: the student is better than every way of asking the base, p = 0.0041." in text


def test_better_than_every_way_of_asking_needs_every_test():
    """The student is better than the chosen way, and not distinguishable from the other."""
    values = several_systems({"base": "base-fewshot"}, base=other(88, 8))
    assert "Against base-fewshot (65%)" in in_words({"test": values})
    assert "every way of asking the base" not in in_words({"test": values})


def test_the_only_system_of_a_role_was_not_chosen():
    tables = {"base": other(70, 5), "student": rows((90, "correct"), (10, "incorrect")), "teacher-cot": other(88, 8)}
    assert line_of(summarize(tables, Math())).startswith(
        f"{TEST} (test, 100 questions) the student answers 90% correctly. Against base (75%) +15 [+5, +25] points: better. "
        "Against teacher-cot (96%) -6 [-13, +1] points: not distinguishable; "
    )


def test_the_verdict_is_silent_about_a_teacher_that_was_never_asked_to_reason_without_examples():
    student = rows((90, "correct"), (10, "incorrect"))
    for asked in ("teacher-direct", "teacher-cot-fewshot"):
        text = in_words({"test": summarize({"student": student, asked: other(70, 5)}, Math())})
        assert (
            "the student is not compared with the teacher: the teacher was never asked to reason without solved" in text
        )
        assert "better" not in text


# Questions without gold, small tests, extremes


def test_rows_without_gold_are_left_out_and_counted():
    student, base = pair(36, 12, 2, 0)
    for i in (50, 51, 52):
        for table in (student, base):
            table.insert(0, prediction(i, "answered", gold=None))
    values = of_pair((student, base))
    assert values["without_gold"] == 3
    assert_equal(values["comparisons"], [comparison(36, 12, 2, 0, finding="better")])
    assert_equal(values["systems"]["student"], system(48, 50, "student"))


@pytest.mark.parametrize(
    ("outcome", "k", "words"),
    [
        (
            "correct",
            6,
            "every system answered all questions correctly: harder questions are needed to distinguish the systems.",
        ),
        (
            "incorrect",
            0,
            "no system answered any question correctly: easier questions are needed to distinguish the systems.",
        ),
    ],
)
def test_all_correct_and_all_incorrect(outcome, k, words):
    table = (k, 0, 0, 6 - k)
    values = of_pair((rows((6, outcome)), rows((6, outcome))))
    expected = split(
        {"student": system(k, 6, "student"), "base": system(k, 6, "base")},
        [comparison(*table, finding="not distinguishable")],
    )
    assert_equal(values, expected)
    assert line_of(values) == (
        f"{TEST} (test, 6 questions) the student answers {k / 6:.0%} correctly. Against base ({k / 6:.0%}) +0 [-39, +39] points: "
        "not distinguishable."
    )
    assert f"test: {words}" in in_words({"test": values})


def test_a_student_alone_needs_no_comparison_and_no_caution():
    values = summarize({"student": rows((6, "correct"))}, Math())
    assert_equal(values, split({"student": system(6, 6, "student")}, []))
    assert line_of(values) == f"{TEST} (test, 6 questions) the student answers 100% correctly."
    values = summarize({"student": rows((6, "incorrect"))}, Math())
    assert line_of(values) == f"{TEST} (test, 6 questions) the student answers 0% correctly."
    assert "harder" not in in_words({"test": values})


def test_a_split_without_the_student():
    values = summarize({"base": rows((6, "correct"))}, Math())
    assert_equal(values, split({"base": system(6, 6, "base")}, []))
    assert line_of(values) == f"{TEST} (test) the student was not evaluated."


def test_the_verdict_has_both_splits_in_order():
    first, second = of_pair(pair(36, 12, 2, 0)), of_pair(pair(36, 2, 12, 0))
    lines = concluded({"test_unseen": first, "test": second})["verdict"]["lines"]
    assert lines[1:] == [line_of(first, "test_unseen"), line_of(second)]
