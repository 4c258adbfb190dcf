"""What is printed when a server is ready: what is served, how the student wants to be asked, and a command to try."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence

from potstill.serve.student import TRAINING, Student
from potstill.workspace.artifacts import EXAMPLES
from potstill.workspace.run import Run

MOST_SHOWN = 300
"""Characters of a system message that are shown."""


def ready(run: Run, student: Student, what: str, address: str, key_variable: str) -> Iterator[str]:
    """The lines; ``what`` says what answers. ``key_variable`` names the variable with the key, empty where none is needed."""
    yield f"{student.name} ({run.folder}): {what}, {student.context} tokens of prompt and answer."
    messages, form = _example(run)
    yield form
    yield _system(student)
    yield f"An answer has at most {student.max_tokens} tokens and is greedy, unless a request says otherwise."
    yield f"OpenAI's API is at {address}/v1, metrics are at {address}/metrics. Try it:"
    yield f"  {curl(address, student.name, messages, key_variable)}"
    yield "Ctrl-C stops the server when the requests in flight are answered."


def curl(address: str, model: str, messages: Sequence[Mapping[str, str]], key_variable: str) -> str:
    """A command that asks a server."""
    body = json.dumps({"model": model, "messages": [dict(message) for message in messages]}, ensure_ascii=False)
    key = f' -H "Authorization: Bearer ${key_variable}"' if key_variable else ""
    return f"curl {address}/v1/chat/completions -H 'Content-Type: application/json'{key} -d {shlex.quote(body)}"


def _example(run: Run) -> tuple[list[Mapping[str, str]], str]:
    """The chat of a row of training without its system message, and what the student was trained on in words."""
    columns = ", ".join(run.task.columns)
    if not run.path(EXAMPLES).exists() or not (row := next(run.examples(TRAINING), None)):
        return [{"role": "user", "content": f"{columns}"}], "Send what the rows of training had as the user's message."
    messages = [message for message in run.task.messages(row) if message["role"] != "system"]
    shown, values = messages[-1]["content"], [row[name] for name in run.task.columns]
    if len(messages) > 1 or not isinstance(values[0], str):
        form = "Send the turns of a chat, as the rows of training have them, or the message of the line below."
    elif shown.strip() == values[0].strip():
        form = f"Send the {columns} alone as the user's message: nothing is added to it, as in training."
    else:
        form = f"The user's message must have the form of the line below, around your own {columns}: the student was trained on no other."
    return messages, form


def _system(student: Student) -> str:
    if student.system:
        shown = student.system[:MOST_SHOWN] + ("..." if len(student.system) > MOST_SHOWN else "")
        return f"A chat without a system message gets that of training: {json.dumps(shown, ensure_ascii=False)}"
    if len(student.systems) > 1:
        return "Rows of training had several system messages: send the one that a question needs. None is added."
    return "Rows of training had no system message: none is added, and a chat should have none."
