from collections import Counter
from itertools import islice

import pytest

from potstill.data.word_problem_templates import TEMPLATES
from potstill.data.word_problems import questions


@pytest.mark.parametrize("unseen", [False, True])
def test_thirds_by_steps_without_repetition_and_whole_gold(unseen):
    rows = list(islice(questions(3, unseen=unseen), 600))
    assert Counter(row["steps"] for row in rows) == {"1": 200, "2": 200, "3": 200}
    assert len({row["question"] for row in rows}) == 600
    assert all(int(row["gold"]) > 0 for row in rows)
    assert not any("{" in row["question"] or "|" in row["question"] for row in rows)


def test_templates_are_many_and_a_third_each_takes_one_two_and_three_steps():
    assert len(TEMPLATES) >= 16
    for unseen in (False, True):
        assert len(set(Counter(t.steps for t in TEMPLATES if t.unseen == unseen).values())) == 1


def test_seed_decides_and_unseen_templates_are_others():
    first = list(islice(questions(1), 50))
    assert first == list(islice(questions(1), 50))
    assert first != list(islice(questions(2), 50))
    seen = {row["group"] for row in islice(questions(1), 300)}
    unseen = {row["group"] for row in islice(questions(1, unseen=True), 300)}
    assert not seen & unseen
    assert seen | unseen == {template.name for template in TEMPLATES}
