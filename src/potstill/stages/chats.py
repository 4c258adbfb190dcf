"""Chats of several turns. Each turn is an example; the teacher continues its own replies, and a chat is one training row.

As in the published pipeline of arXiv 2410.18588 (Azure/azureml-assets, `assets/training/distillation/src/generate_data.py`):
every reply of a chat is the teacher's, requested with the teacher's replies before it as history, and the whole chat is one
row. That pipeline drops a chat with a failed reply; here it ends before that reply.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile

from potstill.tasks import Example, Task
from potstill.workspace.artifacts import CuratedRow, GeneratedRow

EARLIER_TURN = "earlier-turn"
"""The reason of rows after a turn that is not kept."""

Replies = Mapping[tuple[str, int], str]
"""The reply to a turn, by example and sample."""


def replies(rows: Iterable[GeneratedRow]) -> dict[tuple[str, int], str]:
    """The replies that a later turn can continue: those that have an answer and are finished."""
    return {
        (row["id"], row["sample"]): row["answer"]
        for row in rows
        if row["answer"] is not None and row["finish_reason"] == "stop"
    }


def continued(task: Task, example: Example, sample: int, known: Replies) -> Example | None:
    """The example with the known replies as its earlier turns; None where one of them is missing."""
    earlier = [known.get((turn, sample)) for turn in task.earlier_turns(example)]
    present = [reply for reply in earlier if reply is not None]
    if len(present) < len(earlier):
        return None
    return task.with_replies(example, present) if earlier else example


def rounds(task: Task, examples: Iterable[Example]) -> list[list[Example]]:
    """The examples by the number of turns that a system must have answered before them; one round where the data have all replies."""
    by_turn: dict[int, list[Example]] = defaultdict(list)
    for example in examples:
        by_turn[len(task.own_turns(example))].append(example)
    return [by_turn[turn] for turn in sorted(by_turn)]


def with_stand_in(task: Task, example: Example, reply: str) -> Example:
    """The example with ``reply`` in the place of each reply that the data do not have."""
    own = task.own_turns(example)
    return task.with_replies(example, [reply] * len(own)) if own else example


def join(
    task: Task,
    rows: Sequence[CuratedRow],
    examples: Mapping[str, Example],
    passes: Callable[[CuratedRow], bool],
    can_join: Callable[[CuratedRow], bool],
) -> dict[tuple[str, int], list[CuratedRow]]:
    """Make each chat one training row: that of its last turn, which has all turns as its messages.

    A chat ends before the first turn that does not pass. ``passes`` tells whether a row passes all checks but that for
    duplicates, which concerns the chat as a whole; ``can_join`` whether a row's earlier turns can be trained on in it.
    Changes ``turns``, ``kept`` and ``reason`` in place. Returns the rows of each joined chat, by id and sample of its last.
    """
    chats: dict[tuple[str, int], list[CuratedRow]] = defaultdict(list)
    for row in rows:
        first = next(iter(task.earlier_turns(examples[row["id"]])), row["id"])
        chats[first, row["sample"]].append(row)
    joined = {}
    for chat in chats.values():
        turns = sorted(chat, key=lambda row: len(task.earlier_turns(examples[row["id"]])))
        if len(turns) > 1 and can_join(turns[-1]) and (trained := _cut(turns, passes)):
            for row in trained:
                row["kept"], row["reason"], row["turns"] = True, "", 0
            trained[-1]["turns"] = len(trained)
            joined[trained[-1]["id"], trained[-1]["sample"]] = trained
    return joined


def _cut(turns: Sequence[CuratedRow], passes: Callable[[CuratedRow], bool]) -> list[CuratedRow]:
    """The turns that are trained on together; none where they are duplicates. Kept turns after them are dropped."""
    trained = list(takewhile(passes, turns))
    for row in turns[len(trained) :]:
        if row["kept"]:
            row["kept"], row["reason"], row["turns"] = False, EARLIER_TURN, 0
    return trained if trained and trained[-1]["kept"] else []
