"""Examples of a recipe: its rows in potstill's columns, each in a split."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from potstill.data import files, hub, logs, presets, rows, splits, word_problems
from potstill.errors import RecipeError
from potstill.progress import echo
from potstill.recipe.data import Files, Hub, Logs, Rows, WordProblems
from potstill.recipe.recipe import Recipe
from potstill.recipe.redaction import Redactor
from potstill.tasks import Task
from potstill.workspace import artifacts

Origins = Mapping[str, "Callable[[], files.Placed] | int"]
"""For each split its rows, made anew at each call, or how many are drawn out of `train`."""


def examples(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """The user's own rows, with the columns of examples.parquet. Raises `RecipeError` for unusable data."""
    columns = artifacts.examples(recipe.task).schema.names
    return ({name: row.get(name) for name in columns} for row in _rows(recipe))


def _rows(recipe: Recipe) -> Iterable[dict[str, Any]]:
    match source := recipe.data.real:
        case WordProblems():
            if set(recipe.task.columns) != {"question"}:
                raise RecipeError(
                    f"data: word_problems are for the task math, and this one is {recipe.task.name}. Name your rows: "
                    "{source: files, train: PATH}."
                )
            return _of_word_problems(source, recipe.seed)
        case Files():
            return _of_rows(recipe, source, _origins_of_files(source))
        case Hub():
            return _of_rows(recipe, source, hub.origins(source))
        case Logs():
            unlabelled = Rows(unlabelled="keep", limit=source.limit)
            return _of_rows(recipe, unlabelled, _origins_of_logs(recipe.task, source))
        case _:
            raise TypeError(f"no reader for {source!r}")


def _of_word_problems(source: WordProblems, seed: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    # Test questions come first: what is trained on gives way to them, and never the other way round.
    for split, n in (
        ("test", source.test),
        ("test_unseen", source.test_unseen),
        ("validation", source.validation),
        ("train", source.train),
    ):
        taken = {row["question"] for row in made}
        stream = word_problems.questions(seed, split, unseen=split == "test_unseen", taken=taken)
        made += [{"id": f"{split}-{i}", "split": split, **row} for i, row in enumerate(islice(stream, n))]
    return made


def _origins_of_files(source: Files) -> Origins:
    named = {split: getattr(source, split) for split in ("train", "test", "test_unseen", "validation")}
    return {
        split: partial(files.rows, of) if isinstance(of, Path) else of for split, of in named.items() if of is not None
    }


def _origins_of_logs(task: Task, source: Logs) -> Origins:
    return {"train": partial(_logged, task, source), "validation": source.validation, "test": source.test}


def _logged(task: Task, source: Logs) -> files.Placed:
    """Logged prompts as rows, each with its answer as ``logged``."""
    redact = Redactor(source.redact, source.redact_patterns)
    for number, (place, one) in enumerate(logs.read(files.rows(source.train)), 1):
        messages = [{"role": m["role"], "content": redact(m["content"])} for m in one.messages]
        try:
            row = task.columns_from_log(messages)
        except ValueError as error:
            raise RecipeError(f"{place}: {error}.") from error
        answer = asdict(one) | {"text": redact(one.text), "reasoning": redact(one.reasoning)}
        yield (
            place,
            row
            | {
                "id": one.id if redact(one.id) == one.id else f"redacted-{number}",
                "group": _chat(messages),
                "logged": {name: answer[name] for name in artifacts.LOGGED.names},
            },
        )
    if redact.counts:
        taken = ", ".join(f"{n} {name}" for name, n in redact.counts.most_common())
        echo(f"  taken out of prompts, answers and ids: {taken}")


def _chat(messages: Sequence[Mapping[str, str]]) -> str:
    """What the requests of one chat have in common, each of which holds the turns before it: how it began."""
    began = list(takewhile(lambda message: message["role"] != "assistant", messages))
    return f"{rows.hash64(json.dumps(began)):016x}"


def _of_rows(recipe: Recipe, source: Rows, origins: Origins) -> Iterator[dict[str, Any]]:
    preset = presets.find(source.preset) if source.preset else None
    if preset and recipe.task.name not in (preset.task, "custom"):
        raise RecipeError(
            f"data.preset: {preset.name} is for the task {preset.task}, and this one is {recipe.task.name}."
        )

    def read(split: str) -> Iterator[dict[str, Any]]:
        origin = origins[split]
        assert callable(origin)
        where = f"data.{split} ({getattr(source, split, split)})"
        for row in rows.examples(origin, where, recipe.task, source, preset, recipe.seed):
            yield row | {"id": f"{split}-{row['id']}", "split": split}

    drawn: dict[str, int] = {}
    for split in ("test", "test_unseen", "validation"):
        if callable(origin := origins.get(split, 0)):
            yield from read(split)
        elif origin:
            drawn[split] = origin
    bounds = splits.draw(read("train"), drawn, recipe.seed) if drawn else {}
    for row in read("train"):
        for split, bound in bounds.items():
            if splits.position(recipe.seed, split, row["group"]) <= bound:
                row |= {"id": f"{split}-{row['id'].removeprefix('train-')}", "split": split}
                break
        yield row
