"""The evaluation summary of tasks that are not gradable."""

import pytest

from potstill.recipe.recipe import Evaluate
from potstill.recipe.systems import System
from potstill.stages.evaluate.summary import summary
from potstill.tasks.registry import parse_task

SUMMARIZATION = parse_task("summarization")


def row(id_, words, overlap, *, gold="a summary"):
    """A row of predictions; without words it has no answer."""
    scores = {"words": float(words)} | ({} if gold is None else {"rouge_l": overlap}) if words else {}
    return {
        "id": str(id_), "gold": gold, "answer": "text" if words else None, "outcome": "answered" if words else "empty",
        "scores": dict.fromkeys(("rouge_l", "words")) | scores | {"strict": None, "lenient": None},
        "completion_tokens": 1, "seconds": 0.1,
    }  # fmt: skip


def test_scores_against_gold_use_rows_with_gold_and_count_a_missing_answer_as_zero():
    rows = [row(1, 10, 0.6), row(2, 10, 0.4), row(3, 0, 0), row(4, 10, 0, gold=None), row(5, 0, 0, gold=None)]
    metrics = summary({System.STUDENT: rows}, SUMMARIZATION, Evaluate())["systems"]["student"]["metrics"]
    assert metrics["rouge_l"]["estimate"] == pytest.approx(1.0 / 3)
    assert metrics["words"]["estimate"] == 10


def test_summaries_of_similar_length_are_also_compared_separately():
    student = [row(i, 20, 0.5) for i in range(6)] + [row(i, 60, 0.9) for i in range(6, 10)]
    teacher = [row(i, 24, 0.4) for i in range(6)] + [row(i, 20, 0.3) for i in range(6, 10)]
    predictions = {System.STUDENT: student, System.TEACHER_DIRECT: teacher}
    (comparison,) = summary(predictions, SUMMARIZATION, Evaluate())["comparisons"]
    assert comparison["scores"]["rouge_l"]["estimate"] == pytest.approx((6 * 0.1 + 4 * 0.6) / 10)
    assert comparison["matched"]["n"] == 6
    assert comparison["matched"]["scores"]["rouge_l"]["estimate"] == pytest.approx(0.1)
    assert comparison["matched"]["scores"]["words"]["estimate"] == pytest.approx(-4)
