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
from potstill.recipe.asked import AskedModel
from potstill.tasks import Prompting


class Role(StrEnum):
    """The model of a system: the student before training, after training, the teacher, or one that only answers the test
    questions."""

    BASE = "base"
    STUDENT = "student"
    TEACHER = "teacher"
    OTHER = "other"


def _asked_model(value: Any) -> Any:
    """A model source alone, or a mapping of ``model`` and how it is asked."""
    is_asked = isinstance(value, AskedModel | Role | None) or (
        isinstance(value, dict) and not {"url", "serve"} & set(value)
    )
    return value if is_asked or value in _ROLES else {"model": value}


class System(Section):
    """What answers the test questions: a model and how it is prompted, under a name.

    A known name refers to the run's own models: `base`, `student` (both with the plain prompt), or a role with a prompting,
    such as `base-direct` or `teacher-cot-fewshot`.
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
    cheaper: bool = False
    """Whether this model would be cheaper than the student: where it is as good, the verdict says not to distil. The base always
    is, since nothing has to be trained."""

    @property
    def is_cheaper(self) -> bool:
        """Whether the student is not worth training where this system is as good."""
        return self.cheaper or self.role is Role.BASE

    @property
    def role(self) -> Role:
        return self.model if isinstance(self.model, Role) else Role.OTHER

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        names = {name: parts for name, *parts in _known_systems()}
        if value not in names:
            raise ValueError(
                f"'{value}' is no known system.{did_you_mean(value, list(names))} Known are base, student, and a role with a "
                "prompting, as in base-direct; any other model is {name: NAME, model: MODEL, prompting: PROMPTING}"
            )
        role, prompting = names[value]
        return {"name": value, "model": role, "prompting": prompting}

    @model_validator(mode="after")
    def _answers_somehow(self) -> "System":
        if (self.model is None) == (self.predictions is None):
            raise ValueError(f"the system {self.name} needs a model or predictions, and not both")
        if self.predictions is not None and self.prompting is not Prompting.PLAIN:
            raise ValueError("prompting is for models that are asked; leave it out where predictions has the answers")
        return self

    @model_validator(mode="after")
    def _own_name(self) -> "System":
        if self.role is Role.OTHER and self.name in KNOWN:
            raise ValueError(f"'{self.name}' is the name of a system of the run's own models; choose another")
        if self.cheaper and self.role is not Role.OTHER:
            raise ValueError("`cheaper` is for models other than the run's own")
        if self.role is not Role.OTHER and self.name not in KNOWN:
            raise ValueError(f"the {self.role.value} has names of its own, such as {_name(self.role, self.prompting)}")
        return self

    @model_serializer(mode="wrap")
    def _as_name(self, handler: Any) -> Any:
        if self.role is not Role.OTHER:
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


_ROLES = (Role.BASE, Role.STUDENT, Role.TEACHER)
KNOWN = tuple(name for name, *_ in _known_systems())
"""The names of systems of the run's own models."""
STUDENT = "student"
"""The system that the others are compared with."""


def system(role: Role, prompting: Prompting = Prompting.PLAIN) -> System:
    """One of the run's own models with a prompting."""
    return System(name=_name(role, prompting), model=role, prompting=prompting)
