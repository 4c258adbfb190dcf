"""Measure the systems of a run, one phase after another, and write measured.json."""

import asyncio
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from potstill import interrupt, processor
from potstill.errors import PotstillError, RecipeError
from potstill.measure import memory, raw
from potstill.measure.load import Loaded, Timed, load
from potstill.measure.places import Place, place_of
from potstill.measure.result import Cache, Measured
from potstill.measure.sides import Side, sides, split_of
from potstill.measure.summary import summary
from potstill.measure.targets import warm_up
from potstill.models.prices import Price
from potstill.progress import echo, progress
from potstill.workspace.artifacts import EXAMPLES, MEASURED, RECIPE
from potstill.workspace.digests import Part
from potstill.workspace.run import Run

PER_PLACE = 4
"""Questions for each request in flight, at least, where there are so many: fewer would measure how a phase begins and ends."""
SAVE_SECONDS = 1.0
MOST_FAILED = 0.5
"""Fraction of failed answers from which a phase says nothing."""


@dataclass(frozen=True)
class Options:
    """What is measured. form: that of local weights, as `potstill export` names it. machine_price: dollars an hour of this machine; None where
    it is not known. max_cost: dollars that endpoints may cost; None for no limit."""

    form: str
    concurrency: tuple[int, ...] = (1, 4, 16)
    questions: int = 30
    machine_price: float | None = None
    max_cost: float | None = None

    def asked(self, concurrency: int) -> int:
        """The number of questions of a phase."""
        return max(self.questions, PER_PLACE * concurrency)


@dataclass(frozen=True)
class Planned:
    """What one system will be asked of what is not measured yet. cost: dollars, estimated by the tokens of the verdict's answers, or the limits
    on new tokens; None for what has no price."""

    system: str
    where: str
    requests: int
    cost: float | None


def prepare(run: Run, options: Options) -> list[Side]:
    """What is asked. Raises `RecipeError` for a run that cannot be measured."""
    if not options.concurrency or min(options.concurrency) < 1:
        raise RecipeError("--concurrency: a list of numbers of at least 1, as in 1,4,16.")
    most = max(options.concurrency)
    return sides(run, split_of(run), options.asked(most), most)


def plan(run: Run, options: Options, asked: Sequence[Side], placed: Callable[[Side], Place]) -> list[Planned]:
    """What is left to measure. Requests nothing."""
    return [_planned(run, options, side, placed(side)) for side in asked]


def measure(run: Run, options: Options, asked: Sequence[Side], placed: Callable[[Side], Place]) -> Measured:
    """Measure what is not measured yet. A measurement that is interrupted resumes with the questions that are left.

    Raises `RecipeError` for a limit on costs that are not known, `PotstillError` where a server does not start, fails, or would cost more than
    ``max_cost``; `Interrupted`.
    """
    purse = Purse(options.max_cost)
    for side in asked:
        place = placed(side)
        if place.remote and place.price is None and options.max_cost is not None:
            raise RecipeError(
                f"--max-cost needs the price of {side.name}: set teacher.model.price in {run.path(RECIPE)}."
            )
        place.prepare()  # which may lock the run
    with run.locked():
        measured = {}
        for side in asked:
            place = placed(side)
            found = raw.read(run, side.name, _key(run, side, place))
            purse.begin(place.price, _cost_per_answer(place.price, side), found.answers)
            for concurrency in options.concurrency:
                for cache in place.caches:
                    phase = _Phase(run, side, place, concurrency, cache, options.asked(concurrency))
                    asyncio.run(phase.carry_out(found, purse))
            measured[side.name] = side, place, found
        result = summary(run, measured, options.machine_price, _hardware())
        run.write_json(MEASURED, result)
        run.log("measured", systems=list(measured))
    return result


@dataclass(frozen=True)
class _Phase:
    """The questions of one system, at one concurrency, with the cache in one state, on a server of its own."""

    run: Run
    side: Side
    place: Place
    concurrency: int
    cache: Cache
    n: int

    @property
    def name(self) -> str:
        state = "" if self.place.remote else f", {self.cache} cache"
        return f"{self.side.name}, {self.concurrency} at once{state}"

    async def carry_out(self, found: raw.Raw, purse: "Purse") -> None:
        """Ask what is left to ask, and save the answers; those that were paid for every second. Raises `PotstillError`."""
        interrupt.raise_if_requested()
        left = found.left(self.concurrency, self.cache, self.side.questions[: self.n])
        if not left:
            return
        answers: list[Timed] = []
        async with self.place.running(self.side, self.concurrency, self.cache) as target:
            if self.cache == "warm":
                await warm_up(target, self.side.warm_up[: self.concurrency])
            began = saved = time.monotonic()
            with progress(self.name, len(left), "answers") as bar:

                def ended(timed: Timed) -> None:
                    nonlocal saved
                    answers.append(timed)
                    purse.add(timed)
                    bar.advance(tokens=timed.counted.completion_tokens, cost=purse.cost_of(timed))
                    if self.place.price and time.monotonic() > saved + SAVE_SECONDS:
                        saved = time.monotonic()
                        self._save(found, Loaded(answers, saved - began), None)

                loaded = await load(target, left, self.concurrency, purse.allows, ended)
            used = None if self.place.remote else memory.of_children()
        failed = [one.counted.error for one in loaded.answers if one.counted.error]
        if failed:
            echo(f"  {self.name}: {len(failed)} of {len(loaded.answers)} requests failed: {failed[0]}")
        if too_many := len(failed) > MOST_FAILED * len(loaded.answers):
            loaded = Loaded([one for one in loaded.answers if not one.counted.error], loaded.seconds)
        found.phases[:] = self._save(found, loaded, used)
        if too_many:
            raise PotstillError(
                f"{self.name}: most requests failed ({failed[0]}). What was answered is saved; rerun the same command to resume."
            )
        interrupt.raise_if_requested()
        purse.require()

    def _save(self, found: raw.Raw, loaded: Loaded, used: int | None) -> list[raw.RawPhase]:
        """Write the answers so far beside those from before, and return all phases."""
        together = raw.Raw(found.key, list(found.phases))
        together.add(self.concurrency, self.cache, loaded, used)
        raw.write(self.run, self.side.name, together)
        return together.phases


class Purse:
    """What endpoints may cost, and what they have cost, those answers included that an earlier command paid for."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.price: Price | None = None
        self.spent = self.expected = 0.0
        self.over = False

    def begin(self, price: Price | None, expected: float, paid: Sequence[Timed]) -> None:
        """Start another system: ``expected`` is what an answer costs, and ``paid`` are those of an earlier command."""
        self.price, self.expected = price, expected
        for timed in paid:
            self.add(timed)

    def cost_of(self, timed: Timed) -> float:
        counted = timed.counted
        return (
            self.price.cost(counted.prompt_tokens, counted.completion_tokens, counted.cached_tokens)
            if self.price
            else 0.0
        )

    def add(self, timed: Timed) -> None:
        self.spent += self.cost_of(timed)

    def allows(self, in_flight: int) -> bool:
        """Whether another request may be sent: those in flight and it are taken to cost what is expected of an answer."""
        self.over = (
            bool(self.price) and self.limit is not None and self.spent + (in_flight + 1) * self.expected > self.limit
        )
        return not self.over

    def require(self) -> None:
        if self.over:
            raise PotstillError(
                f"--max-cost {self.limit:g} is reached (${self.spent:.4f}). What was answered is saved; raise it, and rerun the same command to resume."
            )


def _planned(run: Run, options: Options, side: Side, place: Place) -> Planned:
    found = raw.read(run, side.name, _key(run, side, place))
    requests = sum(
        len(found.left(c, cache, side.questions[: options.asked(c)]))
        for c in options.concurrency
        for cache in place.caches
    )
    where = "endpoint" if place.remote else f"{place.engine}, {place.form}"
    return Planned(side.name, where, requests, requests * _cost_per_answer(place.price, side) if place.price else None)


def _cost_per_answer(price: Price | None, side: Side) -> float:
    """Dollars: by the tokens of the verdict's answers, or by characters of the prompts and the limit on new tokens."""
    if price is None:
        return 0.0
    prompt, completion = side.expected_tokens
    if not completion:
        characters = sum(len(message["content"]) for one in side.questions for message in one.messages)
        prompt, completion = characters / CHARACTERS_PER_TOKEN / len(side.questions), side.questions[0].max_tokens
    return price.cost(round(prompt), round(completion))


CHARACTERS_PER_TOKEN = 3.0
"""Fewer than usual, so that an estimate is rather too high."""


def _key(run: Run, side: Side, place: Place) -> dict[str, object]:
    """What decides a system's numbers, besides the machine's other work: its server, the questions and how they are asked."""
    first = side.questions[0]
    asked = json.dumps([first.id, first.max_tokens, *map(dict, first.messages)], sort_keys=True)
    return {
        "place": dict(place.identity),
        "examples": run.digest(Part(EXAMPLES, splits=(split_of(run),))),
        "first": hashlib.sha256(asked.encode()).hexdigest(),
        "machine": platform.node(),
    }


def _hardware() -> dict[str, object]:
    return {"machine": platform.platform(), "cores": processor.cores(), "memory": _memory()}


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def placing(run: Run, form: str) -> Callable[[Side], Place]:
    """Finds the place of each side, once."""
    found: dict[str, Place] = {}

    def placed(side: Side) -> Place:
        if side.name not in found:
            found[side.name] = place_of(run, side, form)
        return found[side.name]

    return placed
