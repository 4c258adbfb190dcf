"""What people and judges label: an answer to a test question, or two answers to the same one, without the systems' names."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from potstill.errors import PotstillError, did_you_mean
from potstill.models import Message
from potstill.tasks import Example, Task
from potstill.workspace import artifacts
from potstill.workspace.artifacts import TEST_SPLITS, Prediction
from potstill.workspace.run import Run

MAX_CHARACTERS = 6_000
"""Characters of an answer that are shown, the same for all systems."""
CUT_MARK = " […]"


@dataclass(frozen=True)
class ShownAnswer:
    """A system's answer in the form that is shown: the same form for all systems, without marks that betray one. ``earlier`` are its own
    replies to the earlier turns of a chat, where the data have none; ``text`` is empty where it has no answer."""

    system: str
    text: str
    earlier: tuple[str, ...] = ()

    @property
    def whole(self) -> str:
        """All that is shown of it; empty where it has no answer."""
        return "\n\n".join((*self.earlier, self.text)) if self.text else ""


@dataclass(frozen=True)
class Item:
    """One or two answers to a test question.

    Attributes:
        id: hexadecimal; the same for the same question, systems and texts.
        question, split, group: of the test question.
        messages: what the user asked, with earlier turns of a chat; replies to them that are a system's own are in ``answers``.
        source: the text that an answer must keep to, as the document of a summary; None where there is none.
        gold: as text; None where there is none.
        references: reference answers to the user's turns (`Task.references`).
        answers: one, or two in the order of the recipe's systems.
    """

    id: str
    question: str
    split: str
    group: str
    messages: Sequence[Message]
    source: str | None
    gold: str | None
    references: Sequence[str | None]
    answers: tuple[ShownAnswer, ...]

    @property
    def shown(self) -> str:
        """Digest of the answers' texts, in hexadecimal."""
        return digest([answer.whole for answer in self.answers])


def items(run: Run, systems: Sequence[str], pairs: bool) -> Iterator[Item]:
    """The items of a run's test questions, question by question, unseen templates first: each answer of ``systems``, or each pair of
    them.

    A question that a system has no text for (an error, moderation, or nothing written) has no item with this system. Raises
    `PotstillError` for a system that the run does not have, and where it has no predictions yet.
    """
    if pairs and len(systems) < 2:
        raise PotstillError(
            f"{run.folder}: two answers at a time need at least two systems, and there is {', '.join(systems) or 'none'}; add one to "
            "evaluate.systems"
        )
    predictions = {name: _predictions(run, name) for name in systems}
    task = run.task
    examples = list(run.examples(*TEST_SPLITS))
    for split in TEST_SPLITS:
        for example in examples:
            if example["split"] == split:
                answers = [
                    answer
                    for name, rows in predictions.items()
                    if (row := rows.get(example["id"])) and (answer := shown_answer(task, example, row, name)).text
                ]
                shown: Iterator[tuple[ShownAnswer, ...]]
                shown = combinations(answers, 2) if pairs else ((answer,) for answer in answers)
                yield from (item_of(task, example, chosen) for chosen in shown)


def shown_answer(task: Task, example: Example, row: Prediction, system: str) -> ShownAnswer:
    """A system's answer to an example in the form that is shown, the same whatever form the system used, each text clipped."""
    if row["error"] or row["finish_reason"] == "content_filter":
        return ShownAnswer(system, "")
    said = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
    own = said[len(said) - len(task.own_turns(example)) :]
    text = clipped(task.shown_answer(row["text"], row["rationale"], row["answer"]))
    return ShownAnswer(system, text, tuple(map(clipped, own)))


def clipped(text: str) -> str:
    """An answer without white space around it, of the length that is shown."""
    text = text.strip()
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS].rstrip() + CUT_MARK


def _predictions(run: Run, system: str) -> Mapping[str, Prediction]:
    known = [one.name for one in run.recipe.systems]
    if system not in known:
        raise PotstillError(
            f"{run.folder}: no system '{system}'.{did_you_mean(system, known)} There are {', '.join(known)}."
        )
    return {row["id"]: row for row in run.read(artifacts.predictions(system))}


def item_of(task: Task, example: Example, answers: tuple[ShownAnswer, ...]) -> Item:
    """The item of these answers to a test question."""
    identity = [example["id"], *(part for answer in answers for part in (answer.system, answer.whole))]
    return Item(
        id=digest(identity)[:24],
        question=example["id"],
        split=example["split"],
        group=example["group"],
        messages=task.asked(example),
        source=task.source(example),
        gold=None if example["gold"] is None else task.gold_text(example),
        references=task.references(example),
        answers=answers,
    )


def digest(texts: Sequence[str]) -> str:
    """SHA-256 of texts, in hexadecimal."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
