"""The gate: whether an export is asked the same as the student, and answers as it does."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Any

import aiohttp

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.export.gate import accuracy, agreement, llama, plain
from potstill.export.gate.agreement import Said
from potstill.export.gate.questions import prompts, questions
from potstill.export.student import Student
from potstill.models import Message, Request
from potstill.workspace.exports import Gate, State
from potstill.workspace.run import Run

SAME_ANSWERS = 0.98
"""Of the greedy answers of an export in F16, the fraction that must be the student's."""
TIE = 0.01
"""A gap of log-probabilities (nats) of this size is within what rounding to F16 changes."""
LOOKED = "other exports of this student that were compared on these questions before: {}. Whoever takes the best of several learns less from each"
SHOWN = 5
"""Differences in words."""
ORDER: tuple[State, ...] = ("failed", "open", "not shown", "passed")
"""The state of a gate is the first of these that one of its checks has."""

Rendered = tuple[str, list[int]]
"""A prompt and its token ids."""


def of_gguf(
    run: Run, student: Student, file: Path, name: str, *, exact: bool, template: "Template | None" = None
) -> Gate:
    """The gate of a GGUF file, that of the export ``name``, asked through llama.cpp.

    exact: whether its answers must be the student's; otherwise its accuracy must not be worse. template: how another engine renders a
    chat, in place of the file's own template.
    """
    try:
        rendered, said = asyncio.run(_asked_of_llama(run, student, file, exact, template))
    except interrupt.Interrupted:
        raise
    except (aiohttp.ClientError, PotstillError) as error:
        return Gate(state="failed", lines=[f"llama.cpp cannot load or run it: {error}"])
    checks = [_prompts(student, list(prompts(run)), rendered)]
    if exact:
        checks.append(_answers(student, said))
    elif checks[0]["state"] == "passed":
        checks.append(accuracy_of(run, name))
    return together(checks)


def of_folder(run: Run, student: Student, folder: Path, *, exact: bool) -> Gate:
    """The gate of a folder of weights, asked through transformers; ``exact``: whether its answers are compared."""
    own, asked = plain.Plain(folder), list(prompts(run))
    rendered = [(text := own.prompt(request.messages), own.tokens(text)) for request in asked]
    checks = [_prompts(student, asked, rendered)]
    if exact:
        requests = questions(run)
        said = plain.answers(folder, [(one, student.chat.tokens(one.messages)) for one in requests])
        checks.append(_answers(student, said))
    return together(checks)


Template = Callable[[Sequence[Message]], str]
"""What an engine makes of a chat."""


async def _asked_of_llama(
    run: Run, student: Student, file: Path, exact: bool, template: Template | None
) -> tuple[list[Rendered], list[Said]]:
    asked, requests = list(prompts(run)), questions(run) if exact else []
    ids = [(one.id, student.chat.tokens(one.messages), one.sampling.max_tokens) for one in requests]
    room = max([len(prompt) + limit for _, prompt, limit in ids], default=0) + 1
    rendered: list[Rendered] = []
    async with llama.running(file, max(room, 64)) as server:
        for request in asked:
            interrupt.raise_if_requested()
            text = template(request.messages) if template else await server.prompt(request.messages)
            rendered.append((text, await server.tokens(text)))
        return rendered, await llama.answers(server, ids) if ids else []


def _prompts(student: Student, asked: Sequence[Request], rendered: Sequence[Rendered]) -> Gate:
    """Whether prompts and their token ids are the student's.

    A message that quotes a control token is left out and counted: the student reads it as text, and these engines as the token.
    """
    quoting, texts, tokens = 0, [], []
    for request, (text, ids) in zip(asked, rendered, strict=True):
        own, own_ids = student.chat.text(request.messages), student.chat.tokens(request.messages)
        if student.chat.quotes(request.messages):
            quoting += 1
            continue
        if text != own:
            texts.append({"id": request.id, **_where(own, text)})
        if ids != own_ids:
            tokens.append({"id": request.id, **_where(own_ids, ids)})
    n = len(asked) - quoting
    return Gate(
        state="failed" if texts or tokens else "passed" if n else "not shown",
        lines=list(_lines_of_prompts(n, texts, tokens, quoting)),
        prompts={"n": n, "same": n - len(texts), "quoting": quoting, "differences": texts[:SHOWN]},
        tokens={"n": n, "same": n - len(tokens), "differences": tokens[:SHOWN]},
    )


def _where(own: Sequence[Any], other: Sequence[Any]) -> dict[str, Any]:
    """The first place at which two sequences differ, with a little of both."""
    at = next((i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))
    return {"at": at, "student": own[at : at + 12], "exported": other[at : at + 12]}


def _lines_of_prompts(n: int, texts: list[Any], tokens: list[Any], quoting: int) -> Iterator[str]:
    for what, wrong in (("rendered prompts", texts), ("token ids of prompts", tokens)):
        yield f"{what}: {n - len(wrong)} of {n} are the student's"
        for one in wrong[:1]:
            yield f"  {one['id']}, from place {one['at']}: {one['student']!r} in the student, {one['exported']!r} in the export"
    if quoting:
        yield f"  {quoting} prompts quote control tokens, which engines read as such unless they get token ids; these are left out"


def _answers(student: Student, said: Sequence[Said]) -> Gate:
    found = [asdict(one) for one in agreement.differences(student.folder, said)]
    n, same, needed = len(said), len(said) - len(found), ceil(SAME_ANSWERS * len(said))
    lines = [f"greedy answers: {same} of {n} are the student's in float32; {needed} must be"]
    lines += [
        f"  {one['id']}, token {one['token']}: {one['student']!r} in the student, {one['exported']!r} in the export; gap of log-probabilities "
        f"{one['gap']:.4f}"
        for one in found[:SHOWN]
    ]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    if found and all(one["gap"] < TIE for one in found):
        lines.append(
            f"  all gaps are below {TIE:g}: the student itself hardly prefers one token there, and rounding decides"
        )
    numbers = {"n": n, "same": same, "needed": needed, "differences": found}
    return Gate(state="passed" if n and same >= needed else "failed", lines=lines, answers=numbers)


def accuracy_of(run: Run, name: str) -> Gate:
    """Whether an export answers the test questions with gold as well as the safetensors."""
    if reason := accuracy.why_not(run):
        line = f"accuracy: not shown to be within {100 * accuracy.MARGIN:.0f} points: {reason}"
        return Gate(state="not shown", lines=[line])
    found, looks = accuracy.compared(run, name)
    state, needed = accuracy.state_of(found, run.recipe.evaluate)
    points = f"{100 * found['difference']:+.1f} points [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}] on {found['n']} questions"
    limit = f"not worse by {100 * accuracy.MARGIN:.0f} points"
    words = {
        "passed": f"{limit} is shown",
        "failed": f"{limit} is refuted",
        "not shown": f"{limit} is not shown: at worst {100 * found['not_worse']['limit']:+.1f}",
    }[state]
    more = f"; it would take about {needed:,} questions" if needed else ""
    line = f"accuracy of the export minus that of the safetensors: {points}; {words}{more}"
    lines = [line, *([f"  {LOOKED.format(looks)}"] if looks else [])]
    return Gate(state=state, lines=lines, accuracy=accuracy.as_json(found, looks) | {"needed": needed})


def together(checks: Sequence[Gate]) -> Gate:
    """What several checks found."""
    joined = Gate()
    for one in checks:
        joined |= one
    joined["state"] = min((one["state"] for one in checks), key=ORDER.index)
    joined["lines"] = [line for one in checks for line in one["lines"]]
    return joined
