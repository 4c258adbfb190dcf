"""Usual names of columns, lower case, in order of preference."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TEXT_COLUMNS = ("text", "sentence", "content", "body", "review", "message", "input", "comment", "email", "ticket")
QUESTION_COLUMNS = ("question", "problem", "query", "instruction", "prompt", "input")
STEM_COLUMNS = (*QUESTION_COLUMNS, "stem", "ctx", "goal", "startphrase", "sentence", "text", "context", "premise")
"""Of choice questions."""
GOLD_COLUMNS = (
    "gold", "label", "labels", "answer", "output", "target", "completion", "response", "category", "class", "intent",
)  # fmt: skip
CHOICE_COLUMNS = (
    "answerkey", "answer_key", "correct", "cop", "correct_answer", "correct_option", "correct_choice", "correct_index",
    "gold", "label", "labels", "answer", "target", "answer_idx", "answer_index", "key", "solution", "output",
)  # fmt: skip
"""Of gold of choice questions."""
DOCUMENT_COLUMNS = ("document", "article", "dialogue", "dialog", "source", "report", "transcript", "text")
SUMMARY_COLUMNS = ("summary", "highlights", "abstract", "reference_summary", "tldr")
CONTEXT_COLUMNS = ("context", "passage", "background", "paragraph")
PAIR_COLUMNS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("text1", "text2"), ("question1", "question2"))
OPTIONS_COLUMNS = ("options", "choices", "candidates", "endings")
CHAT_COLUMNS = ("messages", "conversations", "conversation", "chat")
ID_COLUMNS, GROUP_COLUMNS = ("id", "uid", "idx", "guid", "question_id"), ("group", "group_id", "passage_id", "doc_id")

Columns = Mapping[str, Sequence[Any]]
"""The values of each column in the first rows."""
ColumnNames = dict[str, str | list[str]]
"""The user's column for each of potstill's, or several."""


def first_named(columns: Columns, names: Sequence[str]) -> str | None:
    """The user's column with the first of these names that occurs, whatever its case."""
    return next(all_named(columns, names), None)


def all_named(columns: Columns, names: Sequence[str]) -> Iterator[str]:
    """The user's columns with these names, in the order of the names."""
    lower = {name.lower().replace(" ", "_"): name for name in columns}
    return (lower[name] for name in names if name in lower)


def column_map(**theirs: str | list[str] | None) -> ColumnNames:
    """The user's column for each of potstill's, where their names differ."""
    return {name: column for name, column in theirs.items() if column is not None and column != name}
