"""Test questions as the report shows them: each with the whole chat that it is a part of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from potstill.models import Message
from potstill.tasks import Example, Task


@dataclass(frozen=True)
class Turn:
    """A test question that all systems answered. ``reference``: a reference answer; None where there is none."""

    id: str
    question: str
    reference: str | None


@dataclass(frozen=True)
class ShownChat:
    """``before``: the messages of the data before the first of the ``turns``; each later turn follows a system's own answers to those before it."""

    split: str
    gold: str | None
    before: Sequence[Message]
    turns: Sequence[Turn]


def shown_chats(task: Task, examples: Sequence[Example], n: int) -> list[ShownChat]:
    """The first ``n`` questions. One that a later turn follows with a system's own answers is shown with that turn alone."""
    by_id = {example["id"]: example for example in examples}
    followed = {turn for example in examples for turn in task.own_turns(example)}
    return [_chat(task, by_id, one) for one in islice((one for one in examples if one["id"] not in followed), n)]


def _chat(task: Task, by_id: dict[str, Example], example: Example) -> ShownChat:
    turns = [by_id[turn] for turn in (*task.own_turns(example), example["id"])]
    before = task.asked(turns[0])[:-1]
    return ShownChat(example["split"], example["gold"], before, [_turn(task, one) for one in turns])


def _turn(task: Task, example: Example) -> Turn:
    question = "\n".join(column.display(example[name]) for name, column in task.columns.items())
    *_, reference = task.references(example) or (None,)
    return Turn(example["id"], question, reference)
