"""What is measured: the student with its plain prompt, and the teacher as it was asked in the verdict and with the plain prompt."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from potstill.errors import RecipeError
from potstill.measure.load import Question
from potstill.recipe.systems import Role, System, system
from potstill.stages.evaluate.asking import requests
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.limits import TokenLimits
from potstill.stages.training_rows import training_rows
from potstill.tasks import Example, Prompting
from potstill.workspace import artifacts
from potstill.workspace.artifacts import Prediction
from potstill.workspace.run import Run

WARM_UP_TOKENS = 1


@dataclass(frozen=True)
class Side:
    """A system and what it is asked. ``warm_up``: other questions, asked before those, where the cache is to be warm.

    expected_tokens: of prompts and answers, means of what the verdict's answers had; 0 where it has none of this system.
    """

    system: System
    questions: Sequence[Question]
    warm_up: Sequence[Question]
    expected_tokens: tuple[float, float]

    @property
    def name(self) -> str:
        return self.system.name


def split_of(run: Run) -> str:
    """The test split that is asked: the first of the evaluation. Raises `RecipeError` for a run that cannot be measured."""
    if run.stages.get("train", {}).get("state") != "done" or not any(run.student_folder.glob("*.safetensors")):
        raise RecipeError(f"{run.folder} has no student yet, and measuring is about one. Run: potstill run")
    if run.stages.get("evaluate", {}).get("state") != "done" or not run.evaluation.get("splits"):
        raise RecipeError(f"{run.folder} is not evaluated yet. Run: potstill evaluate {run.recipe.name}")
    for split in run.evaluation["splits"]:
        if run.count_examples(split):
            return str(split)
    raise RecipeError(f"{run.folder} has no test questions. Give it some (data.test), and evaluate it.")


def sides(run: Run, split: str, n: int, at_once: int) -> list[Side]:
    """The systems, the student first, each with the same ``n`` questions of a split, drawn by the data's seed, and ``at_once`` other ones."""
    drawn = _drawn(list(run.examples(split)), n, run.recipe.data_seed)
    others = list(islice(run.examples("validation", "train"), at_once))
    limits, shots = (
        TokenLimits(run.recipe),
        FewShotExamples(run.recipe, run.examples, lambda: training_rows(run.recipe, run)),
    )

    def side(of: System) -> Side:
        limit, tokens = _limit(run, of) or limits(of.prompting), _mean_tokens(run, of)

        def asked(examples: Sequence[Example], max_tokens: int) -> list[Question]:
            made = zip(requests(run.recipe, of, examples, shots, limits), examples, strict=True)
            return [Question(one.id, example["group"], one.messages, max_tokens) for one, example in made]

        return Side(of, asked(drawn, limit), asked(others, WARM_UP_TOKENS), tokens)

    return [side(one) for one in _systems(run)]


def _systems(run: Run) -> list[System]:
    """The student, and the teacher's systems: the one that represents it in the verdict first."""
    chosen = run.evaluation.get("chosen", {}).get(Role.TEACHER.value, {}).get("system")
    represents = [one for one in run.recipe.systems if one.name == chosen and one.role is Role.TEACHER]
    plain = system(Role.TEACHER, Prompting.PLAIN)
    teachers = {one.name: one for one in [*represents, plain]}
    return [system(Role.STUDENT), *teachers.values()]


def _limit(run: Run, of: System) -> int:
    """The limit on new tokens that the verdict's answers to the same prompt had, which is the same for all models; 0 without any."""
    alike = [one for one in run.recipe.systems if one.asks_model and one.prompting.prompt == of.prompting.prompt]
    return max((row["max_tokens"] for one in alike for row in _predictions(run, one)), default=0)


def _mean_tokens(run: Run, of: System) -> tuple[float, float]:
    """Of the prompts and answers of a system in the verdict; 0 without any."""
    if not (rows := _predictions(run, of)):
        return 0.0, 0.0
    return sum(row["prompt_tokens"] for row in rows) / len(rows), sum(row["completion_tokens"] for row in rows) / len(
        rows
    )


def _predictions(run: Run, of: System) -> Sequence[Prediction]:
    table = artifacts.predictions(of.name)
    return run.read(table) if run.path(table.file).exists() else ()


def _drawn(examples: list[Example], n: int, seed: int) -> list[Example]:
    """``n`` of the examples; of fewer, those are the first."""
    random.Random(f"measure-{seed}").shuffle(examples)
    return examples[:n]
