"""A model says which answers are right, for a task whose scorer is `judge`: answer by answer, against gold.

A judge errs, and prefers answers like its own (Zheng et al. 2023, arXiv 2306.05685): how far its verdicts can be trusted is
known only once people have labelled some of them.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from potstill.models import Request, Sampling
from potstill.models.ask import ask_within
from potstill.progress import say
from potstill.recipe import Judge, Recipe
from potstill.tasks import Example, Task
from potstill.tasks.custom import Custom

if TYPE_CHECKING:
    from potstill.run_folder import Run

_VERDICT = re.compile(r"\bverdict\s{0,3}\W{0,8}(right|wrong)\b", re.IGNORECASE)


def judged(recipe: Recipe, run: "Run", task: Task, answers: Iterable[tuple[Example, str | None]], name: str) -> Task:
    """The task, ready to score these answers: asks the judge of the recipe about them where the task needs one.

    ``name`` stands before the progress. Raises `PotstillError` as `ask` does.
    """
    judge = recipe.evaluate.judge
    if judge is None or not isinstance(task, Custom):
        return task
    asked: dict[tuple[str, str], Request] = {}
    for example, answer in answers:
        if answer is not None and example["gold"] is not None:
            asked[example["id"], answer] = question(judge, task, example, answer, str(len(asked)))
    judgements = ask_within(judge, list(asked.values()), f"judge of {name}", run.store, run.name_in_store)
    verdicts = {pair: verdict(said.text) for pair, said in zip(asked, judgements, strict=True)}
    if unreadable := sum(one is None for one in verdicts.values()):
        say(
            f"  judge of {name}: {unreadable} of {len(verdicts)} judgements cannot be read; those answers count as wrong"
        )
    return task.with_verdicts(verdicts)


def question(judge: Judge, task: Custom, example: Example, answer: str, id_: str) -> Request:
    """What a judge is asked about an answer to an example with gold."""
    messages = [{"role": "user", "content": task.judge_prompt(example, answer)}]
    return Request(id_, messages, Sampling(judge.max_tokens))


def verdict(judgement: str) -> bool | None:
    """Whether the judge calls an answer right: its last verdict; None where there is none."""
    found = _VERDICT.findall(judgement)
    return found[-1].lower() == "right" if found else None
