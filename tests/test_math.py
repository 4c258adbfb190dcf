"""The math task: parsing, gold and scores."""

import pytest

from potstill.tasks import Status
from potstill.tasks.math import Math

TASK = Math()


@pytest.mark.parametrize(
    ("text", "finish", "strict", "lenient"),
    [
        ("2 + 3 = 5\nAnswer: 5", "stop", (Status.OK, "5"), (Status.OK, "5")),
        ("**Answer:** $1,234.50", "stop", (Status.OK, "1,234.50"), (Status.OK, "1,234.50")),
        ("so she has 12 apples.", "stop", (Status.UNPARSEABLE, None), (Status.OK, "12")),
        ("no digits", "stop", (Status.UNPARSEABLE, None), (Status.UNPARSEABLE, None)),
        ("Answer: 5 and then", "length", (Status.TRUNCATED, None), (Status.TRUNCATED, None)),
        (" \n", "stop", (Status.EMPTY, None), (Status.EMPTY, None)),
        ("I cannot help with that.", "stop", (Status.REFUSED, None), (Status.REFUSED, None)),
        ("", "content_filter", (Status.REFUSED, None), (Status.REFUSED, None)),
        ("That cannot be determined from 3 facts.", "stop", (Status.ABSTAINED, None), (Status.ABSTAINED, None)),
    ],
)
def test_strict_and_lenient_parsing(text, finish, strict, lenient):
    for is_strict, expected in ((True, strict), (False, lenient)):
        parsed = TASK.parse(text, finish, {}, strict=is_strict)
        assert (parsed.status, parsed.answer) == expected


def test_numbers_are_compared_by_value():
    assert TASK.scores("1,000.0", {"gold": "1000"}) == {"accuracy": 1.0}
    assert TASK.scores("-5", {"gold": "5"}) == {"accuracy": 0.0}
    assert TASK.scores("50%", {"gold": "0.5"}) == {"accuracy": 1.0}
    assert TASK.scores("\\frac{1}{2}", {"gold": "0.5"}) == {"accuracy": 1.0}
    assert TASK.scores("x = 3", {"gold": "3"}) == {"accuracy": 1.0}


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ("reasons\n#### 1,234", "1,234"),
        ("12", "12"),
        ("$5", "5"),
        ("\\frac{1}{2}", "\\frac{1}{2}"),
        ("2x + 1", "2x + 1"),
    ],
)
def test_gold_is_a_number_or_an_expression(gold, expected):
    assert TASK.parse_gold(gold, {}) == expected
