"""What the results need besides the labels: the questions with the answers that were shown, and what the recipe says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from potstill.labels.items import shown_answer
from potstill.recipe.recipe import Recipe
from potstill.rubrics.rubric import Rubric
from potstill.workspace import artifacts
from potstill.workspace.artifacts import TEST_SPLITS
from potstill.workspace.run import Run


@dataclass(frozen=True)
class Question:
    """A test question. ``answers``: the text that is shown of each system; empty where it has none. ``turn``: its number among those of its
    chat, from 1."""

    id: str
    split: str
    group: str
    answers: Mapping[str, str]
    turn: int = 1


@dataclass(frozen=True)
class Reviewer:
    """A person, of whose checks of attention ``right`` of ``of`` were passed, and who gave so many labels."""

    name: str
    right: int
    of: int
    labels: int


@dataclass(frozen=True)
class Setting:
    """What is known of systems, rubrics and judges.

    Attributes:
        confidence: level of the intervals.
        margin: of non-inferiority, as a part of a win rate or of the range of a scale.
        roles: role of each system, in the recipe's order.
        cheaper: systems that need no training of a student.
        rubrics: by key. A rubric that is missing has the scale of the values that were given.
        chosen: systems that represent their role in the verdict; empty for all.
        gold_decides: whether gold answers decide the verdict of the run, so that labels decide nothing.
        related: of each judge, by its name in the labels, the systems whose model, or a model of whose family, it is.
        inattentive: the reviewers whose labels are left out, because they passed fewer checks than the rule of the review asks for.
    """

    confidence: float
    margin: float
    roles: Mapping[str, str]
    cheaper: frozenset[str] = frozenset()
    rubrics: Mapping[str, Rubric] = field(default_factory=dict)
    chosen: frozenset[str] = frozenset()
    gold_decides: bool = False
    related: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inattentive: Sequence[Reviewer] = ()


def questions(run: Run) -> Iterator[Question]:
    """The run's test questions, unseen templates first."""
    task = run.task
    rows = {
        system.name: {row["id"]: row for row in run.read(artifacts.predictions(system.name))}
        for system in run.recipe.systems
    }
    examples = list(run.examples(*TEST_SPLITS))
    for split in TEST_SPLITS:
        for example in examples:
            if example["split"] == split:
                answers = {
                    name: shown_answer(task, example, of[example["id"]], name).whole
                    for name, of in rows.items()
                    if example["id"] in of
                }
                turn = len(task.earlier_turns(example)) + 1
                yield Question(example["id"], split, example["group"], answers, turn)


def setting(
    recipe: Recipe,
    rubrics: Sequence[Rubric],
    related: Mapping[str, Sequence[str]],
    evaluation: Mapping[str, Any],
    review: Mapping[str, Any],
) -> Setting:
    """The setting of a recipe, with the ``rubrics`` that labels may have, what is known of the judges, and the run's evaluation.json and
    review.json."""
    return Setting(
        confidence=recipe.evaluate.confidence,
        margin=recipe.evaluate.margin,
        roles={one.name: one.role.value for one in recipe.systems},
        cheaper=frozenset(one.name for one in recipe.systems if one.is_cheaper),
        rubrics={one.key: one for one in rubrics},
        chosen=frozenset(one["system"] for one in evaluation["chosen"].values()),
        gold_decides=any(one["decided"] for one in evaluation["splits"].values()),
        related=related,
        inattentive=[
            Reviewer(one["name"], one["attention"]["right"], one["attention"]["of"], one["labels"])
            for one in review.get("reviewers", [])
            if one["excluded"]
        ],
    )
