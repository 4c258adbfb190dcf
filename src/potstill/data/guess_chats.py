"""Guess the task of chats and logs from their answers: short labels, records and numbers are narrow tasks in the form of chats.

Files for fine-tuning hold the prompt as a chat's system message and question, and the answer as its reply. Where the replies
are labels, records or numbers, they can be scored; the chat stays the prompt, word for word.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from potstill.data import files, guess_answers, logs
from potstill.tasks.literals import decode
from potstill.tasks.messages import parse_messages
from potstill.tasks.registry import parse_task

ROWS_PER_LABEL = 3
"""Fewest chats for each reply, on average, for replies to be labels: greetings repeat too."""
LOG_KEYS = (
    ("request", "response"), ("request_body", "response_body"), ("messages", "response"), ("messages", "completion"),
    ("input", "output"),
)  # fmt: skip
"""Columns of which logs have both, the first as an object or a list; see `potstill.data.logs`."""

Chat = tuple[list[dict[str, str]], str | None]
"""The messages of a chat up to its last answer, and that answer; None where there is none."""


def chat_of(value: Any) -> Chat | None:
    """A chat of a data set; None for what is none, or cannot be used."""
    try:
        messages = parse_messages(value)
    except ValueError:
        return None
    reply = messages.pop()["content"] if messages[-1]["role"] == "assistant" else None
    return messages, reply


def are_turns(value: Any) -> bool:
    """Whether a value is a list of texts, as the turns of a user."""
    value = decode(value)
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def is_log(row: Mapping[str, Any]) -> bool:
    """Whether a row is one of a log of requests and answers."""
    if row.get("schemaType") or (row.get("custom_id") and (row.get("body") or row.get("response"))):
        return True
    return any(
        row.get(last) is not None and isinstance(decode(row.get(first)), list | dict) for first, last in LOG_KEYS
    )


def logged_chats(path: Path, n: int | None = None) -> Iterator[Chat]:
    """The first chats of a log. Raises `RecipeError`."""
    for _, logged in islice(logs.parse(files.read_rows(path), Counter()), n):
        yield logged.messages, logged.text


def narrow_task(chats: Sequence[Chat]) -> tuple[dict[str, Any], str] | None:
    """The task whose gold the replies of these chats are, with what the replies are; None where they are of free text, or
    where more than a few chats have several turns."""
    answered = [(messages, reply) for messages, reply in chats if reply is not None]
    single = [reply for messages, reply in answered if sum(m["role"] != "system" for m in messages) == 1]
    if not single or len(single) < (1 - guess_answers.MOST_OTHER) * len(chats):
        return None
    for task, what in guess_answers.kinds(single, may_be_chat=True):
        labels = task.get("labels", [])
        if len(single) >= ROWS_PER_LABEL * len(labels) and _reads(task, single):
            return task, what
    return None


def _reads(task: Mapping[str, Any], replies: Sequence[str]) -> bool:
    """Whether the task takes most of these replies as gold."""
    try:
        parsed = parse_task(dict(task))
    except ValueError:  # labels that no recipe can have
        return False
    usable = 0
    for reply in replies:
        try:
            parsed.parse_gold(reply, {})
        except ValueError:
            continue
        usable += 1
    return usable >= (1 - guess_answers.MOST_OTHER) * len(replies)
