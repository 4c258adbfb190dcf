"""Ask the teacher: generated.parquet."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from potstill import tasks
from potstill.models import Completion, Request, Sampling
from potstill.models.ask import ask
from potstill.models.sources import open_model
from potstill.recipe import Condition, Recipe
from potstill.tasks import Prompting

if TYPE_CHECKING:
    from potstill.run_folder import Run

_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("sample", pa.int64()), ("messages", pa.list_(_MESSAGE)), ("text", pa.string()),
        ("reasoning", pa.string()), ("rationale", pa.string()), ("answer", pa.string()), ("status", pa.string()),
        ("finish_reason", pa.string()), ("prompt_tokens", pa.int64()), ("cached_tokens", pa.int64()),
        ("completion_tokens", pa.int64()), ("reasoning_tokens", pa.int64()), ("logprobs", pa.string()),
        ("model", pa.string()), ("key", pa.string()), ("error", pa.string()),
    ]
)  # fmt: skip
"""Columns of generated.parquet."""


def generate(recipe: Recipe, run: "Run") -> None:
    """Ask the teacher about the training split, write generated.parquet. Neither is ever held as a whole."""
    task = tasks.load(recipe.task)
    if recipe.condition is Condition.GOLD:
        rows = (_gold(task, row) for row in run.rows("examples.parquet", "train"))
    else:
        requests = Questions(recipe, run)
        teacher = open_model(recipe.teacher.model, recipe.teacher.batch_size, run.store)
        answers = ask(teacher, requests, "teacher", run.store, run.name_in_store, recipe.teacher.budget)
        rows = (_row(recipe, task, *both) for both in zip(requests, answers, strict=True))
    run.write_pieces("generated.parquet", rows, SCHEMA)


class Questions:
    """What the teacher is asked about the training split, made anew whenever it is gone through."""

    def __init__(self, recipe: Recipe, run: "Run") -> None:
        self.recipe, self.run = recipe, run
        self._length = run.count("examples.parquet", "train") * recipe.generate.samples

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Request]:
        return questions(self.recipe, self.run.rows("examples.parquet", "train"))


def questions(recipe: Recipe, train: Iterable[Mapping[str, Any]]) -> Iterator[Request]:
    """A request to the teacher for each training example and sample."""
    options = recipe.generate
    task, prompting = tasks.load(recipe.task), Prompting(recipe.prompting)
    sampling = Sampling(options.max_tokens, options.temperature, options.top_p, recipe.seed, options.top_logprobs)
    for row in train:
        messages = task.messages(row, prompting)
        for sample in range(options.samples):
            yield Request(row["id"], messages, sampling, sample)


def _row(recipe: Recipe, task: tasks.Task, request: Request, completion: Completion) -> dict[str, Any]:
    parsed = task.parse(completion.text, completion.finish_reason, strict=recipe.evaluate.extraction == "strict")
    return {
        "id": request.id,
        "sample": request.sample,
        "messages": [dict(m) for m in request.messages],
        "text": completion.text,
        "reasoning": completion.reasoning,
        "rationale": parsed.rationale,
        "answer": parsed.answer,
        "status": parsed.status.value,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "cached_tokens": completion.cached_tokens,
        "completion_tokens": completion.completion_tokens,
        "reasoning_tokens": completion.reasoning_tokens,
        "logprobs": completion.logprobs,
        "model": recipe.teacher.name,
        "key": completion.key.hex(),
        "error": completion.error and completion.error.value,
    }


def _gold(task: tasks.Task, row: dict[str, Any]) -> dict[str, Any]:
    messages = [dict(m) for m in task.messages(row, Prompting.PLAIN)]
    return dict(
        id=row["id"], sample=0, messages=messages, text=row["gold"], reasoning="", rationale="", answer=row["gold"],
        status="ok", finish_reason="stop", prompt_tokens=0, cached_tokens=0, completion_tokens=0, reasoning_tokens=0,
        logprobs="", model="gold", key="", error=None,
    )  # fmt: skip
