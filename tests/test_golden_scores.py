"""What is concluded where labels, several scores or no score at all decide, and the first lines of the report.

Expected numbers are derived beside them. T holds the two-sided 95 percent quantiles of t by degrees of freedom (R's
``qt(0.975, 1:3)``); the interval of a mean of n values is mean -+ T * standard deviation / sqrt(n).
"""

from itertools import product
from math import sqrt

import pytest

from golden import assert_equal, metric, pair, prediction, rows
from potstill.models.prices import Price
from potstill.recipe.recipe import Evaluate
from potstill.recipe.systems import System
from potstill.stages.evaluate.summary import summary
from potstill.stages.evaluate.verdict import interval, points, score, verdict
from potstill.stages.report.glance import glance
from potstill.tasks.classification import Classification
from potstill.tasks.math import Math
from potstill.tasks.nli import Nli
from potstill.tasks.summarization import Summarization

T = {1: 12.70620474, 2: 4.30265273, 3: 3.18244631}
STUDENT, BASE, TEACHER = System.STUDENT, System.BASE, System.TEACHER_DIRECT
EVALUATE = Evaluate()
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


def f1_by_definition(pairs):
    scores = []
    for label in {gold for gold, _ in pairs}:
        correct = sum(gold == answer == label for gold, answer in pairs)
        wrong = sum((gold == label) != (answer == label) for gold, answer in pairs)
        scores.append(2 * correct / (2 * correct + wrong))
    return sum(scores) / len(scores)


def test_labels_have_macro_f1_and_their_shares():
    """F1 of neutral is 2 / (2 + 1) (one false positive), of entailment 2 / (2 + 1) (one missed), of contradiction 0 (no
    answer). Its interval is that of all 4^4 equally likely resamples: 256 values, cut at 2.5 percent on both sides."""
    pairs = [(N, N), (E, E), (E, N), (C, None)]
    values = summary({STUDENT: labelled(*pairs)}, Nli(), EVALUATE)
    resampled = sorted(f1_by_definition(chosen) for chosen in product(pairs, repeat=4))
    low, high = resampled[6], resampled[249]
    assert (low, high) == pytest.approx((0, 1))
    wilson = metric(0.5, 0.150039, 0.849961)  # 2 of 4; R's prop.test(2, 4, correct = FALSE)
    expected = {
        "systems": {
            "student": {
                "role": "student", "n": 4, "outcomes": {"correct": 2, "incorrect": 1, "unparseable": 1},
                "metrics": {
                    "accuracy": wilson, "strict": wilson, "lenient": wilson, "macro_f1": metric((2 / 3 + 2 / 3 + 0) / 3, low, high),
                },
                "answers": {N: 2, E: 1}, "tokens_per_answer": 11, "seconds_per_answer": 0.2,
            }
        },
        "comparisons": [], "without_gold": 0,
    }  # fmt: skip
    assert_equal(values, expected)
    assert list(values["systems"]["student"]["answers"]) == [N, E]


@pytest.mark.parametrize(("confidence", "low", "high"), [(0.8, 7, 13), (0.98, 5, 15)])
def test_the_level_of_the_interval_of_macro_f1(confidence, low, high):
    """Of 20 neutral examples k are answered so, the others with a label that gold does not have: F1 is 2 k / (k + 20) and
    grows with k, which is binomial over resamples with k of 20. R's qbinom(tail, 20, 0.5) is 7 and 13 for 80 percent, 5 and 15
    for 98."""
    pairs = [(N, N)] * 10 + [(N, E)] * 10
    estimate = summary({STUDENT: labelled(*pairs)}, Nli(), Evaluate(confidence=confidence))
    macro = estimate["systems"]["student"]["metrics"]["macro_f1"]
    assert_equal(macro, metric(2 * 10 / 30, 2 * low / (low + 20), 2 * high / (high + 20)))


def test_further_scores_beside_the_one_that_decides():
    """F1 of several labels: 1, 0.5 and, without an answer, 0. The mean is 0.5, the interval that of three evenly spaced
    values. The score that decides, accuracy, is not repeated."""
    task = Classification(labels=["a", "b", "c"], multi=True)
    table = [
        prediction(0, "correct", gold="a", answer="a", scores={"accuracy": 1.0, "f1": 1.0}),
        prediction(1, "incorrect", gold="a", answer="a, b, c", scores={"accuracy": 0.0, "f1": 0.5}),
        prediction(2, "truncated", gold="b", scores={}),
    ]
    values = summary({STUDENT: table}, task, EVALUATE)
    wilson = metric(1 / 3, 0.061492, 0.792340)  # 1 of 3; R's prop.test(1, 3, correct = FALSE)
    assert_equal(
        values["systems"]["student"],
        {
            "role": "student", "n": 3, "outcomes": {"correct": 1, "incorrect": 1, "truncated": 1},
            "metrics": {"accuracy": wilson, "strict": wilson, "lenient": wilson, "f1": mean_of_three(0, 0.5, 1)},
            "tokens_per_answer": 32 / 3, "seconds_per_answer": 0.5 / 3,
        },
    )  # fmt: skip


def test_a_score_of_one_row_has_no_interval():
    task = Classification(labels=["a", "b"], multi=True)
    table = [prediction(0, "correct", gold="a", answer="a", scores={"accuracy": 1.0, "f1": 1.0})]
    assert set(summary({STUDENT: table}, task, EVALUATE)["systems"]["student"]["metrics"]) == {
        "accuracy",
        "strict",
        "lenient",
    }


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
    values = summary({STUDENT: STUDENT_SUMMARIES, TEACHER: TEACHER_SUMMARIES}, Summarization(), EVALUATE)

    def mean_of(*numbers):
        centre = sum(numbers) / len(numbers)
        variance = sum((x - centre) ** 2 for x in numbers) / (len(numbers) - 1)
        half = T[len(numbers) - 1] * sqrt(variance / len(numbers))
        return metric(centre, centre - half, centre + half)

    expected = {
        "systems": {
            "student": {
                "role": "student", "n": 4, "outcomes": {"answered": 3, "empty": 1},
                "metrics": {"rouge_l": mean_of(0.5, 0.6, 0.7, 0), "words": metric(20, 20, 20)},
                "tokens_per_answer": 11, "seconds_per_answer": 0.2,
            },
            "teacher-direct": {
                "role": "teacher", "n": 4, "outcomes": {"answered": 4},
                "metrics": {"rouge_l": mean_of(0.4, 0.4, 0.4, 0.3), "words": mean_of(25, 16, 30, 20)},
                "tokens_per_answer": 11, "seconds_per_answer": 0.2,
            },
        },
        "comparisons": [
            {
                "a": "student", "b": "teacher-direct", "role": "teacher", "finding": "not decided by scores",
                "matched": {"n": 2, "scores": {"rouge_l": mean_of(0.1, 0.2), "words": mean_of(-5, 4)}},
                "scores": {"rouge_l": mean_of(0.1, 0.2, 0.3, -0.3), "words": mean_of(-5, 4, -10)},
            }
        ],
        "without_gold": 0,
    }  # fmt: skip
    assert_equal(values, expected)
    # rouge_l: 0.075 -+ 3.182446 * 0.263 / 2; words: -3.667 -+ 4.302653 * 7.095 / sqrt(3).
    assert verdict({"test": values}) == (
        "On new questions of the kind trained on (test, 4 examples) no score says which answers are correct; the scores are "
        "descriptive only. Student minus teacher-direct: rouge_l 0.075 [-0.343, 0.493], words -3.67 [-21.3, 14]."
    )
    assert glance({"splits": {"test": values}}, [], {}, None)[0] == (
        "How good",
        "On new questions of the kind trained on, no score says which answers are correct; the scores below are descriptive "
        "only.",
    )


def test_a_score_against_gold_leaves_out_rows_without_gold():
    """Overlaps of the rows with gold: 0.5, 0.6, 0.7."""
    table = [*STUDENT_SUMMARIES[:3], described(4, 20, 0.9, gold=None), described(5, 0, 0, gold=None)]
    metrics = summary({STUDENT: table}, Summarization(), EVALUATE)["systems"]["student"]["metrics"]
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
    values = summary({STUDENT: student, TEACHER: teacher}, Math(), EVALUATE)

    def system(role, outcomes):
        return {
            "role": role, "n": 4, "outcomes": outcomes, "metrics": {}, "tokens_per_answer": 11, "seconds_per_answer": 0.2,
        }  # fmt: skip

    outcomes = {"answered": 3, "empty": 1}
    assert_equal(
        values,
        {
            "systems": {"student": system("student", outcomes), "teacher-direct": system("teacher", outcomes)},
            "comparisons": [
                {
                    "a": "student", "b": "teacher-direct", "role": "teacher", "finding": "not decided by scores",
                    "matched": None, "scores": {}, "agreement": metric(0.5, 0.150039, 0.849961),
                }
            ],
            "without_gold": 0,
        },
    )  # fmt: skip
    assert verdict({"test": values}).endswith(
        " Student minus teacher-direct: the same answer to 50 [15, 85] % of the questions."
    )


def test_the_level_reaches_scores_differences_and_agreement():
    """At 90 percent t with one degree of freedom has the quantile 6.313752 (two scores 0.2 and 0.4: the standard error is
    0.1), and R's prop.test(1, 2, conf.level = 0.9, correct = FALSE) gives 0.120199 to 0.879801."""
    ninety = Evaluate(confidence=0.9)
    student, teacher = [described(0, 20, 0.2), described(1, 20, 0.4)], [described(0, 20, 0), described(1, 20, 0)]
    values = summary({STUDENT: student, TEACHER: teacher}, Summarization(), ninety)
    expected = metric(0.3, 0.3 - 0.6313752, 0.3 + 0.6313752)
    assert_equal(values["systems"]["student"]["metrics"]["rouge_l"], expected)
    assert_equal(values["comparisons"][0]["scores"]["rouge_l"], expected)
    answers = [prediction(i, "answered", gold=None, answer=answer, scores={}) for i, answer in enumerate("78")]
    others = [prediction(i, "answered", gold=None, answer="7", scores={}) for i in range(2)]
    (compared,) = summary({STUDENT: answers, TEACHER: others}, Math(), ninety)["comparisons"]
    low = (1 + 1.6448536**2 / 2 - 1.6448536 * sqrt(0.5 + 1.6448536**2 / 4)) / (2 + 1.6448536**2)  # Wilson's formula
    assert_equal(compared["agreement"], metric(0.5, low, 1 - low))


def test_one_pair_of_similar_length_has_no_interval():
    student, teacher = [described(0, 20, 0.2), described(1, 20, 0.4)], [described(0, 20, 0), described(1, 90, 0)]
    (compared,) = summary({STUDENT: student, TEACHER: teacher}, Summarization(), EVALUATE)["comparisons"]
    assert compared["matched"] == {"n": 1, "scores": {}}


def test_a_described_split_in_words():
    """The base comes before the teacher, agreement before the scores, and a comparison without any number is left out."""

    def compared(b, role, scores, agreement=None):
        return {"b": b, "role": role, "finding": "not decided by scores", "scores": scores, "agreement": agreement}

    overlap = {"rouge_l": metric(0.1, 0.05, 0.15)}
    values = {
        "systems": {"student": {"role": "student", "n": 9, "metrics": {}}},
        "comparisons": [
            compared("teacher-direct", "teacher", overlap, metric(0.5, 0.2, 0.8)),
            compared("teacher-cot", "teacher", {}),
            compared("base", "base", overlap),
        ],
    }
    assert verdict({"test": values}) == (
        f"{PREFIX} (test, 9 examples) no score says which answers are correct; the scores are descriptive only. Student minus "
        "base: rouge_l 0.1 [0.05, 0.15]. Student minus teacher-direct: the same answer to 50 [20, 80] % of the questions, "
        "rouge_l 0.1 [0.05, 0.15]."
    )


# Words for numbers


def test_numbers_in_words():
    assert points({"difference": 0.204, "low": -0.016, "high": 0.35}) == "+20 [-2, +35]"
    assert points({"difference": 0.99, "low": 0.99, "high": 0.99}) == "+99 [+99, +99]"
    assert interval(metric(0.504, 0.301, 0.699)) == "50 [30, 70]"
    assert interval(metric(0.99, 0.99, 0.99)) == "99 [99, 99]"
    assert score(metric(0.12345, -1.5, 20.04)) == "0.123 [-1.5, 20]"


# The first lines of the report


def seen_at_a_glance(table, *, teacher=None, price=None, options=EVALUATE, **outcomes):
    student, base = pair(*table, **outcomes)
    systems = {STUDENT: student, BASE: base} | ({TEACHER: teacher} if teacher else {})
    generated = [
        {"prompt_tokens": 1200, "completion_tokens": 300, "cached_tokens": 1000},
        {"prompt_tokens": 800, "completion_tokens": 200, "cached_tokens": 0},
    ]
    stages = {"generate": {"seconds": 90.0}, "train": {"seconds": 60.0}}
    return glance({"splits": {"test": summary(systems, Math(), options)}}, generated, stages, price)


def test_quality_certainty_and_cost_at_a_glance():
    """Cost: 1000 tokens at 10 dollars a million, 1000 cached at 1, 500 written at 20: 0.01 + 0.001 + 0.01 = 0.021 dollars."""
    teacher = rows((50, "correct"))
    for row in teacher:
        row["seconds"] *= 5
    price = Price(input=10, cached_input=1, output=20)
    assert seen_at_a_glance((36, 12, 2, 0), teacher=teacher, price=price) == [
        ("How good", f"{PREFIX}, the student answers 96 % correctly, the base 76 % at its best (base), the teacher 100 % at its "
         "best (teacher-direct)."),
        # The teacher: 48, 0, 2, 0 by method 10 (see test_golden_evaluation.py), -0.134601 to 0.037001.
        ("How certain", f"{PREFIX}: better than the base by 6 to 34 points; no difference from the teacher is shown (-13 to +4 "
         "points)."),
        ("What it cost", "For 2 training rows the teacher read 2,000 tokens and wrote 500, $0.02 at its server's prices. All "
         "stages took 2.5 minutes on this machine. An answer takes the student 0.20 s and the teacher (teacher-direct) 1.00 s."),
    ]  # fmt: skip


def test_cached_tokens_have_their_own_price():
    """1000 * 1000 + 1000 * 10 + 500 * 2000 dollars for a million tokens: 1 + 0.01 + 1; without a price for cached ones 2 + 1."""
    (*_, (_, cost)) = seen_at_a_glance((36, 12, 2, 0), price=Price(input=1000, cached_input=10, output=2000))
    assert "wrote 500, $2.01 at" in cost
    (*_, (_, cost)) = seen_at_a_glance((36, 12, 2, 0), price=Price(input=1000, output=2000))
    assert "wrote 500, $3.00 at" in cost
    (*_, (_, cost)) = seen_at_a_glance((36, 12, 2, 0))
    assert cost == (
        "For 2 training rows the teacher read 2,000 tokens and wrote 500. All stages took 2.5 minutes on this machine."
    )


@pytest.mark.parametrize(
    ("table", "outcomes", "certainty"),
    [
        ((36, 2, 12, 0), {}, "worse than the base by 6 to 34 points"),
        ((290, 3, 2, 105), {}, "equal to the base within the margin (-1 to +2 points)"),
        ((10, 7, 3, 20), {}, "no difference from the base is shown (-6 to +25 points)"),
        (
            (36, 12, 2, 0),
            {"of_only_a": "truncated"},
            "no difference from the base is shown (+6 to +34 points, or -13 to +4 if every truncated answer counted as correct)",
        ),
    ],
)
def test_how_certain_a_difference_is(table, outcomes, certainty):
    lines = dict(seen_at_a_glance(table, **outcomes))
    assert lines["How certain"] == f"{PREFIX}: {certainty}."


def test_a_split_without_the_student_is_left_out():
    values = summary({BASE: rows((6, "correct"))}, Math(), EVALUATE)
    assert [term for term, _ in glance({"splits": {"test": values}}, [], {}, None)] == ["What it cost"]


def test_splits_come_in_their_order_and_latency_is_that_of_the_last():
    first = summary({STUDENT: rows((4, "correct")), TEACHER: rows((4, "correct"))}, Math(), EVALUATE)
    second = summary({STUDENT: rows((1, "correct")), TEACHER: rows((1, "correct"))}, Math(), EVALUATE)
    lines = glance({"splits": {"test_unseen": first, "test": second}}, [], {}, None)
    assert [term for term, _ in lines] == ["How good", "How good", "How certain", "How certain", "What it cost"]
    assert lines[0][1].startswith("On questions of a kind never trained on")
    assert lines[1][1].startswith(PREFIX)
    assert lines[-1][1].endswith(" An answer takes the student 0.10 s and the teacher (teacher-direct) 0.10 s.")
