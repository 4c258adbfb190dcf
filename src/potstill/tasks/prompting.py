"""How a model is prompted."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Prompting(StrEnum):
    """The user's plain prompt, or one of the task's prompts; alone, after solved examples, or after the training rows that are most
    similar to the question."""

    PLAIN = "plain"
    FEWSHOT = "fewshot"
    RETRIEVED = "retrieved"
    DIRECT = "direct"
    DIRECT_FEWSHOT = "direct-fewshot"
    DIRECT_RETRIEVED = "direct-retrieved"
    COT = "cot"
    COT_FEWSHOT = "cot-fewshot"
    COD = "cod"
    COD_FEWSHOT = "cod-fewshot"

    @property
    def prompt(self) -> str:
        """The name of the task's prompt template."""
        if self in (Prompting.FEWSHOT, Prompting.RETRIEVED):
            return "plain"
        return self.value.removesuffix("-fewshot").removesuffix("-retrieved")

    @property
    def is_few_shot(self) -> bool:
        """Whether solved examples come first."""
        return self.value.endswith("fewshot") or self.is_retrieved

    @property
    def is_retrieved(self) -> bool:
        """Whether these are rows that the student is trained on, chosen for each question."""
        return self.value.endswith("retrieved")


@dataclass(frozen=True)
class PromptSpec:
    """A prompting, the requested output format, and a limit on the words of the reasoning or summary."""

    prompting: Prompting = Prompting.PLAIN
    output: Literal["text", "json"] = "text"
    max_words: int | None = None


PLAIN = PromptSpec()
