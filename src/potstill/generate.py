"""Ask the teacher: generated.parquet."""

from typing import TYPE_CHECKING, Any

from potstill import tasks
from potstill.models import Request, Sampling
from potstill.models.ask import ask, failure, open_model
from potstill.models.store import StoredModel
from potstill.recipe import Condition, Recipe
from potstill.tasks import Prompting

if TYPE_CHECKING:
    from potstill.run_folder import Run


def generate(recipe: Recipe, run: "Run") -> None:
    """Ask the teacher about the training split, write generated.parquet."""
    task = tasks.load(recipe.task)
    train = [row for row in run.read("examples.parquet") if row["split"] == "train"]
    if recipe.condition is Condition.GOLD:
        run.write("generated.parquet", [_gold(task, row) for row in train])
        return
    options = recipe.generate
    sampling = Sampling(options.max_tokens, options.temperature, options.top_p, recipe.seed)
    prompting = Prompting(recipe.prompting)
    requests = [
        Request(row["id"], task.messages(row, prompting), sampling, k) for row in train for k in range(options.samples)
    ]
    teacher = open_model(recipe.teacher.model, recipe.teacher.batch_size)
    answers = ask(StoredModel(teacher, run.store), requests, "teacher")
    if all(answer.error for answer in answers):
        raise failure("teacher", answers, answers[0])
    generated = []
    for request, completion in zip(requests, answers, strict=True):
        parsed = task.parse(completion.text, completion.finish_reason, strict=recipe.evaluate.extraction == "strict")
        generated.append(
            {
                "id": request.id,
                "sample": request.sample,
                "messages": [dict(m) for m in request.messages],
                "text": completion.text,
                "rationale": parsed.rationale,
                "answer": parsed.answer,
                "status": parsed.status.value,
                "finish_reason": completion.finish_reason,
                "prompt_tokens": completion.prompt_tokens,
                "completion_tokens": completion.completion_tokens,
                "model": str(recipe.teacher.model),
                "key": completion.key,
                "error": completion.error and completion.error.value,
            }
        )
    run.write("generated.parquet", generated)


def _gold(task: tasks.Task, row: dict[str, Any]) -> dict[str, Any]:
    messages = [dict(m) for m in task.messages(row, Prompting.PLAIN)]
    return dict(
        id=row["id"], sample=0, messages=messages, text=row["gold"], rationale="", answer=row["gold"], status="ok",
        finish_reason="stop", prompt_tokens=0, completion_tokens=0, model="gold", key="", error=None,
    )  # fmt: skip
