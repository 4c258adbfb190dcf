"""What is concluded where labels, several scores or no score at all decide, and the first lines of the report.

Expected numbers are derived beside them. T holds the two-sided 95 percent quantiles of t by degrees of freedom (R's
``qt(0.975, 1:3)``); the interval of a mean of n values is mean -+ T * standard deviation / sqrt(n).
"""

from math import sqrt

import pytest
from scipy.stats import beta

from golden import assert_equal, line_of, metric, prediction, split, summarize, system
from potstill.models.prices import Price
from potstill.stages.evaluate.verdict import interval, points, score
from potstill.stages.report.cost import cost
from potstill.tasks.classification import Classification
from potstill.tasks.math import Math
from potstill.tasks.multiple_choice import MultipleChoice
from potstill.tasks.nli import Nli
from potstill.tasks.summarization import Summarization

T = {1: 12.70620474, 2: 4.30265273, 3: 3.18244631}
PREFIX = "On new questions of the kind trained on"


def mean_of_three(low, centre, high):
    """Of three evenly spaced values: the standard deviation is their distance."""
    half = T[2] * (high - centre) / sqrt(3)
    return metric(centre, centre - half, centre + half)


# Labels


def labelled(*pairs):
    """Rows from pairs of gold and answer."""
    outcomes = (
        "unparseable" if answer is None else "correct" if gold == answer else "incorrect" for gold, answer in pairs
    )
    return [
        prediction(i, outcome, gold=gold, answer=answer)
        for i, (outcome, (gold, answer)) in enumerate(zip(outcomes, pairs, strict=True))
    ]


N, E, C = "neutral", "entailment", "contradiction"


def test_labels_have_macro_f1_and_their_shares():
    """F1 of neutral is 2 / (2 + 1) (one false positive), of entailment 2 / (2 + 1) (one missed), of contradiction 0 (no
    answer)."""
    values = summarize({"student": labelled((N, N), (E, E), (E, N), (C, None))}, Nli())
    (student,) = values["systems"].values()
    wilson = metric(0.5, 0.150039, 0.849961)  # 2 of 4; R's prop.test(2, 4, correct = FALSE)
    macro = student["metrics"].pop("macro_f1")
    assert macro["estimate"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert 0 < macro["low"] < macro["estimate"] < macro["high"] < 1
    assert set(student["metrics"]) == {"accuracy", "strict", "lenient"}
    assert_equal(student["metrics"]["accuracy"], wilson)
    assert student["outcomes"] == {"correct": 2, "incorrect": 1, "unparseable": 1}
    assert list(student["answers"].items()) == [(N, 2), (E, 1)]


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_level_of_the_interval_of_macro_f1(confidence):
    """Of 20 neutral examples 10 are answered so, the others with a label that gold does not have, whose F1 is 0. With one
    imagined correct answer and one miss the fraction p of correct ones is Beta(11, 11); F1 of neutral is 2 p / (p + 1), of
    contradiction, which nobody names, 1."""
    values = summarize({"student": labelled(*[(N, N)] * 10, *[(N, E)] * 10)}, Nli(), confidence=confidence)
    macro = values["systems"]["student"]["metrics"]["macro_f1"]
    low, high = ((2 * p / (p + 1) + 1) / 3 for p in beta.ppf([(1 - confidence) / 2, (1 + confidence) / 2], 11, 11))
    assert macro["estimate"] == pytest.approx((2 * 0.5 / 1.5 + 1) / 3)
    assert (macro["low"], macro["high"]) == pytest.approx((low, high), abs=0.012)  # of 1000 draws


def test_the_difference_of_macro_f1_is_paired():
    """A student that answers as the base does is known better than from the intervals of both."""
    same = labelled(*[(N, N), (E, E), (E, N), (C, None), (C, C)] * 8)
    values = summarize({"student": same, "base": same}, Nli())
    difference, alone = values["comparisons"][0]["labels"]["macro_f1"], values["systems"]["base"]["metrics"]["macro_f1"]
    assert difference["estimate"] == 0
    assert difference["high"] - difference["low"] < 0.7 * (alone["high"] - alone["low"])
    better = labelled(*[(N, N), (E, E), (E, N), (C, C), (C, C)] * 8)
    (compared,) = summarize({"student": better, "base": same}, Nli())["comparisons"]
    difference = compared["labels"]["macro_f1"]
    assert 0 < difference["low"] < difference["estimate"] < difference["high"]
    # F1 of contradiction goes from 2 / (2 + 1) to 1, the others stay.
    assert difference["estimate"] == pytest.approx((1 - 2 / 3) / 3)


def test_the_score_of_shuffled_options_is_named_for_what_it_is():
    (student,) = summarize({"student": labelled(("A", "A"), ("B", "A"))}, MultipleChoice())["systems"].values()
    assert "macro_f1" not in student["metrics"]
    assert student["metrics"]["answers_by_place"]["estimate"] == pytest.approx((2 / 3 + 0) / 2)


def test_several_labels_have_a_macro_f1_of_their_own():
    """a: in 2 of gold, 2 answers, 1 hit: 2 / 4. b: 1 of gold, 1 answer, 1 hit: 1. c: 1 answer only: 0."""
    task = Classification(labels=["a", "b", "c"], multi=True)
    table = labelled(("a", "a"), ("a, b", "b"), ("none", "a, c"))
    (student,) = summarize({"student": table}, task)["systems"].values()
    assert student["metrics"]["macro_f1"]["estimate"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert student["answers"] == {"a": 2, "b": 1, "c": 1}


def test_further_scores_beside_the_one_that_decides():
    """F1 of several labels: 1, 0.5 and, without an answer, 0. The mean is 0.5, the interval that of three evenly spaced
    values. The score that decides, accuracy, is not repeated."""
    task = Classification(labels=["a", "b", "c"], multi=True)
    table = [
        prediction(0, "correct", gold="a", answer="a", scores={"accuracy": 1.0, "f1": 1.0}),
        prediction(1, "incorrect", gold="a", answer="a, b, c", scores={"accuracy": 0.0, "f1": 0.5}),
        prediction(2, "truncated", gold="b", scores={}),
    ]
    (student,) = summarize({"student": table}, task)["systems"].values()
    assert_equal(
        student["metrics"]["accuracy"], metric(1 / 3, 0.061492, 0.792340)
    )  # R's prop.test(1, 3, correct = FALSE)
    assert_equal(student["metrics"]["f1"], mean_of_three(0, 0.5, 1))
    assert set(student["metrics"]) == {"accuracy", "strict", "lenient", "macro_f1", "f1"}


def test_a_score_of_one_row_has_no_interval():
    task = Classification(labels=["a", "b"], multi=True)
    table = [prediction(0, "correct", gold="a", answer="a", scores={"accuracy": 1.0, "f1": 1.0})]
    (student,) = summarize({"student": table}, task)["systems"].values()
    assert set(student["metrics"]) == {"accuracy", "strict", "lenient", "macro_f1"}


# Tasks without a score that decides


def described(i, words, overlap, *, gold="a summary"):
    """A row of a summary with its length and overlap with gold; no answer where there are no words."""
    scores = {"rouge_l": overlap if gold else None, "words": float(words)} if words else {}
    row = prediction(i, "answered" if words else "empty", gold=gold, scores=scores)
    row["scores"] |= {"strict": None, "lenient": None}
    return row


STUDENT_SUMMARIES = [described(0, 20, 0.5), described(1, 20, 0.6), described(2, 20, 0.7), described(3, 0, 0)]
TEACHER_SUMMARIES = [described(0, 25, 0.4), described(1, 16, 0.4), described(2, 30, 0.4), described(3, 20, 0.3)]


def test_summaries_are_described_and_compared_also_where_they_are_of_similar_length():
    """Overlaps: the student's 0.5, 0.6, 0.7 and, without an answer, 0; the teacher's 0.4, 0.4, 0.4, 0.3. Differences 0.1, 0.2,
    0.3, -0.3. Words: a missing answer has none. Differences -5, 4, -10. Length-matched, the shorter with at least 80 percent
    of the words of the longer, are the first two pairs (20 and 25, 20 and 16), not the third (20 and 30)."""
    values = summarize({"student": STUDENT_SUMMARIES, "teacher-direct": TEACHER_SUMMARIES}, Summarization())

    def mean_of(*numbers):
        centre = sum(numbers) / len(numbers)
        variance = sum((x - centre) ** 2 for x in numbers) / (len(numbers) - 1)
        half = T[len(numbers) - 1] * sqrt(variance / len(numbers))
        return metric(centre, centre - half, centre + half)

    student = system(0, 4, "student", {"answered": 3, "empty": 1}, metrics={
        "rouge_l": mean_of(0.5, 0.6, 0.7, 0), "words": metric(20, 20, 20),
    })  # fmt: skip
    teacher = system(0, 4, "teacher", {"answered": 4}, "direct", {
        "rouge_l": mean_of(0.4, 0.4, 0.4, 0.3), "words": mean_of(25, 16, 30, 20),
    })  # fmt: skip
    compared = {
        "a": "student", "b": "teacher-direct", "role": "teacher", "chosen": True, "chosen_on": 24, "n": 4,
        "excluded": 0, "finding": "not decided by scores",
        "matched": {"n": 2, "scores": {"rouge_l": mean_of(0.1, 0.2), "words": mean_of(-5, 4)}},
        "scores": {"rouge_l": mean_of(0.1, 0.2, 0.3, -0.3), "words": mean_of(-5, 4, -10)},
    }  # fmt: skip
    assert_equal(values, split({"student": student, "teacher-direct": teacher}, [compared], decided=False))
    # rouge_l: 0.075 -+ 3.182446 * 0.263 / 2; words: -3.667 -+ 4.302653 * 7.095 / sqrt(3).
    assert line_of(values) == (
        "On new questions of the kind trained on (test, 4 questions) the scores are descriptive only. Student minus "
        "teacher-direct: rouge_l 0.075 [-0.343, 0.493], words -3.67 [-21.3, 14]."
    )


def test_a_score_against_gold_leaves_out_rows_without_gold():
    """Overlaps of the rows with gold: 0.5, 0.6, 0.7."""
    table = [*STUDENT_SUMMARIES[:3], described(4, 20, 0.9, gold=None), described(5, 0, 0, gold=None)]
    metrics = summarize({"student": table}, Summarization())["systems"]["student"]["metrics"]
    assert_equal(metrics["rouge_l"], mean_of_three(0.5, 0.6, 0.7))


def test_without_gold_agreement_is_counted():
    """Answers 7, 8, 9, none against 7.0, 8, 90, none: two of four are the same number; two missing answers do not agree. R's
    prop.test(2, 4, correct = FALSE) gives 0.150039 to 0.849961."""

    def answered(*answers):
        return [
            prediction(i, "answered" if answer else "empty", gold=None, answer=answer, scores={})
            for i, answer in enumerate(answers)
        ]

    student, teacher = answered("7", "8", "9", None), answered("7.0", "8", "90", None)
    values = summarize({"student": student, "teacher-direct": teacher}, Math())

    outcomes = {"answered": 3, "empty": 1}
    systems = {
        "student": system(0, 4, "student", outcomes, metrics={}),
        "teacher-direct": system(0, 4, "teacher", outcomes, "direct", {}),
    }
    compared = {
        "a": "student", "b": "teacher-direct", "role": "teacher", "chosen": True, "chosen_on": 24, "n": 4,
        "excluded": 0, "finding": "not decided by scores",
        "matched": None, "scores": {}, "agreement": metric(0.5, 0.150039, 0.849961),
    }  # fmt: skip
    assert_equal(values, split(systems, [compared], decided=False))
    assert line_of(values).endswith(" Student minus teacher-direct: the same answer to 50 [15, 85] % of the questions.")


def test_the_level_reaches_scores_differences_and_agreement():
    """At 90 percent t with one degree of freedom has the quantile 6.313752 (two scores 0.2 and 0.4: the standard error is
    0.1), and R's prop.test(1, 2, conf.level = 0.9, correct = FALSE) gives 0.120199 to 0.879801."""
    student, teacher = [described(0, 20, 0.2), described(1, 20, 0.4)], [described(0, 20, 0), described(1, 20, 0)]
    values = summarize({"student": student, "teacher-direct": teacher}, Summarization(), confidence=0.9)
    expected = metric(0.3, 0.3 - 0.6313752, 0.3 + 0.6313752)
    assert_equal(values["systems"]["student"]["metrics"]["rouge_l"], expected)
    assert_equal(values["comparisons"][0]["scores"]["rouge_l"], expected)
    answers = [prediction(i, "answered", gold=None, answer=answer, scores={}) for i, answer in enumerate("78")]
    others = [prediction(i, "answered", gold=None, answer="7", scores={}) for i in range(2)]
    (compared,) = summarize({"student": answers, "teacher-direct": others}, Math(), confidence=0.9)["comparisons"]
    low = (1 + 1.6448536**2 / 2 - 1.6448536 * sqrt(0.5 + 1.6448536**2 / 4)) / (2 + 1.6448536**2)  # Wilson's formula
    assert_equal(compared["agreement"], metric(0.5, low, 1 - low))


def test_one_pair_of_similar_length_has_no_interval():
    student, teacher = [described(0, 20, 0.2), described(1, 20, 0.4)], [described(0, 20, 0), described(1, 90, 0)]
    (compared,) = summarize({"student": student, "teacher-direct": teacher}, Summarization())["comparisons"]
    assert compared["matched"] == {"n": 1, "scores": {}}


def test_a_described_split_in_words():
    """Agreement comes before the scores, and a comparison without any number is left out."""

    def compared(b, role, scores, agreement=None):
        both = {"agreement": agreement} if agreement else {}
        return {"b": b, "role": role, "finding": "not decided by scores", "scores": scores} | both

    overlap = {"rouge_l": metric(0.1, 0.05, 0.15)}
    values = {
        "decided": False,
        "measure": "accuracy",
        "margin": 0.05,
        "confidence": 0.95,
        "n": 9,
        "groups": 9,
        "systems": {"student": {"role": "student", "n": 9, "metrics": {}}},
        "comparisons": [
            compared("base", "base", overlap),
            compared("teacher-cot", "teacher", {}),
            compared("teacher-direct", "teacher", overlap, metric(0.5, 0.2, 0.8)),
        ],
    }
    assert line_of(values) == (
        f"{PREFIX} (test, 9 questions) the scores are descriptive only. Student minus base: rouge_l 0.1 [0.05, 0.15]. Student "
        "minus teacher-direct: the same answer to 50 [20, 80] % of the questions, rouge_l 0.1 [0.05, 0.15]."
    )


# Words for numbers


def test_numbers_in_words():
    assert points({"difference": 0.204, "low": -0.016, "high": 0.35}) == "+20 [-2, +35]"
    assert points({"difference": 0.99, "low": 0.99, "high": 0.99}) == "+99 [+99, +99]"
    assert interval(metric(0.504, 0.301, 0.699)) == "50 [30, 70]"
    assert interval(metric(0.99, 0.99, 0.99)) == "99 [99, 99]"
    assert score(metric(0.12345, -1.5, 20.04)) == "0.123 [-1.5, 20]"


# Cost


def cost_of(price=None):
    generated = [
        {"prompt_tokens": 1200, "completion_tokens": 300, "cached_tokens": 1000},
        {"prompt_tokens": 800, "completion_tokens": 200, "cached_tokens": 0},
    ]
    return cost(generated, {"generate": {"seconds": 90.0}, "train": {"seconds": 60.0}}, price)


def test_cached_tokens_have_their_own_price():
    """1000 * 1000 + 1000 * 10 + 500 * 2000 dollars for a million tokens: 1 + 0.01 + 1; without a price for cached ones 2 + 1."""
    assert "wrote 500, $2.01 at" in cost_of(Price(input=1000, cached_input=10, output=2000))
    assert "wrote 500, $3.00 at" in cost_of(Price(input=1000, output=2000))
    assert cost_of() == (
        "For 2 training rows the teacher read 2,000 tokens and wrote 500. All stages took 2.5 minutes on this machine."
    )
