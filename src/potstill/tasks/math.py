"""Problems whose answer is a number.

Strict extraction takes the last ``Answer: NUMBER``; lenient extraction falls back on the last number of the text.
"""

import re
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from potstill.models import Message
from potstill.tasks import Example, Parsed, Prompting, Status

NUMBER = r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d{1,40})(?:\.\d{1,40})?"
ANSWER = re.compile(rf"answer\s{{0,3}}:[\s*$€£]{{0,8}}({NUMBER})", re.IGNORECASE)
ANY_NUMBER = re.compile(NUMBER)
REFUSAL = re.compile(r"\bI(?:'m| am) (?:sorry|unable)\b|\bI (?:can't|cannot|won't)\b", re.IGNORECASE)
ABSTENTION = re.compile(
    r"\b(?:not enough information|cannot be determined|can't be determined|I don't know)\b", re.IGNORECASE
)
LONGEST_TEXT = 100_000
"""Characters of a completion that are looked at, counted from its end."""


class Math:
    name = "math"
    fields: tuple[str, ...] = ("question",)

    def messages(self, example: Example, prompting: Prompting) -> list[Message]:
        messages: list[Message] = []
        shots = _shots() if prompting in (Prompting.FEWSHOT, Prompting.COT_FEWSHOT) else ()
        template = {Prompting.FEWSHOT: "plain", Prompting.COT_FEWSHOT: "cot"}.get(prompting, prompting.value)
        for shot in shots:
            messages.append({"role": "user", "content": _render(template, shot["question"])})
            messages.append({"role": "assistant", "content": self.completion(shot["rationale"], shot["answer"])})
        messages.append({"role": "user", "content": _render(template, example["question"])})
        return messages

    def parse(self, text: str, finish_reason: str, *, strict: bool) -> Parsed:
        if finish_reason == "content_filter":
            return Parsed(Status.REFUSED)
        if finish_reason == "length":
            return Parsed(Status.TRUNCATED)
        if not text.strip():
            return Parsed(Status.EMPTY)
        text = text[-LONGEST_TEXT:]
        if found := list(ANSWER.finditer(text)):
            return Parsed(Status.OK, found[-1][1], text[: found[-1].start()].strip("* \n"))
        if ABSTENTION.search(text):
            return Parsed(Status.ABSTAINED)
        if REFUSAL.search(text):
            return Parsed(Status.REFUSED)
        if not strict and (found := list(ANY_NUMBER.finditer(text))):
            return Parsed(Status.OK, found[-1][0], text.strip())
        return Parsed(Status.UNPARSEABLE)

    def scores(self, answer: str | None, gold: str) -> dict[str, float]:
        return {"accuracy": float(answer is not None and _value(answer) == _value(gold))}

    def gold(self, text: str) -> str:
        # GSM8K (Cobbe et al. 2021, arXiv 2110.14168) puts its number after its own rationale.
        number = text.rsplit("####", 1)[-1].strip().strip("$ ").replace(",", "")
        value = _value(number)
        if value is None or not value.is_finite():
            raise ValueError(f"{text[:60]!r} is not a number, nor does it end in '#### NUMBER'.")
        return number

    def completion(self, rationale: str, answer: str) -> str:
        return f"{rationale.strip()}\nAnswer: {answer}".strip()


def _value(number: str) -> Decimal | None:
    try:
        return Decimal(number.replace(",", "").replace("−", "-"))
    except InvalidOperation:
        return None


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, autoescape=False)


def _render(template: str, question: str) -> str:
    return _environment().get_template(f"math.{template}.jinja").render(question=question)


@cache
def _shots() -> tuple[dict[str, str], ...]:
    return tuple(yaml.safe_load((Path(__file__).parent / "math.fewshot.yaml").read_text(encoding="utf-8")))
