"""Map a row of the user to the columns of potstill."""

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from potstill.data.left_out import OddRowError
from potstill.data.parquet_files import LabelName
from potstill.data.presets import Preset
from potstill.data.texts import hash64
from potstill.errors import RecipeError, did_you_mean
from potstill.recipe.data import Rows
from potstill.tasks import Column, Task
from potstill.tasks.columns import is_missing, parse_text, parse_verbatim
from potstill.tasks.literals import decode
from potstill.tasks.messages import LeftOutError, parse_messages, parse_turns

OPTIONAL = ("id", "group", "system", "prompt", "rationale", "steps")
"""Columns that any data may have beside the task's own and gold."""
UNUSABLE_GOLD = "unusable gold"
"""How the reason of a row begins whose gold the task does not take."""
CHAT = "messages"
"""The column of chats whose messages are the prompts."""
TURNS = "turns"
"""The column that is read where a row has no chat: the user's turns without replies, as in MT-Bench's file of questions. A list of texts in
another column may be anybody's turns."""
REFERENCE = "reference"
"""The column of reference answers to the user's turns, of a task that takes them. It is read where it is named, and beside `TURNS`: elsewhere it
may be anything, as the source of a chat."""


class ColumnMapper:
    """Maps the user's columns to potstill's. Raises `RecipeError` for names that are no columns."""

    def __init__(self, task: Task, source: Rows, preset: Preset | None, seed: int) -> None:
        self.task, self.preset, self.system, self.seed = task, preset, source.system, seed
        self.takes_chat = CHAT in source.columns and CHAT not in task.columns
        if self.takes_chat and not task.takes_chats:
            raise RecipeError(
                f"data: the task {task.name} needs {', '.join(task.columns)}, and a chat gives a system prompt and a question; the "
                "task conversation takes any chat."
            )
        takes_references = "references" in task.derived_columns
        chat = [CHAT] if task.takes_chats and CHAT not in task.columns else []
        known = (*task.columns, "gold", *OPTIONAL, *chat, *([REFERENCE] if takes_references else ()))
        if unknown := [name for name in source.columns if name not in known]:
            raise RecipeError(
                f"data.columns: '{unknown[0]}' is not a column of potstill; the columns are {', '.join(known)}."
                f"{did_you_mean(unknown[0], known)}"
            )
        several = {name: theirs for name, theirs in source.columns.items() if isinstance(theirs, list)}
        if wrong := [name for name in several if task.columns.get(name) is not Column.OPTIONS]:
            raise RecipeError(f"data.columns: '{wrong[0]}' is one column; only options can be a list of columns.")
        self.several: dict[str, list[str]] = several
        self.theirs = {name: str(source.columns.get(name, name)) for name in known if name not in several}
        """The user's column for each of potstill's that is one column."""
        self.named = set(source.columns)
        # {question: prompt} says that the column is the question, and not the student's own prompt as well.
        elsewhere = {theirs for name, theirs in source.columns.items() if name != theirs and isinstance(theirs, str)}
        self.optional = [n for n in OPTIONAL if n in self.named or n == "id" or n not in elsewhere]
        self.reads_reference = takes_references and (REFERENCE in self.named or REFERENCE not in elsewhere)
        self.rows, self.rows_with_gold_column = 0, 0
        missing_gold = "refuse" if task.gradable else "keep"
        self.unlabelled = source.unlabelled or (preset.unlabelled if preset else None) or missing_gold
        self.drops_unlabelled = self.unlabelled == "drop"

    def example(self, row: Mapping[str, Any], location: str, number: int) -> dict[str, Any] | None:
        """The row as an example; None for a row that its preset leaves out.

        Raises `OddRowError` for a row that cannot be used, `RecipeError` for one without gold where that is needed."""
        if self.preset:
            converted = self._converted(self.preset, row, location)
            if converted is None:
                return None
            row = converted
        example: dict[str, Any] = {}
        for name in self.optional:
            value = row.get(self.theirs[name])
            if name in self.named and self.theirs[name] not in row:
                raise self._no_column(row, self.theirs[name], location)
            is_other = name not in self.named and isinstance(value, list | dict | bytes)  # something else of that name
            if not is_missing(value) and not is_other:
                example[name] = self._parsed(parse_verbatim, value, location, self.theirs[name])
        reply = None
        if self.takes_chat:
            fields, reply = self._chat(row, location)
            example |= {name: value for name, value in fields.items() if value is not None}
        else:
            for name, column in self.task.columns.items():
                example[name] = self._value(row, name, column, location)
        example |= {name: None for name in OPTIONAL if name not in example}
        example["system"] = example["system"] or self.system
        if "logged" in row:
            example["logged"] = row["logged"]
        # From its question, not from its id: ids of two files may be equal, and a line number says nothing.
        own_group = f"{hash64(self.task.question_key(example)):016x}"
        example["group"] = example["group"] or self.task.group(example) or own_group
        example["id"] = example["id"] or str(number)
        example["gold"] = self._gold(row, example, location, reply)
        if self.reads_reference and (REFERENCE in self.named or self._has_turns(row)):
            theirs, parse = self.theirs[REFERENCE], partial(self.task.parse_references, example=example)
            example["references"] = self._parsed(parse, row.get(theirs), location, theirs)
        return example

    def require_gold_column(self, where: str) -> None:
        """Raises `RecipeError` when the recipe names a column of gold that no row has."""
        if "gold" in self.named and self.rows and not self.rows_with_gold_column:
            raise RecipeError(
                f"{where}: no row has the column '{self.theirs['gold']}', which data.columns names for gold. Name yours, or "
                "leave it out."
            )

    def _converted(self, preset: Preset, row: Mapping[str, Any], location: str) -> dict[str, Any] | None:
        """The preset's columns, with the user's own optional columns beside them."""
        try:
            columns = preset.convert(row)
        except LeftOutError as error:
            raise OddRowError(str(error), f"{location}: it holds {error}.") from error
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise OddRowError(
                f"not in the format of {preset.name}",
                f"{location}: not in the format of the data set '{preset.name}' ({type(error).__name__}: {error}). "
                f"Its rows have {', '.join(preset.schema)}.",
            ) from error
        if columns is None:
            return None
        kept = {n for n in (*OPTIONAL, REFERENCE) if n in self.named or n in ("group", "system", "prompt")}
        own = {self.theirs[n]: row[self.theirs[n]] for n in kept if self.theirs[n] in row}
        own = {theirs: value for theirs, value in own.items() if theirs not in preset.schema}
        return own | {name: value for name, value in columns.items() if value is not None or name not in own}

    def _value(self, row: Mapping[str, Any], name: str, column: Column, location: str) -> Any:
        if name in self.several:
            names = self.several[name]
            return self._parsed(column.parse, self._options(row, names, location), location, ", ".join(names))
        theirs = self.theirs[name]
        if column is Column.MESSAGES and self._has_turns(row):
            return self._parsed(parse_turns, row[TURNS], location, TURNS)
        if theirs not in row:
            advice = _option_columns_advice(row) if column is Column.OPTIONS else ""
            raise self._no_column(row, theirs, location, advice)
        return self._parsed(column.parse, row[theirs], location, theirs)

    def _has_turns(self, row: Mapping[str, Any]) -> bool:
        """Whether the chat of a row is read from `TURNS`."""
        theirs = self.theirs.get(CHAT)
        return TURNS in row and (theirs == TURNS or theirs not in row)

    def _options(self, row: Mapping[str, Any], names: Sequence[str], location: str) -> list[Any]:
        """The options out of columns of their own, of which each may hold several; the last ones may be empty.

        Where gold is one of them, their order would tell it: it is drawn by seed and row."""
        for name in names:
            if name not in row:
                raise self._no_column(row, name, location)
        cells = [decode(row[name]) for name in names]
        while cells and is_missing(cells[-1]):
            cells.pop()
        options = [option for cell in cells for option in (cell if isinstance(cell, list) else [cell])]
        if self.theirs["gold"] in names:
            random.Random(f"{self.seed}:{dict(row)}").shuffle(options)
        return options

    def _chat(self, row: Mapping[str, Any], location: str) -> tuple[dict[str, Any], str | None]:
        """The columns of a chat, and its last answer; None for the answer of a log, which is no gold."""
        theirs = self.theirs[CHAT]
        if theirs not in row:
            raise self._no_column(row, theirs, location)
        messages = self._parsed(parse_messages, row[theirs], location, theirs)
        ends_with_reply = "logged" not in row and messages[-1]["role"] == "assistant"
        reply = messages.pop()["content"] if ends_with_reply else None
        return self._parsed(self.task.columns_from_chat, messages, location, theirs), reply

    def _parsed(self, parse: Callable[[Any], Any], value: Any, location: str, theirs: str) -> Any:
        try:
            return parse(value)
        except LeftOutError as error:
            raise OddRowError(str(error), f"{location}: column '{theirs}' holds {error}.") from error
        except ValueError as error:
            reason = f"empty '{theirs}'" if is_missing(value) else f"unusable '{theirs}'"
            raise OddRowError(reason, f"{location}: column '{theirs}' {error}.") from error

    def _gold(self, row: Mapping[str, Any], example: dict[str, Any], location: str, reply: str | None) -> str | None:
        theirs = self.theirs["gold"]
        value = row.get(theirs) if reply is None or "gold" in self.named else reply
        self.rows += 1
        self.rows_with_gold_column += theirs in row or value is not None
        if is_missing(value):
            if self.unlabelled != "refuse":
                return None
            if theirs not in row and not self.takes_chat:
                raise self._no_column(
                    row, theirs, location, " Without gold answers, set data.unlabelled: keep.", RecipeError
                )
            raise RecipeError(
                f"{location}: column '{theirs}' is empty. To leave such rows out, set data.unlabelled: drop; to send them to "
                "the teacher nevertheless, keep."
            )
        try:
            return self._parsed_gold(self._meant(value), example)
        except ValueError as error:
            place = f"column '{self.theirs[CHAT] if value is reply else theirs}'"
            raise OddRowError(f"{UNUSABLE_GOLD} in {place}", f"{location}: {place}: {error}.") from error

    def _parsed_gold(self, value: Any, example: dict[str, Any]) -> str:
        try:
            gold = self.task.parse_gold(value, example)
        except ValueError:
            if not isinstance(value, LabelName):
                raise
            gold = self.task.parse_gold(value.number, example)  # the recipe has names of its own
        parse_text(gold)
        return gold

    def _meant(self, gold: Any) -> Any:
        """Gold that is the name of one of several columns of options, as that column's index; any other unchanged."""
        for names in self.several.values():
            folded = [_folded(name) for name in names]
            if (
                len(folded[0]) > 1
                and isinstance(gold, str)
                and _folded(gold) in folded
                and self.theirs["gold"] not in names
            ):
                return folded.index(_folded(gold))
        return gold

    def _no_column(
        self,
        row: Mapping[str, Any],
        theirs: str,
        location: str,
        advice: str = "",
        kind: type[RecipeError] | None = None,
    ) -> Exception:
        names = [str(column) for column in row]
        message = (
            f"{location}: there is no column '{theirs}'.{did_you_mean(theirs, names)} The columns are: "
            f"{', '.join(names[:20])}. Name yours under data.columns.{advice}"
        )
        return kind(message) if kind else OddRowError(f"without '{theirs}'", message)


def _folded(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _option_columns_advice(row: Mapping[str, Any]) -> str:
    """How to name options in columns of their own, where a row has such."""
    from potstill.data.option_columns import option_columns

    if columns := option_columns(list(map(str, row))):
        return f" Options in columns of their own are a list: columns: {{options: [{', '.join(columns)}]}}."
    return ""
