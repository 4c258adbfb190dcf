"""The loss of base and student on the teacher's answers to test questions, which training did not see.

The teacher is asked these questions anyway, as it was asked for training data, so that nothing more is requested. Nothing is chosen by this
loss: it is computed when the student is done.
"""

import random
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from potstill import interrupt, stats
from potstill.progress import progress
from potstill.recipe.curating import Filter
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import Role, System
from potstill.stages.curate import WITH_RATIONALE, first_failure, is_correct
from potstill.stages.evaluate.result import HeldOut
from potstill.stages.evaluate.summary import Evaluated
from potstill.tasks import Example
from potstill.workspace.artifacts import Prediction
from potstill.workspace.run import Run

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate
    from potstill.stages.train.rows import Row

MOST_ROWS = 32
"""Answers of each split, drawn by the seed of the data; base and student read each once."""
CHECKS = (Filter.PARSED, Filter.FINISHED, Filter.CORRECT, Filter.TOO_LONG)
"""The checks of `curate.filters` that an answer to a test question can fail."""
Losses = Sequence[tuple[float, int]]
"""The summed loss of each row in nats, and its number of tokens with a label."""


def held_out(
    recipe: Recipe, run: Run, splits: Mapping[str, Sequence[Example]], evaluated: Iterable[Evaluated]
) -> dict[str, HeldOut]:
    """The loss by split; none where base and student do not answer in this process, the teacher was not asked as for training data, or no
    answer of it would be kept."""
    from potstill.models.local import loading

    if not is_wanted(recipe):
        return {}
    teacher = next(one for one in evaluated if _answers_as_in_training(recipe, one.system))
    base = recipe.student.model.download()
    chat = loading.load_chat(base, recipe.student.chat_template)
    answers = {row["id"]: row for row in teacher.rows}
    rows = {split: _rows(recipe, run, chat, examples, answers) for split, examples in splits.items()}
    tokenized = {split: [row for row, _ in of] for split, of in rows.items() if of}
    if not tokenized:
        return {}
    with progress("loss on the teacher's answers", 2 * sum(map(len, tokenized.values()))) as shown:
        before, after = (
            _losses(recipe, folder, tokenized, shown.advance) for folder in (base, run.student_folder)
        )  # fmt: skip
    confidence = recipe.evaluate.confidence
    return {s: compared(before[s], after[s], [group for _, group in rows[s]], confidence) for s in tokenized}


def is_wanted(recipe: Recipe) -> bool:
    """Whether base and student answer in this process, and the teacher is asked as for training data."""
    models = [system.model for system in recipe.systems]
    asked = any(_answers_as_in_training(recipe, system) for system in recipe.systems)
    return asked and Role.BASE in models and Role.STUDENT in models


def compared(base: Losses, student: Losses, groups: Sequence[Hashable], confidence: float) -> HeldOut:
    """Mean losses per token of the same rows, and the difference student - base with its interval, clustered by group.

    A mean per token is a ratio of sums: with r the difference of two of them, d the difference of summed losses of a row and t its tokens, the
    residuals (d - r t) / mean t have the standard error of r (the delta method; Cochran 1977, Sampling Techniques, 6.4).
    """
    tokens = sum(n for _, n in base)
    means = [sum(loss for loss, _ in of) / tokens for of in (base, student)]
    difference = means[1] - means[0]
    residuals = [
        (after - before - difference * n) * len(base) / tokens
        for (before, n), (after, _) in zip(base, student, strict=True)
    ]
    _, low, high = stats.mean_interval(residuals, confidence, groups)
    return HeldOut(
        rows=len(base),
        tokens=tokens,
        base=means[0],
        student=means[1],
        difference=difference,
        low=difference + low if isfinite(low) else None,
        high=difference + high if isfinite(high) else None,
    )


def _answers_as_in_training(recipe: Recipe, system: System) -> bool:
    """Whether a system is the teacher as its answers for training were asked for."""
    if system.model is not Role.TEACHER or not recipe.condition.asks_teacher:
        return False
    return recipe.answered_by_data(system) if recipe.data.has_answers else system.prompting == recipe.prompting


def _rows(
    recipe: Recipe, run: Run, chat: "ChatTemplate", examples: Sequence[Example], answers: Mapping[str, Prediction]
) -> "list[tuple[Row, str]]":
    """At most `MOST_ROWS` answers as rows of training, each with its group: those that curation would keep."""
    from potstill.stages.train.rows import tokenized

    task, options = run.task, recipe.curate
    checks = [check for check in options.filters if check in CHECKS]
    drawn = random.Random(recipe.data_seed).sample(examples, len(examples))
    found: list[tuple[Row, str]] = []
    for example in drawn:
        said = answers[example["id"]]
        read = task.parse(said["text"], said["finish_reason"], example, strict=options.extraction == "strict")
        if said["error"] or read.answer is None or task.own_turns(example):
            continue
        rationale = read.rationale if recipe.condition in WITH_RATIONALE else ""
        completion = task.target_text(rationale, read.answer)
        row = tokenized(chat, {"student_messages": task.messages(example), "completion": completion, "turns": 1})
        labels = {
            Filter.PARSED: read.status.value == "ok",
            Filter.FINISHED: said["finish_reason"] == "stop",
            Filter.CORRECT: is_correct(task, read.answer, example, None),
            Filter.TOO_LONG: len(row["input_ids"]) > recipe.train.max_length,
        }
        if completion and not first_failure(labels, checks):
            found.append((row, example["group"]))
        if len(found) == MOST_ROWS:
            break
    return found


def _losses(
    recipe: Recipe, folder: Path, rows: "Mapping[str, Sequence[Row]]", advance: Callable[[], None]
) -> dict[str, Losses]:
    """The losses of the weights in a folder, in the number format in which they answer."""
    from potstill.models.local import loading
    from potstill.stages.train.student import loss_of_row

    model = loading.load_model(folder, recipe.student.dtype).eval()
    found: dict[str, Losses] = {}
    for split, of in rows.items():
        losses = []
        for row in of:
            interrupt.raise_if_requested()
            losses.append(loss_of_row(model, row))
            advance()
        found[split] = losses
    return found
