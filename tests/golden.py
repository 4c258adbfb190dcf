"""Small tables of predictions, and a way to compare nested results."""

from itertools import chain

import pytest

from potstill.stages.evaluate.outcome import Outcome

SECONDS, TOKENS = (0.1, 0.3), (10, 12)
"""Of even and odd rows: means of 0.2 s and 11 tokens where their number is even."""
NO_ANSWER = {*Outcome} - {Outcome.CORRECT, Outcome.INCORRECT, Outcome.ANSWERED}


def prediction(i, outcome, *, gold="7", answer="7", scores=None):
    """A row of predictions/SYSTEM.parquet of question ``i``. Of a correct answer the scores are 1, otherwise 0; ``scores``
    come before them."""
    has_answer = outcome not in NO_ANSWER
    decided = None if gold is None else float(outcome == "correct")
    return {
        "id": f"q{i}", "group": f"q{i}", "sample": 0, "messages": [{"role": "user", "content": "?"}], "text": "t",
        "rationale": "", "answer": answer if has_answer else None, "gold": gold,
        "status": "ok" if has_answer else outcome, "rule": "bare" if has_answer else "", "outcome": outcome,
        "scores": {**({"accuracy": decided} if scores is None else scores), "strict": decided, "lenient": decided},
        "prompt_tokens": 5, "completion_tokens": TOKENS[i % 2], "seconds": SECONDS[i % 2], "error": None,
    }  # fmt: skip


def rows(*runs):
    """Rows from runs of equal outcomes, as ``(36, "correct"), (14, "incorrect")``."""
    outcomes = chain.from_iterable([outcome] * n for n, outcome in runs)
    return [prediction(i, outcome) for i, outcome in enumerate(outcomes)]


def pair(both, only_a, only_b, neither, *, of_only_a="incorrect", of_only_b="incorrect"):
    """Two systems by the 2 x 2 table of their answers. ``of_only_a`` is b's outcome where only a is correct, and the reverse."""
    a = rows((both, "correct"), (only_a, "correct"), (only_b, of_only_b), (neither, "incorrect"))
    b = rows((both, "correct"), (only_a, of_only_a), (only_b, "correct"), (neither, "incorrect"))
    return a, b


def metric(estimate, low, high):
    return {"estimate": estimate, "low": low, "high": high}


def flat(values, path=""):
    """Nested mappings and lists as one mapping, with the paths of their leaves; empty ones are leaves."""
    items = values.items() if isinstance(values, dict) else enumerate(values)
    leaves = {}
    for key, value in items:
        nested = isinstance(value, dict | list) and value
        leaves |= flat(value, f"{path}{key}/") if nested else {f"{path}{key}": value}
    return leaves


def assert_equal(actual, expected):
    """Equal keys, texts and numbers; numbers to six decimals."""
    actual, expected = flat(actual), flat(expected)
    assert actual.keys() == expected.keys()
    numbers = [path for path, value in expected.items() if isinstance(value, int | float)]
    assert {path: v for path, v in actual.items() if path not in numbers} == {
        path: v for path, v in expected.items() if path not in numbers
    }
    assert {path: actual[path] for path in numbers} == pytest.approx(
        {path: expected[path] for path in numbers}, abs=1.1e-6, rel=0
    )
