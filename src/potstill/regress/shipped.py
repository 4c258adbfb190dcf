"""The prompts and texts that come with potstill: a file of `prompts/` is a kind of prompt, with the task that reads its answers."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter

from potstill.config import Section
from potstill.models import Message, Request, Sampling
from potstill.tasks import Example, Task, registry

_FOLDER = Path(__file__).parent
MENTIONS = r"(?is).*(?<!\w|\d[.,])(?:{})(?!\w|[.,]\d).*"
"""The complete answer, where it must mention one of some words."""


class Prompt(Section):
    """A prompt and what a correct answer is."""

    ask: str
    """The user's last turn."""
    gold: str
    """What a correct answer says, in the form of the task: a pattern of it, a number, or JSON."""
    right: str
    """A correct reply."""
    wrong: str
    """A reply that is not correct."""
    of: str = ""
    """Name of the prompts that it resembles (a passage, a kind of sum), which are one observation; empty where it resembles none."""
    before: list[str] = []
    """Earlier turns, the user's first."""


class Kind(Section):
    """Prompts of one kind."""

    title: str
    """In words."""
    task: Annotated[Task, BeforeValidator(registry.parse_task)]
    """How an answer is read and scored."""
    mentions: bool = False
    """Whether a correct answer mentions `gold`, in capitals or not. Then a cut answer is read, too: what it mentions stays mentioned."""
    max_tokens: int = Field(default=192, ge=1)
    """Limit on the new tokens of an answer."""
    texts: dict[str, str] = {}
    """A text that comes before the prompts that are `of` it."""
    prompts: list[Prompt] = Field(min_length=1)
    """The prompts."""

    def example(self, name: str, number: int) -> Example:
        """A prompt as a row of a test set; ``name`` is that of the kind. Its group is that of the prompts that resemble it."""
        one = self.prompts[number]
        gold = MENTIONS.format(one.gold) if self.mentions else one.gold
        example: dict[str, Any] = dict.fromkeys(self.task.columns, one.ask)
        group = f"{name}/{one.of or number}"
        return example | {"id": f"{name}-{number}", "group": group, "gold": self.task.parse_gold(gold, example)}

    def request(self, name: str, number: int) -> Request:
        """What a model is asked."""
        one = self.prompts[number]
        roles = ("user", "assistant")
        turns: list[Message] = [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(one.before)]
        last = "\n\n".join(filter(None, [self.texts.get(one.of, ""), one.ask]))
        return Request(f"{name}-{number}", [*turns, {"role": "user", "content": last}], Sampling(self.max_tokens))

    def read_as(self, finish_reason: str) -> str:
        """The end that an answer with this finish reason is read with."""
        return "stop" if self.mentions and finish_reason == "length" else finish_reason


class Text(Section):
    """A text in reply to a prompt."""

    ask: str
    text: str


@cache
def kinds() -> dict[str, Kind]:
    """The kinds of prompts, by name."""
    return {file.stem: Kind.model_validate(_read(file)) for file in sorted((_FOLDER / "prompts").glob("*.yaml"))}


@cache
def texts() -> Sequence[Text]:
    """Texts whose log-probability is compared."""
    return TypeAdapter(list[Text]).validate_python(_read(_FOLDER / "texts.yaml"))


def version() -> str:
    """The first 8 hexadecimal digits of the SHA-256 of all prompts and texts."""
    files = [*sorted((_FOLDER / "prompts").glob("*.yaml")), _FOLDER / "texts.yaml"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))
