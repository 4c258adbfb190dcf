"""What a recipe will send, and about what that will cost, before anything is spent."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from potstill import data, generate, prices
from potstill.data.synthesize import requests as new_inputs
from potstill.evaluate import questions as test_questions
from potstill.judge import question
from potstill.models import Message, Request
from potstill.models.sources import open_model
from potstill.models.store import LOOKED_UP, batched, keys
from potstill.models.wire import tokens_about
from potstill.recipe import AskedModel, Judge, Recipe, System
from potstill.recipe_data import Logs, Synthesize
from potstill.recipe_models import Endpoint, Served
from potstill.run_folder import Run
from potstill.shots import Shots
from potstill.tasks import Example
from potstill.tasks.custom import Custom

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE = 200
"""Prompts whose tokens are counted for an estimate."""


@dataclass(frozen=True)
class Shown:
    """A prompt as a model sees it."""

    who: str
    id: str
    text: str
    tokens: int
    exact: bool
    """Whether ``tokens`` were counted by the model's own tokenizer, or estimated from characters."""


@dataclass(frozen=True)
class Asked:
    """What one part of a run will ask of the teacher or the judge."""

    what: str
    requests: int
    stored: int
    prompt_tokens: int
    """Of the requests that are not stored."""
    completion_tokens: int
    """Of the same, about: as long as the stored answers of the same kind, or the most they may be."""
    at_most: bool
    """Whether no answer is known yet, so that the limit was taken for each."""
    cost: float | None
    """US dollars, where the recipe has a price."""
    seconds: float | None
    """About, from the latency of the stored answers."""
    guessed: bool
    """Whether some requests are not known yet: inputs that are still to be made, or answers that a judge is to see."""


def preview(recipe: Recipe, n: int) -> Iterator[Shown]:
    """The first ``n`` training questions, as the teacher is asked them and as the student is."""
    rows = list(islice(_train(recipe), n))
    shots = Shots(recipe, lambda: data.examples(recipe))
    teacher, student = _Counter(recipe.teacher.model), _Counter(recipe.student.model)
    for row in rows:
        if recipe.condition.asks_teacher and not isinstance(recipe.data, Logs):
            _, request = next(generate.questions(recipe, [row], shots, 1))
            yield _shown("teacher", row, request.messages, teacher)
        yield _shown("student", row, recipe.task.messages(row), student)


def _train(recipe: Recipe) -> Iterator[dict[str, Any]]:
    return (row for row in data.examples(recipe) if row["split"] == "train")


@dataclass(frozen=True)
class _Part:
    """Requests that a part of a run makes, gone through once."""

    what: str
    of: AskedModel
    requests: Iterable[Request]
    to_come: int = 0
    """So many more, which are not known yet and taken to be like these."""
    guessed: bool = False
    """Whether these are not known either."""


def estimate(run: Run, made: bool) -> list[Asked]:
    """What is to be asked of teacher and judge, if ``made`` of the examples that the run has; otherwise of those that its
    data gives, and of as many new inputs as are asked for. Nothing is asked, brought or written but an empty store, and
    nothing but the test questions held."""
    counters: dict[str, _Counter] = {}
    seen: set[bytes] = set()
    asked = []
    for part in _parts(run, made):
        if part.of.name not in counters:  # which loads a tokenizer
            counters[part.of.name] = _Counter(part.of.model)
        asked.append(_asked(run, part, counters[part.of.name], seen))
    return asked


def _parts(run: Run, made: bool) -> Iterator[_Part]:
    recipe, teacher, judge = run.recipe, run.recipe.teacher, run.recipe.evaluate.judge

    def rows(*splits: str) -> Iterator[dict[str, Any]]:
        if made:
            return run.rows("examples.parquet", *splits)
        return (row for row in data.examples(recipe) if not splits or row["split"] in splits)

    shots = Shots(recipe, rows)
    from_log = isinstance(recipe.data, Logs)
    samples = recipe.generate.samples if recipe.condition.asks_teacher and not from_log else 1
    to_come = 0
    if isinstance(recipe.data, Synthesize):
        seeds = [row for row in rows("train") if not row["origin"]]
        yield _Part("new inputs", teacher, [one for one, _ in new_inputs(recipe.task, recipe.data, seeds, recipe.seed)])
        to_come = 0 if made else recipe.data.n * samples
    if recipe.condition.asks_teacher and not from_log:
        if generate.settles(recipe):
            asked = generate.questions(recipe, rows("validation"), shots, 1)
            yield _Part("generate: validation", teacher, (request for _, request in asked))
        asked = generate.questions(recipe, rows("train"), shots, samples)
        yield _Part("generate", teacher, (request for _, request in asked), to_come)
    test = list(rows(*data.TEST_SPLITS))
    for system in recipe.systems:
        if system.value.startswith("teacher") and not (from_log and system is System.TEACHER_PLAIN):
            yield _Part(f"evaluate: {system.value}", teacher, test_questions(recipe, system, test, shots))
    if judge is not None:
        yield _Part("curate: judge", judge, _judged(recipe, judge, rows("train"), samples), guessed=True)
        yield _Part(
            "train: judge", judge, _judged(recipe, judge, rows("validation"), recipe.train.epochs), guessed=True
        )
        yield _Part("evaluate: judge", judge, _judged(recipe, judge, test, len(recipe.systems)), guessed=True)


def _judged(recipe: Recipe, judge: Judge, rows: Iterable[Example], answers: int) -> Iterator[Request]:
    """What a judge is asked about so many answers to each example, if they were like gold."""
    assert isinstance(recipe.task, Custom)
    for row in rows:
        if row["gold"] is not None:
            yield from [question(judge, recipe.task, row, row["gold"], row["id"])] * answers


def _asked(run: Run, part: _Part, counter: "_Counter", seen: set[bytes]) -> Asked:
    """``seen`` holds the keys of what is asked before: a prompt that stands in two rows is asked once."""
    model = part.of.model
    key = None
    if not isinstance(model, str) or counter.tokenizer is not None:
        key = keys(open_model(model, part.of.batch_size, part.of.dtype, run.store).identity)
    n = limit = repeated = 0
    stored: list[tuple[int, float]] = []
    sample = _Sample()
    for some in batched(part.requests, LOOKED_UP):
        n += len(some)
        limit = some[0].sampling.max_tokens
        asked = [key(request) for request in some] if key else []
        found = {one: got for one, got in run.store.get(asked).items() if got.error is None}
        stored += [(found[one].completion_tokens, found[one].seconds) for one in asked if one in found]
        for i, request in enumerate(some):
            if asked and asked[i] not in found and not part.guessed:
                repeated += asked[i] in seen
                seen.add(asked[i])
            if part.to_come or not asked or asked[i] not in found:
                sample.add(request)
    to_make = n - len(stored) - repeated + part.to_come
    read = _mean(counter.tokens(request.messages) for request in sample.kept) * to_make
    thinking = 0 if isinstance(model, str) else model.thinking_tokens
    written = (_mean(tokens for tokens, _ in stored) if stored else limit + thinking) * to_make
    price = model.charged if isinstance(model, Endpoint) else None
    at_once = 1 if isinstance(model, str) else model.concurrency
    return Asked(
        part.what,
        requests=n - repeated + part.to_come,
        stored=len(stored),
        prompt_tokens=round(read),
        completion_tokens=round(written),
        at_most=not stored or part.to_come > 0,
        cost=price.of(round(read), round(written)) if price else None,
        seconds=_mean(seconds for _, seconds in stored) * to_make / at_once if stored else None,
        guessed=part.guessed or part.to_come > 0,
    )


class _Sample:
    """At least `SAMPLE` requests of a stream, evenly spread, if there are so many; fewer than twice that."""

    def __init__(self) -> None:
        self.kept: list[Request] = []
        self._seen, self._stride = 0, 1

    def add(self, request: Request) -> None:
        if self._seen % self._stride == 0:
            self.kept.append(request)
        self._seen += 1
        if len(self.kept) == 2 * SAMPLE:
            self.kept = self.kept[::2]
            self._stride *= 2


def note_on_prices(recipe: Recipe) -> str:
    """Where the prices come from, if that needs saying."""
    model = recipe.teacher.model
    if not isinstance(model, Endpoint) or model.charged is None:
        return ""
    half = " at half price, in batches" if model.mode == "batch" else ""
    if model.price is None:
        return f"By the prices of {prices.as_of()}{half}; give model.price if they have changed."
    return f"By the recipe's prices{half}." if half else ""


class _Counter:
    """Renders and counts by the model's own tokenizer where it is at hand, by characters elsewhere."""

    def __init__(self, source: str | Endpoint | Served) -> None:
        self.tokenizer: PreTrainedTokenizerBase | None = None
        if isinstance(source, str):
            from potstill.models import loading, weights

            if folder := weights.at_hand(source):
                self.tokenizer = loading.load_tokenizer(folder)

    def render(self, messages: Sequence[Message]) -> str:
        if self.tokenizer is None:
            return "\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
        chat = [dict(message) for message in messages]
        return str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    def tokens(self, messages: Sequence[Message]) -> int:
        if self.tokenizer is None:
            return tokens_about(Request("", messages))
        return len(self.tokenizer(self.render(messages), add_special_tokens=False)["input_ids"])


def _shown(who: str, row: dict[str, Any], messages: Sequence[Message], counter: _Counter) -> Shown:
    return Shown(who, row["id"], counter.render(messages), counter.tokens(messages), counter.tokenizer is not None)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
