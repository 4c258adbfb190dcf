"""The recipe section `curate`: which generated rows the student is trained on."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from potstill.config import Section
from potstill.recipe.judging import Judge


class Filter(StrEnum):
    """A quality check on a generated row. A row that fails it is not trained on; it stays in the file, with the reason."""

    PARSED = "parsed"
    FINISHED = "finished"
    CORRECT = "correct"
    DUPLICATE = "duplicate"
    IN_TEST_SET = "in-test-set"
    GROUP_IN_TEST_SET = "group-in-test-set"
    TOO_LONG = "too-long"


class Curate(Section):
    """Which generated rows the student is trained on."""

    extraction: Literal["lenient", "strict"] = "strict"
    """How the teacher's answers are read: `strict` only in the requested form, so that no guess is trained on; `lenient` as in
    evaluation."""
    filters: list[Filter] = list(Filter)
    """Checks that a row must pass, in this order; the first that it fails is its reason. Leave one out to switch it off."""
    per_question: int | None = Field(default=None, ge=1)
    """Maximum number of rows that are kept for one question, the first samples; without it easy questions, of which more
    samples pass the filters, weigh more."""
    max_rows: int | None = Field(default=None, ge=1)
    """Maximum number of rows that are kept, drawn by seed."""
    judge: Judge | None = None
    """For the scorer `judge`: the model that decides which rows are correct, and which epoch is best. It must not be one of
    `evaluate.judge`. Left out: rows are not checked for correctness, and the last epoch is used."""
