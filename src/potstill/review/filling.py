"""Fill review.sqlite with the items of a run, and keep them up to date."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from potstill.errors import PotstillError, RecipeError
from potstill.labels.items import Item, ShownAnswer, items
from potstill.review import draw
from potstill.review.database import FILE, put_setting, setting
from potstill.review.settings import Settings
from potstill.workspace import artifacts
from potstill.workspace.digests import Part
from potstill.workspace.run import Run


def settle(connection: sqlite3.Connection, run: Run, defaults: Settings, given: Mapping[str, Any]) -> Settings:
    """The review's settings: ``defaults`` the first time, afterwards those that it began with.

    Raises `PotstillError` for the database of another run, and `RecipeError` where ``given`` says something else.
    """
    if not (text := setting(connection, "review")):
        put_setting(connection, "run", run.id)
        put_setting(connection, "review", defaults.as_json())
        return defaults
    if (other := setting(connection, "run")) != run.id:
        raise PotstillError(
            f"{run.path(FILE)} belongs to another run ({other}), not to this one ({run.id}). Move it back to its run, or away."
        )
    begun = Settings.from_json(json.loads(text))
    wanted, has = defaults.as_json(), begun.as_json()
    if changed := [name for name in given if wanted[name] != has[name]]:
        said = ", ".join(f"--{name} {_in_words(has[name])}" for name in changed)
        raise RecipeError(
            f"{run.path(FILE)} is a review that began with {said}. Leave the option out to resume it. To begin another one, first move "
            "this file away (with its -wal and -shm); the labels that it gave stay in labels.parquet."
        )
    return begun


def fill(connection: sqlite3.Connection, run: Run, settings: Settings) -> None:
    """Bring the items up to date with the run's predictions. An answer that is no longer the system's is not shown any more.

    Raises `PotstillError` where there is nothing to label, or no answer that is long enough for a check of attention.
    """
    files = [artifacts.EXAMPLES, *(artifacts.predictions(name).file for name in settings.systems)]
    sources = json.dumps([run.digest(Part(file)) for file in files])
    if setting(connection, "sources") == sources:
        return
    by_question: dict[str, list[Item]] = defaultdict(list)
    for item in items(run, settings.systems, settings.form.pairs):
        by_question[item.question].append(item)
    if not by_question:
        raise PotstillError(
            f"{run.folder}: no test question has {'two answers' if settings.form.pairs else 'an answer'} to label."
        )
    questions = draw.order(settings.seed, list(by_question))
    drawn = questions[: settings.questions or None]
    checks = _checks(run, settings, by_question, questions)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE questions SET place = NULL")
    connection.execute("UPDATE items SET place = NULL")
    place = 0
    for number, question in enumerate(drawn):
        for check in checks.get(number, []):
            place = _add(connection, [check], place, shared=True, is_check=True)
        ranked = sorted(by_question[question], key=lambda item: draw.rank(settings.seed, "item", item.id))
        shared = draw.is_shared(settings.seed, question, settings.overlap)
        place = _add(connection, ranked, place, shared=shared, is_check=False)
    put_setting(connection, "drawn", str(len(drawn)))
    put_setting(connection, "all", str(len(questions)))
    put_setting(connection, "sources", sources)
    connection.execute("COMMIT")


def _checks(
    run: Run, settings: Settings, by_question: Mapping[str, Sequence[Item]], questions: Sequence[str]
) -> dict[int, list[Item]]:
    """The checks of attention by the number of questions that come before them. They damage answers to questions that come last in the
    order, so that few reviewers see the same answer intact."""
    if not settings.attention:
        return {}
    fit = [item for question in reversed(questions) for item in by_question[question][:1] if draw.can_be_damaged(item)]
    if not fit:
        raise PotstillError(
            f"{run.folder}: no answer has {draw.LEAST_WORDS} different words, so that none can be damaged visibly; leave out --attention."
        )
    n = settings.questions or len(questions)
    found: dict[int, list[Item]] = defaultdict(list)
    for number, place in enumerate(draw.check_places(settings.seed, settings.attention, min(n, len(questions)))):
        item = fit[number % len(fit)]
        found[place].append(draw.damaged(item, number, settings.seed, settings.form.pairs))
    return found


def _add(
    connection: sqlite3.Connection, of_question: Sequence[Item], place: int, *, shared: bool, is_check: bool
) -> int:
    """Add the items of a question, or put them to their place; returns the next place."""
    connection.execute(
        "INSERT INTO questions (id, place, shared, items) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET place = excluded.place, "
        "shared = excluded.shared, items = excluded.items",
        (of_question[0].question, place, shared, len(of_question)),
    )
    for item in of_question:
        connection.execute(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET place = excluded.place, content = excluded.content",
            (item.id, item.question, place, is_check, json.dumps(asdict(item), ensure_ascii=False)),
        )
        place += 1
    return place


def item_of(content: str) -> Item:
    """An item from its content in the database."""
    values = json.loads(content)
    answers = (ShownAnswer(**answer | {"earlier": tuple(answer["earlier"])}) for answer in values["answers"])
    return Item(**values | {"answers": tuple(answers)})


def _in_words(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else value["name"] if isinstance(value, dict) else str(value)
