"""Examples of a recipe: its rows in potstill's columns, each assigned to a split."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from potstill.data import files, hub, logs, mapping, presets, rows, splits, word_problems
from potstill.data.files import SplitSources
from potstill.data.left_out import LeftOut
from potstill.data.texts import LocatedRows, hash64
from potstill.errors import RecipeError
from potstill.progress import echo
from potstill.recipe.data import Files, Hub, Logs, Rows, WordProblems
from potstill.recipe.recipe import Recipe
from potstill.recipe.redaction import Redactor
from potstill.workspace import artifacts

Counts = dict[str, LeftOut]
"""For each split that rows are read of, how many there were and which were left out."""


def examples(recipe: Recipe, counts: Counts | None = None) -> Iterator[dict[str, Any]]:
    """The user's own rows, with the columns of examples.parquet; ``counts`` gets the rows that were left out. Raises
    `RecipeError` for unusable data."""
    columns = artifacts.examples(recipe.task).schema.names
    return ({name: row.get(name) for name in columns} for row in _rows(recipe, {} if counts is None else counts))


def _rows(recipe: Recipe, counts: Counts) -> Iterable[dict[str, Any]]:
    match source := recipe.data.real:
        case WordProblems():
            if set(recipe.task.columns) != {"question"}:
                raise RecipeError(
                    f"data: word_problems are for the task math, and this one is {recipe.task.name}. Name your rows: "
                    "{source: files, train: PATH}."
                )
            return _from_word_problems(source, recipe.data_seed)
        case Files():
            return _from_rows(recipe, source, _file_splits(source), counts)
        case Hub():
            return _from_rows(recipe, source, hub.split_sources(source), counts)
        case Logs():
            return _from_logs(recipe, source, counts)
        case _:
            raise TypeError(f"no reader for {source!r}")


def _from_word_problems(source: WordProblems, seed: int) -> list[dict[str, Any]]:
    problems: list[dict[str, Any]] = []
    # Test questions come first: a training question that equals a test question is replaced, never the reverse.
    for split, n in (
        ("test", source.test),
        ("test_unseen", source.test_unseen),
        ("validation", source.validation),
        ("train", source.train),
    ):
        taken = {row["question"] for row in problems}
        stream = word_problems.questions(seed, split, unseen=split == "test_unseen", taken=taken)
        problems += [{"id": f"{split}-{i}", "split": split, **row} for i, row in enumerate(islice(stream, n))]
    return problems


def _file_splits(source: Files) -> SplitSources:
    named = {split: getattr(source, split) for split in ("train", "test", "test_unseen", "validation")}
    return {
        split: partial(files.read_rows, of, split) if isinstance(of, Path) else of
        for split, of in named.items()
        if of is not None
    }


def _from_logs(recipe: Recipe, source: Logs, counts: Counts) -> Iterator[dict[str, Any]]:
    """Logged prompts with the answers that they got; what the log holds beside them is added to ``counts``."""
    chats = Rows(
        columns={mapping.CHAT: mapping.CHAT}, unlabelled="keep", limit=source.limit, most_left_out=source.most_left_out
    )
    no_answers: Counter[str] = Counter()
    train = partial(_read_logs, source, no_answers)
    sizes = {"validation": source.validation, "test": source.test}
    yield from _from_rows(recipe, chats, {"train": train, **sizes}, counts)
    counts["train"].rows += no_answers.total()
    counts["train"].reasons += no_answers


def _read_logs(source: Logs, no_answers: Counter[str]) -> LocatedRows:
    """Logged prompts as rows, each with its answer as ``logged``. ``no_answers`` counts the rows that hold none."""
    no_answers.clear()
    redact = Redactor(source.redact, source.redact_patterns)
    for number, (location, logged) in enumerate(logs.parse(files.read_rows(source.train), no_answers), 1):
        messages = [{"role": m["role"], "content": redact(m["content"])} for m in logged.messages]
        answer = asdict(logged) | {"text": redact(logged.text), "reasoning": redact(logged.reasoning)}
        yield (
            location,
            {
                mapping.CHAT: messages,
                "id": logged.id if redact(logged.id) == logged.id else f"redacted-{number}",
                "group": _chat_group(messages),
                "logged": {name: answer[name] for name in artifacts.LOGGED.names},
            },
        )
    if redact.counts:
        counts = ", ".join(f"{n} {name}" for name, n in redact.counts.most_common())
        echo(f"  redacted in prompts, answers and ids: {counts}")


def _chat_group(messages: Sequence[Mapping[str, str]]) -> str:
    """Group key of a chat: each of its requests repeats the earlier turns, so all start with the same messages."""
    opening = list(takewhile(lambda message: message["role"] != "assistant", messages))
    return f"{hash64(json.dumps(opening)):016x}"


def _from_rows(recipe: Recipe, source: Rows, sources: SplitSources, counts: Counts) -> Iterator[dict[str, Any]]:
    preset = presets.lookup(source.preset) if source.preset else None
    if preset and recipe.task.name not in (preset.task, "custom"):
        raise RecipeError(
            f"data.preset: {preset.name} is for the task {preset.task}, and this one is {recipe.task.name}."
        )
    row_format = rows.RowFormat(recipe.task, source, preset, recipe.data_seed)
    referenced = mapping.REFERENCE not in source.columns

    def read(split: str) -> Iterator[dict[str, Any]]:
        open_rows = sources[split]
        assert callable(open_rows)
        where = f"data.{split} ({getattr(source, split, split)})"
        counts[split] = LeftOut(where, source.most_left_out)
        nonlocal referenced
        for row in rows.examples(open_rows, counts[split], row_format):
            referenced = referenced or bool(recipe.task.references(row))
            yield row | {"id": f"{split}-{row['id']}", "split": split}

    sizes: dict[str, int] = {}
    for split in ("test", "test_unseen", "validation"):
        if callable(rows_or_size := sources.get(split, 0)):
            yield from read(split)
        elif rows_or_size:
            sizes[split] = rows_or_size
    thresholds = splits.draw_thresholds(read("train"), sizes, recipe.data_seed) if sizes else {}
    for row in read("train"):
        for split, threshold in thresholds.items():
            if splits.group_hash(recipe.data_seed, split, row["group"]) <= threshold:
                row |= {"id": f"{split}-{row['id'].removeprefix('train-')}", "split": split}
                break
        yield row
    if not referenced:
        raise RecipeError(
            f"data: no row has a reference answer in the column '{source.columns[mapping.REFERENCE]}', which data.columns names for reference. "
            "Name yours, or leave it out."
        )
