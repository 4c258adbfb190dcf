"""Judges decide which answers are correct, for a task whose scorer is `judge`: answer by answer, against gold.

A judge errs, and prefers answers like its own (Zheng et al. 2023, arXiv 2306.05685): how far its verdicts can be trusted is
known only once people have labelled some of the answers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from potstill import rubrics
from potstill.labels.items import clipped
from potstill.labels.table import Form, State
from potstill.progress import echo
from potstill.recipe.asked import AskedModel
from potstill.recipe.recipe import Recipe
from potstill.rubrics.rubric import OVERALL
from potstill.stages.judge.asking import ask
from potstill.stages.judge.inquiry import Case, Inquiry
from potstill.stages.planned import Planned
from potstill.tasks import Example, Task
from potstill.workspace.run import Run

Answers = Iterable[tuple[Example, str | None]]
"""Answers, each with its example."""
Verdicts = dict[tuple[str, str], bool | None]
"""By example id and answer, whether the answer is correct; None where no judgement of it could be had."""


@dataclass(frozen=True)
class Jury:
    """Judges that decide together which answers are correct: the majority does; without one the answer has no verdict."""

    models: Sequence[AskedModel]
    max_tokens: int
    seed: int


def of_curation(recipe: Recipe) -> Jury | None:
    """The jury that decides about training rows and epochs, for the scorer `judge`; None where there is none."""
    judge = recipe.curate.judge
    return Jury([judge], judge.max_tokens, recipe.seed) if judge else None


def of_evaluation(recipe: Recipe) -> Jury | None:
    """The jury that decides about test answers, for the scorer `judge`; None for any other scorer."""
    judges = recipe.evaluate.judge if recipe.task.judged else None
    return Jury(judges.models, judges.max_tokens, recipe.judge_seed) if judges else None


def verdicts(jury: Jury | None, run: Run, task: Task, answers: Answers, name: str) -> Verdicts:
    """The jury's verdicts on answers to examples with gold; none without a jury.

    ``name`` labels the progress. Raises `PotstillError` as `complete` does.
    """
    if jury is None:
        return {}
    pairs = {(e["id"], a): (e, a) for e, a in answers if a is not None and e["gold"] is not None}
    inquiry = reference_inquiry(task, jury.seed)
    cases = [_case(task, *pair) for pair in pairs.values()]
    votes: list[list[float]] = [[] for _ in cases]
    for model in jury.models:
        label = f"judge {model.name} of {name}" if len(jury.models) > 1 else f"judge of {name}"
        for of_case, one in zip(votes, ask(model, jury.max_tokens, inquiry, cases, label, run), strict=True):
            if one.state is State.GIVEN and one.reading:
                of_case.append(one.reading.values[OVERALL])
    decided = dict(zip(pairs, map(_majority, votes), strict=True))
    if missing := sum(one is None for one in decided.values()):
        echo(f"  judge of {name}: {missing} of {len(decided)} answers have no verdict")
    return decided


def planned(jury: Jury | None, task: Task, what: str, examples: Iterable[Example], answers: int) -> Iterator[Planned]:
    """The requests to a jury about so many answers to each example, estimated as if each answer were gold."""
    if jury:
        cases = [_case(task, e, e["gold"]) for e in examples if e["gold"] is not None for _ in range(answers)]
        inquiry = reference_inquiry(task, jury.seed)
        for model in jury.models:
            requests = (inquiry.request(str(i), case, jury.max_tokens) for i, case in enumerate(cases))
            yield Planned(what, model, requests, estimated=True)


def reference_inquiry(task: Task, seed: int) -> Inquiry:
    """What is asked about agreement with gold."""
    return Inquiry(Form.REFERENCE, rubrics.load(task.rubric_name), seed, task.correct_means)


def _case(task: Task, example: Example, answer: str) -> Case:
    return Case(task.asked(example), task.source(example), (task.gold_text(example),), (clipped(answer),))


def _majority(votes: Sequence[float]) -> bool | None:
    right = sum(votes)
    return None if 2 * right == len(votes) else 2 * right > len(votes)
