"""What a task is: how an example is shown, how a completion is read, how an answer is scored.

A task is one file that holds a `Task` of its name, and its prompts beside it as a file of text (`prompts`). It depends on
nothing but the example and the text. Other packages bring theirs by an entry point of the group ``potstill.tasks``.
"""

import hashlib
import importlib
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict, model_validator

from potstill.answers import equivalent
from potstill.errors import PotstillError, did_you_mean
from potstill.models import Message, encodable
from potstill.tasks import json_schema, prompts
from potstill.tasks.columns import Column
from potstill.tasks.reading import Found, before, found_in_json, rationale_in

__all__ = ["Ask", "Column", "Example", "Found", "Parsed", "Prompting", "Status", "Task", "equivalent", "find", "names"]

Example = Mapping[str, Any]
"""A row of `examples.parquet`: id, split, group, gold, and the task's own columns."""


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
    DIRECT_FEWSHOT = "direct-fewshot"
    COT = "cot"
    COT_FEWSHOT = "cot-fewshot"
    COD = "cod"
    COD_FEWSHOT = "cod-fewshot"

    @property
    def prompt(self) -> str:
        """The text of the task's that it uses."""
        return "plain" if self is Prompting.FEWSHOT else self.value.removesuffix("-fewshot")

    @property
    def has_shots(self) -> bool:
        """Whether solved examples come first."""
        return self.value.endswith("fewshot")


@dataclass(frozen=True)
class Ask:
    """A prompting, the form in which the answer is wanted, and the most words of reasoning or summary."""

    prompting: Prompting = Prompting.PLAIN
    output: Literal["text", "json"] = "text"
    max_words: int | None = None


PLAIN = Ask()


@dataclass(frozen=True)
class Parsed:
    """A completion as the task reads it. ``answer`` is None unless ``status`` is ok; ``rule`` names how it was found."""

    status: Status
    answer: str | None = None
    rationale: str = ""
    rule: str = ""


LONGEST_TEXT = 100_000
"""Characters of a completion that are looked at, counted from its end."""
REFUSAL = re.compile(r"\bI(?:['’]m| am) (?:sorry|unable)\b|\bI (?:can['’]t|cannot|won['’]t)\b", re.IGNORECASE)
ABSTENTION = re.compile(
    r"\b(?:not enough information|cannot be determined|can['’]t be determined|I don['’]t know)\b", re.IGNORECASE
)
_DECLINED = re.compile(
    r"\W{0,5}(?:(?:I['’]m|I am) (?:(?:very|really|so|truly) )?(?:sorry|afraid)|Sorry|Unfortunately|As an AI\b[^.\n]{0,60})?"
    r"[,.;]?\s{0,3}(?:but )?(?:I (?:can['’]t|cannot|can not|won['’]t)|I(?:['’]m| am) (?:unable|not able) to)"
    r" (?:\w+ )?(?:assist|help|provide|comply|fulfil+|summari[sz]e|create|generate|answer|continue|discuss|write|engage|do that)\b",
    re.IGNORECASE,
)
"""How a text begins that declines; where any text is an answer, "I'm sorry to hear that" is one, too."""
_SETTLED = re.compile(r"[.!?\n]|\b(?:so|thus|therefore|hence|but)\b", re.IGNORECASE)
WHOLE = "whole"
"""The rule where the whole text is the answer."""


class Task(BaseModel, ABC):
    """What every task offers. Its fields are options of the recipe's `task` section."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    name: str
    """Which task it is."""
    prompts: dict[Literal["plain", "direct", "cot", "cod"], str] = {}
    """Your own texts in the place of the task's, as templates: `plain: "{{ question }}"` is what the student is trained
    and asked with, untouched."""

    decides: ClassVar[bool] = True
    """Whether scores against gold say which answer is right. Where they do not, people or a judge must."""
    described: ClassVar[tuple[str, ...]] = ()
    """Scores that describe an answer and say nothing of how good it is."""
    what: ClassVar[str] = "ANSWER"
    """What stands for the answer in instructions."""

    @model_validator(mode="after")
    def _prompts_can_be_filled_in(self) -> Self:
        known = {**self.columns, **self.variables({name: column.empty for name, column in self.columns.items()})}
        for name, text in self.prompts.items():
            try:
                unknown = prompts.columns(text) - set(known)
            except TemplateError as error:
                raise ValueError(f"prompts.{name}: {error}") from error
            if unknown:
                raise ValueError(
                    f"prompts.{name} names '{min(unknown)}'.{did_you_mean(min(unknown), list(known))} There are "
                    f"{', '.join(known)}, form and brief"
                )
        return self

    @property
    @abstractmethod
    def columns(self) -> Mapping[str, Column]:
        """The columns of an example that the prompts use."""

    @property
    def made(self) -> Mapping[str, Column]:
        """The columns that `shown` adds."""
        return {}

    def of_log(self, messages: Sequence[Message]) -> dict[str, Any]:
        """Columns out of a prompt that somebody sent: its last turn is the only one of the task's, and the student's prompt
        as it is. Raises `ValueError` where the columns do not come out of that."""
        if list(self.columns.values()) != [Column.TEXT] or len(messages) > 2 or messages[-1]["role"] != "user":
            raise ValueError(
                f"the task {self.name} needs {', '.join(self.columns)}, and a logged chat gives a system prompt and one turn; "
                "the task conversation takes any chat"
            )
        said = messages[-1]["content"]
        system = messages[0]["content"] if len(messages) == 2 else None
        return {next(iter(self.columns)): said, "prompt": said, "system": system}

    @abstractmethod
    def read_gold(self, value: Any, example: Example) -> str:
        """The gold answer out of a data set's own column. Raises `ValueError` when there is none."""

    @abstractmethod
    def find(self, text: str, example: Example, *, strict: bool) -> Found | None:
        """The answer in a text; ``strict`` reads only the form that was asked for. Never raises, takes linear time."""

    @abstractmethod
    def scores(self, answer: str, example: Example) -> dict[str, float]:
        """Named scores of an answer against ``example["gold"]``; where the task decides, the first is 1.0 for a right
        answer. Empty where gold is missing and nothing can be said."""

    def same(self, a: str | None, b: str | None) -> bool:
        """Whether two answers say the same."""
        return a is not None and a == b

    @property
    def closed(self) -> bool:
        """Whether answers are one of a few labels, so that their shares and F1 mean something."""
        return False

    def group(self, example: Example) -> str | None:
        """What examples have in common that are never torn apart between splits, where the data names no group; None: each
        example by itself."""
        return None

    def shown(self, example: dict[str, Any], seed: int) -> list[dict[str, Any]]:
        """The example as it is shown, or the several that it makes, in columns and those `made`."""
        return [example]

    @property
    def unsettled(self) -> bool:
        """Whether the teacher's answers to validation examples are needed to say how its answers are read."""
        return False

    @property
    def judged(self) -> bool:
        """Whether a model says which answers are right (`potstill.judge`)."""
        return False

    def settled(self, answered: Sequence[tuple[Example, str]]) -> tuple["Task", str]:
        """The task with what the teacher's answers to validation examples decide, and that in words, if anything."""
        return self, ""

    def answer_schema(self, example: Example) -> dict[str, Any]:
        """JSON Schema of the answer."""
        return {"type": "string"}

    def answer_json(self, answer: str) -> Any:
        """The answer as a JSON value."""
        return answer

    def variables(self, example: Example) -> dict[str, Any]:
        """What the prompts may name beside the example's columns."""
        return {}

    def parse(self, text: str, finish_reason: str, example: Example, *, strict: bool) -> Parsed:
        """Read a completion; never raises, and gives nothing that cannot be written in UTF-8."""
        parsed = self._parse(text, finish_reason, example, strict=strict)
        answer = None if parsed.answer is None else encodable(parsed.answer)
        return replace(parsed, answer=answer, rationale=encodable(parsed.rationale))

    def _parse(self, text: str, finish_reason: str, example: Example, *, strict: bool) -> Parsed:
        if finish_reason == "content_filter":
            return Parsed(Status.REFUSED)
        if finish_reason == "length":
            return Parsed(Status.TRUNCATED)
        if not text.strip():
            return Parsed(Status.EMPTY)
        text = text[-LONGEST_TEXT:]
        if (inside := found_in_json(text)) and (answer := self.answer_of_json(inside, example)) is not None:
            return Parsed(Status.OK, answer, rationale_in(inside.get("rationale")), "json")
        if found := self.find(text, example, strict=True):
            if found.rule == WHOLE and _DECLINED.match(text):
                return Parsed(Status.REFUSED)
            return Parsed(Status.OK, found.answer, before(text, found.start), found.rule)
        abstained, refused = ABSTENTION.search(text), REFUSAL.search(text)
        found = None if strict else self.find(text, example, strict=False)
        # "Not enough information is given. So it is neutral" answers, "I don't know if it is neutral" does not.
        if found and all(not said or _SETTLED.search(text, said.end(), found.start) for said in (abstained, refused)):
            return Parsed(Status.OK, found.answer, text.strip(), found.rule)
        return Parsed(Status.ABSTAINED if abstained else Status.REFUSED if refused else Status.UNPARSEABLE)

    def answer_of_json(self, inside: Mapping[str, Any], example: Example) -> str | None:
        """The answer in a JSON object ``{"rationale": ..., "answer": ...}``; None where it is none."""
        value = inside.get("answer")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        found = self.find(f"Answer: {value}", example, strict=True)
        return found.answer if found else None

    def say(self, rationale: str, answer: str) -> str:
        """What a student is trained to say, and a solved example says."""
        return f"{rationale.strip()}\nAnswer: {answer}" if rationale.strip() else answer

    def messages(self, example: Example, ask: Ask = PLAIN, shots: Sequence[Example] | None = None) -> list[Message]:
        """The chat that asks ``example``; ``shots`` are solved examples, the task's own where they are left out.

        The system prompt of the example, if it has one, comes first whoever is asked.
        """
        messages: list[Message] = []
        if example.get("system"):
            messages.append({"role": "system", "content": example["system"]})
        if ask.prompting.has_shots:
            for shot in self.shots if shots is None else shots:
                messages.append({"role": "user", "content": self._text(shot, ask)})
                messages.append({"role": "assistant", "content": self._said(shot, ask)})
        return [*messages, {"role": "user", "content": self._text(example, ask)}]

    def reply_schema(self, example: Example, ask: Ask) -> dict[str, Any] | None:
        """JSON Schema of the whole reply; None where text is wanted."""
        if ask.output != "json" or ask.prompting.prompt == "plain":
            return None
        properties: dict[str, Any] = {"answer": self.answer_schema(example)}
        if ask.prompting.prompt == "cot":
            properties = {"rationale": {"type": "string"}} | properties
        return json_schema.holding(properties)

    @property
    def promptings(self) -> tuple[Prompting, ...]:
        """Those that the task has texts for."""
        return tuple(p for p in Prompting if p.prompt in self._texts)

    @property
    def shots(self) -> Sequence[Example]:
        """The task's own solved examples."""
        shots: Sequence[Example] = prompts.read(self._file).get("examples", ())
        return shots

    def _text(self, example: Example, ask: Ask) -> str:
        if ask.prompting.prompt == "plain" and example.get("prompt"):
            return str(example["prompt"])
        reasoned = ask.prompting.prompt == "cot"
        form = prompts.form(ask.output, reasoned, self.what, ask.max_words)
        shown = {name: example[name] for name in self.columns} | self.variables(example) | form
        try:
            return prompts.render(self._texts[ask.prompting.prompt], shown)
        except Exception as error:  # whatever a user's template does
            raise PotstillError(
                f"The prompt '{ask.prompting.prompt}' of the task {self.name} cannot be filled in for the example "
                f"{example.get('id', '')}: {error}. Mend it under task.prompts."
            ) from error

    def _said(self, shot: Example, ask: Ask) -> str:
        """What a solved example answers, in the form that ``ask`` asks for."""
        reasoned = ask.prompting.prompt in ("cot", "plain")
        rationale = (shot.get("rationale") or "") if reasoned else ""
        if ask.output == "json" and ask.prompting.prompt != "plain":
            return prompts.as_json(rationale if reasoned else None, self.answer_json(shot["gold"]))
        if not reasoned and prompts.FORM in self._texts[ask.prompting.prompt]:
            return f"Answer: {shot['gold']}"
        return self.say(rationale, shot["gold"])

    @property
    def _texts(self) -> Mapping[str, str]:
        texts = prompts.read(self._file) | dict(self.prompts)
        return {"direct": texts["plain"]} | texts if "plain" in texts else texts

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its code and prompts, which decide what it makes of an example and of a text."""
        return Path(inspect.getfile(type(self))), self._file

    @property
    def _file(self) -> Path:
        return Path(inspect.getfile(type(self))).with_suffix(".yaml")


def question(task: Task, example: Example) -> str:
    """What is asked, without the accidents of case and space: two examples that agree in it are the same."""
    said = (
        # Options are shuffled by each example's own id.
        sorted(example[name]) if column is Column.OPTIONS else example[name]
        for name, column in task.columns.items()
    )
    return "\n".join(" ".join(str(value).lower().split()) for value in said)


def main_score(task: Task, answer: str | None, example: Example) -> float | None:
    """The first score: of a task that decides, 1.0 is right. None where gold is missing and nothing can be said."""
    if answer is None:
        return 0.0
    return next(iter(task.scores(answer, example).values()), None)


def score(task: Task, answer: str | None, example: Example) -> dict[str, float]:
    """All scores of an answer; none where there is no answer."""
    return {} if answer is None else task.scores(answer, example)


def digest(task: Task) -> str:
    """SHA-256 of a task's code and prompts: what it makes of an example and of a text."""
    digest = hashlib.sha256()
    shared = [Path(__file__).parent / "forms.yaml", *sorted((Path(__file__).parents[1] / "answers").glob("*.py"))]
    for file in (*task.files, *shared):
        digest.update(file.name.encode() + b"\0" + (file.read_bytes() if file.exists() else b"") + b"\0")
    return digest.hexdigest()


def names() -> list[str]:
    """The tasks there are: the files of this folder that have prompts, and those of other packages."""
    files = [file for folder in __path__ for file in Path(folder).glob("*.yaml")]
    own = [file.stem for file in files if file.with_suffix(".py").exists()]
    return sorted({*own, *(entry.name for entry in _entries())})


def find(name: str) -> type[Task]:
    """The task of that name. Raises `ValueError`."""
    if name not in names():
        raise ValueError(f"there is no task '{name}'.{did_you_mean(name, names())} There are {', '.join(names())}")
    for entry in (entry for entry in _entries() if entry.name == name):
        found = entry.load()
        if isinstance(found, type) and issubclass(found, Task):
            return found
        raise ValueError(f"'{name}' is a scorer, not a task; {{name: custom, scorer: {name}}} uses it")
    module = importlib.import_module(f"potstill.tasks.{name}")
    found_here = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Task) and c is not Task]
    return next(c for c in found_here if c.__module__ == module.__name__)


def read(value: Any) -> Task:
    """The task that a recipe names: by its name, or by a mapping with its options. Raises `ValueError`."""
    if isinstance(value, Task):
        return value
    values = {"name": value} if isinstance(value, str) else value
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise ValueError(f"a task is a name or a mapping with 'name'; there are {', '.join(names())}")
    return find(values["name"]).model_validate(values)


def _entries() -> list[Any]:
    return list(entry_points(group="potstill.tasks"))
