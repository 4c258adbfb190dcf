"""What a recipe will request, and approximately at what cost, before anything is spent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from potstill.data.examples import examples
from potstill.models import Request
from potstill.models.opening import open_model
from potstill.models.store.store import KEYS_PER_LOOKUP, batched, candidate_keys, key_function
from potstill.pipeline.pipeline import plan
from potstill.pipeline.rendering import Renderer
from potstill.pipeline.stages import STAGES
from potstill.stages.planned import KnownExamples, Planned
from potstill.workspace.run import Run

SAMPLE_SIZE = 200
"""Prompts whose tokens are counted for an estimate."""


@dataclass(frozen=True)
class Estimate:
    """What one part of a run will request from the teacher or the judge.

    Attributes:
        what: the part, and the stage that it belongs to.
        requests: number of requests, without repeated prompts.
        stored: number of those whose answers are stored.
        prompt_tokens: tokens of the prompts that are not stored.
        completion_tokens: estimate for the same requests, from the length of the stored answers of this part.
        at_most: whether no answer is stored yet, so that each is assumed to be as long as its limit.
        cost: US dollars; None where no price is known.
        seconds: estimate from the latency of the stored answers; None where there is none.
        estimated: whether some requests are not known yet: new inputs, or answers that a judge is to see.
    """

    what: str
    requests: int
    stored: int
    prompt_tokens: int
    completion_tokens: int
    at_most: bool
    cost: float | None
    seconds: float | None
    estimated: bool


def estimate(run: Run) -> list[Estimate]:
    """What the run will request from teacher and judge.

    Nothing is requested, and nothing written except an empty store. Examples are those of the run if they are up to date;
    otherwise those of its data, and as many new inputs as are asked for. Only test questions are held in memory.
    """
    up_to_date = not next(stage for stage in plan(run) if stage.stage == "data").stale
    known = KnownExamples(run.examples if up_to_date else _rows_of_data(run), complete=up_to_date)
    renderers: dict[str, Renderer] = {}
    seen: set[bytes] = set()
    estimates = []
    for planned in (planned for stage in STAGES for planned in stage.planned(run.recipe, known)):
        name = planned.model.name
        if name not in renderers:  # which loads a tokenizer
            renderers[name] = Renderer(planned.model)
        estimates.append(_estimate(run, planned, renderers[name], seen))
    return estimates


def _rows_of_data(run: Run) -> Any:
    def rows(*splits: str) -> Iterator[dict[str, Any]]:
        return (row for row in examples(run.recipe) if not splits or row["split"] in splits)

    return rows


def _estimate(run: Run, planned: Planned, renderer: Renderer, seen: set[bytes]) -> Estimate:
    """``seen`` holds the keys of earlier requests: a prompt that occurs in two rows is sent once."""
    model = planned.model.model
    counted = _Count(planned, seen)
    counted.run(run)
    to_request = counted.requests - len(counted.stored) - counted.repeated + planned.more
    prompt_tokens = _mean(renderer.count_tokens(request.messages) for request in counted.sample.requests) * to_request
    longest = counted.max_tokens + model.thinking_tokens
    completion_tokens = (_mean(tokens for tokens, _ in counted.stored) if counted.stored else longest) * to_request
    price = model.charged
    seconds = _mean(seconds for _, seconds in counted.stored) * to_request / model.concurrency
    return Estimate(
        planned.what,
        requests=counted.requests - counted.repeated + planned.more,
        stored=len(counted.stored),
        prompt_tokens=round(prompt_tokens),
        completion_tokens=round(completion_tokens),
        at_most=not counted.stored or planned.more > 0,
        cost=price.cost(round(prompt_tokens), round(completion_tokens)) if price else None,
        seconds=seconds if counted.stored else None,
        estimated=planned.estimated or planned.more > 0,
    )


class _Count:
    """Counts planned requests, those stored, and those repeated, in one pass."""

    def __init__(self, planned: Planned, seen: set[bytes]) -> None:
        self.planned, self.seen = planned, seen
        self.requests = self.max_tokens = self.repeated = 0
        self.stored: list[tuple[int, float]] = []
        """Tokens and seconds of stored answers."""
        self.sample = _Sample()

    def run(self, run: Run) -> None:
        section = self.planned.model
        key, left_out = None, tuple[str, ...]()
        if section.model.is_downloaded():
            how = (section.batch_size, section.dtype, run.store, section.chat_template)
            model = open_model(section.model, *how)
            key, left_out = key_function(model.identity), run.store.left_out(model.address)
        for some in batched(self.planned.requests, KEYS_PER_LOOKUP):
            self.requests += len(some)
            self.max_tokens = some[0].sampling.max_tokens
            candidates = [candidate_keys(key, request, left_out) for request in some] if key else []
            answers = run.store.get([one for keys in candidates for one in keys])
            found = {
                keys[0]: answers[one]
                for keys in candidates
                for one in reversed(keys)
                if one in answers and not answers[one].error
            }
            keys = [keys[0] for keys in candidates]
            self.stored += [(found[one].completion_tokens, found[one].seconds) for one in keys if one in found]
            for i, request in enumerate(some):
                is_stored = bool(keys) and keys[i] in found
                if keys and not is_stored and not self.planned.estimated:
                    self.repeated += keys[i] in self.seen
                    self.seen.add(keys[i])
                if self.planned.more or not is_stored:
                    self.sample.add(request)


class _Sample:
    """At least `SAMPLE_SIZE` requests of a stream, evenly spaced, if it has so many; fewer than twice that."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._seen, self._stride = 0, 1

    def add(self, request: Request) -> None:
        if self._seen % self._stride == 0:
            self.requests.append(request)
        self._seen += 1
        if len(self.requests) == 2 * SAMPLE_SIZE:
            self.requests = self.requests[::2]
            self._stride *= 2


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
