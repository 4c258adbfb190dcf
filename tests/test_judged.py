"""Results of small sets of labels, computed by hand."""

import json

import jsonschema
import pytest

from judged_labels import both_orders, label, person, questions, setting
from potstill.rubrics import rubric
from potstill.stages.judged.inputs import Reviewer
from potstill.stages.judged.result import schema
from potstill.stages.judged.results import judged


def only(found, **values):
    """The only one of some dictionaries with these values."""
    (one,) = [one for one in found if all(one[name] == value for name, value in values.items())]
    return one


def comparison(labels, asked, **values):
    return only(judged(labels, asked, setting())["splits"]["test"]["comparisons"], **values)


# Pairs


def test_orders_that_disagree_are_a_tie():
    asked = questions(4)
    values = [(1, 1), (0, 0), (1, 0), (0.5, 1)]
    labels = [row for q, two in zip(asked, values, strict=True) for row in both_orders(q, "student", "base", two)]
    found = comparison(labels, asked)
    assert (found["a"], found["b"]) == ("student", "base")
    assert (found["wins"], found["ties"], found["losses"], found["disagreed"]) == (1, 2, 1, 2)
    assert found["estimate"] == 0.5
    assert (found["n"], found["left_out"], found["bounds"]) == (4, {}, None)


def test_a_pair_is_about_the_student_in_whichever_order_it_is_labelled():
    asked = questions(3)
    labels = [label(q, "base", 0.0, "student") for q in asked]
    found = comparison(labels, asked)
    assert (found["a"], found["b"], found["estimate"], found["wins"]) == ("student", "base", 1.0, 3)


def test_what_cannot_be_read_is_left_out_with_bounds():
    asked = questions(4)
    values = [(1, 1), (0, 0), (1, None), (None, None)]
    labels = [row for q, two in zip(asked, values, strict=True) for row in both_orders(q, "student", "base", two)]
    found = comparison(labels, asked)
    assert (found["n"], found["estimate"], found["left_out"]) == (2, 0.5, {"unreadable": 2})
    # 1, 0, a tie or a win, and anything.
    assert found["bounds"]["lower"]["estimate"] == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert found["bounds"]["upper"]["estimate"] == pytest.approx((1 + 0 + 1 + 1) / 4)
    raters = judged(labels, asked, setting())["raters"]
    assert only(raters, rater="j")["requests"] == {"given": 5, "unreadable": 3}
    assert only(raters, rater="j")["parse_failures"]["estimate"] == pytest.approx((0 + 0 + 0.5 + 1) / 4)


def test_a_question_without_an_answer_counts_as_missing_once_all_others_were_asked():
    asked = questions(4, length=lambda system, i: 0 if (system, i) == ("student", 3) else 10)
    labels = [label(q, "student", 1.0, "base") for q in asked[:3]]
    found = comparison(labels, asked)
    assert found["left_out"] == {"no answer": 1}
    assert found["bounds"]["lower"]["estimate"] == 0.75
    assert comparison(labels[:2], asked)["left_out"] == {}


def test_labels_of_texts_that_changed_are_not_used():
    asked = questions(3)
    labels = [label(q, "student", 1.0, "base") for q in asked]
    labels[0]["shown"] = "other texts"
    found = judged(labels, asked, setting())
    assert found["obsolete"] == 1
    assert only(found["splits"]["test"]["comparisons"])["n"] == 2


def test_the_first_of_repeated_requests_counts_and_the_others_measure_consistency():
    asked = questions(4)
    labels = [label(q, "student", 1.0, "base") for q in asked]
    labels += [label(asked[i], "student", value, "base", repeat=1) for i, value in enumerate([1.0, 1.0, 0.0, 1.0])]
    found = judged(labels, asked, setting())
    assert only(found["splits"]["test"]["comparisons"])["estimate"] == 1.0
    about = only(found["raters"], rater="j")
    assert (about["consistency"]["estimate"], about["consistency"]["n"]) == (0.75, 4)


def test_order_bias_is_winning_in_both_orders_by_place():
    asked = questions(5)
    # The first value is that of the student shown first, the second that of the student shown second.
    values = [(1, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)]
    labels = [row for q, two in zip(asked, values, strict=True) for row in both_orders(q, "student", "base", two)]
    order = only(judged(labels, asked, setting())["raters"], rater="j")["order"]
    assert (order["first"]["estimate"], order["second"]["estimate"], order["first"]["n"]) == (0.4, 0.2, 5)
    assert order["effect"]["estimate"] > 0


def test_length_bias_and_the_win_rate_of_equal_length():
    """The judge always takes the longer answer; the student's is longer for 30 of 40 questions."""
    asked = questions(40, length=lambda system, i: 20 if (system == "student") == (i < 30) else 10)
    labels = [label(q, "student", float(i < 30), "base") for i, q in enumerate(asked)]
    found = judged(labels, asked, setting())
    assert only(found["raters"], rater="j")["longer"]["estimate"] == 1.0
    pair = only(found["splits"]["test"]["comparisons"])
    assert pair["estimate"] == 0.75
    assert pair["length_controlled"]["estimate"] == pytest.approx(0.6, abs=0.05)
    assert pair["length_controlled"]["coefficient"]["low"] > 0
    assert any("preferred the longer answer" in note for note in found["verdict"]["notes"])


# Scores, passes, several judges, people


def test_scores_by_criterion_and_of_all_criteria():
    asked = questions(2)
    given = {"student": ((5, 3), (4, 2)), "base": ((1, 1), (2, 2))}
    labels = [
        label(q, system, float(value), form="scores", criterion=criterion, rubric=RUBRIC.key)
        for system, of in given.items()
        for q, values in zip(asked, of, strict=True)
        for criterion, value in zip(("sound", "supports"), values, strict=True)
    ]
    split = judged(labels, asked, setting(rubrics={RUBRIC.key: RUBRIC}))["splits"]["test"]
    assert only(split["scores"], system="student", criterion="sound")["estimate"] == 4.5
    whole = only(split["scores"], system="student", criterion="all criteria")
    assert (whole["estimate"], whole["measure"]) == (3.5, "score")
    assert 1 <= whole["low"] <= 3.5 <= whole["high"] <= 5
    assert only(split["differences"], criterion="all criteria")["estimate"] == pytest.approx(2.0)


RUBRIC = rubric.load("rationale")


def test_a_score_that_is_missing_leaves_both_sides():
    asked = questions(3)
    labels = [label(q, "base", 1.0) for q in asked]
    labels += [label(q, "student", value) for q, value in zip(asked, (1.0, None, 0.0), strict=True)]
    split = judged(labels, asked, setting())["splits"]["test"]
    found = only(split["differences"])
    assert (found["n"], found["estimate"], found["left_out"]) == (2, -0.5, {"unreadable": 1})
    assert found["bounds"]["lower"]["estimate"] == pytest.approx(-2 / 3)
    assert only(split["scores"], system="student")["measure"] == "pass rate"


def test_a_jury_says_what_most_judges_say():
    asked = questions(3)
    votes = {"a": (1, 0, 1), "b": (1, 0, 0.5), "c": (0, 1, 0)}
    labels = [
        label(q, "student", float(value), "base", rater=rater)
        for rater, values in votes.items()
        for q, value in zip(asked, values, strict=True)
    ]
    found = comparison(labels, asked, rater="jury")
    assert (found["wins"], found["ties"], found["losses"], found["kind"]) == (1, 1, 1, "jury")


def test_a_decision_about_a_disagreement_replaces_what_people_said():
    asked = questions(2)
    labels = [
        person(q, "student", value, rater=rater)
        for q in asked
        for rater, value in (("p", 1.0), ("q", 0.0))
    ]  # fmt: skip
    labels.append(person(asked[0], "student", 1.0, rater="adjudication"))
    found = judged(labels, asked, setting())
    assert only(found["splits"]["test"]["scores"])["estimate"] == 0.75
    agreement = only(found["raters"], rater="people")["agreement"]
    assert only(agreement, system="")["n"] == 2, "the decision is no third person"


def test_what_people_could_not_tell_is_left_out_with_bounds():
    asked = questions(4)
    values = (1.0, 1.0, None, None)
    labels = [
        person(q, "student", value, state="given" if value else "cannot tell")
        for q, value in zip(asked, values, strict=True)
    ]
    found = only(judged(labels, asked, setting())["splits"]["test"]["scores"])
    assert (found["estimate"], found["left_out"]) == (1.0, {"cannot tell": 2})
    assert (found["bounds"]["lower"]["estimate"], found["bounds"]["upper"]["estimate"]) == (0.5, 1.0)


def test_people_correct_a_judge():
    """The judge passes everything; people say that half of it fails. The judge says nothing, so people's labels alone count."""
    asked = questions(40)
    labels = [label(q, "student", 1.0) for q in asked]
    labels += [person(q, "student", float(i % 2)) for i, q in enumerate(asked[:20])]
    score = only(judged(labels, asked, setting())["splits"]["test"]["scores"], kind="judge")
    assert score["estimate"] == 1.0
    fixed = score["corrected"]
    assert (fixed["estimate"], fixed["labels"], fixed["weight"], fixed["correlation"]) == (0.5, 20, 0.0, None)
    assert (fixed["low"], fixed["high"]) == pytest.approx((fixed["people_alone"]["low"], fixed["people_alone"]["high"]))
    assert fixed["rates"]["sensitivity"]["estimate"] == 1.0
    assert fixed["rates"]["specificity"]["estimate"] == 0.0


def test_people_who_pass_answers_correct_a_judge_with_a_reference():
    asked = questions(40)
    labels = [label(q, "student", float(i % 4 > 0), form="reference") for i, q in enumerate(asked)]
    labels += [label(q, "student", 1.0) for q in asked]
    labels += [person(q, "student", float(i % 2)) for i, q in enumerate(asked[:20])]
    scores = judged(labels, asked, setting())["splits"]["test"]["scores"]
    right, passed = (only(scores, kind="judge", form=form) for form in ("reference", "pass"))
    assert (right["measure"], right["estimate"], passed["estimate"]) == ("judged_right", 0.75, 1.0)
    assert right["corrected"]["labels"] == passed["corrected"]["labels"] == 20
    assert right["corrected"]["rates"]["specificity"]["estimate"] == 0.5


def test_labels_that_are_no_random_draw_correct_nothing():
    asked = questions(40)
    labels = [label(q, "student", float(i % 2)) for i, q in enumerate(asked)]
    labels += [person(q, "student", float(i % 2), probability=None) for i, q in enumerate(asked[:20])]
    found = judged(labels, asked, setting())
    assert only(found["splits"]["test"]["scores"], kind="judge")["corrected"] is None
    assert only(only(found["raters"], rater="j")["agreement"], system="")["kappa"]["estimate"] == 1.0


def test_agreement_with_people_by_system():
    asked = questions(20)
    judge = {"student": [1, 1, 0, 0] * 5, "base": [1, 0, 1, 0] * 5}
    people = {"student": [1, 1, 0, 0] * 5, "base": [1, 1, 0, 0] * 5}
    labels = [label(q, name, float(v)) for name, of in judge.items() for q, v in zip(asked, of, strict=True)]
    labels += [person(q, name, float(v)) for name, of in people.items() for q, v in zip(asked, of, strict=True)]
    agreement = only(judged(labels, asked, setting())["raters"], rater="j")["agreement"]
    assert only(agreement, system="student")["kappa"]["estimate"] == 1.0
    assert only(agreement, system="base")["kappa"]["estimate"] == 0.0
    both = only(agreement, system="")
    assert (both["n"], both["same"]["estimate"], both["kappa"]["estimate"]) == (40, 0.75, 0.5)


def test_ratings_of_several_systems():
    asked = questions(30)
    labels = []
    for q in asked:
        for a, b, wins in (("student", "base", 24), ("student", "teacher-cot", 12), ("base", "teacher-cot", 6)):
            value = float(int(q.id.split("-")[1]) < wins)
            labels += both_orders(q, a, b, (value, value))
    (found,) = judged(labels, asked, setting())["splits"]["test"]["ratings"]
    assert [one["system"] for one in found["systems"]] == ["teacher-cot", "student", "base"]
    assert sum(one["estimate"] for one in found["systems"]) == pytest.approx(0)
    assert all(one["low"] < one["estimate"] < one["high"] for one in found["systems"])


def test_the_schema_describes_what_is_written():
    asked = [*questions(12), *questions(12, split="test_unseen", groups=3)]
    labels = [row for q in asked for row in both_orders(q, "student", "base", (1, None))]
    labels += [label(q, name, 1.0) for q in asked for name in ("student", "base")]
    labels += [person(q, "student", 0.0) for q in asked]
    written = json.loads(json.dumps(judged(labels, asked, setting()), allow_nan=False))
    jsonschema.validate(written, schema())
    assert set(written["splits"]) == {"test", "test_unseen"}


# Labels of different forms


def scored(question, values, **changes):
    """Scores of the student and the base by one criterion."""
    return [
        label(question, system, value, form="scores", criterion="helpful", **changes)
        for system, value in zip(("student", "base"), values, strict=True)
    ]


def test_a_judge_by_scores_is_corrected_by_the_preferences_of_people():
    """The judge scores the student higher on 30 of 40 questions; people, who compared 20 of them, always agree with it."""
    asked = questions(40)
    labels = [one for i, question in enumerate(asked) for one in scored(question, (4, 3) if i < 30 else (2, 3))]
    labels += [person(question, "student", float(i < 30), "base") for i, question in enumerate(asked) if i % 2]
    found = judged(labels, asked, setting(rubrics={"r@1": RUBRIC}))
    implied = only(found["splits"]["test"]["comparisons"], rater="j")
    assert (implied["implied_by"], implied["estimate"], implied["wins"], implied["losses"]) == ("scores", 0.75, 30, 10)
    assert implied["corrected"]["labels"] == 20
    assert implied["corrected"]["weight"] == pytest.approx(1)
    assert implied["corrected"]["estimate"] == pytest.approx(0.75)
    agreement = only(found["raters"], rater="j", form="pairwise")
    assert (agreement["implied_by"], agreement["agreement"][0]["same"]["estimate"]) == ("scores", 1.0)
    assert found["verdict"]["by"]["test"] == "judge corrected by people"
    assert "judge j by its scores rates the student higher than base in 75 %" in " ".join(found["verdict"]["lines"])
    assert any(
        "is checked by people in which of two answers it rates higher" in note for note in found["verdict"]["notes"]
    )


def test_a_judge_of_pairs_is_corrected_by_the_scores_of_people():
    asked = questions(40)
    labels = [one for question in asked for one in both_orders(question, "student", "base", (1.0, 1.0))]
    labels += [
        one
        for i, question in enumerate(asked[:20])
        for one in scored(question, (i % 3, 1), kind="person", rater="p", probability=0.5)
    ]
    found = judged(labels, asked, setting(rubrics={"r@1": RUBRIC}))
    people = only(found["splits"]["test"]["comparisons"], kind="people")
    assert (people["implied_by"], people["wins"], people["ties"], people["losses"]) == ("scores", 6, 7, 7)
    corrected = only(found["splits"]["test"]["comparisons"], rater="j")["corrected"]
    assert (corrected["labels"], corrected["estimate"]) == (20, pytest.approx(0.475))


def test_preferences_follow_only_where_they_are_needed_and_by_the_same_rubric():
    asked = questions(30)
    of_judge = [one for question in asked for one in scored(question, (4, 3))]
    assert not judged(of_judge, asked, setting())["splits"]["test"]["comparisons"]
    other = [person(question, "student", 1.0, "base", rubric="other@2") for question in asked[:15]]
    found = judged([*of_judge, *other], asked, setting())
    assert {one["rater"] for one in found["splits"]["test"]["comparisons"]} == {"people"}
    assert any("who labelled by another rubric" in note for note in found["verdict"]["notes"])
    passed = [person(question, "student", 1.0) for question in asked[:15]]
    notes = judged([*of_judge, *passed], asked, setting())["verdict"]["notes"]
    assert any("labels of another form (pass)" in note for note in notes)


def test_a_missing_score_leaves_the_preference_open():
    asked = questions(20)
    labels = [one for i, question in enumerate(asked) for one in scored(question, (None if i == 0 else 4, 3))]
    labels += [person(question, "student", 1.0, "base") for question in asked[5:]]
    implied = only(judged(labels, asked, setting(rubrics={"r@1": RUBRIC}))["splits"]["test"]["comparisons"], rater="j")
    assert (implied["n"], implied["left_out"]) == (19, {"unreadable": 1})
    assert implied["bounds"]["lower"]["estimate"] < implied["bounds"]["upper"]["estimate"]


# Attention


def test_who_is_left_out_is_said():
    asked = questions(12)
    left_out = setting(inattentive=[Reviewer("Ben", 1, 3, 24)])
    found = judged([person(question, "student", 1.0, "base") for question in asked], asked, left_out)
    assert found["inattentive"] == [{"reviewer": "Ben", "right": 1, "of": 3, "labels": 24}]
    said = "24 labels by the reviewer Ben are left out: 1 of 3 answers that were damaged on purpose were rated as bad"
    assert any(note.startswith(said) for note in found["verdict"]["notes"])
    assert judged([], asked, left_out)["verdict"]["decision"] == "undecided"
