"""Problems whose answer is a number or an expression; two answers are equal when their values are.

Strict extraction takes what stands after the last ``Answer:``, then the last box, then a text that is nothing else than an
answer. Lenient extraction falls back on the last number of the text.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from potstill.answers import numbers
from potstill.answers.equivalence import same_number
from potstill.answers.reading import lines
from potstill.answers.text import boxed, formula, spans, tidy
from potstill.tasks import Column, Example, Found, Task
from potstill.tasks.columns import text as as_text


class Math(Task):
    name: Literal["math"] = "math"
    """Which task it is."""

    answer_placeholder = "NUMBER"

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"question": Column.TEXT}

    def parse_gold(self, value: Any, example: Example) -> str:
        # GSM8K (Cobbe et al. 2021, arXiv 2110.14168) puts its number after its own rationale.
        said, marked, last = as_text(value).rpartition("####")
        gold = _answer(last.strip())
        whole = numbers.value(tidy(last)) is not None or formula(last) or boxed(last)
        if gold is None or not (marked or whole):
            raise ValueError(
                f"{(said + marked + last)[:60]!r} is no number or expression, nor does it end in '#### NUMBER'"
            )
        return gold

    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        for said, start in reversed(lines(text)):
            if answer := _answer(said):
                return Found(answer, "answer-line", start)
        if (box := boxed(text)) and (answer := _answer(box[0])):
            return Found(answer, "boxed", box[1])
        if "\n" not in text.strip() and numbers.value(bare := tidy(text)) is not None:
            return Found(bare, "bare")
        if not strict and (found := numbers.find(text)):
            return Found(found[-1], "last-number", text.rfind(found[-1]))
        return None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold = example["gold"]
        return {} if gold is None else {"accuracy": float(same_number(gold, answer))}

    def equivalent(self, a: str | None, b: str | None) -> bool:
        return a is not None and b is not None and same_number(a, b)

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return {"type": ["number", "string"]}


_STATED = re.compile(r"\b(?:is|are|was|equals?|makes?|gives?)\b|[=≈:]", re.IGNORECASE)


def _answer(said: str) -> str | None:
    """A number or formula out of the words around it: what stands after the last equals sign; in a sentence the number that
    it begins with, or the first after "is" and the like, or the last."""
    said = tidy(said)
    inside, said = spans(said), said.strip("$*` ").removesuffix(".")
    if numbers.value(said) is not None:
        return said
    if (box := boxed(said)) and box[0]:
        return _answer(box[0])
    last = said.rpartition("=")[2].strip()
    if numbers.value(last) is not None:
        return last
    if (written := formula(said)) and any(c.isalnum() for c in written):
        return said
    # The last formula of the sentence, whole: of $2\\sqrt{3}$ cm neither the 2 nor the 3 is the answer.
    if inside and (numbers.value(inside[-1]) is not None or formula(inside[-1])):
        return inside[-1]
    found = numbers.find(said)
    if not found or said.lstrip("($€£¥ ").startswith(found[0]):
        return found[0] if found else None
    for stated in reversed(list(_STATED.finditer(said))):
        if after := numbers.find(said[stated.end() :]):
            return after[0]
    return found[-1]
