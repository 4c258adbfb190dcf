"""What a recipe will send, and about what that will cost, before anything is spent."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from potstill import data, generate, prices
from potstill.data.synthesize import requests as new_inputs
from potstill.evaluate import questions as test_questions
from potstill.models import Message, Request
from potstill.models.sources import open_model
from potstill.models.store import LOOKED_UP, batched, keys
from potstill.models.wire import tokens_about
from potstill.recipe import Recipe, System
from potstill.recipe_data import Logs, Synthesize
from potstill.recipe_models import Endpoint, Served
from potstill.run_folder import Run
from potstill.shots import Shots

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GENERATE = "generate"
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
    """What one part of a run will ask of the teacher."""

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


def estimate(run: Run, made: bool) -> list[Asked]:
    """What is to be asked of the teacher, if ``made`` of the examples that the run has; otherwise of those that its data
    gives, and of as many new inputs as are asked for. Nothing is asked, brought or written but an empty store."""
    recipe = run.recipe
    rows = run.read("examples.parquet") if made else list(data.examples(recipe))
    train = [row for row in rows if row["split"] == "train"]
    test = [row for row in rows if row["split"] in data.TEST_SPLITS]
    parts: list[tuple[str, list[Request]]] = []
    shots = Shots(recipe, lambda: rows)
    to_come = 0
    if isinstance(recipe.data, Synthesize):
        real = [row for row in train if not row["origin"]]
        parts.append(("new inputs", [asked for asked, _ in new_inputs(recipe.task, recipe.data, real, recipe.seed)]))
        to_come = 0 if made else recipe.data.n * recipe.generate.samples
    from_log = isinstance(recipe.data, Logs)
    if recipe.condition.asks_teacher and not from_log:
        if generate.settles(recipe):
            validation = [row for row in rows if row["split"] == "validation"]
            parts.append(("generate: validation", _requests(generate.questions(recipe, validation, shots, 1))))
        parts.append((GENERATE, _requests(generate.questions(recipe, train, shots, recipe.generate.samples))))
    for system in recipe.systems:
        if system.value.startswith("teacher") and not (from_log and system is System.TEACHER_PLAIN):
            parts.append((f"evaluate: {system.value}", test_questions(recipe, system, test, shots)))
    counter = _Counter(recipe.teacher.model)
    return [_asked(run, counter, what, requests, to_come if what == GENERATE else 0) for what, requests in parts]


def _requests(asked: Iterable[tuple[Any, Request]]) -> list[Request]:
    return [request for _, request in asked]


def _asked(run: Run, counter: "_Counter", what: str, requests: Sequence[Request], to_come: int) -> Asked:
    """``to_come``: so many requests more, which are not known yet and taken to be like these."""
    teacher = run.recipe.teacher
    stored: list[Any] = []
    missing = list(requests)
    if not isinstance(teacher.model, str) or counter.tokenizer is not None:
        key = keys(open_model(teacher.model, teacher.batch_size, teacher.dtype, run.store).identity)
        missing = []
        for some in batched(requests, LOOKED_UP):
            asked = [key(request) for request in some]
            found = run.store.get(asked)
            stored += [found[one] for one in asked if one in found and found[one].error is None]
            missing += [r for r, one in zip(some, asked, strict=True) if one not in found or found[one].error]
    sample = (missing or requests)[:: max(1, len(missing or requests) // SAMPLE)]
    to_make = len(missing) + to_come
    read = _mean(counter.tokens(request.messages) for request in sample) * to_make
    thinking = 0 if isinstance(teacher.model, str) else teacher.model.thinking_tokens
    limit = requests[0].sampling.max_tokens + thinking if requests else 0
    written = (_mean(c.completion_tokens for c in stored) if stored else limit) * to_make
    price = teacher.model.charged if isinstance(teacher.model, Endpoint) else None
    at_once = 1 if isinstance(teacher.model, str) else teacher.model.concurrency
    return Asked(
        what,
        requests=len(requests) + to_come,
        stored=len(stored),
        prompt_tokens=round(read),
        completion_tokens=round(written),
        at_most=not stored or to_come > 0,
        cost=price.of(round(read), round(written)) if price else None,
        seconds=_mean(c.seconds for c in stored) * to_make / at_once if stored else None,
    )


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
