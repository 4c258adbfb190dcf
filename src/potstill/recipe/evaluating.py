"""The recipe sections `evaluate` and `report`."""

from typing import Literal

from pydantic import Field, model_validator

from potstill.config import Section
from potstill.recipe.judging import Judges
from potstill.recipe.systems import System


class Evaluate(Section):
    """Which systems answer the test questions, and how answers are extracted."""

    systems: list[System] | None = Field(default=None, min_length=1)
    """Systems that answer the same questions of each test split: known names, such as `base-direct` or `teacher-cot`, and
    `{name, model, prompting}` for any other model, `{name, predictions}` for answers in a file, or `{name, export}` for an exported
    form of the student; for a task with labels, `linear` is a linear model that is fitted on the student's training rows. Left out: the base with the plain prompt and in a way that
    tells it the task, `linear`, the student, and the teacher without solved examples and as it was asked for training data."""
    extraction: Literal["lenient", "strict"] = "lenient"
    """How the answers to validation and test questions are read: `strict` only in the requested form; `lenient` also where a
    text says its answer in other words. Training data is read by `curate.extraction`."""
    retrieved: int = Field(default=4, ge=1, le=64)
    """Number of training rows, those most similar to the question (TF-IDF), that come first in the promptings `retrieved` and
    `direct-retrieved`, as in `base-retrieved`."""
    judge: Judges | None = None
    """Models that grade the answers; where the task's scorer is `judge`, they decide which are correct."""
    margin: float = Field(default=0.05, gt=0, lt=1)
    """The student counts as not worse than another system when it is shown to be worse by less than this difference of accuracies."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Level of all intervals."""

    @model_validator(mode="after")
    def _distinct(self) -> "Evaluate":
        names = [one.name.casefold() for one in self.systems or ()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the system '{twice}' is listed twice")
        return self


class Report(Section):
    """The report."""

    examples: int = Field(default=20, ge=0)
    """Number of test questions shown side by side."""
