"""The base class of tasks: how an example becomes a prompt, how a completion is parsed, how an answer is scored.

A task is one file with a subclass of `Task`, and beside it a YAML file of the same name with its prompts (`prompts`). It depends
on nothing but the example and the text. Other packages provide tasks as entry points in the group ``potstill.tasks``.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from jinja2 import TemplateError
from pydantic import BaseModel, ConfigDict, model_validator

from potstill.answers.extraction import ExtractedAnswer, rationale_before
from potstill.answers.folding import fold
from potstill.answers.json_replies import answer_object, rationale_from_json, without_raw_json
from potstill.errors import PotstillError, did_you_mean
from potstill.models import Message, encodable
from potstill.tasks import code, evasions, json_schema, parsing, prompts
from potstill.tasks.columns import Column
from potstill.tasks.messages import EARLIER_TURNS, LeftOutError
from potstill.tasks.parsing import WHOLE_TEXT, Parsed, Status
from potstill.tasks.prompting import PLAIN, Prompting, PromptSpec
from potstill.tasks.prompts import Instruction, Prompt

Example = Mapping[str, Any]
"""A row of `examples.parquet`: id, split, group, gold, and the columns of the task."""


class Task(BaseModel, ABC):
    """The interface of all tasks. The fields of a task are the options of the recipe's `task` section."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    name: str
    """The task's name."""
    prompts: dict[Literal["plain", "direct", "cot", "cod"], Prompt] = {}
    """Your own prompt templates, which replace the task's: `plain: "{{ question }}"` is the prompt that the student is trained and
    evaluated with, verbatim. `cot: {system: "Reason, then answer."}` is the plain prompt after this system message, which replaces
    the row's own."""

    gradable: ClassVar[bool] = True
    """Whether scores against gold say which answer is correct. If not, people or a judge must decide."""
    descriptive_scores: ClassVar[tuple[str, ...]] = ()
    """Scores that describe an answer and do not measure its quality."""
    labels_are_places: ClassVar[bool] = False
    """Whether its labels are places, as the marks of options are, none of which should be preferred."""
    question_tells_task: ClassVar[bool] = False
    """Whether a question alone says what is wanted, as a math problem does and a text to classify does not."""
    answer_placeholder: ClassVar[str] = "ANSWER"
    """The placeholder for the answer in instructions."""
    rubric_name: ClassVar[str] = "rationale"
    """The shipped rubric (`potstill.rubrics`) that its answers are graded by where none is named."""

    @model_validator(mode="after")
    def _validate_prompts(self) -> Self:
        known = {**self.columns, **self.variables({name: column.empty for name, column in self.columns.items()})}
        if isinstance(self.prompts.get("plain"), Instruction):
            raise ValueError("prompts.plain is the user's turn, a text; data.system is the system message of all rows")
        for name, prompt in self.prompts.items():
            try:
                unknown = prompts.columns(prompts.template_of(prompt)) - set(known)
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
        """The columns of an example that the prompts use, by name."""

    @property
    def derived_columns(self) -> Mapping[str, Column]:
        """The columns that `expand` adds, by name."""
        return {}

    @property
    def takes_chats(self) -> bool:
        """Whether a chat gives all of its columns (`columns_from_chat`)."""
        return list(self.columns.values()) == [Column.TEXT]

    def columns_from_chat(self, messages: Sequence[Message]) -> dict[str, Any]:
        """The columns of an example from the messages of a chat without its answer, for a task that `takes_chats`: the question
        is the task's only column, and unchanged the prompt. Raises `LeftOutError` for a chat of several turns."""
        if len(messages) > 2 or messages[-1]["role"] != "user" or messages[0]["role"] == "assistant":
            raise LeftOutError(EARLIER_TURNS)
        prompt = messages[-1]["content"]
        system = messages[0]["content"] if len(messages) == 2 else None
        return {next(iter(self.columns)): prompt.strip(), "prompt": prompt, "system": system}

    @abstractmethod
    def parse_gold(self, value: Any, example: Example) -> str:
        """The gold answer from a value of the data set's gold column. Raises `ValueError` for an unusable value."""

    @abstractmethod
    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        """Extract the answer from a text; ``strict`` accepts only the requested form. Never raises, takes linear time."""

    @abstractmethod
    def scores(self, answer: str, example: Example) -> Mapping[str, float | None]:
        """Scores of an answer against ``example["gold"]``, by name; None where a score does not apply to the answer (names are not
        counted in a script without capitals). For a gradable task, the first is 1.0 for a correct answer.
        Empty if gold is missing and no score works without it."""

    def asked(self, example: Example) -> Sequence[Message]:
        """What the user asks, for people and judges to read: messages without the system's."""
        columns = (column.display(example[name]) for name, column in self.columns.items())
        return [{"role": "user", "content": "\n\n".join(columns)}]

    def source(self, example: Example) -> str | None:
        """The text that an answer must keep to; None where the task has none."""
        return None

    def shown_answer(self, text: str, rationale: str, answer: str | None) -> str:
        """A system's answer for people and judges to read, in one form for all systems: the rationale, then the answer."""
        return text if answer is None else f"{rationale.strip()}\n\n{answer}".strip()

    def equivalent(self, a: str | None, b: str | None) -> bool:
        """Whether two answers mean the same; False if one is None."""
        return a is not None and a == b

    def parse_references(self, value: Any, example: Example) -> list[str | None] | None:
        """The `references` from a value of the data set's column, for a task with this derived column. Raises `ValueError` for an unusable one."""
        return None

    def references(self, example: Example) -> Sequence[str | None]:
        """The reference answers to the user's turns up to the example's, for judges; None for a turn without one, empty where none has one."""
        return ()

    def gold_text(self, example: Example) -> str:
        """What gold says, independent of how the example was drawn: of a mark, its option."""
        return str(example["gold"])

    @property
    def label_score(self) -> str:
        """The name of the macro F1 of its answers, if they are labels; otherwise empty."""
        return ""

    @property
    def label_set(self) -> Sequence[str]:
        """The labels of a task with a ``label_score``, where they are the same for all examples."""
        return ()

    def labels_of(self, answer: str | None) -> frozenset[str]:
        """The labels that an answer names, for a task with a ``label_score``; none for no answer."""
        return frozenset() if answer is None else frozenset([answer])

    @property
    def takes_several_labels(self) -> bool:
        """Whether an answer of a task with a ``label_set`` names any number of labels, and not exactly one."""
        return False

    def group(self, example: Example) -> str | None:
        """Group key for data without a group column: examples with the same key always land in the same split. None: each
        example is its own group."""
        return None

    def expand(self, example: dict[str, Any], seed: int) -> list[dict[str, Any]]:
        """The example, or several examples made from it, with the `derived_columns`; ``seed`` makes random choices repeatable."""
        return [example]

    @property
    def multi_turn(self) -> bool:
        """Whether an example can be a later turn of a chat (`earlier_turns`)."""
        return False

    def earlier_turns(self, example: Example) -> Sequence[str]:
        """The ids of the examples of the same chat's earlier turns, in order."""
        return ()

    def with_replies(self, example: Example, replies: Sequence[str]) -> Example:
        """The example with these replies to its `earlier_turns` in the place of the data's."""
        return example

    def own_turns(self, example: Example) -> Sequence[str]:
        """Those of its `earlier_turns` that the data have no replies to. In evaluation each system answers them first, and its own answers
        are the replies (`with_replies`). Only of a task that is not gradable."""
        return ()

    @property
    def needs_calibration(self) -> bool:
        """Whether the teacher's replies to validation examples must determine how its replies are parsed."""
        return False

    @property
    def judged(self) -> bool:
        """Whether judges decide which answers are correct (`potstill.stages.judge.scoring`)."""
        return False

    @property
    def correct_means(self) -> str:
        """What makes an answer correct beside agreement with gold, in sentences for a judge; may be empty."""
        return ""

    def with_verdicts(self, verdicts: Mapping[tuple[str, str], bool | None]) -> "Task":
        """The task with judges' verdicts, by example id and answer: whether the answer is correct; None where none could be had.
        An answer without a verdict has no score."""
        return self

    def calibrate(self, answered: Sequence[tuple[Example, str]]) -> tuple["Task", str]:
        """The task with the settings that the teacher's replies (example, text) to validation examples determine, and a message that
        says which; empty if nothing changed."""
        return self, ""

    def answer_schema(self, example: Example) -> dict[str, Any]:
        """JSON Schema of the answer."""
        return {"type": "string"}

    def answer_json(self, answer: str) -> Any:
        """The answer as a JSON value."""
        return answer

    def variables(self, example: Example) -> dict[str, Any]:
        """What prompts may name in addition to the example's columns."""
        return {}

    def parse(self, text: str, finish_reason: str, example: Example, *, strict: bool) -> Parsed:
        """Parse a completion. Never raises; the result can always be encoded as UTF-8."""
        parsed = self._parse(text, finish_reason, example, strict=strict)
        answer = None if parsed.answer is None else encodable(parsed.answer)
        return replace(parsed, answer=answer, rationale=encodable(without_raw_json(parsed.rationale)))

    def _parse(self, text: str, finish_reason: str, example: Example, *, strict: bool) -> Parsed:
        if status := parsing.status_without_parsing(text, finish_reason):
            return Parsed(status)
        text = text[-parsing.MAX_CHARACTERS :]
        if (reply := answer_object(text)) and (answer := self.answer_from_json(reply, example)) is not None:
            return Parsed(Status.OK, answer, rationale_from_json(reply.get("rationale")), "json")
        if finish_reason not in parsing.FINISHED:
            if finished := self.find_finished_answer(text, example):
                return Parsed(Status.OK, finished.answer, rationale_before(text, finished.start), finished.rule)
            return Parsed(parsing.cut_status(text, finish_reason))
        if extracted := self.find_answer(text, example, strict=True):
            if extracted.rule == WHOLE_TEXT and evasions.opens_with_refusal(text):
                return Parsed(Status.REFUSED)
            return Parsed(Status.OK, extracted.answer, rationale_before(text, extracted.start), extracted.rule)
        extracted = None if strict else self.find_answer(text, example, strict=False)
        if extracted and parsing.is_conclusion(text, extracted):
            reasoned = rationale_before(text, extracted.start) if extracted.rule == "json" else text.strip()
            return Parsed(Status.OK, extracted.answer, reasoned, extracted.rule)
        return Parsed(parsing.status_without_answer(text))

    def find_finished_answer(self, text: str, example: Example) -> ExtractedAnswer | None:
        """The answer of a cut text in the requested form, if it is complete; see `parsing.finished_answer`."""
        return parsing.finished_answer(text, lambda part: self.find_answer(part, example, strict=True))

    def answer_from_json(self, reply: Mapping[str, Any], example: Example) -> str | None:
        """The answer in a JSON object ``{"rationale": ..., "answer": ...}``; None if it is unusable."""
        value = reply.get("answer")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        extracted = self.find_answer(f"Answer: {value}", example, strict=True)
        return extracted.answer if extracted else None

    def target_text(self, rationale: str, answer: str) -> str:
        """The reply that the student is trained on and that a solved example shows."""
        return f"{rationale.strip()}\nAnswer: {answer}" if rationale.strip() else answer

    def messages(
        self, example: Example, spec: PromptSpec = PLAIN, shots: Sequence[Example] | None = None
    ) -> list[Message]:
        """The prompt for an example; ``shots`` are the solved examples, by default the task's own. The system prompt comes first: that of
        the prompt's `Instruction`, otherwise the example's own, if there is one."""
        messages: list[Message] = []
        if system := self._system(example, spec):
            messages.append({"role": "system", "content": system})
        if spec.prompting.is_few_shot:
            for shot in self.shots if shots is None else shots:
                messages.append({"role": "user", "content": self._prompt(shot, spec)})
                messages.append({"role": "assistant", "content": self._solved_reply(shot, spec)})
        return [*messages, {"role": "user", "content": self._prompt(example, spec)}]

    def reply_schema(self, example: Example, spec: PromptSpec) -> dict[str, Any] | None:
        """JSON Schema of the complete reply; None where none is requested."""
        if not self._requests_json(spec):
            return None
        properties: dict[str, Any] = {"answer": self.answer_schema(example)}
        if spec.prompting.prompt == "cot":
            properties = {"rationale": {"type": "string"}} | properties
        return json_schema.combine(properties)

    @property
    def promptings(self) -> tuple[Prompting, ...]:
        """The promptings that the task has templates for."""
        return tuple(p for p in Prompting if p.prompt in {*self._templates, *self.prompts})

    def tells_task(self, prompting: Prompting, example: Example | None = None) -> bool:
        """Whether a prompting tells a model the task, its labels or its schema.

        The task's prompts for the teacher do, and training rows that are similar to the question. The plain prompt does if it has
        words, or if the example has a prompt or system prompt of its own; without training a bare text does not say what it is for.
        """
        if prompting.prompt != "plain" or prompting.is_retrieved or self.question_tells_task:
            return True
        if example is not None and (example.get("prompt") or example.get("system")):
            return True
        return prompts.has_words(self._templates["plain"])

    @property
    def direct_is_plain(self) -> bool:
        """Whether the prompt `direct` is the plain one, so that a model need not be asked with both."""
        instructs = self._instruction(PromptSpec(Prompting.DIRECT)) is not None
        return not instructs and self._templates.get("direct") == self._templates.get("plain")

    @property
    def shots(self) -> Sequence[Example]:
        """The task's own solved examples."""
        shots: Sequence[Example] = prompts.load(self._prompts_file).get("examples", ())
        return shots

    def _instruction(self, spec: PromptSpec) -> str | None:
        """The template of the system message that replaces the example's own; None where the prompt is the user's turn."""
        for name, prompt in self.prompts.items():
            if name == spec.prompting.prompt and isinstance(prompt, Instruction):
                return prompt.system
        return None

    def _requests_json(self, spec: PromptSpec) -> bool:
        """Whether the prompt requests potstill's JSON."""
        instruction = self._instruction(spec)
        own_form = instruction is not None and not prompts.names_form(instruction)
        return spec.output == "json" and spec.prompting.prompt != "plain" and not own_form

    def _system(self, example: Example, spec: PromptSpec) -> str | None:
        instruction = self._instruction(spec)
        return example.get("system") if instruction is None else self._render(instruction, example, spec)

    def _prompt(self, example: Example, spec: PromptSpec) -> str:
        """The user's turn."""
        if self._instruction(spec) is not None:
            spec = PLAIN
        if spec.prompting.prompt == "plain" and example.get("prompt"):
            return str(example["prompt"])
        return self._render(self._templates[spec.prompting.prompt], example, spec)

    def _render(self, template: str, example: Example, spec: PromptSpec) -> str:
        reasoned = spec.prompting.prompt == "cot"
        form = prompts.form_variables(spec.output, reasoned, self.answer_placeholder, spec.max_words)
        variables = {name: example[name] for name in self.columns} | self.variables(example) | form
        try:
            return prompts.render(template, variables)
        except Exception as error:  # a template of the user may raise anything
            raise PotstillError(
                f"The prompt '{spec.prompting.prompt}' of the task {self.name} cannot be filled in for the example "
                f"{example.get('id', '')}: {error}. Fix it under task.prompts."
            ) from error

    def _solved_reply(self, shot: Example, spec: PromptSpec) -> str:
        """The reply of a solved example, in the form that ``spec`` requests."""
        reasoned = spec.prompting.prompt in ("cot", "plain")
        rationale = (shot.get("rationale") or "") if reasoned else ""
        if self._requests_json(spec):
            return prompts.json_reply(rationale if reasoned else None, self.answer_json(shot["gold"]))
        if not reasoned and prompts.names_form(self._instruction(spec) or self._templates[spec.prompting.prompt]):
            return f"Answer: {shot['gold']}"
        return self.target_text(rationale, shot["gold"])

    @property
    def _templates(self) -> Mapping[str, str]:
        own = {name: prompt for name, prompt in self.prompts.items() if isinstance(prompt, str)}
        templates = prompts.load(self._prompts_file) | own
        return {"direct": templates["plain"]} | templates if "plain" in templates else templates

    @property
    def source_files(self) -> tuple[Path, ...]:
        """The files of its code and prompts, which determine its prompts, answers and scores."""
        return Path(inspect.getfile(type(self))), self._prompts_file

    @property
    def _prompts_file(self) -> Path:
        return Path(inspect.getfile(type(self))).with_suffix(".yaml")

    def question_key(self, example: Example) -> str:
        """The folded question: examples with the same key ask the same question."""
        # Options are shuffled by the id of the example.
        parts = (sorted(example[n]) if of is Column.OPTIONS else example[n] for n, of in self.columns.items())
        return "\n".join(fold(str(value)) for value in parts)

    def main_score(self, answer: str | None, example: Example) -> float | None:
        """The first score; for a gradable task 1.0 is correct. 0.0 for no answer; None if `scores` is empty."""
        if answer is None:
            return 0.0
        return next(iter(self.scores(answer, example).values()), None)

    def all_scores(self, answer: str | None, example: Example) -> Mapping[str, float | None]:
        """Scores of an answer by name; empty if there is no answer."""
        return {} if answer is None else self.scores(answer, example)

    def code_digest(self) -> str:
        """SHA-256 (hex) of the task's code and prompts, which determine its prompts, answers and scores."""
        return code.digest(self.source_files)
