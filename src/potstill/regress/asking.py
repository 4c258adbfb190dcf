"""Ask student and base the shipped prompts, and score the shipped texts. Everything is stored, so that nothing is asked twice."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from potstill.models import Completion, Model, Request
from potstill.models.complete import Billing, complete
from potstill.models.local.scoring import ScoringModel, scored, scoring_model
from potstill.models.opening import open_folder
from potstill.regress.shipped import Kind, kinds, texts
from potstill.stages.evaluate.asking import KINDS, Answer
from potstill.stages.evaluate.stage import prediction
from potstill.tasks import Example
from potstill.workspace.artifacts import STUDENT, Prediction
from potstill.workspace.run import Run

BASE = "base"


@dataclass(frozen=True)
class Answers:
    """Of a model its answers, by kind, and the mean log-probability of a token of each shipped text; None where the
    model's context is too short for it."""

    rows: dict[str, list[Prediction]]
    likelihoods: list[float | None]


def student(run: Run) -> Answers:
    """Ask the student. Raises `PotstillError` as `potstill.models.complete.complete` does."""
    recipe = run.recipe.student
    model = open_folder(run.student_folder, STUDENT, recipe.batch_size, recipe.dtype)
    return _asked(run, model, scoring_model(run.student_folder, STUDENT, recipe.dtype), STUDENT)


def base(run: Run) -> Answers:
    """Ask the model that the student was before training; its weights are downloaded where they are missing."""
    recipe = run.recipe.student
    folder = recipe.model.download()
    model = open_folder(folder, str(recipe.model), recipe.batch_size, recipe.dtype, recipe.chat_template)
    return _asked(run, model, scoring_model(folder, str(recipe.model), recipe.dtype, recipe.chat_template), BASE)


def _asked(run: Run, model: Model, scoring: ScoringModel, name: str) -> Answers:
    billing = Billing(run.store, run.id)
    numbered = [(kind, number) for kind, of in kinds().items() for number in range(len(of.prompts))]
    sent = [kinds()[kind].request(kind, number) for kind, number in numbered]
    completions = list(complete(model, sent, f"{name}: general prompts", billing))
    rows: dict[str, list[Prediction]] = {kind: [] for kind in kinds()}
    for (kind, number), request, completion in zip(numbered, sent, completions, strict=True):
        of = kinds()[kind]
        rows[kind].append(prediction(of.task, "lenient", *_read(of, of.example(kind, number), request, completion)))
    return Answers(rows, list(_likelihoods(complete(scoring, _texts(), f"{name}: general texts", billing))))


def _read(kind: Kind, example: Example, request: Request, completion: Completion) -> tuple[Example, Answer]:
    end = kind.read_as(completion.finish_reason)
    parsed = {one: kind.task.parse(completion.text, end, example, strict=one == "strict") for one in KINDS}
    return example, Answer(request, completion, parsed)


def _texts() -> Sequence[Request]:
    return [scored(f"text-{i}", [{"role": "user", "content": one.ask}], one.text) for i, one in enumerate(texts())]


def _likelihoods(completions: Iterable[Completion]) -> Iterator[float | None]:
    for completion in completions:
        values = [value for ((_, value),) in json.loads(completion.logprobs or "[]")]
        yield fmean(values) if values else None
