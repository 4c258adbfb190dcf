"""A task that the user defines: prompts, a pattern or schema that extracts the answer, and a scorer.

The columns are those that the prompts name. A scorer from another package is a function ``score(answer, gold, example)``, an
entry point in the group ``potstill.tasks``; it returns a number from 0 to 1, where 1 is correct, or a mapping of names to such
numbers, the first of which decides. They are shown as SCORER.NAME, so that none takes the place of a metric of potstill's.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import regex
from jinja2 import TemplateError
from pydantic import AfterValidator, PrivateAttr, model_validator

from potstill.answers.equivalence import same_number
from potstill.answers.folding import fold_words
from potstill.answers.json_replies import parse_json
from potstill.errors import PotstillError
from potstill.models import Message
from potstill.tasks import (
    PLAIN,
    WHOLE_TEXT,
    Column,
    Example,
    ExtractedAnswer,
    Task,
    answer_lines,
    json_schema,
    parse_text,
    prompts,
)
from potstill.tasks.json_schema import JsonSchema

RESERVED_COLUMNS = ("id", "group", "system", "prompt", "rationale")
"""Columns of every example, which cannot be inputs of a custom task."""
SCORERS = ("exact", "regex", "numeric", "judge")
PATTERN_TIMEOUT_SECONDS = 0.3
"""Time that a pattern of the user may take for one text."""


def _validate_pattern(pattern: str) -> str:
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return pattern


class Custom(Task):
    name: Literal["custom"] = "custom"
    """The task's name."""
    answer_pattern: Annotated[str, AfterValidator(_validate_pattern)] | None = None
    """Regular expression of the answer: the first group, or the complete match, of its last match in the text."""
    json_schema: JsonSchema | None = None
    """JSON Schema of the answer, which is then JSON. Without this and `answer_pattern`, the answer is the text after "Answer:", or
    the complete text."""
    scorer: str = "exact"
    """`exact` (ignores case and outer punctuation; with `json_schema`, compares the values), `regex` (gold is a pattern that the
    complete answer must match), `numeric`, `judge` (the models of evaluate.judge compare with gold), or the name of an entry
    point in the group `potstill.tasks`."""
    rubric: str = ""
    """What makes an answer correct, in sentences for the judge."""

    _verdicts: Mapping[tuple[str, str], bool | None] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _validate_options(self) -> Self:
        if "plain" not in self.prompts:
            raise ValueError("prompts.plain is needed: the prompt of the student")
        if self.answer_pattern and self.json_schema:
            raise ValueError("answer_pattern and json_schema exclude each other")
        if "gold" in self.columns:
            raise ValueError("prompts name gold, which is the answer")
        for name in RESERVED_COLUMNS:
            if name in self.columns:
                raise ValueError(
                    f"prompts name '{name}', which is a reserved column; write {{{{ text }}}}, and name your column in the "
                    f"data: columns: {{text: {name}}}"
                )
        if self.scorer not in SCORERS:
            _scorer(self.scorer)
        if self.rubric and not self.judged:
            raise ValueError("rubric is for the scorer `judge`")
        return self

    @property
    def columns(self) -> Mapping[str, Column]:
        named: set[str] = set()
        for prompt in self.prompts.values():
            with suppress(TemplateError):  # `Task` reports it with the name of the prompt
                named |= prompts.columns(prompts.template_of(prompt))
        return dict.fromkeys(sorted(named), Column.TEXT)

    def parse_gold(self, value: Any, example: Example) -> str:
        if self.json_schema is None or self.scorer == "regex":
            return parse_text(value)
        parsed = value
        if isinstance(value, str):
            with suppress(ValueError, RecursionError):
                parsed = json.loads(value)
        for candidate in (parsed, value):
            if not json_schema.first_violation(self.json_schema, candidate):
                return json_schema.dump(candidate)
        raise ValueError(f"does not follow task.json_schema: {json_schema.first_violation(self.json_schema, parsed)}")

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        if self.answer_pattern:
            return _extract_by_pattern(self.answer_pattern, text)
        lines = answer_lines(text)
        if self.json_schema is not None:
            if lines and (answer := self._dump_if_valid(parse_json(lines[-1][0]))):
                return ExtractedAnswer(answer, "answer-line", lines[-1][1])
            answer = self._dump_if_valid(parse_json(text))
            return ExtractedAnswer(answer, "json", max(0, text.find("{"))) if answer else None
        if lines:
            return ExtractedAnswer(lines[-1][0], "answer-line", lines[-1][1])
        return ExtractedAnswer(text.strip(), WHOLE_TEXT)

    def answer_from_json(self, reply: Mapping[str, Any], example: Example) -> str | None:
        if self.json_schema is None:
            return super().answer_from_json(reply, example)
        return self._dump_if_valid(reply["answer"])

    def equivalent(self, a: str | None, b: str | None) -> bool:
        if a is None or b is None:
            return False
        return same_number(a, b) if self.scorer == "numeric" else self._equal(a, b)

    def scores(self, answer: str, example: Example) -> dict[str, float | None]:
        gold = example["gold"]
        if gold is None:
            return {}
        if self.judged:
            verdict = self._verdicts.get((example["id"], answer))
            return {"judged_right": None if verdict is None else float(verdict)}
        if self.scorer in SCORERS:
            return {"accuracy": float(self._is_correct(gold, answer))}
        try:
            result = _scorer(self.scorer)(answer, gold, example)
            named = result if isinstance(result, Mapping) and result else {"score": result}
            scores: dict[str, float | None] = {f"{self.scorer}.{name}": float(score) for name, score in named.items()}
        except Exception as error:
            raise PotstillError(
                f"The scorer '{self.scorer}' raised {type(error).__name__}: {error} for the example {example['id']}. "
                "It must return a number, or a mapping of names to numbers, for any answer."
            ) from error
        return scores

    @property
    def judged(self) -> bool:
        return self.scorer == "judge"

    @property
    def correct_means(self) -> str:
        return self.rubric

    def asked(self, example: Example) -> Sequence[Message]:
        return [{"role": "user", "content": self._prompt(example, PLAIN)}]

    def shown_answer(self, text: str, rationale: str, answer: str | None) -> str:
        """Of a task that is ``judged`` the answer alone, which is what the judge compares with gold."""
        return answer if self.judged and answer is not None else super().shown_answer(text, rationale, answer)

    def with_verdicts(self, verdicts: Mapping[tuple[str, str], bool | None]) -> "Custom":
        task = self.model_copy()
        task._verdicts = verdicts
        return task

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return self.json_schema or {"type": "string"}

    def answer_json(self, answer: str) -> Any:
        return json.loads(answer) if self.json_schema is not None else answer

    def target_text(self, rationale: str, answer: str) -> str:
        if not self.answer_pattern:
            return super().target_text(rationale, answer)
        return f"{rationale.strip()}\n{answer}".strip()

    @property
    def source_files(self) -> tuple[Path, ...]:
        scorer = () if self.scorer in SCORERS else (Path(inspect.getsourcefile(_scorer(self.scorer)) or ""),)
        return (*super().source_files, *scorer)

    def _dump_if_valid(self, value: Any) -> str | None:
        """A JSON value as text if it follows the schema; None for any other."""
        is_valid = value is not None and not json_schema.first_violation(self.json_schema or {}, value)
        return json_schema.dump(value) if is_valid else None

    def _is_correct(self, gold: str, answer: str) -> bool:
        match self.scorer:
            case "regex":
                return _matches(gold, answer)
            case "numeric":
                return same_number(gold, answer)
            case _:
                return self._equal(gold, answer)

    def _equal(self, a: str, b: str) -> bool:
        if self.json_schema is not None:
            return json_schema.equivalent(json.loads(a), json.loads(b))
        return fold_words(a) == fold_words(b)


def _extract_by_pattern(pattern: str, text: str) -> ExtractedAnswer | None:
    try:
        matches = list(regex.finditer(pattern, text, timeout=PATTERN_TIMEOUT_SECONDS))
    except TimeoutError:
        return None
    if not matches:
        return None
    last = matches[-1]
    return ExtractedAnswer((last[1] if last.re.groups and last[1] else last[0]).strip(), "pattern", last.start())


def _matches(gold: str, answer: str) -> bool:
    try:
        return regex.fullmatch(gold, answer.strip(), timeout=PATTERN_TIMEOUT_SECONDS) is not None
    except (regex.error, TimeoutError):
        return False


@cache
def _scorer(name: str) -> Any:
    for entry in entry_points(group="potstill.tasks"):
        if entry.name == name:
            return entry.load()
    raise ValueError(f"scorer '{name}' is none of {', '.join(SCORERS)}, nor an entry point in the group potstill.tasks")
