"""What the checks look at: the answers of the systems to one test split, and what the student was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from potstill.models import Message
from potstill.recipe.evaluating import Evaluate
from potstill.recipe.systems import Role
from potstill.stages.evaluate.outcome import Outcome
from potstill.stages.evaluate.pitfalls.training import Training
from potstill.stages.evaluate.summary import Evaluated
from potstill.tasks import Example, Task
from potstill.workspace.artifacts import Prediction

ENOUGH = 30
"""Answers below which no check of answers says anything; `few-questions` does."""


@dataclass(frozen=True)
class Evidence:
    """A test split. ``shares_templates``: whether its questions have the templates of training on purpose."""

    task: Task
    examples: Sequence[Example]
    evaluated: Sequence[Evaluated]
    training: Training
    options: Evaluate
    shares_templates: bool = False

    @cached_property
    def decided(self) -> bool:
        """Whether gold decides which answers are correct."""
        return self.task.gradable and any(example["gold"] is not None for example in self.examples)

    @cached_property
    def questions(self) -> list[Example]:
        """The examples that systems are compared on: where gold decides, those that have it."""
        return [example for example in self.examples if example["gold"] is not None or not self.decided]

    @cached_property
    def by_id(self) -> dict[str, Example]:
        return {example["id"]: example for example in self.questions}

    @cached_property
    def prompts(self) -> list[Sequence[Message]]:
        """The student's own prompt for each question."""
        return [self.task.messages(example) for example in self.questions]

    @property
    def told(self) -> list[Evaluated]:
        """The systems that were told their task: others fail by form."""
        return [one for one in self.evaluated if one.tells_task]

    def rows(self, one: Evaluated) -> list[Prediction]:
        """The answers of a system, without those that an error or a server's moderation kept from coming."""
        return [row for row in one.rows if row["id"] in self.by_id and not Outcome(row["outcome"]).excluded]

    def students(self) -> list[Evaluated]:
        """The systems that are the student, in every prompting."""
        return [one for one in self.evaluated if one.system.role is Role.STUDENT]


def model_of(one: Evaluated) -> str:
    """The model that a system is: the run's own by their roles, any other by its name; answers in a file are a model of their own."""
    model = one.system.model
    if model is None:
        return one.system.name
    return model.value if isinstance(model, Role) else model.name
