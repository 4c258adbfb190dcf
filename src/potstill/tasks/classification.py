"""Any set of labels; a text has exactly one of them, or any number (``multi``)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from potstill.answers.folding import fold
from potstill.answers.labels import NONE, extract_label, extract_labels, labels_by_spelling, parse_gold_label
from potstill.tasks import Column, Example, ExtractedAnswer, Task
from potstill.tasks.literals import decode

_SEPARATOR = re.compile(r"[,;|\n]")


class Classification(Task):
    name: Literal["classification"] = "classification"
    """The task's name."""
    labels: Annotated[list[str], Field(min_length=2)]
    """The labels; an integer gold is an index into this list, counted from zero, unless labels are numbers."""
    multi: bool = False
    """Whether a text can have several labels, or none; gold is then a list, or text separated by commas, semicolons or
    bars."""
    about: str = ""
    """What the labels mean, or what to decide; a sentence for the teacher's prompt."""

    answer_placeholder = "LABEL"

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(self._spellings) < len(self.labels) or "" in self._spellings:
            raise ValueError("labels must differ by more than case, dashes, quotes and spaces, and must not be empty")
        if self.multi and any(_SEPARATOR.search(label) or fold(label) == NONE for label in self.labels):
            raise ValueError(f"with multi no label may contain a comma, a semicolon or a bar, or be '{NONE}'")
        return self

    @property
    def label_score(self) -> str:
        return "macro_f1"

    @property
    def label_set(self) -> Sequence[str]:
        return self.labels

    def labels_of(self, answer: str | None) -> frozenset[str]:
        if self.multi:
            return frozenset(_split(answer or NONE))
        return super().labels_of(answer)

    @property
    def takes_several_labels(self) -> bool:
        return self.multi

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"text": Column.TEXT}

    def variables(self, example: Example) -> dict[str, Any]:
        return {"labels": self.labels, "multi": self.multi, "about": self.about}

    def parse_gold(self, value: Any, example: Example) -> str:
        if not self.multi:
            return parse_gold_label(value, self.labels, self._spellings)
        value = decode(value)
        if isinstance(value, str):
            value = _SEPARATOR.split(value)
        values = value if isinstance(value, list) else [value]
        labels = [label for label in values if str(label).strip() and fold(str(label)) != NONE]
        return self._joined({parse_gold_label(label, self.labels, self._spellings) for label in labels})

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        if not self.multi:
            return extract_label(text, self._spellings, strict=strict)
        if not (found := extract_labels(text, self._spellings, strict=strict)):
            return None
        listed, rule, start = found
        return ExtractedAnswer(self._joined(listed), rule, start)

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold = example["gold"]
        if gold is None:
            return {}
        if not self.multi:
            return {"accuracy": float(answer == gold)}
        predicted, expected = (set(_split(labels)) for labels in (answer, gold))
        shared = len(predicted & expected)
        f1 = 2 * shared / (len(predicted) + len(expected)) if predicted or expected else 1.0
        return {"accuracy": float(predicted == expected), "f1": f1}

    def answer_schema(self, example: Example) -> dict[str, Any]:
        label = {"enum": self.labels}
        return {"type": "array", "items": label} if self.multi else label

    def answer_json(self, answer: str) -> Any:
        return _split(answer) if self.multi else answer

    def answer_from_json(self, reply: Mapping[str, Any], example: Example) -> str | None:
        value = reply["answer"]
        if self.multi and isinstance(value, list):
            value = ", ".join(map(str, value)) or NONE
        return super().answer_from_json({"answer": value}, example)

    def _joined(self, labels: Collection[str]) -> str:
        return ", ".join(label for label in self.labels if label in labels) or NONE

    @property
    def _spellings(self) -> dict[str, str]:
        return labels_by_spelling(self.labels)


def _split(labels: str) -> list[str]:
    return [] if labels == NONE else labels.split(", ")
