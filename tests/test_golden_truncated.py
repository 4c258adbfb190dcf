"""What is concluded where answers are truncated, repeat themselves, or are missing."""

import pytest

from golden import TEST, assert_equal, comparison, in_words, line_of, of_pair, pair, rows, split, system


def test_a_finding_that_truncated_answers_could_change_is_withdrawn():
    """All 12 answers of the base where only the student is correct are truncated. If all were correct: 48, 0, 2, 0."""
    values = of_pair(pair(36, 12, 2, 0, of_only_a="truncated"))
    bounds = ((48, 0, 2, 0), (36, 12, 2, 0))
    base = system(38, 50, "base", {"correct": 38, "truncated": 12})
    compared = comparison(36, 12, 2, 0, finding="not distinguishable", bounds=bounds)
    assert_equal(values, split({"student": system(48, 50, "student"), "base": base}, [compared]))
    assert line_of(values) == (
        f"{TEST} (test, 50 questions) the student answers 96% correctly. Against base (76%) +20 [+6, +34] points (-4 to +20 "
        "had truncated answers been finished): not distinguishable."
    )


def test_truncated_answers_of_the_student_count_as_well():
    (compared,) = of_pair(pair(36, 2, 12, 0, of_only_b="truncated"))["comparisons"]
    bounds = ((36, 2, 12, 0), (48, 2, 0, 0))
    assert_equal(compared, comparison(36, 2, 12, 0, finding="not distinguishable", bounds=bounds))


def test_a_finding_that_truncated_answers_could_not_change_remains():
    """2 of the 12 are truncated: 38, 10, 2, 0 is still better."""
    student = rows((48, "correct"), (2, "incorrect"))
    base = rows((36, "correct"), (2, "truncated"), (10, "incorrect"), (2, "correct"))
    values = of_pair((student, base))
    bounds = ((38, 10, 2, 0), (36, 12, 2, 0))
    assert_equal(values["comparisons"], [comparison(36, 12, 2, 0, finding="better", bounds=bounds)])
    assert "Against base (76%) +20 [+6, +34] points: better." in line_of(values)
    assert "the difference from base would be +16 to +20 points" in in_words({"test": values})


def test_truncated_answers_of_both_do_not_hide_that_the_student_is_worse():
    """Of 400 questions both answer 200; 20 are answered by one of them alone, and as many by the other. The student is
    truncated on 40 more, the teacher on 40 others. The student's would have been incorrect, the teacher's correct: it is worse
    by 10 points. With both counted alike, incorrect or correct, the difference is 0 and seems to lie within 7 points."""
    student = rows((200, "correct"), (20, "correct"), (20, "incorrect"), (40, "truncated"), (120, "incorrect"))
    base = rows(
        (200, "correct"), (20, "incorrect"), (20, "correct"), (40, "incorrect"), (40, "truncated"), (80, "incorrect")
    )
    (compared,) = of_pair((student, base), margin=0.07)["comparisons"]
    assert (compared["difference"], compared["finding"]) == (0, "not distinguishable")
    assert (compared["bounds"]["lower"]["difference"], compared["bounds"]["upper"]["difference"]) == (-0.1, 0.1)


def test_truncated_answers_of_both_do_not_make_the_student_better():
    """68 against 20 of 400 is +12 points; with 40 truncated answers each it may be as little as +2."""
    student = rows((150, "correct"), (68, "correct"), (20, "incorrect"), (40, "truncated"), (122, "incorrect"))
    base = rows(
        (150, "correct"), (68, "incorrect"), (20, "correct"), (40, "incorrect"), (40, "truncated"), (82, "incorrect")
    )
    (compared,) = of_pair((student, base))["comparisons"]
    assert (compared["difference"], compared["finding"]) == (0.12, "not distinguishable")
    assert compared["bounds"]["lower"]["difference"] == pytest.approx(0.02)


def test_a_repeating_answer_is_incorrect_whatever_is_assumed_of_truncated_ones():
    (compared,) = of_pair(pair(36, 12, 2, 0, of_only_a="repeating"))["comparisons"]
    assert_equal(compared, comparison(36, 12, 2, 0, finding="better"))


def test_a_question_without_an_answer_is_left_out_of_both_systems():
    """The base has no answer to 5 that only the student answers correctly, and the student none to 3: 36, 12, 2, 0 is left."""
    student = rows((36, "correct"), (12, "correct"), (2, "incorrect"), (5, "correct"), (3, "error"))
    base = rows((36, "correct"), (12, "incorrect"), (2, "correct"), (5, "error"), (3, "correct"))
    values = of_pair((student, base))
    assert_equal(values["comparisons"], [comparison(36, 12, 2, 0, finding="better", excluded=8)])
    assert [(s["n"], s["excluded"]) for s in values["systems"].values()] == [(55, 3), (53, 5)]
    assert "8 questions that the student or base has no answer to are left out" in in_words({"test": values})


def test_systems_without_any_common_answer_are_not_compared_by_chance():
    (compared,) = of_pair((rows((6, "correct")), rows((6, "error"))))["comparisons"]
    assert (compared["n"], compared["excluded"], compared["finding"]) == (0, 6, "not distinguishable")
    assert (compared["low"], compared["high"]) == (-1, 1)
