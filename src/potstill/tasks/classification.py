"""Any set of labels, of which a text has one, or several (``multi``)."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from potstill.answers.reading import as_label, exact_label, find_label, gold_label, json_in, lines, spellings
from potstill.tasks import Column, Example, Found, Task

_BETWEEN = re.compile(r"[,;|\n]")
_AND = re.compile(r"(?:^|\s)(?:and|&)\s", re.IGNORECASE)
NONE = "none"
"""What is said when no label of several fits."""


class Classification(Task):
    name: Literal["classification"] = "classification"
    """Which task it is."""
    labels: Annotated[list[str], Field(min_length=2)]
    """The labels; a gold that is a whole number counts from nought in this order, unless labels are numbers."""
    multi: bool = False
    """Whether a text has several labels, or none; gold is then a list, or text with commas, semicolons or bars between
    them."""
    about: str = ""
    """What the labels mean, or what is to be decided; a sentence for the teacher's prompt."""

    answer_placeholder = "LABEL"

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({label.casefold().strip() for label in self.labels}) < len(self.labels) or not all(self.labels):
            raise ValueError("labels must differ, and not by case alone")
        if self.multi and any(_BETWEEN.search(label) or label.casefold() == NONE for label in self.labels):
            raise ValueError(f"with multi no label may hold a comma, a semicolon or a bar, nor be '{NONE}'")
        return self

    @property
    def closed_set(self) -> bool:
        return not self.multi

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"text": Column.TEXT}

    def variables(self, example: Example) -> dict[str, Any]:
        return {"labels": self.labels, "multi": self.multi, "about": self.about}

    def parse_gold(self, value: Any, example: Example) -> str:
        if not self.multi:
            return gold_label(value, self.labels, self._spellings)
        if isinstance(value, str):
            inside = json_in(value) if value.lstrip().startswith("[") else None
            value = inside if isinstance(inside, list) else _BETWEEN.split(value)
        values = value if isinstance(value, list) else [value]
        several = [one for one in values if str(one).strip() and str(one).casefold().strip() != NONE]
        return self._joined({gold_label(one, self.labels, self._spellings) for one in several})

    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        if not self.multi:
            return find_label(text, self._spellings, strict=strict)
        for said, start in reversed(lines(text)):
            if answer := self._several(said):
                return Found(answer, "answer-line", start)
        if answer := self._several(text, exact_label):
            return Found(answer, "bare")
        return None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold = example["gold"]
        if gold is None:
            return {}
        if not self.multi:
            return {"accuracy": float(answer == gold)}
        said, true = (set(_split(labels)) for labels in (answer, gold))
        both = len(said & true)
        f1 = 2 * both / (len(said) + len(true)) if said or true else 1.0
        return {"accuracy": float(said == true), "f1": f1}

    def answer_schema(self, example: Example) -> dict[str, Any]:
        one = {"enum": self.labels}
        return {"type": "array", "items": one} if self.multi else one

    def answer_json(self, answer: str) -> Any:
        return _split(answer) if self.multi else answer

    def answer_of_json(self, inside: Mapping[str, Any], example: Example) -> str | None:
        value = inside["answer"]
        if self.multi and isinstance(value, list):
            return self._several(", ".join(map(str, value)) or NONE)
        return super().answer_of_json(inside, example)

    def _several(self, said: str, read: Callable[[str, Mapping[str, str]], str | None] = as_label) -> str | None:
        known = self._spellings | {NONE: NONE}
        pieces = [piece for piece in _BETWEEN.split(said.strip(" \n[]{}.")) if piece.strip()]
        if not pieces or len(pieces) > 2 * len(self.labels):
            return None
        # A name may hold "and": "terms and conditions".
        found = [
            read(one, known)
            for piece in pieces
            for one in ([piece] if exact_label(piece, known) else filter(None, map(str.strip, _AND.split(piece))))
        ]
        return None if None in found else self._joined({label for label in found if label and label != NONE})

    def _joined(self, labels: set[str]) -> str:
        return ", ".join(label for label in self.labels if label in labels) or NONE

    @property
    def _spellings(self) -> dict[str, str]:
        return spellings(self.labels)


def _split(labels: str) -> list[str]:
    return [] if labels == NONE else labels.split(", ")
