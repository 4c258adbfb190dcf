"""What a task is: how an example is shown, how a completion is parsed, how an answer is scored.

A task is one file that holds a `Task` of its name, and its prompts beside it as a YAML file (`prompts`). It depends on
nothing but the example and the text. Other packages bring theirs by an entry point of the group ``potstill.tasks``.
"""

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict, model_validator

from potstill.answers.reading import Found, before, found_in_json, rationale_in
from potstill.errors import PotstillError, did_you_mean
from potstill.models import Message, encodable
from potstill.tasks import json_schema, parsing, prompts
from potstill.tasks.columns import Column
from potstill.tasks.parsing import WHOLE_TEXT, Parsed, Status
from potstill.tasks.prompting import PLAIN, Prompting, PromptSpec

Example = Mapping[str, Any]
"""A row of `examples.parquet`: id, split, group, gold, and the task's own columns."""


class Task(BaseModel, ABC):
    """What every task offers. Its fields are options of the recipe's `task` section."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    name: str
    """Which task it is."""
    prompts: dict[Literal["plain", "direct", "cot", "cod"], str] = {}
    """Your own texts in the place of the task's, as templates: `plain: "{{ question }}"` is what the student is trained
    and asked with, untouched."""

    gradable: ClassVar[bool] = True
    """Whether scores against gold say which answer is right. Where they do not, people or a judge must."""
    descriptive_scores: ClassVar[tuple[str, ...]] = ()
    """Scores that describe an answer and say nothing of how good it is."""
    answer_placeholder: ClassVar[str] = "ANSWER"
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
    def derived_columns(self) -> Mapping[str, Column]:
        """The columns that `shown` adds."""
        return {}

    def columns_from_log(self, messages: Sequence[Message]) -> dict[str, Any]:
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
    def parse_gold(self, value: Any, example: Example) -> str:
        """The gold answer out of a data set's own column. Raises `ValueError` when there is none."""

    @abstractmethod
    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        """The answer in a text; ``strict`` reads only the form that was asked for. Never raises, takes linear time."""

    @abstractmethod
    def scores(self, answer: str, example: Example) -> dict[str, float]:
        """Named scores of an answer against ``example["gold"]``; where the task decides, the first is 1.0 for a right
        answer. Empty where gold is missing and nothing can be said."""

    def equivalent(self, a: str | None, b: str | None) -> bool:
        """Whether two answers say the same."""
        return a is not None and a == b

    @property
    def closed_set(self) -> bool:
        """Whether answers are one of a few labels, so that their shares and F1 mean something."""
        return False

    def group(self, example: Example) -> str | None:
        """What examples have in common that are never torn apart between splits, where the data names no group; None: each
        example by itself."""
        return None

    def expand(self, example: dict[str, Any], seed: int) -> list[dict[str, Any]]:
        """The example as it is shown, or the several that it makes, in columns and those `made`."""
        return [example]

    @property
    def needs_calibration(self) -> bool:
        """Whether the teacher's answers to validation examples are needed to say how its answers are read."""
        return False

    @property
    def judged(self) -> bool:
        """Whether a judge decides which answers are correct (`potstill.stages.judge`)."""
        return False

    def judge_prompt(self, example: Example, answer: str) -> str:
        """What the judge is asked about an answer to an example with gold; for tasks that are ``judged``."""
        raise ValueError(f"the task {self.name} has no prompt for a judge")

    def with_verdicts(self, verdicts: Mapping[tuple[str, str], bool | None]) -> "Task":
        """The task with a judge's verdicts: whether an answer is correct, by example id and answer; None for an unreadable
        judgement."""
        return self

    def calibrate(self, answered: Sequence[tuple[Example, str]]) -> tuple["Task", str]:
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
        if status := parsing.status_of_unread(text, finish_reason):
            return Parsed(status)
        text = text[-parsing.MAX_CHARACTERS :]
        if (inside := found_in_json(text)) and (answer := self.answer_of_json(inside, example)) is not None:
            return Parsed(Status.OK, answer, rationale_in(inside.get("rationale")), "json")
        if found := self.find_answer(text, example, strict=True):
            if found.rule == WHOLE_TEXT and parsing.declines(text):
                return Parsed(Status.REFUSED)
            return Parsed(Status.OK, found.answer, before(text, found.start), found.rule)
        found = None if strict else self.find_answer(text, example, strict=False)
        if found and parsing.concludes_with(text, found):
            return Parsed(Status.OK, found.answer, text.strip(), found.rule)
        return Parsed(parsing.status_of_unanswered(text))

    def answer_of_json(self, inside: Mapping[str, Any], example: Example) -> str | None:
        """The answer in a JSON object ``{"rationale": ..., "answer": ...}``; None where it is none."""
        value = inside.get("answer")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        found = self.find_answer(f"Answer: {value}", example, strict=True)
        return found.answer if found else None

    def target_text(self, rationale: str, answer: str) -> str:
        """What a student is trained to say, and a solved example says."""
        return f"{rationale.strip()}\nAnswer: {answer}" if rationale.strip() else answer

    def messages(
        self, example: Example, spec: PromptSpec = PLAIN, shots: Sequence[Example] | None = None
    ) -> list[Message]:
        """The chat that asks ``example``; ``shots`` are solved examples, the task's own where they are left out.

        The system prompt of the example, if it has one, comes first whoever is asked.
        """
        messages: list[Message] = []
        if example.get("system"):
            messages.append({"role": "system", "content": example["system"]})
        if spec.prompting.is_few_shot:
            for shot in self.shots if shots is None else shots:
                messages.append({"role": "user", "content": self._text(shot, spec)})
                messages.append({"role": "assistant", "content": self._said(shot, spec)})
        return [*messages, {"role": "user", "content": self._text(example, spec)}]

    def reply_schema(self, example: Example, spec: PromptSpec) -> dict[str, Any] | None:
        """JSON Schema of the whole reply; None where text is wanted."""
        if spec.output != "json" or spec.prompting.prompt == "plain":
            return None
        properties: dict[str, Any] = {"answer": self.answer_schema(example)}
        if spec.prompting.prompt == "cot":
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

    def _text(self, example: Example, spec: PromptSpec) -> str:
        if spec.prompting.prompt == "plain" and example.get("prompt"):
            return str(example["prompt"])
        reasoned = spec.prompting.prompt == "cot"
        form = prompts.form(spec.output, reasoned, self.answer_placeholder, spec.max_words)
        shown = {name: example[name] for name in self.columns} | self.variables(example) | form
        try:
            return prompts.render(self._texts[spec.prompting.prompt], shown)
        except Exception as error:  # whatever a user's template does
            raise PotstillError(
                f"The prompt '{spec.prompting.prompt}' of the task {self.name} cannot be filled in for the example "
                f"{example.get('id', '')}: {error}. Mend it under task.prompts."
            ) from error

    def _said(self, shot: Example, spec: PromptSpec) -> str:
        """What a solved example answers, in the form that ``spec`` asks for."""
        reasoned = spec.prompting.prompt in ("cot", "plain")
        rationale = (shot.get("rationale") or "") if reasoned else ""
        if spec.output == "json" and spec.prompting.prompt != "plain":
            return prompts.as_json(rationale if reasoned else None, self.answer_json(shot["gold"]))
        if not reasoned and prompts.FORM in self._texts[spec.prompting.prompt]:
            return f"Answer: {shot['gold']}"
        return self.target_text(rationale, shot["gold"])

    @property
    def _texts(self) -> Mapping[str, str]:
        texts = prompts.read(self._file) | dict(self.prompts)
        return {"direct": texts["plain"]} | texts if "plain" in texts else texts

    @property
    def source_files(self) -> tuple[Path, ...]:
        """The files of its code and prompts, which decide what it makes of an example and of a text."""
        return Path(inspect.getfile(type(self))), self._file

    @property
    def _file(self) -> Path:
        return Path(inspect.getfile(type(self))).with_suffix(".yaml")

    def question_key(self, example: Example) -> str:
        """The question in lower case and with single spaces: two examples that agree in it ask the same."""
        parts = (
            # Options are shuffled by each example's own id.
            sorted(example[name]) if column is Column.OPTIONS else example[name]
            for name, column in self.columns.items()
        )
        return "\n".join(" ".join(str(value).lower().split()) for value in parts)

    def main_score(self, answer: str | None, example: Example) -> float | None:
        """The first score; of a gradable task 1.0 is correct. None where gold is missing and nothing can be said."""
        if answer is None:
            return 0.0
        return next(iter(self.scores(answer, example).values()), None)

    def all_scores(self, answer: str | None, example: Example) -> dict[str, float]:
        """Scores of an answer by name; none where there is no answer."""
        return {} if answer is None else self.scores(answer, example)

    def code_digest(self) -> str:
        """SHA-256 of the task's code and prompts, which decide what it makes of an example and of a text."""
        digest = hashlib.sha256()
        here = Path(__file__).parent
        shared = [here / "forms.yaml", *sorted((here.parent / "answers").glob("*.py"))]
        for file in (*self.source_files, *shared):
            digest.update(file.name.encode() + b"\0" + (file.read_bytes() if file.exists() else b"") + b"\0")
        return digest.hexdigest()
