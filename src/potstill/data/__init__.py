"""Where examples come from: examples.parquet."""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from potstill import tasks
from potstill.data import files, hub, logs, presets, rows, sealed, word_problems
from potstill.data.redact import Redactor
from potstill.data.synthesize import synthesize
from potstill.errors import RecipeError
from potstill.progress import say
from potstill.recipe import Filter, Recipe
from potstill.recipe_data import Data, Files, Hub, Logs, Rows, Synthesize, WordProblems
from potstill.tasks import Column, Task

if TYPE_CHECKING:
    from potstill.run_folder import Run

TEST_SPLITS = ("test_unseen", "test")
Origins = Mapping[str, "Callable[[], files.Placed] | int"]
"""For each split its rows, made anew at each call, or how many are drawn out of `train`."""


def data(recipe: Recipe, run: "Run") -> None:
    """Write examples.parquet; only the test questions are held."""
    test = [row for row in examples(recipe) if row["split"] in TEST_SPLITS]
    tested = {tasks.question(recipe.task, row) for row in test}
    for split in TEST_SPLITS:
        sealed.check(recipe, run.store, split, test)
    made: list[dict[str, Any]] = []
    if isinstance(recipe.data, Synthesize):
        made = synthesize(recipe, recipe.data, run, list(examples(recipe)))
    trained = shared = 0
    without: dict[str, int] = {}

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal trained, shared
        for row in chain(examples(recipe), made):
            trained += row["split"] == "train"
            shared += row["split"] == "train" and tasks.question(recipe.task, row) in tested
            if row["gold"] is None:
                without[row["split"]] = without.get(row["split"], 0) + 1
            yield row
        if trained and shared == trained and Filter.IN_TEST_SET in recipe.curate.filters:
            raise RecipeError(
                f"data: each of the {trained} training questions also stands in a test split, so none can be trained on. "
                "Name other files, or have the test split drawn out of the training rows: test: 100."
            )

    run.write_pieces("examples.parquet", counted(), schema(recipe))
    if shared:
        say(f"  {shared} training questions also stand in a test split; curation leaves them out (in-test-set)")
    if without and recipe.task.decides:
        say("  without gold: " + ", ".join(f"{n} of {split}" for split, n in without.items()))


LOGGED = pa.struct(
    [("text", pa.string()), ("reasoning", pa.string()), ("model", pa.string()), ("finish_reason", pa.string()),
     ("prompt_tokens", pa.int64()), ("completion_tokens", pa.int64())]
)  # fmt: skip


def schema(recipe: Recipe) -> pa.Schema:
    """Columns of examples.parquet; ``logged`` is an answer that was paid for before, ``origin`` how a new input was made."""
    base = ("id", "split", "group", "gold", "system", "prompt", "rationale")
    own = {**recipe.task.columns, **recipe.task.made}
    columns = [(name, column.arrow) for name, column in (dict.fromkeys(base, Column.TEXT) | own).items()]
    if isinstance(recipe.data, Logs):
        columns.append(("logged", LOGGED))
    if isinstance(recipe.data, Synthesize):
        columns.append(("origin", pa.string()))
    return pa.schema(columns)


def examples(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """The user's own rows of examples.parquet. Raises `RecipeError` for unusable data."""
    columns = schema(recipe).names
    return ({name: row.get(name) for name in columns} for row in _rows(recipe))


def _rows(recipe: Recipe) -> Iterable[dict[str, Any]]:
    source = real(recipe.data)
    match source:
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


def real(source: Data) -> WordProblems | Files | Hub | Logs:
    """Where the rows come from that nobody made up."""
    return source.seeds if isinstance(source, Synthesize) else source


def sources(recipe: Recipe) -> list[Path]:
    """The user's files and folders that examples come from."""
    source = real(recipe.data)
    if not isinstance(source, Files | Logs):
        return []
    named = [getattr(source, split, None) for split in ("train", "validation", "test", "test_unseen")]
    return [path for path in named if isinstance(path, Path)]


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
            row = task.of_log(messages)
        except ValueError as error:
            raise RecipeError(f"{place}: {error}.") from error
        answer = asdict(one) | {"text": redact(one.text), "reasoning": redact(one.reasoning)}
        yield (
            place,
            row
            | {
                "id": one.id if redact(one.id) == one.id else f"redacted-{number}",
                "group": _chat(messages),
                "logged": {name: answer[name] for name in LOGGED.names},
            },
        )
    if redact.counts:
        taken = ", ".join(f"{n} {name}" for name, n in redact.counts.most_common())
        say(f"  taken out of prompts, answers and ids: {taken}")


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
    bounds = _draw(read("train"), drawn, recipe.seed) if drawn else {}
    for row in read("train"):
        for split, bound in bounds.items():
            if _place(recipe.seed, split, row["group"]) <= bound:
                row |= {"id": f"{split}-{row['id'].removeprefix('train-')}", "split": split}
                break
        yield row


def _draw(rows: Iterable[Mapping[str, Any]], wanted: Mapping[str, int], seed: int) -> dict[str, int]:
    """For each split the bound below which a group's place puts it there: at least so many rows, whole groups only.

    A group's place depends on nothing else, so that a row that is added later changes few of them, if any.
    """
    places = {split: array("Q") for split in wanted}
    for row in rows:
        for split, of in places.items():
            of.append(_place(seed, split, row["group"]))
    left = np.ones(len(next(iter(places.values()))), dtype=bool)
    bounds: dict[str, int] = {}
    for split, n in wanted.items():
        place = np.frombuffer(places[split], dtype=np.uint64)
        groups, sizes = np.unique(place[left], return_counts=True)
        totals = np.cumsum(sizes)
        if not len(totals) or totals[-1] <= n:
            raise _too_few(int(left.sum()), len(groups), n, split)
        last = int(np.searchsorted(totals, n))
        if last == len(groups) - 1:
            raise _too_few(int(left.sum()), len(groups), n, split)
        bounds[split] = int(groups[last])
        left &= place > groups[last]
        if totals[last] > 2 * n:
            say(f"  {split}: {totals[last]} rows instead of {n}, since groups are never torn apart")
    return bounds


def _place(seed: int, split: str, group: str) -> int:
    return rows.hash64(f"{seed}:{split}:{group}")


def _too_few(n_rows: int, groups: int, n: int, split: str) -> RecipeError:
    return RecipeError(
        f"data.train: {n_rows} rows in {groups} groups are too few to draw {n} of them for data.{split} and leave some to "
        "train on; groups are never torn apart."
    )
