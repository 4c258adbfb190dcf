"""From a client's message back to the columns of the task, so that the teacher can be asked in its own way."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from potstill.errors import RecipeError
from potstill.models import Message
from potstill.tasks import Column, Example, Task
from potstill.tasks.messages import LeftOutError

EXAMPLE = dict.fromkeys(("group", "gold", "system", "prompt", "rationale", "steps", "logged", "origin"))
Reader = Callable[[Sequence[Message]], Example | None]


def reader(task: Task, row: Example | None) -> Reader:
    """A function from a chat to an example, which is None for a chat that does not have the form of the student's prompt.

    row: a row of training, which says whether rows have prompts of their own. Raises `RecipeError` for a task whose answers cannot be
    compared, or whose columns are not in its prompt as texts.
    """
    if not task.gradable or task.judged:
        raise RecipeError(f"--shadow: answers of the task {task.name} cannot be compared without a judge.")
    if row is not None and row.get("prompt"):
        return _own_prompts(task)
    if any(column is not Column.TEXT for column in task.columns.values()):
        raise RecipeError(
            f"--shadow: the columns of the task {task.name} ({', '.join(task.columns)}) cannot be read from a message, and the "
            "teacher's prompt needs them."
        )
    return _by_template(task)


def _own_prompts(task: Task) -> Reader:
    if not task.takes_chats:
        raise RecipeError(
            f"--shadow: rows have prompts of their own, from which the columns of {task.name} cannot be read."
        )

    def read(messages: Sequence[Message]) -> Example | None:
        try:
            return _example(messages, task.columns_from_chat(messages))
        except LeftOutError:
            return None

    return read


def _by_template(task: Task) -> Reader:
    marks = {name: f"\ue000{i}\ue001" for i, name in enumerate(task.columns)}
    shown = task.messages(_example((), marks))[-1]["content"]
    order = sorted(marks, key=lambda name: shown.find(marks[name]))
    if any(shown.count(mark) != 1 for mark in marks.values()):
        raise RecipeError(f"--shadow: the prompt task.prompts.plain does not show each of {', '.join(marks)} once.")
    pattern = re.escape(shown)
    for name in order:
        pattern = pattern.replace(re.escape(marks[name]), "(.+)" if name == order[-1] else "(.+?)")
    form = re.compile(pattern, re.DOTALL)

    def read(messages: Sequence[Message]) -> Example | None:
        users = [message for message in messages if message["role"] != "system"]
        found = form.fullmatch(users[0]["content"]) if len(users) == 1 else None
        if not found:
            return None
        example = _example(messages, dict(zip(order, found.groups(), strict=True)))
        return example if task.messages(example)[-1]["content"] == users[0]["content"] else None

    return read


def _example(messages: Sequence[Message], columns: Mapping[str, Any]) -> dict[str, Any]:
    system = next((message["content"] for message in messages if message["role"] == "system"), None)
    return {**EXAMPLE, "id": "", "split": "", "system": system, **columns}
