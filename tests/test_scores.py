"""What is said of systems whose answers no gold decides."""

import pytest

from potstill.stages.evaluate.summary import summary
from potstill.tasks.registry import parse_task

SUMMARIZATION = parse_task("summarization")


def row(id_, words, overlap, *, gold="a summary"):
    """A row of predictions; no answer where there are no words."""
    scores = {"words": float(words)} | ({} if gold is None else {"rouge_l": overlap}) if words else {}
    return {
        "id": str(id_), "gold": gold, "answer": "said" if words else None, "outcome": "answered" if words else "empty",
        "scores": dict.fromkeys(("rouge_l", "words")) | scores | {"strict": None, "lenient": None},
        "completion_tokens": 1, "seconds": 0.1,
    }  # fmt: skip


def test_a_score_against_gold_is_of_the_rows_that_have_gold_and_nought_where_there_is_no_answer():
    rows = [row(1, 10, 0.6), row(2, 10, 0.4), row(3, 0, 0), row(4, 10, 0, gold=None), row(5, 0, 0, gold=None)]
    metrics = summary({"student": rows}, SUMMARIZATION, 0.95, 0.05)["systems"]["student"]["metrics"]
    assert metrics["rouge_l"]["estimate"] == pytest.approx(1.0 / 3)
    assert metrics["words"]["estimate"] == 10


def test_summaries_are_compared_once_more_where_they_are_about_as_long():
    student = [row(i, 20, 0.5) for i in range(6)] + [row(i, 60, 0.9) for i in range(6, 10)]
    teacher = [row(i, 24, 0.4) for i in range(6)] + [row(i, 20, 0.3) for i in range(6, 10)]
    (comparison,) = summary({"student": student, "teacher-direct": teacher}, SUMMARIZATION, 0.95, 0.05)["comparisons"]
    assert comparison["scores"]["rouge_l"]["estimate"] == pytest.approx((6 * 0.1 + 4 * 0.6) / 10)
    assert comparison["matched"]["n"] == 6
    assert comparison["matched"]["scores"]["rouge_l"]["estimate"] == pytest.approx(0.1)
    assert comparison["matched"]["scores"]["words"]["estimate"] == pytest.approx(-4)
