"""Supervised fine-tuning with TRL: student/ and training.json."""

import hashlib
import json
import math
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from potstill.stages.train import checkpoints, choosing, room
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
    jury, options = scoring.of_curation(recipe), recipe.train
    times = len(options.rates) * (options.epochs + bool(options.average))
    return scoring.planned(jury, recipe.task, "train: judge", known.rows("validation"), times)


@dataclass(frozen=True)
class _Trained:
    """What training at one learning rate led to: a checkpoint for each epoch, the mean of the last ones where the recipe wants it,
    and their scores by question."""

    rate: float
    epochs: list[Checkpoint]
    scores: list[list[float]]
    mean: Checkpoint | None
    mean_scores: list[float]
    loss: list[dict[str, float]]
    engine: str

    @property
    def chosen(self) -> int:
        """The chosen epoch, from 1."""
        return choosing.choose_epoch(self.scores)

    @property
    def is_averaged(self) -> bool:
        """Whether the mean is better than the chosen epoch."""
        return self.mean is not None and choosing.choose_epoch([self.mean_scores, self.scores[self.chosen - 1]]) == 1

    @property
    def best(self) -> tuple[Checkpoint, list[float]]:
        """What becomes the student, and its scores."""
        if self.mean and self.is_averaged:
            return self.mean, self.mean_scores
        return self.epochs[self.chosen - 1], self.scores[self.chosen - 1]


def _train(recipe: Recipe, run: Run) -> None:
    from potstill.models.local import weights

    base = recipe.student.model.download()
    rows = [row for row in run.read(CURATED) if row["turns"]]
    work, rates = run.path(CHECKPOINTS), recipe.train.rates
    searched = len(rates) > 1
    if searched:
        choosing.require_enough(sum(example["gold"] is not None for example in run.examples("validation")))
    limits = TokenLimits(recipe)
    tried = [
        _trained(_at_rate(recipe, rate), run, base, rows, work / f"rate-{rate:g}" if searched else work, limits)
        for rate in rates
    ]
    trained = tried[choosing.choose_rate([one.best[1] for one in tried])]
    gradable = recipe.task.gradable
    validation = [choosing.summary(epoch, of_epoch, gradable) for epoch, of_epoch in enumerate(trained.scores, 1)]
    finished = work / "chosen"
    shutil.rmtree(finished, ignore_errors=True)
    merge = trained.best[0].save(finished, rows)
    run.replace_folder(STUDENT, finished)
    dtype = weights.resolve_dtype(recipe.student.dtype)
    search = [{"learning_rate": one.rate, **choosing.summary(one.chosen, one.best[1], gradable)} for one in tried]
    mean = trained.mean and {
        **choosing.summary(trained.chosen, trained.mean_scores, gradable),
        "epochs": list(trained.mean.epochs), "used": trained.is_averaged,
    }  # fmt: skip
    run.write_json(
        TRAINING,
        {
            "rows": len(rows),
            "dtype": dtype,
            "loss": trained.loss,
            "learning_rate": trained.rate,
            "search": search if searched else [],
            "validation": validation,
            "chosen": trained.chosen,
            "average": mean,
            "merge": merge,
            "engine": trained.engine,
        },
    )
    said = choosing.in_words(validation, trained.chosen, gradable)
    said += choosing.average_in_words(mean, gradable) if mean else []
    said += choosing.search_in_words(search, trained.rate, gradable) if searched else []
    for line in [*said, *warnings_about(merge, dtype)]:
        echo(f"  {line}")


def _at_rate(recipe: Recipe, rate: float) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"learning_rate": rate, "search": None})})


def _trained(
    recipe: Recipe, run: Run, base: Path, rows: Sequence[CuratedRow], work: Path, limits: TokenLimits
) -> _Trained:
    """Train, and ask each epoch's checkpoint the validation questions, and the mean of the last ones if the recipe wants it."""
    folders, loss = _fit(recipe, base, rows, work)
    epochs = [Checkpoint(recipe, base, (folder,), (epoch,)) for epoch, folder in enumerate(folders, 1)]
    last = range(len(folders) - recipe.train.average, len(folders))
    mean = Checkpoint(recipe, base, tuple(folders[i] for i in last), tuple(i + 1 for i in last)) if last else None
    scores = choosing.scored_in_all(
        [_validation_scores(recipe, run, one, limits) for one in (*epochs, *([mean] if mean else []))]
    )
    of_mean = scores.pop() if mean else []
    rate = recipe.train.learning_rate or 0.0
    return _Trained(rate, epochs, scores, mean, of_mean, loss, checkpoints.engine(work))


def _fit(
    recipe: Recipe, base: Path, rows: Sequence[CuratedRow], work: Path
) -> tuple[list[Path], list[dict[str, float]]]:
    """Train, from the newest complete checkpoint in ``work`` if there is one.

    Returns a checkpoint for each epoch, and the loss by epoch as often as it was logged. Raises `Interrupted` when
    the user stops it, after a checkpoint is saved.
    """
    both = sum(bool(row["rationale"]) for row in rows) if recipe.trains_jointly else 0
    steps_per_epoch = math.ceil((len(rows) + both) / recipe.train.batch_size)
    steps = recipe.train.epochs * steps_per_epoch
    checkpoints.claim(work, _digest(recipe, base, rows))
    newest = checkpoints.newest(work, steps_per_epoch, verified=True)
    if newest is None or checkpoints.step(newest) < steps:
        room.require(recipe)
        if recipe.train.processes > 1:
            from potstill.stages.train import processes

            processes.fit(recipe, base, rows, work, newest, steps)
        else:
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


def _digest(recipe: Recipe, base: Path, rows: Sequence[CuratedRow]) -> str:
    """SHA-256 of what decides a training: how, of which weights, on which rows."""
    from potstill.models.local import weights

    train = recipe.train.model_dump(mode="json", exclude={"processes", "report_to"})
    texts = [{name: value for name, value in row.items() if name != "id"} for row in rows]
    decides = [train, recipe.condition, recipe.train_seed, weights.sha256(base), texts]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _validation_scores(recipe: Recipe, run: Run, checkpoint: Checkpoint, limits: TokenLimits) -> list[float | None]:
    """A checkpoint's scores on the validation questions with gold, in their order; None where an answer has no score. Of the scorer
    `judge` none without a judge."""
    from potstill.models.local import weights
    from potstill.models.local.model import LocalModel

    task, jury = run.task, scoring.of_curation(recipe)
    if task.judged and jury is None:
        return []
    examples = [example for example in run.examples("validation") if not task.own_turns(example)]
    name = f"validation after {checkpoint.name}"
    identity = weights.identity(checkpoint.base, recipe.student.dtype, recipe.student.chat_template)
    identity |= {"checkpoint": [weights.sha256(folder) for folder in checkpoint.folders]}
    model = LocalModel(checkpoint.as_it_answers, identity, checkpoint.name, batch_size=recipe.student.batch_size)
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
