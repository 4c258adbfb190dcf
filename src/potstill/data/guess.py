"""Guess the task and the columns of the user's file from its rows.

Whatever is guessed, the reader takes: the tasks are tried on the first rows, and labels and missing answers come from all rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from potstill.data import files, guess_answers, guess_chats, guess_names, option_columns, presets
from potstill.data.guess_names import ColumnNames, Columns, all_named, column_map, first_named
from potstill.data.left_out import OddRowError
from potstill.data.mapping import CHAT, OPTIONAL, REFERENCE, TURNS, UNUSABLE_GOLD, ColumnMapper
from potstill.errors import RecipeError
from potstill.recipe.data import Rows
from potstill.tasks.columns import is_missing, parse_options
from potstill.tasks.custom import RESERVED_COLUMNS
from potstill.tasks.nli import LABEL_SYNONYMS
from potstill.tasks.registry import parse_task

PRESET_SAMPLE_ROWS = 20
"""Number of rows that a preset must be able to convert."""
MAX_ROWS_READ = 500
"""Number of first rows from which the task is guessed."""
COLUMN_SAMPLE_ROWS = 20
"""Number of first rows whose columns are considered."""
MIN_LONG_ANSWER_WORDS = 6


@dataclass
class Guess:
    """A task with its options, the user's column for each of potstill's, and the reason."""

    task: dict[str, Any]
    reason: str
    columns: ColumnNames = field(default_factory=dict)
    preset: str | None = None
    unlabelled: str | None = None
    source: str = "files"
    """The kind of data source: `files` or `logs`."""
    splits: list[str] = field(default_factory=list)
    """The splits that the file itself holds."""
    unused: list[str] = field(default_factory=list)
    """The user's columns that no prompt contains."""
    rows: int = 0
    """Number of rows that were read, at most `MAX_ROWS_READ`."""

    @property
    def gives_prompts(self) -> bool:
        """Whether chats of the rows are the prompts."""
        return self.source == "logs" or (CHAT in self.columns and self.task["name"] != "conversation")


def guess(path: Path) -> Guess:
    """The task of a file, from its first rows.

    Raises `RecipeError` for a file without rows or without a column of text, and for gold that the task cannot use."""
    rows = [row for _, row in islice(files.read_rows(path), MAX_ROWS_READ)]
    if not rows:
        raise RecipeError(f"{path}: there are no rows.")
    if guess_chats.is_log(rows[0]):
        return _guess_log(path)
    columns = {str(name): [row.get(name) for row in rows] for row in rows[:COLUMN_SAMPLE_ROWS] for name in row}
    guessed = next(filter(None, (rule(columns) for rule in RULES)), None)
    if guessed is None:
        raise RecipeError(
            f"{path}: there is no column of text to use as a question; the columns are {', '.join(columns) or 'none'}."
        )
    guessed.rows, guessed.splits = len(rows), files.splits_of(path)
    schema = presets.PRESETS[guessed.preset].schema if guessed.preset else ()
    _add_optional_columns(guessed, columns, schema)
    _complete(guessed, lambda: (row for _, row in files.read_rows(path)))
    task = _checked(guessed, path)
    taken = {name for theirs in guessed.columns.values() for name in ([theirs] if isinstance(theirs, str) else theirs)}
    own = {name for name in (*task.columns, *OPTIONAL, "gold") if name not in guessed.columns}
    own |= {REFERENCE} if guessed.columns.get("messages") == TURNS else set()
    guessed.unused = [name for name in columns if name not in {*schema, *taken, *own}]
    return guessed


def _add_optional_columns(guessed: Guess, columns: Columns, schema: Sequence[str]) -> None:
    ids = [name for name in guess_names.ID_COLUMNS if name == "id" or _is_unique(columns, name)]
    for name, names in (("id", ids), ("group", guess_names.GROUP_COLUMNS), ("system", ("system", "system_prompt"))):
        theirs = first_named(columns, names)
        if theirs and theirs not in (*guessed.columns.values(), *schema) and (theirs != name or name == "id"):
            guessed.columns[name] = theirs


def _is_unique(columns: Columns, name: str) -> bool:
    theirs = first_named(columns, [name])
    values = [str(value) for value in columns[theirs]] if theirs else []
    return len(set(values)) == len(values)


def _complete(guessed: Guess, read: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
    """Add what all rows decide: the labels, and whether answers are missing."""
    if guessed.preset:
        return
    gold = guessed.columns.get("gold", "gold")

    def answer(row: Mapping[str, Any]) -> Any:
        if not guessed.gives_prompts:
            return row.get(str(gold))
        chat = guess_chats.chat_of(row.get(str(guessed.columns[CHAT])))
        return chat[1] if chat else ""  # a chat that cannot be used is left out, whatever its answer

    if guessed.task["name"] == "classification":
        guessed.task["labels"] = guess_answers.all_labels(map(answer, read()))
    if (
        not guessed.unlabelled
        and guessed.task["name"] != "conversation"
        and any(is_missing(answer(row)) for row in read())
    ):
        guessed.unlabelled = "drop"


def _checked(guessed: Guess, path: Path) -> Any:
    try:
        return parse_task(guessed.task)
    except ValueError as error:
        message = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        gold = guessed.columns.get("gold", "gold")
        raise RecipeError(
            f"{path}, column '{gold}': {message}. Fix the column, or write the recipe by hand."
        ) from error


def _guess_log(path: Path) -> Guess:
    chats = list(guess_chats.logged_chats(path, MAX_ROWS_READ))
    if not chats:
        raise RecipeError(f"{path}: it is a log, and no row holds a question and an answer that can be used.")
    task, what = guess_chats.narrow_task(chats) or ({"name": "conversation"}, "chats")
    if task["name"] == "classification":
        task["labels"] = guess_answers.all_labels(text for _, text in guess_chats.logged_chats(path))
    guessed = Guess(task, f"a log whose answers are {what}", source="logs", rows=len(chats))
    _checked(guessed, path)
    return guessed


def _is_read(task: Mapping[str, Any], names: ColumnNames, columns: Columns, only_gold: bool = False) -> bool:
    """Whether the reader takes most of the first rows, or only their gold. A task that refuses its labels is named later."""
    try:
        parsed = parse_task(dict(task))
    except ValueError:
        return True
    mapper = ColumnMapper(parsed, Rows(columns=names, unlabelled="keep"), None, 0)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    odd = 0
    for number, row in enumerate(rows):
        try:
            mapper.example(row, "", number)
        except OddRowError as error:
            odd += not only_gold or error.reason.startswith(UNUSABLE_GOLD)
    return odd <= guess_answers.MOST_OTHER * len(rows)


def _text_columns(columns: Columns) -> Iterator[str]:
    """Columns of text, those with the longest texts first."""
    length = {name: sum(len(v) for v in values if isinstance(v, str)) for name, values in columns.items()}
    yield from sorted((name for name in columns if length[name]), key=lambda name: -length[name])


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
    if any(guess_chats.are_turns(value) for value in columns.get(TURNS, ())):
        why = f"'{TURNS}' holds users' turns, which each model answers one after the other"
        if any(guess_chats.are_turns(value) for value in columns.get(REFERENCE, ())):
            why += f"; '{REFERENCE}' holds reference answers to them, for judges"
        return Guess({"name": "conversation"}, why, column_map(messages=TURNS))
    theirs = first_named(columns, guess_names.CHAT_COLUMNS)
    present = [value for value in columns[theirs] if not is_missing(value)] if theirs else []
    chats = [chat for value in present if (chat := guess_chats.chat_of(value))]
    if not theirs or not chats:
        return None
    if narrow := guess_chats.narrow_task(chats):
        task, what = narrow
        return Guess(task, f"'{theirs}' holds chats whose answers are {what}", {CHAT: theirs})
    return Guess({"name": "conversation"}, f"'{theirs}' holds conversations", column_map(messages=theirs))


def _guess_pair(columns: Columns) -> Guess | None:
    """A pair of texts with a label: entailment if names or labels say so, otherwise a custom task."""
    pair = next(
        (two for names in guess_names.PAIR_COLUMNS if all(two := [first_named(columns, [name]) for name in names])),
        None,
    )
    if pair is None:
        return None
    first, second = map(str, pair)
    gold = first_named(columns, ("gold_label", *guess_names.GOLD_COLUMNS))
    labels = set(guess_answers.all_labels(columns[gold])) - {"-", "-1"} if gold else set()
    mapped = column_map(premise=first, hypothesis=second, gold=gold)
    known = all(label.casefold() in {*LABEL_SYNONYMS, "entailment", "neutral", "contradiction"} for label in labels)
    if first.lower() == "premise" or (labels and known) or labels == {"0", "1", "2"}:
        own = {} if known or all(map(guess_answers.is_number, labels)) else {"labels": sorted(labels)}
        return Guess(
            {"name": "nli", **own}, "there are a premise and a hypothesis", mapped, unlabelled=_keep_if_no_gold(gold)
        )
    return _guess_custom([first, second], gold, columns)


def _guess_question_in_context(columns: Columns) -> Guess | None:
    context, question = (
        first_named(columns, guess_names.CONTEXT_COLUMNS),
        first_named(columns, guess_names.QUESTION_COLUMNS),
    )
    gold = first_named(columns, guess_names.GOLD_COLUMNS)
    return _guess_custom([context, question], gold, columns) if context and question and context != question else None


def _guess_custom(names: Sequence[str], gold: str | None, columns: Columns) -> Guess:
    """A custom task whose prompt contains several columns."""
    ours = {
        name if name.isidentifier() and name not in RESERVED_COLUMNS else f"text{i}": name
        for i, name in enumerate(names, 1)
    }
    text = "\n\n".join(f"{{{{ {name} }}}}" for name in ours)
    task = {"name": "custom", "prompts": {"plain": text, "cot": f"{text}\n\nThink step by step. {{{{ form }}}}"}}
    gold = gold if gold and _has_texts(columns[gold]) else None
    values = [value for value in columns[gold] if not is_missing(value)] if gold else []
    if values:
        task["scorer"] = "numeric" if all(map(guess_answers.is_number, values)) else "exact"
    reason = f"{' and '.join(map(repr, names))} belong together"
    return Guess(task, reason, column_map(**ours, gold=gold), unlabelled=_keep_if_no_gold(gold))


def _guess_multiple_choice(columns: Columns) -> Guess | None:
    """Options in one column, or in columns of their own."""
    options: str | list[str] | None = first_named(columns, guess_names.OPTIONS_COLUMNS)
    options = options or option_columns.option_columns(list(columns))
    rest = {name: values for name, values in columns.items() if name != options and name not in (options or ())}
    question = first_named(rest, guess_names.STEM_COLUMNS)
    if not options or not question:
        return None
    where = f"'{options}' holds" if isinstance(options, str) else f"{', '.join(map(repr, options))} hold"
    mapped = column_map(question=question, options=options)
    correct = option_columns.correct_column(options) if isinstance(options, list) else None
    golds = [correct] if correct else [name for name in all_named(rest, guess_names.CHOICE_COLUMNS) if name != question]
    for gold in golds:
        numbered = _numbered_from(columns[gold], list(_options_of(columns, options)))
        for first_index in dict.fromkeys((numbered, None, 0, 1)):
            task = {"name": "multiple_choice"} | ({} if first_index is None else {"first_index": first_index})
            names = mapped | column_map(gold=gold)
            if any(not is_missing(value) for value in columns[gold]) and _is_read(task, names, columns):
                return Guess(task, f"{where} options", names)
    task = {"name": "multiple_choice"}
    if not golds and _is_read(task, mapped, columns):
        return Guess(task, f"{where} options", mapped, unlabelled="keep")
    return None


def _options_of(columns: Columns, options: str | list[str]) -> Iterator[list[str]]:
    """The options of each row; none for a row without."""
    values = columns[options] if isinstance(options, str) else zip(*(columns[name] for name in options), strict=True)
    for value in values:
        try:
            yield parse_options([one for one in value if not is_missing(one)] if isinstance(value, tuple) else value)
        except ValueError:
            yield []


def _numbered_from(golds: Sequence[Any], options: Sequence[Sequence[str]]) -> int | None:
    """What gold calls the first option where all answers are numbers; None where they do not tell, or are texts of options."""
    known = [(gold, of) for gold, of in zip(golds, options, strict=True) if of and not is_missing(gold)]
    texts = {str(gold).removesuffix(".0") for gold, _ in known if not isinstance(gold, bool)}
    if not texts or not all(text.isdecimal() for text in texts):
        return None
    if all(isinstance(gold, str) and gold.strip() in of for gold, of in known):
        return None
    most = max(len(of) for _, of in known)
    return 0 if "0" in texts else 1 if str(most) in texts else None


def _guess_summarization(columns: Columns) -> Guess | None:
    document, summary = (
        first_named(columns, guess_names.DOCUMENT_COLUMNS),
        first_named(columns, guess_names.SUMMARY_COLUMNS),
    )
    if not document or not summary:
        return None
    return Guess({"name": "summarization"}, f"'{summary}' holds summaries", column_map(document=document, gold=summary))


def _guess_labelled(columns: Columns) -> Guess | None:
    gold = first_named(columns, guess_names.GOLD_COLUMNS)
    named = first_named(columns, (*guess_names.TEXT_COLUMNS, *guess_names.QUESTION_COLUMNS))
    text = next((name for name in (named, *_text_columns(columns)) if name and name != gold), None)
    if not gold or not text:
        return None
    for task, what in guess_answers.kinds(columns[gold]):
        names = column_map(**{"question" if task["name"] == "math" else "text": text}, gold=gold)
        if _is_read(task, names, columns, only_gold=True):
            return Guess(task, f"'{gold}' holds {what}", names)
    guessed = Guess(
        CUSTOM | {"scorer": "exact"}, f"'{gold}' holds answers in free text", column_map(text=text, gold=gold)
    )
    return guessed if _has_texts(columns[gold]) else None


def _has_texts(values: Sequence[Any]) -> bool:
    """Whether most values that are not missing are text, or numbers."""
    present = [value for value in values if not is_missing(value)]
    texts = [value for value in present if isinstance(value, str | int | float | Decimal | date)]
    return len(texts) >= (1 - guess_answers.MOST_OTHER) * len(present)


def _guess_unlabelled(columns: Columns) -> Guess | None:
    text = next(_text_columns(columns), None)
    if text is None:
        return None
    return Guess(CUSTOM, "no column holds answers", column_map(text=text), unlabelled="keep")


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
