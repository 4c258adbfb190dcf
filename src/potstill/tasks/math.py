"""Problems whose answer is a number or an expression; two answers are equal when their values are.

Strict extraction uses the text after the last ``Answer:`` (in any language with an answer word) or after a later "the answer
is", then the last box, then a text that is nothing but a number. Lenient extraction falls back on the last "the answer is", then
on the last number of the text.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from potstill.answers import numbers
from potstill.answers.announced import stated_answers
from potstill.answers.equivalence import same_number
from potstill.answers.latex import last_box
from potstill.answers.math_values import extract_value, is_value, value_in_text
from potstill.answers.normalization import normalize
from potstill.answers.notation import LANGUAGES, plain_numbers
from potstill.errors import did_you_mean
from potstill.tasks import Column, Example, ExtractedAnswer, Task, answer_lines, parse_text

MAX_ANNOUNCED = 20
"""The number of last announced answers of a text that are read."""


def _validate_language(language: str) -> str:
    if language not in LANGUAGES:
        raise ValueError(
            f"'{language}' is no known language.{did_you_mean(language, sorted(LANGUAGES))} Give its English name in lower case: "
            f"{', '.join(sorted(LANGUAGES))}"
        )
    return language


class Math(Task):
    name: Literal["math"] = "math"
    """The task's name."""
    language: Annotated[str, AfterValidator(_validate_language)] = "english"
    """The language of questions and answers, by its English name. It decides what a comma and a point in a number mean (in
    German, 1.234 is 1234 and 0,5 is a half), and whose number words are read besides the English ones."""

    answer_placeholder = "NUMBER"
    question_tells_task = True

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"question": Column.TEXT}

    def parse_gold(self, value: Any, example: Example) -> str:
        # GSM8K (Cobbe et al. 2021, arXiv 2110.14168) puts its number after its own rationale.
        text = parse_text(value)
        _, separator, last = text.rpartition("####")
        language = self.language if isinstance(value, str) else "english"  # a JSON number has a decimal point
        gold = extract_value(last.strip(), language)
        if gold is None or not (separator or is_value(last, language)):
            raise ValueError(f"{text[:60]!r} is no number or expression, nor does it end in '#### NUMBER'")
        return gold

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        stated = self._last_value(stated_answers(text), "stated")
        line = self._last_value(answer_lines(text), "answer-line")
        if line:
            # A phrase may end in "answer:" before the answer is announced.
            return stated if stated and stated.start > line.start else line
        if (box := last_box(text)) and (answer := extract_value(box[0], self.language)):
            return ExtractedAnswer(answer, "boxed", box[1])
        bare = normalize(plain_numbers(text, self.language))
        if "\n" not in text.strip() and numbers.parse(bare) is not None:
            return ExtractedAnswer(bare, "bare")
        if strict:
            return None
        if stated:
            return stated
        number = value_in_text(text, self.language)
        return ExtractedAnswer(number, "last-number", _last_digit(text)) if number else None

    def _last_value(self, answers: Sequence[tuple[str, int]], rule: str) -> ExtractedAnswer | None:
        for line, start in reversed(answers[-MAX_ANNOUNCED:]):
            if answer := extract_value(line, self.language):
                return ExtractedAnswer(answer, rule, start)
        return None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold = example["gold"]
        return {} if gold is None else {"accuracy": float(same_number(gold, answer))}

    def equivalent(self, a: str | None, b: str | None) -> bool:
        return a is not None and b is not None and same_number(a, b)

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return {"type": ["number", "string"]}


def _last_digit(text: str) -> int:
    return next((i for i in range(len(text) - 1, -1, -1) if text[i].isdecimal()), 0)
