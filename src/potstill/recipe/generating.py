"""The recipe section `generate`: how the teacher is prompted."""

from typing import Literal

from pydantic import Field, model_validator

from potstill.config import Section, Seed


class FewShot(Section):
    """Solved examples of few-shot prompts, for every model."""

    source: Literal["task", "train"] | None = None
    """The task's own examples, or training examples with their gold. Left out: the task's, if it has any."""
    n: int = Field(default=2, ge=1, le=64)
    """Number of examples taken from `train`."""
    select: Literal["seed", "similarity"] = "seed"
    """The same examples for every question, drawn by seed; or the most similar ones to each question (TF-IDF)."""


class Generate(Section):
    """How the teacher is prompted."""

    prompting: Literal["plain", "direct", "direct-fewshot", "cot", "cot-fewshot", "cod", "cod-fewshot"] | None = None
    """The task's prompt for the teacher; `plain` is the student's. Left out: `direct` for the condition `vanilla`, `cod` for `cod`, otherwise
    `cot-fewshot`, or `cot` where the task has no solved examples of its own."""
    output: Literal["text", "json"] = "text"
    """Whether the teacher answers in text or in JSON (with a JSON Schema, where its server accepts one)."""
    max_words: int | None = Field(default=None, ge=1)
    """Limit on the words of the teacher's reasoning, or of each of its summaries; stated in the prompt."""
    shots: FewShot = FewShot()
    """Solved examples of few-shot prompts."""
    samples: int = Field(default=1, ge=1)
    """Completions for each question."""
    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus sampling: draw from the smallest set of tokens with at least this probability."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit on the new tokens of a completion; in evaluation, of an answer to any prompt but the plain one, see
    `student.max_tokens`."""
    seed: Seed | None = None
    """Seed of the teacher's draws, which matters above temperature 0. Left out: the recipe's `seed`."""
    top_logprobs: int = Field(default=0, ge=0, le=20)
    """Number of alternative tokens saved with their log-probabilities, where the server returns them."""

    @model_validator(mode="after")
    def _samples_differ(self) -> "Generate":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples at temperature 0 are identical; set a temperature")
        return self
