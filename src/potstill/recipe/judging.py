"""Judges: models that grade answers, which of them may decide what, and whose relatives they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from potstill import rubrics
from potstill.config import Section, Seed, resolve_against_recipe
from potstill.errors import did_you_mean
from potstill.models.families import are_related
from potstill.models.local.weights import LocalWeights
from potstill.models.specs import Endpoint, ModelSource
from potstill.recipe.asked import AskedModel, asked_model
from potstill.recipe.systems import Role, System
from potstill.tasks import Task


class Judge(AskedModel):
    """The model that decides which of the teacher's answers are correct, and which epoch of the student is best, for tasks whose scorer
    is `judge`."""

    max_tokens: int = Field(default=512, ge=1)
    """Limit on the new tokens of a judgement."""


def _jury(value: Any) -> Any:
    return [asked_model(one) for one in (value if isinstance(value, list) else [value])]


def _rubric(given: str | None, info: ValidationInfo) -> str | None:
    """The name of a shipped rubric, or the absolute path of a file."""
    if given is None or given in rubrics.shipped_names():
        return given
    return str(resolve_against_recipe(Path(given), info))


class Judges(Section):
    """One model that judges the answers to test questions, or several, and what they are asked."""

    models: Annotated[list[AskedModel], BeforeValidator(_jury)] = Field(min_length=1, max_length=9)
    """The judge, or a list of judges: each `packaged/NAME`, `hf/ORG/NAME`, a folder, `{url, model}`, `{serve, model}`, or `{model: ...,
    batch_size, dtype, budget, min_success}`."""
    form: Literal["scores", "reference", "pairwise"] | None = None
    """`scores` by the criteria of a rubric; `reference`: whether the answer agrees with gold, or with the reference answer of a turn; `pairwise`: which of two answers is
    better, asked in both orders. Left out: `reference` for the scorer `judge`, `pairwise` for other tasks whose scores do not say which
    answers are correct, otherwise `scores`."""
    rubric: Annotated[str | None, AfterValidator(_rubric)] = None
    """What answers are graded by: `conversation`, `rationale`, `summarization`, or a YAML file. Left out: that of the task."""
    systems: list[str] | None = Field(default=None, min_length=1)
    """Names of the systems whose answers are judged. Left out: the student, the base and the teacher, as the verdict names them."""
    max_tokens: int = Field(default=512, ge=1)
    """Limit on the new tokens of a judgement."""
    repeats: int = Field(default=20, ge=0)
    """Number of answers, or pairs of answers, drawn by seed, that each judge is asked about twice, to measure how consistent it is."""
    questions: int | None = Field(default=None, ge=1)
    """Maximum number of questions of each test split whose answers are judged, drawn by seed."""
    allow_related: bool = False
    """Whether a judge that is the teacher, or of its family, may compare it with the student; the verdict then says so."""
    seed: Seed | None = None
    """Seed of what is drawn, and of the letters that two answers get. Left out: the recipe's `seed`."""

    @model_validator(mode="after")
    def _distinct(self) -> "Judges":
        for i, one in enumerate(self.models):
            if any(one.name == other.name or is_same(one.model, other.model) for other in self.models[:i]):
                raise ValueError(f"the judge '{one.name}' is listed twice")
        return self


def may_be_judged(judges: Judges | None, task: Task, systems: Sequence[System]) -> list[System]:
    """The systems whose answers a judge may see: those listed, or all. The scorer `judge` sees all."""
    listed = judges.systems if judges and not task.judged else None
    return [one for one in systems if listed is None or one.name in listed]


def why_no_judges(
    judges: Judges | None, curating: Judge | None, task: Task, systems: Sequence[System], teacher: AskedModel
) -> str:
    """Why judges cannot decide what they are to decide, and what to do, in words; empty where they can. ``curating`` is the judge of
    training rows."""
    if task.judged and judges is None:
        return "the scorer `judge` needs evaluate.judge, as in evaluate: {judge: {models: packaged/NAME}}"
    if curating and not task.judged:
        return f"curate.judge is for tasks with the scorer `judge`, and {task.name} has none; leave it out"
    if judges is None:
        return ""
    known = [one.name for one in systems]
    if unknown := next((name for name in judges.systems or () if name not in known), None):
        return (
            f"evaluate.judge.systems: no system '{unknown}'.{did_you_mean(unknown, known)} There are {', '.join(known)}"
        )
    if judges.form == "pairwise" and len(set(judges.systems or known)) < 2:
        where = "judge.systems" if judges.systems else "systems"
        return f"evaluate.judge: pairwise compares the answers of at least two systems; add one to evaluate.{where}, or choose the form scores"
    for one in judges.models:
        if curating and is_same(one.model, curating.model):
            return (
                f"the judge {one.name} of curate.judge cannot decide the test, too: it prefers a student that was trained on what it likes "
                "(preference leakage, arXiv 2502.01534). Choose another model for evaluate.judge or curate.judge"
            )
    if judges.allow_related or not {Role.STUDENT, Role.TEACHER} <= {
        one.role for one in may_be_judged(judges, task, systems)
    }:
        return ""
    if relative := next((one.name for one in judges.models if is_relative(one, teacher)), None):
        return (
            f"evaluate.judge: {relative} is of the family of the teacher {teacher.name}, and would compare it with the student: judges prefer "
            "answers like their own (arXiv 2502.01534). Choose a judge of another family, or set allow_related: true (--allow-related), which the "
            "verdict then says"
        )
    return ""


def is_relative(a: AskedModel, b: AskedModel) -> bool:
    """Whether two models are of one family by their names, or the same under different names."""
    return are_related(a.name, b.name) or is_same(a.model, b.model)


def is_same(a: ModelSource, b: ModelSource) -> bool:
    """Whether two sources are the same weights, also under different names where both are on this machine, or the same model of one server."""
    return not set(_identities(a)).isdisjoint(_identities(b))


def _identities(model: ModelSource) -> Iterator[str]:
    match model:
        case Endpoint():
            yield f"{model.url.partition('?')[0].rstrip('/').casefold()} {model.model}"
            if model.same_as:
                yield f"same as {model.same_as}"
        case LocalWeights():
            yield model.location
            yield from model.fingerprints()
        case _:
            yield from _identities(model.model)
