"""Supervised fine-tuning with TRL: student/ and training.json."""

import math
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import Request, Sampling
from potstill.models.complete import Billing, complete
from potstill.progress import echo
from potstill.recipe.recipe import Recipe
from potstill.stages.judge import scoring
from potstill.stages.limits import TokenLimits, replace_truncated
from potstill.stages.planned import KnownExamples, Planned
from potstill.stages.train import checkpoints, choosing
from potstill.stages.train.student import Checkpoint, warnings_about
from potstill.tasks import Example, Parsed, Prompting
from potstill.workspace.artifacts import CHECKPOINTS, CURATED, STUDENT, TRAINING, CuratedRow
from potstill.workspace.run import Run


def train(recipe: Recipe, run: Run) -> None:
    """Train on the kept rows, choose the checkpoint by the score on validation questions, write student/."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of libraries about each other
        _train(recipe, run)


def planned(recipe: Recipe, known: KnownExamples) -> Iterator[Planned]:
    """The requests to a judge about the answers of each epoch's checkpoint to validation questions."""
    jury = scoring.of_curation(recipe)
    return scoring.planned(jury, recipe.task, "train: judge", known.rows("validation"), recipe.train.epochs)


def _train(recipe: Recipe, run: Run) -> None:
    from potstill.models.local import weights

    base = recipe.student.model.download()
    rows = [row for row in run.read(CURATED) if row["turns"]]
    work = run.path(CHECKPOINTS)
    epochs, loss = _fit(recipe, base, rows, work)
    limits = TokenLimits(recipe)
    scores = choosing.scored_in_all(
        [
            _validation_scores(recipe, run, Checkpoint(recipe, base, folder), f"validation after epoch {epoch}", limits)
            for epoch, folder in enumerate(epochs, 1)
        ]
    )
    chosen = choosing.choose_epoch(scores)
    gradable = recipe.task.gradable
    validation = [choosing.summary(epoch, of_epoch, gradable) for epoch, of_epoch in enumerate(scores, 1)]
    finished = work / "chosen"
    shutil.rmtree(finished, ignore_errors=True)
    merge = Checkpoint(recipe, base, epochs[chosen - 1]).save(finished, rows)
    run.replace_folder(STUDENT, finished)
    dtype = weights.resolve_dtype(recipe.student.dtype)
    run.write_json(
        TRAINING,
        {
            "rows": len(rows),
            "dtype": dtype,
            "loss": loss,
            "validation": validation,
            "chosen": chosen,
            "merge": merge,
            "engine": checkpoints.engine(work),
        },
    )
    for line in [*choosing.in_words(validation, chosen, gradable), *warnings_about(merge, dtype)]:
        echo(f"  {line}")


def _fit(
    recipe: Recipe, base: Path, rows: Sequence[CuratedRow], work: Path
) -> tuple[list[Path], list[dict[str, float]]]:
    """Train, from the newest complete checkpoint in ``work`` if there is one.

    Returns a checkpoint for each epoch, and the loss by epoch as often as it was logged. Raises `Interrupted` when
    the user stops it, after a checkpoint is saved.
    """
    steps_per_epoch = math.ceil(len(rows) / recipe.train.batch_size)
    steps = recipe.train.epochs * steps_per_epoch
    newest = checkpoints.newest(work, steps_per_epoch)
    if newest is None or checkpoints.step(newest) < steps:
        from potstill.stages.train import trainer

        trainer.fit(recipe, base, rows, trainer.Position(work, newest, steps))
        newest = checkpoints.newest(work, steps_per_epoch)
    if newest is None or checkpoints.step(newest) < steps:
        done = checkpoints.step(newest) if newest else 0
        if not interrupt.stop_requested():
            raise PotstillError(f"training ended after {done} of {steps} steps; --debug and {work} may show why.")
        raise interrupt.Interrupted(
            f"training: interrupted after {done} of {steps} steps; rerun the same command to resume from there."
        )
    epochs = [work / f"checkpoint-{epoch * steps_per_epoch}" for epoch in range(1, recipe.train.epochs + 1)]
    return epochs, checkpoints.losses(newest)


def _validation_scores(
    recipe: Recipe, run: Run, checkpoint: Checkpoint, name: str, limits: TokenLimits
) -> list[float | None]:
    """A checkpoint's scores on the validation questions with gold, in their order; None where an answer has no score. Of the scorer
    `judge` none without a judge."""
    from potstill.models.local import weights
    from potstill.models.local.model import LocalModel

    task, jury = run.task, scoring.of_curation(recipe)
    if task.judged and jury is None:
        return []
    examples = [example for example in run.examples("validation") if not task.own_turns(example)]
    identity = weights.identity(checkpoint.base, recipe.student.dtype, recipe.student.chat_template)
    identity |= {"checkpoint": weights.sha256(checkpoint.folder)}
    model = LocalModel(checkpoint.as_it_answers, identity, str(checkpoint.folder), batch_size=recipe.student.batch_size)
    strict = recipe.evaluate.extraction == "strict"

    def ask(questions: Sequence[Example]) -> list[Parsed]:
        sampling = Sampling(limits(Prompting.PLAIN))
        requests = [Request(example["id"], task.messages(example), sampling) for example in questions]
        completions = complete(model, requests, name, Billing(run.store, run.id))
        return [
            task.parse(completion.text, completion.finish_reason, example, strict=strict)
            for example, completion in zip(questions, completions, strict=True)
        ]

    read = ask(examples)
    if limits.is_too_low(Prompting.PLAIN, read):
        limits.double(Prompting.PLAIN)
        replace_truncated(read, lambda parsed: parsed, lambda again: ask([examples[i] for i in again]))
    answers = [parsed.answer for parsed in read]
    pairs = list(zip(examples, answers, strict=True))
    task = task.with_verdicts(scoring.verdicts(jury, run, task, pairs, name))
    return [task.main_score(answer, example) for example, answer in pairs if example["gold"] is not None]
