"""Ask the teacher: generated.parquet, and calibration.json where its answers calibrate the task."""

from collections.abc import Iterable, Iterator

from potstill.errors import RecipeError
from potstill.models import Completion, Request, Sampling
from potstill.models.complete import complete_within_budget
from potstill.progress import echo
from potstill.recipe.recipe import Condition, Recipe
from potstill.stages import chats
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.planned import KnownExamples, Planned
from potstill.tasks import Example, Task
from potstill.workspace.artifacts import CALIBRATION, GENERATED, GeneratedRow
from potstill.workspace.run import Run


def generate(recipe: Recipe, run: Run) -> None:
    """Ask the teacher about the training split and write generated.parquet; neither is held in memory as a whole."""
    run.remove(CALIBRATION)
    run.write(GENERATED, _rows(recipe, run))


def planned(recipe: Recipe, known: KnownExamples) -> Iterator[Planned]:
    """The requests of this stage."""
    if not recipe.generates:
        return
    shots = FewShotExamples(recipe, known.rows)
    if recipe.calibrates:
        pairs = requests(recipe, known.rows("validation"), shots, 1)
        yield Planned("generate: validation", recipe.teacher, (request for _, request in pairs))
    task, samples = recipe.task, recipe.generate.samples
    first = (row for row in known.rows("train") if not task.earlier_turns(row))
    more = 0 if known.complete else recipe.data.new_inputs * samples
    yield Planned("generate", recipe.teacher, (request for _, request in requests(recipe, first, shots, samples)), more)
    if task.multi_turn and any(task.earlier_turns(row) for row in known.rows("train")):
        # The data's replies stand for the teacher's; where there are none, the longest that it may give.
        longest = "word " * recipe.generate.max_tokens
        later = (chats.with_stand_in(task, row, longest) for row in known.rows("train") if task.earlier_turns(row))
        pairs = requests(recipe, later, shots, samples)
        yield Planned("generate: later turns", recipe.teacher, (request for _, request in pairs), estimated=True)


def requests(
    recipe: Recipe,
    examples: Iterable[Example],
    shots: FewShotExamples,
    samples: int,
    replies: chats.Replies | None = None,
) -> Iterator[tuple[Example, Request]]:
    """A request to the teacher for each example and sample, with the example.

    Later turns of a chat continue the ``replies``, and are left out where one is missing; without ``replies`` they continue
    those of the data.
    """
    options = recipe.generate
    spec = recipe.prompt_spec(recipe.prompting)
    sampling = Sampling(
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=recipe.generate_seed,
        top_logprobs=options.top_logprobs,
    )
    for row in examples:
        rendered: Example | None = None
        for sample in range(samples):
            shown = row if replies is None else chats.continued(recipe.task, row, sample, replies)
            if shown is None:
                continue
            if shown is not rendered:
                messages = recipe.task.messages(shown, spec, shots(shown, spec.prompting))
                schema = recipe.task.reply_schema(shown, spec)
                rendered = shown
            yield shown, Request(row["id"], messages, sampling, sample, schema)


def logged_completion(example: Example) -> Completion:
    """The answer that an example of a log carries."""
    logged = example["logged"]
    return Completion(
        example["id"],
        0,
        text=logged["text"],
        reasoning=logged["reasoning"],
        finish_reason=logged["finish_reason"],
        prompt_tokens=logged["prompt_tokens"],
        completion_tokens=logged["completion_tokens"],
    )


class _SplitRequests:
    """The requests about one split, made again at each iteration; the few-shot examples are chosen once.

    ``turns`` is the number of turns of the longest chat. Only the replies of chats are held in memory: a turn is requested
    when those before it are in ``replies``.
    """

    def __init__(self, recipe: Recipe, run: Run, split: str) -> None:
        self.recipe, self.run, self.split = recipe, run, split
        self.shots = FewShotExamples(recipe, run.examples)
        self.samples = recipe.generate.samples if split == "train" else 1
        self.turns, self.replies = 1, dict[tuple[str, int], str]()
        if recipe.task.multi_turn:
            self.turns += max((len(recipe.task.earlier_turns(row)) for row in run.examples(split)), default=0)

    def __len__(self) -> int:
        if self.turns == 1:
            return self.run.count_examples(self.split) * self.samples
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Request]:
        return (request for _, request in self.with_examples())

    def with_examples(self) -> Iterator[tuple[Example, Request]]:
        return requests(self.recipe, self.run.examples(self.split), self.shots, self.samples, self.replies)


def _rows(recipe: Recipe, run: Run) -> Iterator[GeneratedRow]:
    if not recipe.condition.asks_teacher:
        return (_gold_row(recipe, example) for example in run.examples("train") if example["gold"] is not None)
    if not recipe.generates:
        task = recipe.task
        return (
            _row(recipe, task, example, (Request(example["id"], task.messages(example)), logged_completion(example)))
            for example in run.examples("train")
        )
    task = _calibrated(recipe, run)
    answered = _ask(recipe, run, "train", "teacher")
    return (_row(recipe, task, example, exchange) for example, exchange in answered)


def _ask(recipe: Recipe, run: Run, split: str, name: str) -> Iterator[tuple[Example, tuple[Request, Completion]]]:
    """The teacher's answers to a split; it is asked about the later turns of a chat when it has answered those before."""
    split_requests = _SplitRequests(recipe, run, split)
    for turn in range(1, split_requests.turns):
        answered = _answers(recipe, run, split_requests, f"{name}, turn {turn} of {split_requests.turns}")
        split_requests.replies |= chats.replies(_row(recipe, recipe.task, *one) for one in answered)
    yield from _answers(recipe, run, split_requests, name)


def _answers(
    recipe: Recipe, run: Run, split_requests: _SplitRequests, name: str
) -> Iterator[tuple[Example, tuple[Request, Completion]]]:
    completions = complete_within_budget(recipe.teacher, split_requests, name, run)
    for (example, request), completion in zip(split_requests.with_examples(), completions, strict=True):
        yield example, (request, completion)


def _calibrated(recipe: Recipe, run: Run) -> Task:
    """The task, calibrated with the teacher's answers to validation examples if it needs that."""
    if not recipe.calibrates:
        return recipe.task
    answered = _ask(recipe, run, "validation", "teacher on validation examples")
    finished = [(example, c.text) for example, (_, c) in answered if c.finish_reason == "stop"]
    task, why = recipe.task.calibrate(finished)
    if why:
        run.write_json(CALIBRATION, {"task": task.model_dump(mode="json"), "why": why})
        echo(f"  {why}")
    return task


def _row(recipe: Recipe, task: Task, example: Example, exchange: tuple[Request, Completion]) -> GeneratedRow:
    request, completion = exchange
    strict = recipe.curate.extraction == "strict"
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
        "model": example["logged"]["model"] if example["logged"] else recipe.teacher.name,
        "key": completion.key.hex(),
        "error": completion.error and completion.error.value,
    }


def _gold_row(recipe: Recipe, example: Example) -> GeneratedRow:
    rationale = ""
    if recipe.condition is Condition.GOLD_RATIONALE:
        rationale = example["rationale"]
        if not rationale:
            raise RecipeError(
                f"The training example {example['id']} has no rationale, which the condition gold-rationale trains on. Name "
                "its column under data.columns.rationale, or choose another condition."
            )
    return GeneratedRow(
        id=example["id"], sample=0, messages=[dict(m) for m in recipe.task.messages(example)], text=example["gold"],
        reasoning="", rationale=rationale, answer=example["gold"], status="ok", rule="gold", finish_reason="stop",
        prompt_tokens=0, cached_tokens=0, completion_tokens=0, reasoning_tokens=0, logprobs="", model="gold", key="",
        error=None,
    )  # fmt: skip
