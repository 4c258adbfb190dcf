import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.tasks import Prompting, Status
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
def test_status_and_answer(text, finish, strict, lenient):
    for is_strict, expected in ((True, strict), (False, lenient)):
        parsed = TASK.parse(text, finish, strict=is_strict)
        assert (parsed.status, parsed.answer) == expected


@given(st.text(), st.booleans())
def test_no_text_raises_and_only_ok_has_an_answer(text, strict):
    parsed = TASK.parse(text, "stop", strict=strict)
    assert (parsed.answer is not None) == (parsed.status is Status.OK)


def test_student_prompt_is_the_users_own_and_completions_read_back():
    example = {"question": "What is <1> & 2?"}
    assert TASK.messages(example, Prompting.PLAIN) == [{"role": "user", "content": "What is <1> & 2?"}]
    said = TASK.completion("1 + 1 = 2.", "2")
    parsed = TASK.parse(said, "stop", strict=True)
    assert (parsed.rationale, parsed.answer) == ("1 + 1 = 2.", "2")


def test_numbers_are_compared_by_value():
    assert TASK.scores("1,000.0", "1000") == {"accuracy": 1.0}
    assert TASK.scores("-5", "5") == {"accuracy": 0.0}
    assert TASK.scores(None, "5") == {"accuracy": 0.0}
