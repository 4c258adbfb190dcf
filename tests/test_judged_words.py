"""What is decided and said, by whom."""

import pytest

from judged_labels import both_orders, label, person, questions, setting
from potstill.rubrics import rubric
from potstill.stages.judged.planning import plan, words
from potstill.stages.judged.results import judged
from potstill.stages.judged.words import table


def pairs(asked, rates, make=lambda q, system, value, other: both_orders(q, system, other, (value, value))):
    """The student against each system: it wins so many of 20 questions."""
    return [
        row
        for other, wins in rates.items()
        for i, q in enumerate(asked)
        for row in make(q, "student", float(i % 20 < wins), other)
    ]


def people(asked, rates, **changes):
    return pairs(asked, rates, lambda q, system, value, other: [person(q, system, value, other, **changes)])


def verdict(labels, asked, **changes):
    return judged(labels, asked, setting(**changes))["verdict"]


@pytest.mark.parametrize(
    ("rates", "decision"),
    [
        ({"base": 16, "teacher-cot": 11}, "distilled"),
        ({"base": 16, "teacher-cot": 5}, "not yet"),
        ({"base": 16, "teacher-cot": 9}, "not distinguishable"),
        ({"base": 6, "teacher-cot": 10}, "do not distil"),
        ({"base": 16}, "undecided"),
    ],
)
def test_decisions_of_a_judge_alone(rates, decision):
    asked = questions(300)
    found = verdict(pairs(asked, rates), asked)
    assert found["decision"] == decision
    assert found["lines"][0].startswith(f"{decision.upper()}: ")
    assert found["lines"][0].endswith("Judge j decides, not checked by people.")
    assert found["by"] == {"test": "judge"}
    assert 2 <= len(found["lines"]) <= 3
    assert f"judge j prefers the student to base in {5 * rates['base']} %" in found["lines"][1]
    assert "(not checked by people)" in found["lines"][1]
    assert not any("accura" in line for line in found["lines"])


def test_more_questions_would_decide_what_few_do_not():
    rates = {"base": 13, "teacher-cot": 11}
    assert verdict(pairs(questions(20), rates), questions(20))["decision"] == "not distinguishable"
    assert verdict(pairs(questions(600), rates), questions(600))["decision"] == "distilled"


def test_people_who_check_a_judge_decide_with_it():
    """The judge prefers the student throughout, and people do not."""
    asked = questions(200)
    labels = pairs(asked, {"base": 19, "teacher-cot": 19}) + people(asked[:100], {"base": 5, "teacher-cot": 5})
    found = verdict(labels, asked)
    assert found["decision"] == "do not distil"
    assert found["by"] == {"test": "judge corrected by people"}
    assert found["lines"][0].endswith("Judge j, corrected by people's labels, decides.")
    line = found["lines"][1]
    assert line.index("people prefer the student to base in 25 % [") < line.index(
        "judge j prefers the student to base in 95 % ["
    )
    assert "; corrected by people's labels to base in 2" in line
    assert "not checked" not in line


def test_few_labels_by_people_decide_nothing():
    asked = questions(200)
    labels = pairs(asked, {"base": 19, "teacher-cot": 19}) + people(asked[:5], {"base": 5, "teacher-cot": 5})
    found = verdict(labels, asked)
    assert (found["decision"], found["by"]) == ("distilled", {"test": "judge"})
    assert "corrected by people's labels, which are too few to decide," in found["lines"][1]


def test_people_decide_without_a_judge():
    asked = questions(200)
    found = verdict(people(asked, {"base": 19, "teacher-cot": 12}), asked)
    assert (found["decision"], found["by"]) == ("distilled", {"test": "people"})
    assert found["lines"][0].endswith("People's labels decide.")


def test_scores_decide_by_a_part_of_their_scale():
    asked = questions(200)
    used = rubric.load("conversation")
    scores = {"base": 2.0, "student": 4.0, "teacher-cot": 4.0}
    labels = [
        label(q, name, score + (i % 5 == len(name)), form="scores", criterion=criterion, rubric=used.key)
        for i, q in enumerate(asked)
        for name, score in scores.items()
        for criterion in ("helpful", "correct")
    ]
    found = verdict(labels, asked, rubrics={used.key: used})
    assert found["decision"] == "distilled"
    assert "not worse than the teacher by 5 % of the scale" in found["lines"][0]
    assert "judge j scores the student against base +1.80 [" in found["lines"][1]


def test_gold_decides_where_there_is_gold():
    asked = questions(100)
    found = verdict(pairs(asked, {"base": 19, "teacher-cot": 12}), asked, gold_decides=True)
    assert (found["decision"], found["by"]) == ("undecided", {"test": "gold"})
    assert [line.startswith("On new questions") for line in found["lines"]] == [True]
    assert found["notes"][0].startswith("Gold answers decide the verdict")


def test_a_split_that_shows_less_decides_for_the_run():
    asked, unseen = questions(300), questions(300, split="test_unseen")
    labels = pairs(asked, {"base": 16, "teacher-cot": 11}) + pairs(unseen, {"base": 16, "teacher-cot": 5})
    found = verdict(labels, [*unseen, *asked])
    assert found["splits"] == {"test_unseen": "not yet", "test": "distilled"}
    assert found["decision"] == "not yet"
    assert len(found["lines"]) == 3


def test_a_related_judge_is_said():
    asked = questions(50)
    found = verdict(pairs(asked, {"base": 16}), asked, related={"j": ["teacher-cot"]})
    assert found["lines"][0].endswith("Judge j decides, not checked by people; it is of the family of teacher-cot.")
    assert any(
        "Judge j is the model of teacher-cot, or of its family (allow_related)" in note for note in found["notes"]
    )


def test_the_chosen_way_of_asking_represents_its_role():
    roles = {"base": "base", "student": "student", "teacher-direct": "teacher", "teacher-cot": "teacher"}
    asked = questions(300, tuple(roles))
    labels = pairs(asked, {"base": 16, "teacher-direct": 16, "teacher-cot": 5})
    assert verdict(labels, asked, roles=roles)["decision"] == "distilled", "the first that is listed"
    assert verdict(labels, asked, roles=roles, chosen=frozenset({"teacher-cot"}))["decision"] == "not yet"


def test_nobody_labelled():
    found = judged([], questions(5), setting())
    assert found["verdict"]["lines"] == ["UNDECIDED: nobody labelled these answers."]
    assert found["splits"] == {}
    assert len(table(found)) == 1


def test_the_plan_says_which_width_labels_give():
    """r = 0.6 leaves 0.8 of the width, where the judge labelled many more."""
    asked = questions(3000)
    labels = [label(q, "student", float(i % 2)) for i, q in enumerate(asked)]
    (found,) = plan(labels, asked, setting())
    assert found.correlation is None
    (at_100,) = [one for one in found.widths if one.labels == 100]
    assert at_100.alone == pytest.approx(1.984 * 0.5 / 10, rel=1e-3)
    assert at_100.corrected[0.6] / at_100.alone == pytest.approx((0.64 + 0.36 * 100 / 3000) ** 0.5)
    assert found.widths[-1].labels == 3000
    labels += [person(q, "student", float(i % 2 if i % 10 else 0)) for i, q in enumerate(asked[:50])]
    (measured,) = plan(labels, asked, setting())
    assert measured.correlation == 1.0 or 0.9 < measured.correlation < 1
    text = "\n".join(words([found, measured]))
    assert "its correlation with people is not known yet" in text
    assert "as measured" in text
    assert "test, student (pass), judge j, 3,000 questions" in text


def test_a_plan_of_groups_needs_more_labels():
    asked, grouped = questions(400), questions(400, groups=20)
    values = [float(i % 20 < 10) for i in range(400)]
    alone = [
        plan([label(q, "student", v) for q, v in zip(of, values, strict=True)], of, setting())[0]
        for of in (asked, grouped)
    ]
    independent, clustered = ({one.labels: one.alone for one in found.widths}[100] for found in alone)
    assert clustered > 1.5 * independent
