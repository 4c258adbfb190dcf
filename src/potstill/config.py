"""Base class of a recipe's sections, and resolution of its paths."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

LARGEST_INTEGER = 1 << 40
"""Largest integer in a recipe: every library and server accepts it."""


Seed = Annotated[int, Field(ge=0, lt=1 << 32)]


class Section(BaseModel):
    """A section of a recipe: immutable, without unknown keys, each field documented by its docstring."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _in_bounds(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise ValueError(f"no number may be larger than {LARGEST_INTEGER:,}")
        return value


def resolve_against_recipe(path: Path, info: ValidationInfo) -> Path:
    """An absolute path; a relative one is relative to the recipe's folder."""
    return Path(os.path.abspath((info.context or {}).get("folder", Path()) / path))
