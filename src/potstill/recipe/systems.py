"""The systems that answer the test questions."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetJsonSchemaHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from potstill.config import Section, resolve_against_recipe
from potstill.errors import did_you_mean
from potstill.recipe.asked import AskedModel, asked_model
from potstill.tasks import Prompting, Task


class Role(StrEnum):
    """What answers in a system: the student before training, after training, the teacher, a linear model on TF-IDF that is fitted on
    the training rows, or a model that only answers the test questions."""

    BASE = "base"
    STUDENT = "student"
    TEACHER = "teacher"
    LINEAR = "linear"
    OTHER = "other"


EXPORT = r"^(?:safetensors|vllm|(?:gguf|ollama)-[a-z0-9_]+)$"
"""Names of exports."""


def _asked_model(value: Any) -> Any:
    return value if isinstance(value, Role) or value in _ROLES else asked_model(value)


class System(Section):
    """What answers the test questions: a model and how it is prompted, under a name.

    A known name refers to the run's own models: `base`, `student` (both with the plain prompt), or a role with a prompting,
    such as `base-direct` or `teacher-cot-fewshot`. `linear` is a linear model on TF-IDF, fitted on the rows that the student is
    trained on. An export, or the address of a server, may stand for the student under its name.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
    """Name in tables, files and the report."""
    model: Annotated[Role | AskedModel | None, BeforeValidator(_asked_model)] = None
    """Any model: `packaged/NAME`, `hf/ORG/NAME`, a folder, `{url, model}` or `{serve, model}`; or `{model: ..., batch_size,
    dtype, budget, min_success}`."""
    prompting: Prompting = Prompting.PLAIN
    """How it is prompted."""
    predictions: Annotated[Path, AfterValidator(resolve_against_recipe)] | None = None
    """In place of a model, a file of its answers, made elsewhere: rows with the `id` of a test question or its columns, and
    `completion`, the text; optionally `finish_reason`, `tokens` and `seconds`. Questions without a row are left out and counted."""
    export: Annotated[str, StringConstraints(pattern=EXPORT)] | None = None
    """In place of a model, an exported form of the student, by the name of its folder in `exports/`, such as `gguf-q4_0`. Under the name
    `student` it is what the others are compared with."""
    cheaper: bool = False
    """Whether this model would be cheaper than the student: where it is as good, the verdict says not to distil. The base and
    `linear` always are."""

    @property
    def is_cheaper(self) -> bool:
        """Whether the student is not worth training where this system is as good."""
        return self.cheaper or self.role in (Role.BASE, Role.LINEAR)

    @property
    def role(self) -> Role:
        if isinstance(self.model, Role):
            return self.model
        return Role.STUDENT if self.export or self.name in _NAMES_OF_STUDENT else Role.OTHER

    @property
    def asked_elsewhere(self) -> AskedModel | None:
        """The model that it names itself, which may be an address that represents the student; None for the run's own models."""
        return self.model if isinstance(self.model, AskedModel) else None

    @property
    def form(self) -> str:
        """Which form of the student it is, in words; empty for other models, and for the weights as they were trained."""
        if self.export is not None:
            return f"the export {self.export}"
        return f"{self.asked_elsewhere.name} on a server" if self.asked_elsewhere and self.role is Role.STUDENT else ""

    @property
    def asks_model(self) -> bool:
        """Whether a language model is asked, with a prompt."""
        return self.role is not Role.LINEAR and self.predictions is None

    @property
    def answers_from(self) -> str:
        """Where the answers of a system that asks no model come from."""
        return self.role.value if self.predictions is None else "file"

    @property
    def uses_training_rows(self) -> bool:
        """Whether its answers depend on the rows that the student is trained on, besides the student."""
        return self.prompting.is_retrieved or self.role is Role.LINEAR

    def why_not(self, task: Task) -> str:
        """Why it cannot answer the questions of a task, and what to do, in words; empty where it can."""
        if self.role is Role.LINEAR and not task.label_set:
            return (
                f"a linear model chooses between labels that are the same for all questions, and the task {task.name} has none; "
                "leave it out"
            )
        return why_no_prompt(task, self.prompting)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        names = {name: parts for name, *parts in _known_systems()}
        if value not in names:
            raise ValueError(
                f"'{value}' is no known system.{did_you_mean(value, list(names))} Known are base, student, linear, and a role with "
                "a prompting, as in base-direct; any other model is {name: NAME, model: MODEL, prompting: PROMPTING}"
            )
        role, prompting = names[value]
        return {"name": value, "model": role, "prompting": prompting}

    @model_validator(mode="after")
    def _answers_somehow(self) -> "System":
        if [self.model, self.predictions, self.export].count(None) != 2:
            raise ValueError(f"the system {self.name} needs a model, predictions or an export, and only one of these")
        if self.predictions is not None and self.prompting is not Prompting.PLAIN:
            raise ValueError("prompting is for models that are asked; leave it out where predictions has the answers")
        return self

    @model_validator(mode="after")
    def _own_name(self) -> "System":
        if self.cheaper and self.role is not Role.OTHER:
            raise ValueError("`cheaper` is for models other than the run's own")
        if isinstance(self.model, Role):
            if self.name not in KNOWN:
                raise ValueError(
                    f"model {self.role.value} has names of its own, such as {_name(self.role, self.prompting)}"
                )
        elif self.name in _NAMES_OF_STUDENT:
            self._stands_for_student()
        elif self.name in KNOWN:
            raise ValueError(f"'{self.name}' is the name of a system of the run's own models; choose another")
        return self

    def _stands_for_student(self) -> None:
        """Raises `ValueError` where a system may not have a name of the student."""
        address = self.asked_elsewhere is not None and self.asked_elsewhere.model.engine == "server"
        if not (self.export or address):
            raise ValueError(
                f"'{self.name}' is the student: an export of it, or the address where it is served, may stand for it, "
                "{name: student, export: gguf-q4_0} or {name: student, model: {url: ..., model: ...}}; choose another name for others"
            )
        if self.name != _name(Role.STUDENT, self.prompting):
            raise ValueError(f"prompted with {self.prompting.value}, it is {_name(Role.STUDENT, self.prompting)}")

    @model_serializer(mode="wrap")
    def _as_name(self, handler: Any) -> Any:
        if isinstance(self.model, Role):
            return self.name
        return {name: value for name, value in handler(self).items() if value is not None}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": list(KNOWN)}, handler(core)]}


def _name(role: Role, prompting: Prompting) -> str:
    plain = prompting is Prompting.PLAIN and role is not Role.TEACHER
    return role.value if plain else f"{role.value}-{prompting.value}"


def _known_systems() -> Iterator[tuple[str, Role, Prompting]]:
    for role in (Role.BASE, Role.STUDENT, Role.TEACHER):
        for prompting in Prompting:
            yield _name(role, prompting), role, prompting
    yield _name(Role.LINEAR, Prompting.PLAIN), Role.LINEAR, Prompting.PLAIN


_ROLES = (Role.BASE, Role.STUDENT, Role.TEACHER, Role.LINEAR)
KNOWN = tuple(name for name, *_ in _known_systems())
"""The names of systems of the run's own models."""
_NAMES_OF_STUDENT = tuple(name for name, role, _ in _known_systems() if role is Role.STUDENT)
STUDENT = "student"
"""The system that the others are compared with."""


def system(role: Role, prompting: Prompting = Prompting.PLAIN) -> System:
    """One of the run's own models with a prompting."""
    return System(name=_name(role, prompting), model=role, prompting=prompting)


def why_no_prompt(task: Task, way: Prompting) -> str:
    """Why a task cannot be asked with a prompting, and what to do, in words; empty where it can."""
    prompts = sorted({one.prompt for one in task.promptings})
    if way in task.promptings:
        return ""
    if way.prompt in prompts:
        return f"the prompts of the task {task.name} show no solved examples; choose a prompting without"
    return (
        f"the task {task.name} has no prompt '{way.prompt}'; it has {', '.join(prompts)}. Add one under task.prompts, or leave it "
        "out"
    )


def default_systems(task: Task, given_prompts: bool, training_way: Prompting | None) -> list[System]:
    """The systems of a recipe that lists none.

    given_prompts: whether the data's prompts are those of all models, to which nothing is added. training_way: how the teacher is
    asked for training data; None where it is not.
    """
    linear = [system(Role.LINEAR)] if task.label_set else []
    if given_prompts:
        return [system(Role.BASE), *linear, system(Role.STUDENT), system(Role.TEACHER)]
    return [*_ways_of_base(task), *linear, system(Role.STUDENT), *_ways_of_teacher(task, training_way)]


def _ways_of_base(task: Task) -> list[System]:
    """With the plain prompt, with solved examples, and in a way that tells it the task if these do not."""
    ways = [Prompting.PLAIN, *([Prompting.FEWSHOT] if task.shots else [])]
    told = any(task.tells_task(way) for way in ways)
    ways += [] if told or Prompting.DIRECT not in task.promptings else [Prompting.DIRECT]
    return [system(Role.BASE, way) for way in ways]


def _ways_of_teacher(task: Task, training_way: Prompting | None) -> list[System]:
    """Zero-shot, and as it was asked for training data."""
    ways = [Prompting.PLAIN if task.tells_task(Prompting.PLAIN) else Prompting.DIRECT, Prompting.COT]
    ways += [training_way] if training_way else []
    if task.direct_is_plain:
        ways = [Prompting.PLAIN if way is Prompting.DIRECT else way for way in ways]
    return [system(Role.TEACHER, way) for way in dict.fromkeys(ways) if way in task.promptings]
