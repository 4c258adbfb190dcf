"""A run's evaluation, as an export sees it: systems with their answers and scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import sqrt
from statistics import fmean, stdev

from potstill.recipe.systems import Role, System
from potstill.stages.evaluate.asking import KINDS
from potstill.stages.evaluate.outcome import Outcome
from potstill.tasks import Example
from potstill.workspace import artifacts
from potstill.workspace.artifacts import EVALUATION, TEST_SPLITS, Prediction
from potstill.workspace.run import Run

CORRECT = "correct"
"""The score that decides: 1 or 0. Where judges decide it has another name, since what they say is no accuracy."""


@dataclass(frozen=True)
class Answered:
    """A test question and a system's answer. ``decided_by``: the name of the score that says if it is correct: `CORRECT` by gold,
    ``judged_right`` by judges; empty where nothing says it."""

    example: Example
    row: Prediction
    decided_by: str

    @property
    def failed(self) -> bool:
        """Whether there is no answer, for which no model is to blame."""
        return Outcome(self.row["outcome"]).excluded

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """The score that decides, if there is one, and the task's other scores that the answer has."""
        known = {name: score for name, score in self.row["scores"].items() if name not in KINDS}
        if not self.decided_by:
            return {name: score for name, score in known.items() if score is not None}
        others = dict(list(known.items())[1:])  # the first is the one that decides
        correct = {self.decided_by: float(self.row["outcome"] == Outcome.CORRECT)}
        return correct | {name: score for name, score in others.items() if score is not None}


@dataclass(frozen=True)
class SystemAnswers:
    """A system's answers to the questions of all test splits; questions without gold are left out where gold decides."""

    system: System
    model: str
    answers: Sequence[Answered]

    def of_split(self, split: str) -> list[Answered]:
        return [one for one in self.answers if one.example["split"] == split]

    @property
    def splits(self) -> list[str]:
        """The splits that it has answers to, in the order of the report."""
        return [split for split in TEST_SPLITS if self.of_split(split)]

    @property
    def examples_shown(self) -> int:
        """Solved examples in its prompts."""
        if not self.answers or not self.system.prompting.is_few_shot:
            return 0
        return sum(message["role"] == "assistant" for message in self.answers[0].row["messages"])


def systems(run: Run) -> Iterator[SystemAnswers]:
    """The systems of an evaluated run, in the order of its recipe. Raises `PotstillError` before the evaluation is done."""
    examples = {example["id"]: example for example in run.examples(*TEST_SPLITS)}
    splits = run.evaluation["splits"]
    by = {split: _decided_by(values["measure"]) if values["decided"] else "" for split, values in splits.items()}
    for system in run.recipe.systems:
        rows = [(examples[row["id"]], row) for row in run.read(artifacts.predictions(system.name))]
        answers = [Answered(example, row, by[example["split"]]) for example, row in rows]
        known = [one for one in answers if one.row["gold"] is not None or not one.decided_by]
        yield SystemAnswers(system, _model_name(run, system), known)


def evaluated_at(run: Run) -> datetime:
    """When the evaluation was done: an export that is written again has the same name."""
    return datetime.fromtimestamp(run.path(EVALUATION).stat().st_mtime, UTC)


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error, as both tools print them; 0 for a single value."""
    return fmean(values), stdev(values) / sqrt(len(values)) if len(values) > 1 else 0.0


def _decided_by(measure: str) -> str:
    return CORRECT if measure == "accuracy" else measure


def _model_name(run: Run, system: System) -> str:
    if system.predictions is not None:
        return system.predictions.name
    if system.role is Role.STUDENT:
        return f"{run.recipe.name}/{system.name}"
    return run.recipe.asked(system).name if system.asks_model else run.recipe.engine(system)
