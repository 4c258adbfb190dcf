"""A rubric and how it is read."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, StringConstraints, ValidationError, model_validator

from potstill.config import Section
from potstill.errors import RecipeError, did_you_mean

_SHIPPED = Path(__file__).parent
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=40)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class Criterion(Section):
    """One quality of an answer."""

    name: Name
    """Name in labels, tables and the report."""
    question: Text
    """What is asked about the answer, in a sentence or two."""
    low: Text
    """What an answer with the lowest score is like."""
    high: Text
    """What an answer with the highest score is like."""


class Rubric(Section):
    """The qualities that answers are graded by, each on the same scale, and what decides between two answers."""

    name: Name
    """Name in labels, tables and the report."""
    overall: Text
    """What makes an answer good on the whole, in a sentence or two: it decides which of two answers is better, and whether an
    answer passes."""
    lowest: int = Field(default=1, ge=0, le=10)
    """The lowest score."""
    highest: int = Field(default=5, ge=1, le=10)
    """The highest score."""
    criteria: list[Criterion] = Field(min_length=1, max_length=12)
    """The qualities."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [one.name for one in self.criteria]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the criterion '{twice}' is listed twice")
        if OVERALL in names:
            raise ValueError(f"'{OVERALL}' is the name of the answer as a whole; give the criterion another name")
        if self.lowest >= self.highest:
            raise ValueError(f"lowest ({self.lowest}) must be less than highest ({self.highest})")
        return self

    @property
    def key(self) -> str:
        """Its name with the first 8 hexadecimal digits of the SHA-256 of its content: labels by another wording are other labels."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return f"{self.name}@{hashlib.sha256(content.encode()).hexdigest()[:8]}"


OVERALL = "overall"
"""The criterion of a label about the answer as a whole."""


def shipped_names() -> list[str]:
    """Names of the shipped rubrics."""
    return sorted(path.stem for path in _SHIPPED.glob("*.yaml"))


def load(given: str | Path, folder: Path = Path()) -> Rubric:
    """A shipped rubric by its name, or the rubric in a YAML file, whose path is relative to ``folder``.

    Raises `RecipeError` where there is none, or one that is not valid.
    """
    file = _SHIPPED / f"{given}.yaml" if str(given) in shipped_names() else folder / given
    try:
        values: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = did_you_mean(Path(given).name, shipped_names())
        raise RecipeError(
            f"No rubric '{given}': there is no such file, and the shipped rubrics are {', '.join(shipped_names())}.{hint}"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{file}: cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{file}: a rubric is a mapping with name, overall and criteria.")
    try:
        return Rubric.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'rubric'}: {one['msg']}" for one in error.errors())
        raise RecipeError(f"{file}: {faults}") from error
