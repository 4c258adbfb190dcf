"""What the product concludes, from typed predictions to the summary, the verdict and the first lines of the report.

Sources of the expected numbers, none of which comes from potstill:

- WILSON: R's ``prop.test(k, n, correct = FALSE)$conf.int``, which is scipy's ``binomtest(k, n).proportion_ci(method="wilson")``.
- NEWCOMBE: method 10 of Newcombe 1998, Statistics in Medicine 17:2635, with limits found by root finding
  (``newcombe_10`` in test_stats_paired.py); 36, 12, 2, 0 is printed there as 0.0569 to 0.3404.
- p-values: integers, 2 * sum(comb(n, k) for k up to the smaller count) / 2^n.
- accuracies, differences, means: by hand, derived where they are used.
"""

import pytest

from golden import assert_equal, metric, pair, prediction, rows
from potstill.recipe.recipe import Evaluate
from potstill.recipe.systems import System
from potstill.stages.evaluate.summary import compare, find_difference, summary
from potstill.stages.evaluate.verdict import detectable_difference, of_split, strongest, verdict
from potstill.tasks.math import Math

WILSON = {
    (48, 50): (0.96, 0.865399, 0.988961), (47, 50): (0.94, 0.837829, 0.979385), (38, 50): (0.76, 0.625873, 0.857026),
    (50, 50): (1.0, 0.928652, 1.0), (293, 400): (0.7325, 0.687059, 0.773518), (292, 400): (0.73, 0.684457, 0.771167),
    (17, 40): (0.425, 0.285094, 0.578049), (13, 40): (0.325, 0.200845, 0.479823), (90, 100): (0.9, 0.825634, 0.944771),
    (75, 100): (0.75, 0.656955, 0.824548), (65, 100): (0.65, 0.552544, 0.736358), (96, 100): (0.96, 0.901629, 0.984337),
    (85, 100): (0.85, 0.767164, 0.90694), (6, 6): (1.0, 0.609666, 1.0), (0, 6): (0.0, 0.0, 0.390334),
    (3, 4): (0.75, 0.300642, 0.954413), (1, 4): (0.25, 0.045587, 0.699358), (2, 4): (0.5, 0.150039, 0.849961),
}  # fmt: skip
NEWCOMBE = {
    (36, 12, 2, 0): (0.05693, 0.340428), (36, 2, 12, 0): (-0.340428, -0.05693), (290, 3, 2, 105): (-0.010187, 0.015267),
    (10, 7, 3, 20): (-0.057957, 0.250092), (48, 0, 2, 0): (-0.134601, 0.037001), (48, 2, 0, 0): (-0.037001, 0.134601),
    (38, 10, 2, 0): (0.024695, 0.296404), (70, 20, 5, 5): (0.053147, 0.246845), (60, 30, 5, 5): (0.140044, 0.354366),
    (88, 2, 8, 2): (-0.133792, 0.006585), (80, 10, 5, 5): (-0.030004, 0.132395), (6, 0, 0, 0): (-0.390334, 0.390334),
    (0, 0, 0, 6): (-0.390334, 0.390334),
}  # fmt: skip
P = {
    (12, 2): 0.012939,  # 2 * (1 + 14 + 91) / 2^14
    (3, 2): 1.0,  # 2 * (1 + 5 + 10) / 2^5
    (7, 3): 0.34375,  # 2 * (1 + 10 + 45 + 120) / 2^10
    (2, 0): 0.5,  # 2 * 1 / 2^2
    (10, 2): 0.038574,  # 2 * (1 + 12 + 66) / 2^12
    (20, 5): 0.004077,  # 2 * (1 + 25 + 300 + 2300 + 12650 + 53130) / 2^25
    (30, 5): 0.0000224,  # 2 * (1 + 35 + 595 + 6545 + 52360 + 324632) / 2^35
    (8, 2): 0.109375,  # 2 * (1 + 10 + 45) / 2^10
    (10, 5): 0.301758,  # 2 * (1 + 15 + 105 + 455 + 1365 + 3003) / 2^15
    (0, 0): 1.0,
}
STUDENT, BASE = System.STUDENT, System.BASE
TEST = "On new questions of the kind trained on"


def accuracy(k, n):
    """The three metrics of a system with k correct answers of n, where both kinds of extraction find them."""
    return dict.fromkeys(("accuracy", "strict", "lenient"), metric(*WILSON[k, n]))


def system(k, n, role, outcomes=None):
    return {
        "role": role, "n": n, "outcomes": outcomes or {o: m for o, m in (("correct", k), ("incorrect", n - k)) if m},
        "metrics": accuracy(k, n), "tokens_per_answer": 11, "seconds_per_answer": 0.2,
    }  # fmt: skip


def difference(*table):
    _, only_a, only_b, _ = table
    low, high = NEWCOMBE[table]
    return {
        "only_a": only_a, "only_b": only_b, "difference": (only_a - only_b) / sum(table), "low": low, "high": high,
        "p_value": P[max(only_a, only_b), min(only_a, only_b)],
    }  # fmt: skip


def comparison(*table, finding, b="base", role="base", truncated=None):
    return {"a": "student", "b": b, "role": role, "finding": finding, "truncated_as_correct": truncated} | difference(
        *table
    )


def of_pair(predictions, **options):
    return summary(dict(zip((STUDENT, BASE), predictions, strict=True)), Math(), Evaluate(**options))


SMALL_50 = " With 50 questions this test is too small to show differences of less than about 15 points; use more."
"""1.96 * sqrt(0.3 / 50) = 0.1518."""


def test_better():
    """The student is correct on 36 + 12 = 48 of 50, the base on 36 + 2 = 38; 12 - 2 = 10 of 50 is a difference of 0.2."""
    values = of_pair(pair(36, 12, 2, 0))
    expected = {
        "systems": {"student": system(48, 50, "student"), "base": system(38, 50, "base")},
        "comparisons": [comparison(36, 12, 2, 0, finding="better")],
        "without_gold": 0,
    }
    assert_equal(values, expected)
    assert verdict({"test": values}) == (
        f"{TEST} (test, 50 questions) the student answers 96% correctly [87, 99]; compared with base (76%) it is better: "
        f"+20 [+6, +34] points, p = 0.013.{SMALL_50}"
    )


def test_worse():
    values = of_pair(pair(36, 2, 12, 0))
    expected = {
        "systems": {"student": system(38, 50, "student"), "base": system(48, 50, "base")},
        "comparisons": [comparison(36, 2, 12, 0, finding="worse")],
        "without_gold": 0,
    }
    assert_equal(values, expected)
    assert verdict({"test": values}) == (
        f"{TEST} (test, 50 questions) the student answers 76% correctly [63, 86]; compared with base (96%) it is worse: "
        f"-20 [-34, -6] points, p = 0.013.{SMALL_50}"
    )


def test_equal_within_the_margin():
    """-0.010 to +0.015 lies within 0.05, and 400 questions need no caution; with a margin of 0.015 it does not."""
    values = of_pair(pair(290, 3, 2, 105))
    expected = {
        "systems": {"student": system(293, 400, "student"), "base": system(292, 400, "base")},
        "comparisons": [comparison(290, 3, 2, 105, finding="equal")],
        "without_gold": 0,
    }
    assert_equal(values, expected)
    assert verdict({"test_unseen": values}) == (
        "On questions of a kind never trained on (test_unseen, 400 questions) the student answers 73% correctly [69, 77]; "
        "compared with base (73%) it is equal within the margin: +0 [-1, +2] points, p = 1."
    )
    (narrower,) = of_pair(pair(290, 3, 2, 105), margin=0.015)["comparisons"]
    assert narrower["finding"] == "not distinguishable"


def test_not_distinguishable():
    values = of_pair(pair(10, 7, 3, 20))
    expected = {
        "systems": {"student": system(17, 40, "student"), "base": system(13, 40, "base")},
        "comparisons": [comparison(10, 7, 3, 20, finding="not distinguishable")],
        "without_gold": 0,
    }
    assert_equal(values, expected)
    assert verdict({"test": values}) == (
        f"{TEST} (test, 40 questions) the student answers 42% correctly [29, 58]; compared with base (32%) it is not "
        "distinguishable: +10 [-6, +25] points, p = 0.34. With 40 questions this test is too small to show differences of "
        "less than about 17 points; use more."  # 1.96 * sqrt(0.3 / 40) = 0.1697
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


# Truncated answers


def test_a_finding_that_truncated_answers_could_change_is_withdrawn():
    """All 12 answers of the base where only the student is correct are truncated. Counted as correct the table is 48, 0, 2, 0."""
    values = of_pair(pair(36, 12, 2, 0, of_only_a="truncated"))
    expected = {
        "systems": {
            "student": system(48, 50, "student"),
            "base": system(38, 50, "base", {"correct": 38, "truncated": 12}),
        },
        "comparisons": [
            comparison(36, 12, 2, 0, finding="not distinguishable", truncated=difference(48, 0, 2, 0)),
        ],
        "without_gold": 0,
    }
    assert_equal(values, expected)
    assert verdict({"test": values}) == (
        f"{TEST} (test, 50 questions) the student answers 96% correctly [87, 99]; compared with base (76%) it is not "
        "distinguishable: +20 [+6, +34] points, p = 0.013 (-4 [-13, +4] if every truncated answer counted as correct)."
        f"{SMALL_50}"
    )


def test_truncated_answers_of_the_student_count_as_well():
    (compared,) = of_pair(pair(36, 2, 12, 0, of_only_b="truncated"))["comparisons"]
    assert_equal(compared, comparison(36, 2, 12, 0, finding="not distinguishable", truncated=difference(48, 2, 0, 0)))


def test_a_finding_that_truncated_answers_could_not_change_remains():
    """2 of the 12 are truncated, which is 4 percent: 38, 10, 2, 0 is still better."""
    student = rows((48, "correct"), (2, "incorrect"))
    base = rows((36, "correct"), (2, "truncated"), (10, "incorrect"), (2, "correct"))
    values = of_pair((student, base))
    assert_equal(
        values["comparisons"], [comparison(36, 12, 2, 0, finding="better", truncated=difference(38, 10, 2, 0))]
    )
    assert "it is better: +20 [+6, +34] points, p = 0.013 (+16 [+2, +30] if every" in verdict({"test": values})


def test_few_truncated_answers_are_not_followed_up():
    """1 of 50 is 2 percent, the limit, not more."""
    student = rows((48, "correct"), (2, "incorrect"))
    base = rows((36, "correct"), (1, "truncated"), (11, "incorrect"), (2, "correct"))
    assert_equal(of_pair((student, base))["comparisons"], [comparison(36, 12, 2, 0, finding="better")])


@pytest.mark.parametrize(
    ("low", "high", "p", "finding"),
    [
        (0.01, 0.2, 0.04, "better"),
        (-0.2, -0.01, 0.04, "worse"),
        (0.0, 0.2, 0.04, "not distinguishable"),  # the interval touches 0
        (-0.2, 0.0, 0.04, "not distinguishable"),
        (0.01, 0.2, 0.05, "not distinguishable"),  # the test does not agree
        (-0.2, -0.01, 0.06, "not distinguishable"),
        (0.001, 0.049, 0.06, "equal"),
        (-0.049, 0.049, 1.0, "equal"),
        (-0.05, 0.049, 1.0, "not distinguishable"),  # an end that touches the margin
        (-0.049, 0.05, 1.0, "not distinguishable"),
        (0.001, 0.049, 0.01, "better"),  # small, but shown
        (-0.049, -0.001, 0.01, "worse"),
    ],
)
def test_interval_and_test_must_agree(low, high, p, finding):
    # 0.75 and 0.25 are exact in binary, so that the limits of the test are those that are meant.
    assert find_difference({"low": low, "high": high, "p_value": 5 * p}, 0.75, 0.05) == finding


def test_pairs_are_matched_by_id_not_by_position():
    student, base = pair(36, 12, 2, 0)
    compared = compare((student, base[::-1]), 0.95, 0.05)
    assert (compared["only_a"], compared["only_b"]) == (12, 2)


# Several systems of a role


def several_systems():
    """Of 100 questions the student answers 90, base 70 + 5, base-fewshot 60 + 5, teacher-direct 88 + 8 and
    teacher-cot-fewshot 80 + 5 correctly."""

    def other(both, only_b):
        return rows((both, "correct"), (90 - both, "incorrect"), (only_b, "correct"), (10 - only_b, "incorrect"))

    return summary(
        {
            System.BASE_FEWSHOT: other(60, 5),
            BASE: other(70, 5),
            STUDENT: rows((90, "correct"), (10, "incorrect")),
            System.TEACHER_COT_FEWSHOT: other(80, 5),
            System.TEACHER_DIRECT: other(88, 8),
        },
        Math(),
        Evaluate(),
    )


def test_the_student_is_compared_with_every_system_and_the_verdict_names_the_strongest_of_each_role():
    values = several_systems()
    expected = {
        "systems": {
            "base-fewshot": system(65, 100, "base"),
            "base": system(75, 100, "base"),
            "student": system(90, 100, "student"),
            "teacher-cot-fewshot": system(85, 100, "teacher"),
            "teacher-direct": system(96, 100, "teacher"),
        },
        "comparisons": [
            comparison(60, 30, 5, 5, finding="better", b="base-fewshot"),
            comparison(70, 20, 5, 5, finding="better"),
            comparison(80, 10, 5, 5, finding="not distinguishable", b="teacher-cot-fewshot", role="teacher"),
            comparison(88, 2, 8, 2, finding="not distinguishable", b="teacher-direct", role="teacher"),
        ],
        "without_gold": 0,
    }
    assert_equal(values, expected)
    assert verdict({"test": values}) == (
        f"{TEST} (test, 100 questions) the student answers 90% correctly [83, 94]; compared with base (75%), the strongest "
        "base system, it is better: +15 [+5, +25] points, p = 0.0041; compared with teacher-direct (96%), the strongest "
        "teacher system, it is not distinguishable: -6 [-13, +1] points, p = 0.11."
    )
    assert strongest(values["comparisons"], "student") is None


def test_the_only_system_of_a_role_is_not_called_the_strongest():
    base = rows((70, "correct"), (20, "incorrect"), (5, "correct"), (5, "incorrect"))
    teacher = rows((88, "correct"), (2, "incorrect"), (8, "correct"), (2, "incorrect"))
    student = rows((90, "correct"), (10, "incorrect"))
    values = summary({BASE: base, STUDENT: student, System.TEACHER_DIRECT: teacher}, Math(), Evaluate())
    assert verdict({"test": values}) == (
        f"{TEST} (test, 100 questions) the student answers 90% correctly [83, 94]; compared with base (75%) it is better: "
        "+15 [+5, +25] points, p = 0.0041; compared with teacher-direct (96%) it is not distinguishable: -6 [-13, +1] points, "
        "p = 0.11."
    )


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
            " Every system answered all of them correctly: harder questions are needed to distinguish the systems.",
        ),
        (
            "incorrect",
            0,
            " No system answered any of them correctly: easier questions are needed to distinguish the systems.",
        ),
    ],
)
def test_all_correct_and_all_incorrect(outcome, k, words):
    table = (k, 0, 0, 6 - k)
    values = of_pair((rows((6, outcome)), rows((6, outcome))))
    expected = {
        "systems": {"student": system(k, 6, "student"), "base": system(k, 6, "base")},
        "comparisons": [comparison(*table, finding="not distinguishable")],
        "without_gold": 0,
    }
    assert_equal(values, expected)
    bounds = "[61, 100]" if k else "[0, 39]"
    assert verdict({"test": values}) == (
        f"{TEST} (test, 6 questions) the student answers {k / 6:.0%} correctly {bounds}; compared with base ({k / 6:.0%}) it is "
        "not distinguishable: +0 [-39, +39] points, p = 1. With 6 questions this test is too small to show differences of "
        f"less than about 44 points; use more.{words}"  # 1.96 * sqrt(0.3 / 6) = 0.4383
    )


def test_a_student_alone_needs_no_comparison_and_no_caution():
    values = summary({STUDENT: rows((6, "correct"))}, Math(), Evaluate())
    assert_equal(values, {"systems": {"student": system(6, 6, "student")}, "comparisons": [], "without_gold": 0})
    assert of_split("test", values) == f"{TEST} (test, 6 questions) the student answers 100% correctly [61, 100]."
    values = summary({STUDENT: rows((6, "incorrect"))}, Math(), Evaluate())
    assert of_split("test", values) == f"{TEST} (test, 6 questions) the student answers 0% correctly [0, 39]."


def test_a_split_without_the_student():
    values = summary({BASE: rows((6, "correct"))}, Math(), Evaluate())
    assert_equal(values, {"systems": {"base": system(6, 6, "base")}, "comparisons": [], "without_gold": 0})
    assert of_split("test", values) == f"{TEST} (test) the student was not evaluated."


@pytest.mark.parametrize(
    # z * sqrt(0.3 / n); z is 1.96 unless it is given.
    ("arguments", "points"),
    [((30,), 0.196), ((120,), 0.098), ((30, 2.576), 0.2576), ((1,), 1.0)],
)
def test_the_difference_that_a_test_can_show(arguments, points):
    assert detectable_difference(*arguments) == pytest.approx(points)


def test_one_question_shows_no_difference_at_all():
    assert "differences of less than about 100 points; use more" in verdict({"test": of_pair(pair(0, 1, 0, 0))})


@pytest.mark.parametrize(("n", "cautious"), [(99, True), (100, False)])
def test_caution_is_for_fewer_than_100_questions(n, cautious):
    values = of_pair(pair(n - 20, 10, 5, 5))
    assert ("this test is too small" in verdict({"test": values})) is cautious


def test_the_verdict_has_both_splits_in_order():
    first, second = of_pair(pair(36, 12, 2, 0)), of_pair(pair(36, 2, 12, 0))
    text = verdict({"test_unseen": first, "test": second})
    assert text == f"{of_split('test_unseen', first)} {of_split('test', second)}"


def test_loops_are_wrong_whatever_is_assumed_of_cut_answers():
    repeating, incorrect = (of_pair(pair(36, 12, 2, 0, of_only_a=outcome)) for outcome in ("repeating", "incorrect"))
    assert repeating["systems"]["base"]["outcomes"] == {"correct": 38, "repeating": 12}
    assert repeating["comparisons"] == incorrect["comparisons"]
