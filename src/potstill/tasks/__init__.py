"""What a task is: how an example is shown, how a completion is read, how an answer is scored.

A task is one file, its prompts beside it as text files. It depends on nothing but the example and the text.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from potstill.models import Message

Example = Mapping[str, Any]
"""A row of `examples.parquet`: id, split, group, gold, and the task's own fields."""


class Status(StrEnum):
    """What a completion's text is. Anything but ``ok`` counts as wrong, and is counted apart."""

    OK = "ok"
    ABSTAINED = "abstained"
    UNPARSEABLE = "unparseable"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    REFUSED = "refused"


class Prompting(StrEnum):
    """How a model is asked: the user's plain prompt, or one of the task's own."""

    PLAIN = "plain"
    FEWSHOT = "fewshot"
    DIRECT = "direct"
    COT = "cot"
    COT_FEWSHOT = "cot-fewshot"


@dataclass(frozen=True)
class Parsed:
    """A completion as the task reads it. ``answer`` is None unless ``status`` is ok."""

    status: Status
    answer: str | None = None
    rationale: str = ""


class Task(Protocol):
    """What every task offers."""

    name: str
    fields: tuple[str, ...]
    """Columns of an example that the prompts use."""

    def messages(self, example: Example, prompting: Prompting) -> list[Message]:
        """The chat that asks ``example``."""
        ...

    def parse(self, text: str, finish_reason: str, *, strict: bool) -> Parsed:
        """Read a completion; never raises."""
        ...

    def scores(self, answer: str | None, gold: str) -> dict[str, float]:
        """Named scores of an answer; the first decides whether it is right (1.0)."""
        ...

    def gold(self, text: str) -> str:
        """The gold answer that a data set's own column holds. Raises `ValueError` when there is none."""
        ...

    def completion(self, rationale: str, answer: str) -> str:
        """What the student is trained to say; an empty rationale leaves the answer alone."""
        ...


def question(name: str, example: Example) -> str:
    """What is asked, without the accidents of case and space: two examples that agree in it are the same."""
    return "\n".join(" ".join(str(example[field]).lower().split()) for field in load(name).fields)


def main_score(task: Task, answer: str | None, gold: str) -> float:
    """The score that decides: 1.0 is right."""
    return next(iter(task.scores(answer, gold).values()))


def digest(name: str) -> str:
    """SHA-256 of a task's file and prompts: what it makes of an example and of a text."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob(f"{name}.*")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def load(name: str) -> Task:
    """The task of that name."""
    from potstill.tasks.math import Math

    tasks: dict[str, Task] = {Math.name: Math()}
    return tasks[name]
