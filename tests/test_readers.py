"""No text makes a reader raise or take long, whatever the task; READER_EXAMPLES asks for more than the usual number of texts."""

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from potstill.answers import languages
from potstill.tasks import Status
from potstill.tasks.registry import parse_task

EXAMPLES = int(os.environ.get("READER_EXAMPLES", "150"))
RECORD = {"type": "object", "properties": {"a": {"type": "string"}, "n": {"type": "number"}}}
QUESTION = {"name": "custom", "prompts": {"plain": "{{ q }}"}}
TASKS = {
    "math": "math", "nli": "nli", "choice": "multiple_choice", "numbered choice": {"name": "multiple_choice", "marks": "numbers"},
    "words": {"name": "classification", "labels": ["positive", "negative", "not positive", "food_quality"]},
    "signs": {"name": "classification", "labels": ["-1", "0", "1", "A", "A-", "C++", "否", "no"]},
    "several": {"name": "classification", "labels": ["red", "sea green", "1", "R&D"], "multi": True},
    "extraction": {"name": "extraction", "json_schema": RECORD}, "custom": QUESTION, "custom numbers": QUESTION | {"scorer": "numeric"},
    "custom records": QUESTION | {"json_schema": RECORD}, "pattern": QUESTION | {"answer_pattern": "#### (.+)"},
    "conversation": "conversation", "summarization": "summarization",
}  # fmt: skip
EXAMPLE = {"options": ["a red hat", "it’s blue", "7"], "messages": [{"role": "user", "content": "x"}]}
PIECES = st.sampled_from(
    [*languages.ANSWER_WORDS.split("|"), ":", "：", "\n", " ", "- ", "1. ", "positive", "negative", "not", "isn’t", "or", "A-", "-1", "4.5", "out of 5",
     "\\boxed{", "\\text{", "}", "{", "[", "]", '"', "'", ",", "/", "+", "&", "red", "sea green", "R&D", "none", '"answer"', '{"answer": ', "<answer>", "</answer>",
     "#### ", "The answer is ", "is not the case", "I can’t help", "nicht", "ich kann", "无法", "A", "B", "(B)", "and", "½", "１", "İ", "\u0301", "\u200b", "\ud800",
     "```json\n", "1,234", "$", "\\frac{1}{2}", "%", "=", "million", "minus"]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=100),
    st.lists(PIECES, max_size=12).map("".join),
    st.lists(PIECES, max_size=12).map(" ".join),
    st.builds(lambda pieces, n: "".join(pieces) * n, st.lists(PIECES, min_size=1, max_size=4), st.integers(1, 300)),
)


@pytest.mark.parametrize("name", TASKS)
@given(text=TEXTS, strict=st.booleans(), finish=st.sampled_from(["stop", "length", "repeating"]))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_makes_a_reader_raise_or_take_a_second(name, text, strict, finish):
    task = parse_task(TASKS[name])
    example = dict.fromkeys([*task.columns, "gold"], "") | EXAMPLE
    began = time.process_time()
    parsed = task.parse(text, finish, example, strict=strict)
    assert time.process_time() - began < 1
    assert (parsed.answer is not None) == (parsed.status is Status.OK)
