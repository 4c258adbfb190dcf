"""Ask the teacher: generated.parquet, and settled.json where its answers settle something of the task."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from potstill.errors import RecipeError
from potstill.models import Completion, Request, Sampling
from potstill.models.ask import ask_within
from potstill.progress import say
from potstill.recipe import Condition, Recipe
from potstill.recipe_data import Logs
from potstill.shots import Shots
from potstill.tasks import Column, Task

if TYPE_CHECKING:
    from potstill.run_folder import Run

SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("sample", pa.int64()), ("messages", Column.MESSAGES.arrow), ("text", pa.string()),
        ("reasoning", pa.string()), ("rationale", pa.string()), ("answer", pa.string()), ("status", pa.string()),
        ("rule", pa.string()), ("finish_reason", pa.string()), ("prompt_tokens", pa.int64()),
        ("cached_tokens", pa.int64()), ("completion_tokens", pa.int64()), ("reasoning_tokens", pa.int64()),
        ("logprobs", pa.string()), ("model", pa.string()), ("key", pa.string()), ("error", pa.string()),
    ]
)  # fmt: skip
"""Columns of generated.parquet."""
SETTLED = "settled.json"


def generate(recipe: Recipe, run: "Run") -> None:
    """Ask the teacher about the training split, write generated.parquet. Neither is ever held as a whole."""
    run.remove(SETTLED)
    if not recipe.condition.asks_teacher:
        labelled = (row for row in run.rows("examples.parquet", "train") if row["gold"] is not None)
        rows = (_gold(recipe, row) for row in labelled)
    elif isinstance(recipe.data, Logs):
        rows = (_row(recipe, recipe.task, row, *logged(recipe, row)) for row in run.rows("examples.parquet", "train"))
    else:
        task = _settled(recipe, run)
        requests = Questions(recipe, run, "train")
        rows = (_row(recipe, task, *all_three) for all_three in _asked(recipe, run, requests, "teacher"))
    run.write_pieces("generated.parquet", rows, SCHEMA)


class Questions:
    """What the teacher is asked about a split, made anew whenever it is gone through."""

    def __init__(self, recipe: Recipe, run: "Run", split: str) -> None:
        self.recipe, self.run, self.split = recipe, run, split
        self.shots = Shots(recipe, lambda: run.rows("examples.parquet"))
        self.samples = recipe.generate.samples if split == "train" else 1
        self._length = run.count("examples.parquet", split) * self.samples

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Request]:
        return (request for _, request in self.with_examples())

    def with_examples(self) -> Iterator[tuple[Mapping[str, Any], Request]]:
        """Each request with its example."""
        return questions(self.recipe, self.run.rows("examples.parquet", self.split), self.shots, self.samples)


def questions(
    recipe: Recipe, examples: Iterable[Mapping[str, Any]], shots: Shots, samples: int
) -> Iterator[tuple[Mapping[str, Any], Request]]:
    """A request to the teacher for each example and sample."""
    options = recipe.generate
    how = recipe.ask(recipe.prompting)
    sampling = Sampling(options.max_tokens, options.temperature, options.top_p, recipe.seed, options.top_logprobs)
    for row in examples:
        messages = recipe.task.messages(row, how, shots(row, how.prompting))
        schema = recipe.task.reply_schema(row, how)
        for sample in range(samples):
            yield row, Request(row["id"], messages, sampling, sample, schema)


def _asked(
    recipe: Recipe, run: "Run", requests: Questions, name: str
) -> Iterator[tuple[Mapping[str, Any], Request, Completion]]:
    answers = ask_within(recipe.teacher, requests, name, run.store, run.name_in_store)
    for (example, request), completion in zip(requests.with_examples(), answers, strict=True):
        yield example, request, completion


def settles(recipe: Recipe) -> bool:
    """Whether the teacher is asked about validation examples first, since its answers settle something of the task."""
    return recipe.condition is Condition.COD and recipe.task.unsettled and not isinstance(recipe.data, Logs)


def _settled(recipe: Recipe, run: "Run") -> Task:
    """The task, with what the teacher's answers to validation examples settle of it."""
    if not settles(recipe):
        return recipe.task
    asked = _asked(recipe, run, Questions(recipe, run, "validation"), "teacher on validation examples")
    answered = [(example, answer.text) for example, _, answer in asked if answer.finish_reason == "stop"]
    task, said = recipe.task.settled(answered)
    if said:
        run.write_json(SETTLED, {"task": task.model_dump(mode="json"), "why": said})
        say(f"  {said}")
    return task


def logged(recipe: Recipe, row: Mapping[str, Any]) -> tuple[Request, Completion]:
    """A question and its answer as a log has them."""
    said = row["logged"]
    completion = Completion(
        row["id"], 0, said["text"], said["reasoning"], said["finish_reason"], said["prompt_tokens"],
        completion_tokens=said["completion_tokens"],
    )  # fmt: skip
    return Request(row["id"], recipe.task.messages(row)), completion


def _row(
    recipe: Recipe, task: Task, example: Mapping[str, Any], request: Request, completion: Completion
) -> dict[str, Any]:
    strict = recipe.evaluate.extraction == "strict"
    parsed = task.parse(completion.text, completion.finish_reason, example, strict=strict)
    return {
        "id": request.id,
        "sample": request.sample,
        "messages": [dict(m) for m in request.messages],
        "text": completion.text,
        "reasoning": completion.reasoning,
        "rationale": parsed.rationale,
        "answer": parsed.answer,
        "status": parsed.status.value,
        "rule": parsed.rule,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "cached_tokens": completion.cached_tokens,
        "completion_tokens": completion.completion_tokens,
        "reasoning_tokens": completion.reasoning_tokens,
        "logprobs": completion.logprobs,
        "model": example["logged"]["model"] if example.get("logged") else recipe.teacher.name,
        "key": completion.key.hex(),
        "error": completion.error and completion.error.value,
    }


def _gold(recipe: Recipe, row: Mapping[str, Any]) -> dict[str, Any]:
    messages = [dict(m) for m in recipe.task.messages(row)]
    rationale = ""
    if recipe.condition is Condition.GOLD_RATIONALE:
        rationale = row["rationale"]
        if not rationale:
            raise RecipeError(
                f"The training example {row['id']} has no rationale, which the condition gold-rationale trains on. Name its "
                "column under data.columns.rationale, or choose another condition."
            )
    return dict(
        id=row["id"], sample=0, messages=messages, text=row["gold"], reasoning="", rationale=rationale,
        answer=row["gold"], status="ok", rule="gold", finish_reason="stop", prompt_tokens=0, cached_tokens=0,
        completion_tokens=0, reasoning_tokens=0, logprobs="", model="gold", key="", error=None,
    )  # fmt: skip
