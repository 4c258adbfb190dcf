"""What a review asks. It is fixed when the review first starts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from potstill.errors import RecipeError
from potstill.labels.table import Form
from potstill.rubrics import Rubric

LEAST_RIGHT = 2 / 3
"""Share of the damaged answers that a reviewer must have found: labels of one who found fewer are left out."""


@dataclass(frozen=True)
class Settings:
    """What a review asks.

    Attributes:
        form: how an answer is labelled.
        systems: whose answers are labelled.
        rubric: by what, as the content of a rubric.
        questions: number of questions that are drawn; 0 for all.
        overlap: share of the drawn questions that every reviewer labels; each other one is labelled by one reviewer.
        attention: number of answers that are damaged on purpose, to find who does not read.
        seed: of the draw and of all orders.
    """

    form: Form
    systems: tuple[str, ...]
    rubric: Rubric
    questions: int
    overlap: float
    attention: int
    seed: int

    def __post_init__(self) -> None:
        if self.form is Form.REFERENCE:
            raise RecipeError("--form reference is for judges; people give scores, pairwise or pass.")
        if self.form.pairs and len(self.systems) < 2:
            raise RecipeError(
                f"--form pairwise needs at least two systems, and there is {', '.join(self.systems) or 'none'}; name them with --systems."
            )
        for name, low, high in (("questions", 0, 10**7), ("overlap", 0, 1), ("attention", 0, 1_000)):
            if not low <= getattr(self, name) <= high:
                raise RecipeError(f"--{name} {getattr(self, name)} is not between {low} and {high}.")

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"systems": list(self.systems), "rubric": self.rubric.model_dump(mode="json")}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        known = {field.name: values[field.name] for field in fields(cls)}
        return cls(**known | {"form": Form(values["form"]), "systems": tuple(values["systems"]),
                              "rubric": Rubric.model_validate(values["rubric"])})  # fmt: skip
