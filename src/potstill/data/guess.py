"""Guess the task and the columns of the user's file from its first rows."""

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
from potstill.data.mapping import OPTIONAL
from potstill.errors import RecipeError
from potstill.tasks.columns import Column, is_missing, parse_verbatim
from potstill.tasks.custom import RESERVED_COLUMNS
from potstill.tasks.nli import LABEL_SYNONYMS
from potstill.tasks.registry import parse_task

PRESET_SAMPLE_ROWS = 20
"""Number of rows that a preset must be able to convert."""
MAX_ROWS_READ = 500
"""Number of first rows from which the task is guessed."""
COLUMN_SAMPLE_ROWS = 20
"""Number of first rows whose columns are considered."""
MAX_LABELS = 30
MIN_LONG_ANSWER_WORDS = 6

# Usual names of columns, lower case, in order of preference.
TEXT_COLUMNS = ("text", "sentence", "content", "body", "review", "message", "input", "comment", "email", "ticket")
QUESTION_COLUMNS = ("question", "problem", "query", "instruction", "prompt", "input")
GOLD_COLUMNS = (
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
DOCUMENT_COLUMNS = ("document", "article", "dialogue", "dialog", "source", "report", "transcript", "text")
SUMMARY_COLUMNS = ("summary", "highlights", "abstract", "reference_summary", "tldr")
CONTEXT_COLUMNS = ("context", "passage", "background", "paragraph")
PAIR_COLUMNS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("text1", "text2"), ("question1", "question2"))
OPTIONS_COLUMNS = ("options", "choices", "candidates", "endings")
CHAT_COLUMNS = ("messages", "conversations", "conversation", "chat")
ID_COLUMNS, GROUP_COLUMNS = ("id", "uid", "idx", "guid"), ("group", "group_id", "passage_id", "doc_id")


@dataclass
class Guess:
    """A task with its options, the user's column for each of potstill's, and the reason."""

    task: dict[str, Any]
    reason: str
    columns: dict[str, str] = field(default_factory=dict)
    preset: str | None = None
    unlabelled: str | None = None
    unused: list[str] = field(default_factory=list)
    """The user's columns that no prompt contains."""
    rows: int = 0
    """Number of rows that were read, at most `MAX_ROWS_READ`."""


def guess(path: Path) -> Guess:
    """The task of a file, from its first rows.

    Raises `RecipeError` for a file without rows or without a column of text, and for gold that the task cannot use."""
    rows = [row for _, row in islice(files.read_rows(path), MAX_ROWS_READ)]
    if not rows:
        raise RecipeError(f"{path}: there are no rows.")
    columns = {str(name): [row.get(name) for row in rows] for row in rows[:COLUMN_SAMPLE_ROWS] for name in row}
    guessed = next(filter(None, (rule(columns) for rule in RULES)), None)
    if guessed is None:
        raise RecipeError(
            f"{path}: there is no column of text to use as a question; the columns are {', '.join(columns) or 'none'}."
        )
    schema = presets.PRESETS[guessed.preset].schema if guessed.preset else ()
    for name, names in (("id", ID_COLUMNS), ("group", GROUP_COLUMNS), ("system", ("system", "system_prompt"))):
        theirs = _first_named(columns, names)
        if theirs and theirs not in (*guessed.columns.values(), *schema) and (theirs != name or name == "id"):
            guessed.columns[name] = theirs
    gold = guessed.columns.get("gold", "gold")
    if not guessed.preset and not guessed.unlabelled and any(is_missing(row.get(gold)) for row in rows):
        guessed.unlabelled = "drop"
    if guessed.task["name"] == "classification":
        guessed.task["labels"] = _all_labels(path, gold)
    try:
        task = parse_task(guessed.task)
    except ValueError as error:
        message = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise RecipeError(
            f"{path}, column '{gold}': {message}. Fix the column, or write the recipe by hand."
        ) from error
    used = {
        *schema,
        *guessed.columns.values(),
        *(name for name in (*task.columns, *OPTIONAL) if name not in guessed.columns),
    }
    guessed.unused = [name for name in columns if name not in used and name != gold]
    guessed.rows = len(rows)
    return guessed


def _all_labels(path: Path, gold: str) -> list[str]:
    """Every label of the complete file, including labels that its first rows do not have."""
    values = (row.get(gold) for _, row in files.read_rows(path))
    lists = (value if isinstance(value, list) else [value] for value in values if not is_missing(value))
    return sorted({parse_verbatim(label).strip() for labels in lists for label in labels})


Columns = Mapping[str, Sequence[Any]]
"""The values of each column in the first rows."""


def _first_named(columns: Columns, names: Sequence[str]) -> str | None:
    """The user's column with the first of these names that occurs, whatever its case."""
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in names if name in lower), None)


def _text_columns(columns: Columns) -> Iterator[str]:
    """Columns of text, those with the longest texts first."""
    length = {name: sum(len(v) for v in values if isinstance(v, str)) for name, values in columns.items()}
    yield from sorted((name for name in columns if length[name]), key=lambda name: -length[name])


def _parses_as(column: Column, value: Any) -> bool:
    try:
        column.parse(value)
    except ValueError:
        return False
    return True


def _column_map(**theirs: str | None) -> dict[str, str]:
    """The user's column for each of potstill's, where their names differ."""
    return {name: column for name, column in theirs.items() if column is not None and column != name}


def _guess_preset(columns: Columns) -> Guess | None:
    known = sorted(presets.PRESETS.values(), key=lambda preset: -len(preset.schema))
    rows = [
        dict(zip(columns, values, strict=True))
        for values in islice(zip(*columns.values(), strict=True), PRESET_SAMPLE_ROWS)
    ]
    for preset in known:
        if preset.name == "prompt_completion" and not _has_long_texts(columns.get("completion", ())):
            continue
        if (
            len(preset.schema) > 1
            and set(preset.schema) <= set(columns)
            and all(_converts(preset, row) for row in rows)
        ):
            return Guess({"name": preset.task}, f"the columns are those of {preset.name}", preset=preset.name)
    return None


def _has_long_texts(values: Sequence[Any]) -> bool:
    """Whether most values are long texts, which are replies rather than labels or short answers."""
    return sum(len(str(value).split()) >= MIN_LONG_ANSWER_WORDS for value in values) > len(values) / 2


def _converts(preset: presets.Preset, row: Mapping[str, Any]) -> bool:
    try:
        example = preset.convert(row)
        if example and not is_missing(example.get("gold")):
            parse_task(preset.task).parse_gold(example["gold"], example)
    except Exception:  # rows in another format can raise anything
        return False
    return True


def _guess_chat(columns: Columns) -> Guess | None:
    theirs = _first_named(columns, CHAT_COLUMNS)
    chats = [value for value in columns[theirs] if not is_missing(value)] if theirs else []
    if not theirs or not chats or not _parses_as(Column.MESSAGES, chats[0]):
        return None
    return Guess({"name": "conversation"}, f"'{theirs}' holds conversations", _column_map(messages=theirs))


def _guess_pair(columns: Columns) -> Guess | None:
    """A pair of texts with a label: entailment if names or labels say so, otherwise a custom task."""
    pair = next((two for names in PAIR_COLUMNS if all(two := [_first_named(columns, [name]) for name in names])), None)
    if pair is None:
        return None
    first, second = map(str, pair)
    gold = _first_named(columns, ("gold_label", *GOLD_COLUMNS))
    labels = {str(value).strip() for value in columns[gold] if not is_missing(value)} - {"-", "-1"} if gold else set()
    mapped = _column_map(premise=first, hypothesis=second, gold=gold)
    known = all(label.casefold() in {*LABEL_SYNONYMS, "entailment", "neutral", "contradiction"} for label in labels)
    if first.lower() == "premise" or (labels and known) or labels == {"0", "1", "2"}:
        own = {} if known or all(map(_is_number, labels)) else {"labels": sorted(labels)}
        return Guess(
            {"name": "nli", **own}, "there are a premise and a hypothesis", mapped, unlabelled=_keep_if_no_gold(gold)
        )
    return _guess_custom([first, second], gold, columns)


def _guess_question_in_context(columns: Columns) -> Guess | None:
    context, question = _first_named(columns, CONTEXT_COLUMNS), _first_named(columns, QUESTION_COLUMNS)
    gold = _first_named(columns, GOLD_COLUMNS)
    return _guess_custom([context, question], gold, columns) if context and question and context != question else None


def _guess_custom(names: Sequence[str], gold: str | None, columns: Columns) -> Guess:
    """A custom task whose prompt contains several columns."""
    ours = {
        name if name.isidentifier() and name not in RESERVED_COLUMNS else f"text{i}": name
        for i, name in enumerate(names, 1)
    }
    text = "\n\n".join(f"{{{{ {name} }}}}" for name in ours)
    task = {"name": "custom", "prompts": {"plain": text, "cot": f"{text}\n\nThink step by step. {{{{ form }}}}"}}
    values = [value for value in columns[gold] if not is_missing(value)] if gold else []
    if values:
        task["scorer"] = "numeric" if all(map(_is_number, values)) else "exact"
    reason = f"{' and '.join(map(repr, names))} belong together"
    return Guess(task, reason, _column_map(**ours, gold=gold), unlabelled=_keep_if_no_gold(gold))


def _guess_multiple_choice(columns: Columns) -> Guess | None:
    options, question = _first_named(columns, OPTIONS_COLUMNS), _first_named(columns, QUESTION_COLUMNS)
    if not options or not question:
        return None
    gold = _first_named(columns, ("answerkey", "correct", *GOLD_COLUMNS))
    mapped = _column_map(question=question, options=options, gold=gold)
    return Guess({"name": "multiple_choice"}, f"'{options}' holds options", mapped, unlabelled=_keep_if_no_gold(gold))


def _guess_summarization(columns: Columns) -> Guess | None:
    document, summary = _first_named(columns, DOCUMENT_COLUMNS), _first_named(columns, SUMMARY_COLUMNS)
    if not document or not summary:
        return None
    return Guess(
        {"name": "summarization"}, f"'{summary}' holds summaries", _column_map(document=document, gold=summary)
    )


def _guess_labelled(columns: Columns) -> Guess | None:
    gold = _first_named(columns, GOLD_COLUMNS)
    text = next(
        (
            name
            for name in (_first_named(columns, (*TEXT_COLUMNS, *QUESTION_COLUMNS)), *_text_columns(columns))
            if name and name != gold
        ),
        None,
    )
    if not gold or not text:
        return None
    values = [value for value in columns[gold] if not is_missing(value)]
    if values and all(isinstance(value, dict) or _is_object(value) for value in values):
        schema = _schema([value if isinstance(value, dict) else json.loads(value) for value in values])
        return Guess(
            {"name": "extraction", "json_schema": schema}, f"'{gold}' holds records", _column_map(text=text, gold=gold)
        )
    if values and all(_is_number(value) for value in values) and len(set(map(str, values))) > min(10, len(values) // 2):
        return Guess({"name": "math"}, f"'{gold}' holds numbers", _column_map(question=text, gold=gold))
    if values and all(isinstance(value, list) and all(isinstance(label, str) for label in value) for value in values):
        counts = Counter(label for value in values for label in value)
        if 2 <= len(counts) <= MAX_LABELS:
            labels = {"name": "classification", "labels": sorted(counts), "multi": True}
            return Guess(labels, f"'{gold}' holds lists of {len(counts)} labels", _column_map(text=text, gold=gold))
    counts = Counter(map(str, values))
    if 2 <= len(counts) <= MAX_LABELS and len(values) >= 2 * len(counts):
        labels = {"name": "classification", "labels": sorted(counts)}
        return Guess(labels, f"'{gold}' holds {len(counts)} labels", _column_map(text=text, gold=gold))
    return Guess(
        CUSTOM | {"scorer": "exact"}, f"'{gold}' holds answers in free text", _column_map(text=text, gold=gold)
    )


def _guess_unlabelled(columns: Columns) -> Guess | None:
    text = next(_text_columns(columns), None)
    if text is None:
        return None
    return Guess(CUSTOM, "no column holds answers", _column_map(text=text), unlabelled="keep")


CUSTOM = {
    "name": "custom",
    "prompts": {"plain": "{{ text }}", "cot": "{{ text }}\n\nThink step by step. {{ form }}"},
}


RULES: tuple[Callable[[Columns], Guess | None], ...] = (
    _guess_preset, _guess_chat, _guess_pair, _guess_multiple_choice, _guess_summarization, _guess_question_in_context,
    _guess_labelled, _guess_unlabelled,
)  # fmt: skip


def _keep_if_no_gold(gold: str | None) -> str | None:
    return None if gold else "keep"


def _is_number(value: Any) -> bool:
    text = str(value).rsplit("####", 1)[-1].strip()
    return not isinstance(value, bool) and numbers.parse(text) is not None


def _is_object(value: Any) -> bool:
    try:
        return isinstance(value, str) and isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _schema(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """JSON Schema of these records: the types of each field."""
    types: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.items():
            types.setdefault(name, set()).add(_json_type(value))
    properties = {
        name: {"type": of_field.pop() if len(of_field) == 1 else sorted(of_field)} for name, of_field in types.items()
    }
    return {"type": "object", "properties": properties}


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "string")
