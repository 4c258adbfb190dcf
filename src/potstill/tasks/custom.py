"""A task of the user's own: texts to ask with, a pattern or schema to read the answer by, and a scorer.

The columns are those that the texts name. A scorer by name is a function ``score(answer, gold, example)`` of another
package, by an entry point of the group ``potstill.tasks``; it returns a number from 0 to 1, where 1 is right, or a mapping of
names to such numbers whose first decides.
"""

import inspect
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import regex
from jinja2 import TemplateError
from pydantic import AfterValidator, PrivateAttr, model_validator

from potstill.answers import text
from potstill.answers.equivalence import same_number
from potstill.answers.reading import json_in, lines
from potstill.errors import PotstillError
from potstill.tasks import PLAIN, WHOLE_TEXT, Column, Example, Found, Task, json_schema, prompts
from potstill.tasks.columns import text as as_text
from potstill.tasks.json_schema import JsonSchema

TAKEN = ("id", "group", "system", "prompt", "rationale")
"""Columns that any example has, which are no inputs of the task's."""
SCORERS = ("exact", "regex", "numeric", "judge")
SECONDS = 0.3
"""That a user's pattern may take for one text."""


def _a_pattern(pattern: str) -> str:
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return pattern


class Custom(Task):
    name: Literal["custom"] = "custom"
    """Which task it is."""
    answer_pattern: Annotated[str, AfterValidator(_a_pattern)] | None = None
    """Regular expression of the answer; its first group, or all of it, the last match in the text."""
    json_schema: JsonSchema | None = None
    """JSON Schema of the answer, which is then JSON. Left out, with `answer_pattern`: what stands after "Answer:", or the
    whole text."""
    scorer: str = "exact"
    """`exact` (without case and outer punctuation; with `json_schema`, by the values that it holds), `regex` (gold is a
    pattern that the whole answer matches), `numeric`, `judge` (the model that evaluate.judge names compares with gold), or the
    name of an entry point in the group `potstill.tasks`."""
    rubric: str = ""
    """What makes an answer right, in sentences for the judge."""

    _verdicts: Mapping[tuple[str, str], bool | None] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _can_ask(self) -> Self:
        if "plain" not in self.prompts:
            raise ValueError("prompts.plain is needed: the text that the student is asked with")
        if self.answer_pattern and self.json_schema:
            raise ValueError("answer_pattern and json_schema exclude each other")
        if "gold" in self.columns:
            raise ValueError("prompts name gold, which is the answer")
        for name in TAKEN:
            if name in self.columns:
                raise ValueError(
                    f"prompts name '{name}', which has a meaning of its own; write {{{{ text }}}}, and name your column in the "
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
        for said in self.prompts.values():
            with suppress(TemplateError):  # which is said with its place
                named |= prompts.columns(said)
        return dict.fromkeys(sorted(named), Column.TEXT)

    def parse_gold(self, value: Any, example: Example) -> str:
        if self.json_schema is None or self.scorer == "regex":
            return as_text(value)
        inside = value
        if isinstance(value, str):
            with suppress(ValueError, RecursionError):
                inside = json.loads(value)
        for one in (inside, value):
            if not json_schema.fault(self.json_schema, one):
                return _written(one)
        raise ValueError(f"does not follow task.json_schema: {json_schema.fault(self.json_schema, inside)}")

    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        if self.answer_pattern:
            return _by_pattern(self.answer_pattern, text)
        if self.json_schema is not None:
            for said, start in reversed(lines(text)[-1:]):
                if answer := self._following(json_in(said)):
                    return Found(answer, "answer-line", start)
            answer = self._following(json_in(text))
            return Found(answer, "json", max(0, text.find("{"))) if answer else None
        if found := lines(text):
            return Found(found[-1][0], "answer-line", found[-1][1])
        return Found(text.strip(), WHOLE_TEXT)

    def answer_of_json(self, inside: Mapping[str, Any], example: Example) -> str | None:
        return (
            super().answer_of_json(inside, example) if self.json_schema is None else self._following(inside["answer"])
        )

    def equivalent(self, a: str | None, b: str | None) -> bool:
        if a is None or b is None:
            return False
        return same_number(a, b) if self.scorer == "numeric" else self._exactly(a, b)

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold = example["gold"]
        if gold is None:
            return {}
        if self.judged:
            verdict = self._verdicts[example["id"], answer]
            return {"judged_right": float(verdict is True), "judgement_unreadable": float(verdict is None)}
        if self.scorer in SCORERS:
            return {"accuracy": float(self._right(gold, answer))}
        try:
            said = _scorer(self.scorer)(answer, gold, example)
            scores = {name: float(score) for name, score in said.items()} if isinstance(said, Mapping) else {}
            scores = scores or {"score": float(said)}
        except Exception as error:
            raise PotstillError(
                f"The scorer '{self.scorer}' raised {type(error).__name__}: {error} for the example {example['id']}. "
                "It must return a number, or a mapping of names to numbers, for any answer."
            ) from error
        return scores

    @property
    def judged(self) -> bool:
        return self.scorer == "judge"

    def judge_prompt(self, example: Example, answer: str) -> str:
        """What the judge is asked about an answer to an example with gold."""
        shown = dict(question=self._text(example, PLAIN), gold=example["gold"], answer=answer, rubric=self.rubric)
        return prompts.render(prompts.read(self._file)["judge"], shown)

    def with_verdicts(self, verdicts: Mapping[tuple[str, str], bool | None]) -> "Custom":
        """The task as a judge has scored it: whether an answer is right, by id of the example and answer; None where the
        judgement cannot be read."""
        task = self.model_copy()
        task._verdicts = verdicts
        return task

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return self.json_schema or {"type": "string"}

    def answer_json(self, answer: str) -> Any:
        return json.loads(answer) if self.json_schema is not None else answer

    def target_text(self, rationale: str, answer: str) -> str:
        return (
            super().target_text(rationale, answer)
            if not self.answer_pattern
            else f"{rationale.strip()}\n{answer}".strip()
        )

    @property
    def source_files(self) -> tuple[Path, ...]:
        own = () if self.scorer in SCORERS else (Path(inspect.getsourcefile(_scorer(self.scorer)) or ""),)
        return (*super().source_files, *own)

    def _following(self, value: Any) -> str | None:
        """A JSON value, written, that follows the schema; None for any other."""
        follows = value is not None and not json_schema.fault(self.json_schema or {}, value)
        return _written(value) if follows else None

    def _right(self, gold: str, answer: str) -> bool:
        match self.scorer:
            case "regex":
                return _matches(gold, answer)
            case "numeric":
                return same_number(gold, answer)
            case _:
                return self._exactly(gold, answer)

    def _exactly(self, a: str, b: str) -> bool:
        if self.json_schema is not None:
            return json_schema.same(json.loads(a), json.loads(b))
        return text.bare(a) == text.bare(b)


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _by_pattern(pattern: str, said: str) -> Found | None:
    try:
        found = list(regex.finditer(pattern, said, timeout=SECONDS))
    except TimeoutError:
        return None
    if not found:
        return None
    last = found[-1]
    return Found((last[1] if last.re.groups and last[1] else last[0]).strip(), "pattern", last.start())


def _matches(gold: str, answer: str) -> bool:
    try:
        return regex.fullmatch(gold, answer.strip(), timeout=SECONDS) is not None
    except (regex.error, TimeoutError):
        return False


@cache
def _scorer(name: str) -> Any:
    for entry in entry_points(group="potstill.tasks"):
        if entry.name == name:
            return entry.load()
    raise ValueError(f"scorer '{name}' is none of {', '.join(SCORERS)}, nor an entry point in the group potstill.tasks")
