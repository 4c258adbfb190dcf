"""Problems whose answer is a number or an expression; two answers are equal when their values are.

Strict extraction uses the text after the last ``Answer:``, then the last box, then a text that is nothing but a number.
Lenient extraction falls back on the last number of the text.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

from potstill.answers import numbers
from potstill.answers.equivalence import same_number
from potstill.answers.latex import as_formula, last_box, math_spans
from potstill.answers.normalization import normalize
from potstill.tasks import Column, Example, ExtractedAnswer, Task, answer_lines, parse_text

_STATES_VALUE = re.compile(r"\b(?:is|are|was|equals?|makes?|gives?)\b|[=≈:]", re.IGNORECASE)


class Math(Task):
    name: Literal["math"] = "math"
    """The task's name."""

    answer_placeholder = "NUMBER"
    question_tells_task = True

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"question": Column.TEXT}

    def parse_gold(self, value: Any, example: Example) -> str:
        # GSM8K (Cobbe et al. 2021, arXiv 2110.14168) puts its number after its own rationale.
        text = parse_text(value)
        _, separator, last = text.rpartition("####")
        gold = _extract_value(last.strip())
        is_plain = numbers.parse(normalize(last)) is not None or as_formula(last) or last_box(last)
        if gold is None or not (separator or is_plain):
            raise ValueError(f"{text[:60]!r} is no number or expression, nor does it end in '#### NUMBER'")
        return gold

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        for line, start in reversed(answer_lines(text)):
            if answer := _extract_value(line):
                return ExtractedAnswer(answer, "answer-line", start)
        if (box := last_box(text)) and (answer := _extract_value(box[0])):
            return ExtractedAnswer(answer, "boxed", box[1])
        if "\n" not in text.strip() and numbers.parse(number := normalize(text)) is not None:
            return ExtractedAnswer(number, "bare")
        if not strict and (candidates := numbers.extract(text)):
            return ExtractedAnswer(candidates[-1], "last-number", text.rfind(candidates[-1]))
        return None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold = example["gold"]
        return {} if gold is None else {"accuracy": float(same_number(gold, answer))}

    def equivalent(self, a: str | None, b: str | None) -> bool:
        return a is not None and b is not None and same_number(a, b)

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return {"type": ["number", "string"]}


def _extract_value(text: str) -> str | None:
    """The number or formula that a short text gives, in this order: the complete text, a box, the number after the last equals
    sign, the complete text as a formula, the last formula of the sentence, the number that the text begins with, the first
    number after the last "is" or similar, the last number."""
    text = normalize(text)
    spans, text = math_spans(text), text.strip("$*` ").removesuffix(".")
    if numbers.parse(text) is not None:
        return text
    if (box := last_box(text)) and box[0]:
        return _extract_value(box[0])
    last = text.rpartition("=")[2].strip()
    if numbers.parse(last) is not None:
        return last
    if (formula := as_formula(text)) and any(c.isalnum() for c in formula):
        return text
    # A formula stays intact: of $2\\sqrt{3}$ cm neither the 2 nor the 3 is the answer.
    if spans and (numbers.parse(spans[-1]) is not None or as_formula(spans[-1])):
        return spans[-1]
    candidates = numbers.extract(text)
    if not candidates or text.lstrip("($€£¥ ").startswith(candidates[0]):
        return candidates[0] if candidates else None
    for match in reversed(list(_STATES_VALUE.finditer(text))):
        if after := numbers.extract(text[match.end() :]):
            return after[0]
    return candidates[-1]
