"""Natural-language inference: whether a premise entails a hypothesis, contradicts it, or neither.

Hypotheses that share a premise are not independent: the premise is the group key and stays in one split.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from potstill.answers.labels import extract_label, labels_by_spelling, parse_gold_label
from potstill.tasks import Column, Example, ExtractedAnswer, Task

LABEL_SYNONYMS = {
    "entails": "entailment", "entailed": "entailment", "contradicts": "contradiction", "contradictory": "contradiction",
}  # fmt: skip


class Nli(Task):
    name: Literal["nli"] = "nli"
    """The task's name."""
    labels: list[str] = ["entailment", "neutral", "contradiction"]
    """The labels; an integer gold is an index into this list, counted from zero, as on the Hugging Face hub."""

    answer_placeholder = "LABEL"

    @property
    def label_score(self) -> str:
        return "macro_f1"

    @property
    def label_set(self) -> Sequence[str]:
        return self.labels

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"premise": Column.TEXT, "hypothesis": Column.TEXT}

    def group(self, example: Example) -> str:
        return str(example["premise"])

    def variables(self, example: Example) -> dict[str, Any]:
        return {"labels": self.labels}

    def parse_gold(self, value: Any, example: Example) -> str:
        return parse_gold_label(value, self.labels, self._spellings)

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        return extract_label(text, self._spellings, strict=strict)

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        return {} if example["gold"] is None else {"accuracy": float(answer == example["gold"])}

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return {"enum": self.labels}

    @property
    def shots(self) -> Sequence[Example]:
        """The task's own solved examples with the spelling of `labels`; none if they do not cover exactly these labels."""
        shots = [dict(shot) | {"gold": self._spellings.get(shot["gold"])} for shot in super().shots]
        return shots if {shot["gold"] for shot in shots} == set(self.labels) else ()

    @property
    def _spellings(self) -> dict[str, str]:
        spellings = labels_by_spelling(self.labels)
        synonyms = {word: spellings[label] for word, label in LABEL_SYNONYMS.items() if label in spellings}
        return synonyms | spellings
