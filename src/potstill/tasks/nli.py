"""Natural-language inference: whether a premise entails a hypothesis, contradicts it, or neither.

Several hypotheses of one premise are no independent questions: the premise is the group, and stays in one split.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from potstill.answers.reading import find_label, gold_label, spellings
from potstill.tasks import Column, Example, Found, Task

SPELLINGS = {
    "entails": "entailment", "entailed": "entailment", "contradicts": "contradiction", "contradictory": "contradiction",
}  # fmt: skip


class Nli(Task):
    name: Literal["nli"] = "nli"
    """Which task it is."""
    labels: list[str] = ["entailment", "neutral", "contradiction"]
    """The labels; a gold that is a whole number counts from nought in this order, as on the hub."""

    answer_placeholder = "LABEL"

    @property
    def closed_set(self) -> bool:
        return True

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"premise": Column.TEXT, "hypothesis": Column.TEXT}

    def group(self, example: Example) -> str:
        return str(example["premise"])

    def variables(self, example: Example) -> dict[str, Any]:
        return {"labels": self.labels}

    def parse_gold(self, value: Any, example: Example) -> str:
        return gold_label(value, self.labels, self._spellings)

    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        return find_label(text, self._spellings, strict=strict)

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        return {} if example["gold"] is None else {"accuracy": float(answer == example["gold"])}

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return {"enum": self.labels}

    @property
    def shots(self) -> Sequence[Example]:
        """The task's own solved examples in the words of `labels`; none where there is a label that they do not have."""
        own = [dict(shot) | {"gold": self._spellings.get(shot["gold"])} for shot in super().shots]
        return own if {shot["gold"] for shot in own} == set(self.labels) else ()

    @property
    def _spellings(self) -> dict[str, str]:
        own = spellings(self.labels)
        return {said: own[label] for said, label in SPELLINGS.items() if label in own} | own
