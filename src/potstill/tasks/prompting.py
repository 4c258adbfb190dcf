"""How a model is prompted."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Prompting(StrEnum):
    """The user's plain prompt, or one of the task's prompts; each with or without solved examples."""

    PLAIN = "plain"
    FEWSHOT = "fewshot"
    DIRECT = "direct"
    DIRECT_FEWSHOT = "direct-fewshot"
    COT = "cot"
    COT_FEWSHOT = "cot-fewshot"
    COD = "cod"
    COD_FEWSHOT = "cod-fewshot"

    @property
    def prompt(self) -> str:
        """The name of the task's prompt template."""
        return "plain" if self is Prompting.FEWSHOT else self.value.removesuffix("-fewshot")

    @property
    def is_few_shot(self) -> bool:
        """Whether solved examples come first."""
        return self.value.endswith("fewshot")


@dataclass(frozen=True)
class PromptSpec:
    """A prompting, the requested output format, and a limit on the words of the reasoning or summary."""

    prompting: Prompting = Prompting.PLAIN
    output: Literal["text", "json"] = "text"
    max_words: int | None = None


PLAIN = PromptSpec()
