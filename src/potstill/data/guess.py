"""Guess the task and the columns of a user's file from its first rows."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from potstill.answers import numbers
from potstill.data import files, presets
from potstill.data.rows import OPTIONAL
from potstill.errors import RecipeError
from potstill.tasks.columns import Column, is_missing, parse_verbatim
from potstill.tasks.custom import RESERVED_COLUMNS
from potstill.tasks.nli import LABEL_SYNONYMS
from potstill.tasks.registry import parse_task

PRESET_ROWS = 20
"""Rows that a preset must be able to read."""
ROWS_READ = 500
"""Rows of a file, from its first, by which its task is guessed."""
MAX_LABELS = 30
TEXTS = ("text", "sentence", "content", "body", "review", "message", "input", "comment", "email", "ticket")
QUESTIONS = ("question", "problem", "query", "instruction", "prompt", "input")
GOLDS = (
    "gold",
    "label",
    "labels",
    "answer",
    "output",
    "target",
    "completion",
    "response",
    "category",
    "class",
    "intent",
)
DOCUMENTS = ("document", "article", "dialogue", "dialog", "source", "report", "transcript", "text")
SUMMARIES = ("summary", "highlights", "abstract", "reference_summary", "tldr")
CONTEXTS = ("context", "passage", "background", "paragraph")
PAIRS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("text1", "text2"), ("question1", "question2"))
OPTIONS = ("options", "choices", "candidates", "endings")
CHATS = ("messages", "conversations", "conversation", "chat")
IDS, GROUPS = ("id", "uid", "idx", "guid"), ("group", "group_id", "passage_id", "doc_id")


@dataclass
class Guess:
    """A task with its options, the user's column for each of potstill's, and why."""

    task: dict[str, Any]
    why: str
    columns: dict[str, str] = field(default_factory=dict)
    preset: str | None = None
    unlabelled: str | None = None
    unused: list[str] = field(default_factory=list)
    """The user's columns that no prompt shows."""
    rows: int = 0
    """Number of rows that were read, at most `ROWS_READ`."""


def guess(path: Path) -> Guess:
    """The task of a file, from its first rows. Raises `RecipeError`."""
    rows = [row for _, row in islice(files.rows(path), ROWS_READ)]
    if not rows:
        raise RecipeError(f"{path}: there are no rows in it.")
    columns = {str(name): [row.get(name) for row in rows] for row in rows[:20] for name in row}
    found = next(filter(None, (rule(columns) for rule in RULES)), None)
    if found is None:
        raise RecipeError(
            f"{path}: there is no column of text to ask about; the columns are {', '.join(columns) or 'none'}."
        )
    schema = presets.PRESETS[found.preset].schema if found.preset else ()
    for name, names in (("id", IDS), ("group", GROUPS), ("system", ("system", "system_prompt"))):
        theirs = _named(columns, names)
        if theirs and theirs not in (*found.columns.values(), *schema) and (theirs != name or name == "id"):
            found.columns[name] = theirs
    gold = found.columns.get("gold", "gold")
    if not found.preset and not found.unlabelled and any(is_missing(row.get(gold)) for row in rows):
        found.unlabelled = "drop"
    if found.task["name"] == "classification":
        found.task["labels"] = _labels_of_all(path, gold)
    try:
        task = parse_task(found.task)
    except ValueError as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise RecipeError(f"{path}, column '{gold}': {said}. Fix the column, or write the recipe by hand.") from error
    seen = {
        *schema,
        *found.columns.values(),
        *(name for name in (*task.columns, *OPTIONAL) if name not in found.columns),
    }
    found.unused = [name for name in columns if name not in seen and name != gold]
    found.rows = len(rows)
    return found


def _labels_of_all(path: Path, gold: str) -> list[str]:
    """Every label of a file, including labels that its first rows do not have."""
    values = (row.get(gold) for _, row in files.rows(path))
    each = (one for value in values if not is_missing(value) for one in (value if isinstance(value, list) else [value]))
    return sorted({parse_verbatim(one).strip() for one in each})


Columns = Mapping[str, Sequence[Any]]


def _named(columns: Columns, names: Sequence[str]) -> str | None:
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in names if name in lower), None)


def _texts(columns: Columns) -> Iterator[str]:
    """Columns of text, the longest first."""
    length = {name: sum(len(v) for v in values if isinstance(v, str)) for name, values in columns.items()}
    yield from sorted((name for name in columns if length[name]), key=lambda name: -length[name])


def _reads_as(column: Column, value: Any) -> bool:
    try:
        column.parse(value)
    except ValueError:
        return False
    return True


def _mapped(**theirs: str | None) -> dict[str, str]:
    return {name: column for name, column in theirs.items() if column is not None and column != name}


def _of_a_preset(columns: Columns) -> Guess | None:
    known = sorted(presets.PRESETS.values(), key=lambda preset: -len(preset.schema))
    rows = [
        dict(zip(columns, values, strict=True)) for values in islice(zip(*columns.values(), strict=True), PRESET_ROWS)
    ]
    for preset in known:
        if preset.name == "prompt_completion" and not _wordy(columns.get("completion", ())):
            continue
        if len(preset.schema) > 1 and set(preset.schema) <= set(columns) and all(_reads(preset, row) for row in rows):
            return Guess({"name": preset.task}, f"the columns are those of {preset.name}", preset=preset.name)
    return None


def _wordy(values: Sequence[Any]) -> bool:
    """Whether most values are long texts, so that no two answers would be the same."""
    return sum(len(str(value).split()) > 5 for value in values) > len(values) / 2


def _reads(preset: presets.Preset, row: Mapping[str, Any]) -> bool:
    try:
        example = preset.row(row)
        if example and not is_missing(example.get("gold")):
            parse_task(preset.task).parse_gold(example["gold"], example)
    except Exception:  # whatever comes of rows that are of another form
        return False
    return True


def _chat(columns: Columns) -> Guess | None:
    theirs = _named(columns, CHATS)
    said = [value for value in columns[theirs] if not is_missing(value)] if theirs else []
    if not theirs or not said or not _reads_as(Column.MESSAGES, said[0]):
        return None
    return Guess({"name": "conversation"}, f"'{theirs}' holds conversations", _mapped(messages=theirs))


def _pair(columns: Columns) -> Guess | None:
    """A pair of texts with a label: entailment if names or labels say so, otherwise a custom task."""
    found = next((two for names in PAIRS if all(two := [_named(columns, [name]) for name in names])), None)
    if found is None:
        return None
    first, second = map(str, found)
    gold = _named(columns, ("gold_label", *GOLDS))
    said = {str(value).strip() for value in columns[gold] if not is_missing(value)} - {"-", "-1"} if gold else set()
    mapped = _mapped(premise=first, hypothesis=second, gold=gold)
    known = all(label.casefold() in {*LABEL_SYNONYMS, "entailment", "neutral", "contradiction"} for label in said)
    if first.lower() == "premise" or (said and known) or said == {"0", "1", "2"}:
        own = {} if known or all(map(_is_number, said)) else {"labels": sorted(said)}
        return Guess({"name": "nli", **own}, "there are a premise and a hypothesis", mapped, unlabelled=_keep(gold))
    return _of_several([first, second], gold, columns)


def _in_context(columns: Columns) -> Guess | None:
    context, question = _named(columns, CONTEXTS), _named(columns, QUESTIONS)
    gold = _named(columns, GOLDS)
    return _of_several([context, question], gold, columns) if context and question and context != question else None


def _of_several(names: Sequence[str], gold: str | None, columns: Columns) -> Guess:
    """A task with a template of several columns."""
    ours = {
        name if name.isidentifier() and name not in RESERVED_COLUMNS else f"text{i}": name
        for i, name in enumerate(names, 1)
    }
    text = "\n\n".join(f"{{{{ {name} }}}}" for name in ours)
    task = {"name": "custom", "prompts": {"plain": text, "cot": f"{text}\n\nThink step by step. {{{{ form }}}}"}}
    values = [value for value in columns[gold] if not is_missing(value)] if gold else []
    if values:
        task["scorer"] = "numeric" if all(map(_is_number, values)) else "exact"
    why = f"{' and '.join(map(repr, names))} belong together"
    return Guess(task, why, _mapped(**ours, gold=gold), unlabelled=_keep(gold))


def _choice(columns: Columns) -> Guess | None:
    options, question = _named(columns, OPTIONS), _named(columns, QUESTIONS)
    if not options or not question:
        return None
    gold = _named(columns, ("answerkey", "correct", *GOLDS))
    mapped = _mapped(question=question, options=options, gold=gold)
    return Guess({"name": "multiple_choice"}, f"'{options}' holds options", mapped, unlabelled=_keep(gold))


def _summary(columns: Columns) -> Guess | None:
    document, summary = _named(columns, DOCUMENTS), _named(columns, SUMMARIES)
    if not document or not summary:
        return None
    return Guess({"name": "summarization"}, f"'{summary}' holds summaries", _mapped(document=document, gold=summary))


def _labelled(columns: Columns) -> Guess | None:
    gold = _named(columns, GOLDS)
    text = next(
        (name for name in (_named(columns, (*TEXTS, *QUESTIONS)), *_texts(columns)) if name and name != gold), None
    )
    if not gold or not text:
        return None
    values = [value for value in columns[gold] if not is_missing(value)]
    if values and all(isinstance(value, dict) or _is_object(value) for value in values):
        schema = _schema([value if isinstance(value, dict) else json.loads(value) for value in values])
        return Guess(
            {"name": "extraction", "json_schema": schema}, f"'{gold}' holds records", _mapped(text=text, gold=gold)
        )
    if values and all(_is_number(value) for value in values) and len(set(map(str, values))) > min(10, len(values) // 2):
        return Guess({"name": "math"}, f"'{gold}' holds numbers", _mapped(question=text, gold=gold))
    if values and all(isinstance(value, list) and all(isinstance(one, str) for one in value) for value in values):
        found = Counter(label for value in values for label in value)
        if 2 <= len(found) <= MAX_LABELS:
            labels = {"name": "classification", "labels": sorted(found), "multi": True}
            return Guess(labels, f"'{gold}' holds lists of {len(found)} labels", _mapped(text=text, gold=gold))
    counts = Counter(map(str, values))
    if 2 <= len(counts) <= MAX_LABELS and len(values) >= 2 * len(counts):
        labels = {"name": "classification", "labels": sorted(counts)}
        return Guess(labels, f"'{gold}' holds {len(counts)} labels", _mapped(text=text, gold=gold))
    return Guess(CUSTOM | {"scorer": "exact"}, f"'{gold}' holds answers in words", _mapped(text=text, gold=gold))


def _unlabelled(columns: Columns) -> Guess | None:
    text = next(_texts(columns), None)
    if text is None:
        return None
    return Guess(CUSTOM, "no column holds answers", _mapped(text=text), unlabelled="keep")


CUSTOM = {
    "name": "custom",
    "prompts": {"plain": "{{ text }}", "cot": "{{ text }}\n\nThink step by step. {{ form }}"},
}


RULES: tuple[Callable[[Columns], Guess | None], ...] = (
    _of_a_preset, _chat, _pair, _choice, _summary, _in_context, _labelled, _unlabelled,
)  # fmt: skip


def _keep(gold: str | None) -> str | None:
    return None if gold else "keep"


def _is_number(value: Any) -> bool:
    said = str(value).rsplit("####", 1)[-1].strip()
    return not isinstance(value, bool) and numbers.parse(said) is not None


def _is_object(value: Any) -> bool:
    try:
        return isinstance(value, str) and isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _schema(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """JSON Schema of records as they are: a type for each field."""
    kinds: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.items():
            kinds.setdefault(name, set()).add(_kind(value))
    properties = {name: {"type": found.pop() if len(found) == 1 else sorted(found)} for name, found in kinds.items()}
    return {"type": "object", "properties": properties}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "string")
