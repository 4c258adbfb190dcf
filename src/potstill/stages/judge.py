"""A model decides which answers are correct, for a task whose scorer is `judge`: answer by answer, against gold.

A judge errs, and prefers answers like its own (Zheng et al. 2023, arXiv 2306.05685): how far its verdicts can be trusted is
known only once people have labelled some of the answers.
"""

import re
from collections.abc import Iterable, Iterator

from potstill.models import Request, Sampling
from potstill.models.complete import complete_within_budget
from potstill.progress import echo
from potstill.recipe.asked import Judge
from potstill.recipe.recipe import Recipe
from potstill.stages.planned import Planned
from potstill.tasks import Example, Task
from potstill.workspace.run import Run

_VERDICT = re.compile(r"\bverdict\s{0,3}\W{0,8}(right|wrong)\b", re.IGNORECASE)


Answers = Iterable[tuple[Example, str | None]]
"""Answers, each with its example."""


def judged(recipe: Recipe, run: Run, task: Task, answers: Answers, name: str) -> Task:
    """The task, ready to score some answers: the recipe's judge is asked about them if the task needs one.

    ``name`` labels the progress. Raises `PotstillError` as `complete` does.
    """
    judge = recipe.evaluate.judge
    if judge is None:
        return task
    requests: dict[tuple[str, str], Request] = {}
    for example, answer in answers:
        if answer is not None and example["gold"] is not None:
            requests[example["id"], answer] = request(judge, task, example, answer, str(len(requests)))
    progress = f"judge of {name}"
    judgements = complete_within_budget(judge, list(requests.values()), progress, run)
    verdicts = {pair: verdict(judgement.text) for pair, judgement in zip(requests, judgements, strict=True)}
    if unreadable := sum(one is None for one in verdicts.values()):
        echo(
            f"  {progress}: {unreadable} of {len(verdicts)} judgements are unreadable; those answers count as incorrect"
        )
    return task.with_verdicts(verdicts)


def planned(recipe: Recipe, what: str, examples: Iterable[Example], answers: int) -> Iterator[Planned]:
    """The requests to the judge about so many answers to each example, estimated as if each answer were gold."""
    judge = recipe.evaluate.judge
    if judge is not None:
        with_gold = (example for example in examples if example["gold"] is not None)
        requests = (
            request(judge, recipe.task, example, example["gold"], example["id"])
            for example in with_gold
            for _ in range(answers)
        )
        yield Planned(what, judge, requests, estimated=True)


def request(judge: Judge, task: Task, example: Example, answer: str, id_: str) -> Request:
    """What the judge is asked about an answer to an example with gold."""
    messages = [{"role": "user", "content": task.judge_prompt(example, answer)}]
    return Request(id_, messages, Sampling(judge.max_tokens))


def verdict(judgement: str) -> bool | None:
    """Whether the judge calls an answer correct: its last verdict; None where there is none."""
    found = _VERDICT.findall(judgement)
    return found[-1].lower() == "right" if found else None
