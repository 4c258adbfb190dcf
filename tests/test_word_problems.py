from collections import Counter
from itertools import islice
from types import SimpleNamespace

import pytest

from potstill.data.examples import examples
from potstill.data.word_problem_templates import TEMPLATES
from potstill.data.word_problems import questions
from potstill.recipe.data import WordProblems
from potstill.tasks.math import Math


@pytest.mark.parametrize("unseen", [False, True])
def test_equal_thirds_by_steps_distinct_questions_and_positive_integer_gold(unseen):
    rows = list(islice(questions(3, unseen=unseen), 600))
    assert Counter(row["steps"] for row in rows) == {"1": 200, "2": 200, "3": 200}
    assert len({row["question"] for row in rows}) == 600
    assert all(int(row["gold"]) > 0 for row in rows)
    assert not any("{" in row["question"] or "|" in row["question"] for row in rows)


def test_at_least_16_templates_with_equal_thirds_by_steps():
    assert len(TEMPLATES) >= 16
    for unseen in (False, True):
        assert len(set(Counter(t.steps for t in TEMPLATES if t.unseen == unseen).values())) == 1


def test_splits_are_disjoint_and_growing_one_does_not_change_another():
    def splits(**sizes):
        data = WordProblems(**{"train": 200, "validation": 30, "test": 100, "test_unseen": 50} | sizes)
        rows = list(examples(SimpleNamespace(task=Math(), data=data, data_seed=5)))
        assert len({row["question"] for row in rows}) == len(rows)
        return {s: {r["question"] for r in rows if r["split"] == s} for s in ("train", "validation", "test")}

    before, more = splits(), splits(train=300)
    assert before["test"] == more["test"]
    assert before["validation"] == more["validation"]
    assert before["train"] < more["train"]
    assert len(before["train"] - splits(test=101)["train"]) <= 2


def test_the_seed_determines_the_questions_and_unseen_templates_are_separate():
    first = list(islice(questions(1), 50))
    assert first == list(islice(questions(1), 50))
    assert first != list(islice(questions(2), 50))
    seen = {row["group"] for row in islice(questions(1), 300)}
    unseen = {row["group"] for row in islice(questions(1, unseen=True), 300)}
    assert not seen & unseen
    assert seen | unseen == {template.name for template in TEMPLATES}
