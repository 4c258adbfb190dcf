"""From a client's message back to the columns of the task, so that the teacher can be asked in its own way."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.errors import RecipeError
from potstill.models import Message
from potstill.tasks import Column, Example, Task
from potstill.tasks.messages import LeftOutError

EXAMPLE = dict.fromkeys(("group", "gold", "system", "prompt", "rationale", "steps", "logged", "origin"))
MOST_OPTIONS = 26
"""Options of a question that can be read from a message."""
Reader = Callable[[Sequence[Message]], Example | None]


def reader(task: Task, row: Example | None) -> Reader:
    """A function from a chat to an example, which is None for a chat that does not have the form of the student's prompt.

    A form that fits in two ways, with another number of options, is none. row: a row of training, which says whether rows have prompts of
    their own. Raises `RecipeError` for a task whose answers cannot be compared, or whose columns are not in its prompt as texts or options.
    """
    if not task.gradable or task.judged:
        raise RecipeError(f"--shadow: answers of the task {task.name} cannot be compared without a judge.")
    if row is not None and row.get("prompt"):
        return _own_prompts(task)
    if not {Column.TEXT, Column.OPTIONS}.issuperset(task.columns.values()):
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
    with_options = Column.OPTIONS in task.columns.values()
    forms = [_form(task, n) for n in (range(2, MOST_OPTIONS + 1) if with_options else [1])]

    def read(messages: Sequence[Message]) -> Example | None:
        users = [message for message in messages if message["role"] != "system"]
        if len(users) != 1:
            return None
        found = [_example(messages, columns) for form in forms if (columns := form.columns(users[0]["content"]))]
        same = [one for one in found if task.messages(one)[-1]["content"] == users[0]["content"]]
        return same[0] if len(same) == 1 else None

    return read


@dataclass(frozen=True)
class _Form:
    """The student's prompt for examples with a number of options. ``names``: the column of each group of the ``pattern``, and whether it
    is one of several options."""

    pattern: re.Pattern[str]
    names: Sequence[tuple[str, bool]]

    def columns(self, text: str) -> Mapping[str, Any] | None:
        """The columns of a prompt; None where it has another form."""
        found = self.pattern.fullmatch(text)
        if not found:
            return None
        columns: dict[str, Any] = {}
        for (name, is_option), value in zip(self.names, found.groups(), strict=True):
            columns[name] = [*columns.get(name, ()), value] if is_option else value
        return columns


def _form(task: Task, n: int) -> _Form:
    """The prompt with ``n`` options. Raises `RecipeError` where it does not show each column once."""
    marks = {name: [f"\ue000{name} {i}\ue001" for i in range(n)] for name in task.columns}
    options = {name for name, column in task.columns.items() if column is Column.OPTIONS}
    columns = {name: of if name in options else of[0] for name, of in marks.items()}
    names = {mark: name for name, of in marks.items() for mark in (of if name in options else of[:1])}
    shown = task.messages(_example((), columns))[-1]["content"]
    if any(shown.count(mark) != 1 for mark in names):
        raise RecipeError(f"--shadow: the prompt task.prompts.plain does not show each of {', '.join(marks)} once.")
    order = sorted(names, key=shown.find)
    pattern = re.escape(shown)
    for mark in order:
        pattern = pattern.replace(re.escape(mark), r"([^\n]+?)" if names[mark] in options else "(.+?)")
    return _Form(re.compile(pattern, re.DOTALL), [(names[mark], names[mark] in options) for mark in order])


def _example(messages: Sequence[Message], columns: Mapping[str, Any]) -> dict[str, Any]:
    system = next((message["content"] for message in messages if message["role"] == "system"), None)
    return {**EXAMPLE, "id": "", "split": "", "system": system, **columns}
