"""What the answers of all systems show: measured.json, by pure functions of what is on disk."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from potstill.measure import words
from potstill.measure.estimates import calls_until_paid, front, mean, ratio, saved_per_call, times
from potstill.measure.load import Timed
from potstill.measure.places import Place
from potstill.measure.raw import Raw, RawPhase
from potstill.measure.result import About, Against, Estimated, Measured, Payback, Phase, SystemMeasured, Unit
from potstill.measure.sides import Side
from potstill.models.prices import Price
from potstill.recipe.systems import STUDENT, Role
from potstill.workspace.artifacts import GENERATED, predictions
from potstill.workspace.run import Run

HOUR = 3600.0
THOUSAND = 1000.0

Systems = Mapping[str, tuple[Side, Place, Raw]]
Costs = Callable[[RawPhase], Mapping[str, float] | None]
"""What each answer of a phase cost, by question; None where that is not known."""


def summary(run: Run, systems: Systems, machine_price: float | None, hardware: dict[str, Any]) -> Measured:
    """All results of the systems, of which one is the student."""
    evaluation = run.evaluation
    confidence = run.recipe.evaluate.confidence
    split = next(iter(evaluation["splits"]))
    values = evaluation["splits"][split]
    student, _, raw = systems[STUDENT]
    concurrency = sorted({phase.concurrency for phase in raw.phases})
    dollars = {name: dollars_of(place, machine_price) for name, (_, place, _) in systems.items()}
    measured = {
        name: SystemMeasured(
            role=side.system.role.value,
            prompting=side.system.prompting.value,
            engine=place.engine,
            form=place.form,
            remote=place.remote,
            quality=_quality(values, name),
            phases=[_phase(one, dollars[name], place.remote, confidence) for one in _ordered(found)],
        )
        for name, (side, place, found) in systems.items()
    }
    teachers = [name for name in systems if name != STUDENT]
    against = [_against(name, systems, dollars, confidence) for name in teachers]
    payback = [one for name in teachers if (one := _payback(run, name, systems, dollars, machine_price, confidence))]
    about = About(
        student=str(raw.key["place"].get("weights", "")),
        split=split,
        measure=values["measure"] if values["decided"] else "",
        questions=len(student.questions),
        groups=len({one.group for one in student.questions}),
        confidence=confidence,
        concurrency=concurrency,
        machine_price=machine_price,
        hardware=hardware,
    )
    unit = _cost_unit(measured)
    points = {name: at for name, one in measured.items() if unit and (at := quality_and_cost(one, unit))}
    verdict = words.verdict(about, measured, against, payback, evaluation["verdict"]["lines"][0])
    return Measured(
        about=about,
        systems=measured,
        against=against,
        payback=payback,
        cost_unit=unit,
        front=front(points),
        verdict=verdict,
    )


def dollars_of(place: Place, machine_price: float | None) -> Costs:
    """How to find what the answers of a system cost: by its tokens at an endpoint, by its share of the machine's time elsewhere."""
    if place.remote:
        return lambda phase: by_tokens(phase, place.price)
    if machine_price is None:
        return lambda phase: None
    return lambda phase: {id_: s * machine_price / HOUR for id_, s in machine_seconds(phase).items()}


def by_tokens(phase: RawPhase, price: Price | None) -> Mapping[str, float] | None:
    """Dollars for each answer, by its tokens."""
    if price is None:
        return None
    return {
        one.id: price.cost(one.counted.prompt_tokens, one.counted.completion_tokens, one.counted.cached_tokens)
        for one in phase.good
    }


def machine_seconds(phase: RawPhase) -> dict[str, float]:
    """The machine's seconds for each answer: the phase's time, divided among its answers by their latencies, since answers that are in flight
    together share the machine."""
    total = sum(one.latency for one in phase.good)
    return {one.id: phase.seconds * one.latency / total for one in phase.good} if total else {}


def headline(raw: Raw) -> RawPhase:
    """The phase whose costs count: the largest concurrency, with a warm cache where there is one, as in use."""
    return max(raw.phases, key=lambda phase: (phase.concurrency, phase.cache == "warm"))


def alone(raw: Raw) -> RawPhase:
    """The phase whose times count: the smallest concurrency, with a warm cache where there is one."""
    return max(raw.phases, key=lambda phase: (-phase.concurrency, phase.cache == "warm"))


def _ordered(found: Raw) -> list[RawPhase]:
    return sorted(found.phases, key=lambda phase: (phase.concurrency, phase.cache == "warm"))


def _phase(phase: RawPhase, costs: Costs, remote: bool, confidence: float) -> Phase:
    good = phase.good
    groups = {one.id: one.group for one in good}

    def timed(value: Callable[[Timed], float | None]) -> Any:
        found = {one.id: at for one in good if (at := value(one)) is not None}
        return times(list(found.values()), [groups[id_] for id_ in found], confidence)

    def counted(name: str) -> Estimated | None:
        return mean([float(getattr(one.counted, name)) for one in good], list(groups.values()), confidence)

    def of_costs(found: Mapping[str, float] | None, factor: float = 1.0) -> Estimated | None:
        return (
            mean([factor * one for one in found.values()], [groups[id_] for id_ in found], confidence)
            if found
            else None
        )

    tokens = sum(one.counted.completion_tokens for one in good)
    return Phase(
        concurrency=phase.concurrency,
        cache=phase.cache,
        n=len(good),
        failed=len(phase.answers) - len(good),
        seconds=phase.seconds,
        answers_per_second=len(good) / phase.seconds if phase.seconds else 0.0,
        tokens_per_second=tokens / phase.seconds if phase.seconds else 0.0,
        first_token=timed(lambda one: one.first),
        per_token=timed(lambda one: one.per_token),
        latency=timed(lambda one: one.latency),
        prompt_tokens=counted("prompt_tokens"),
        cached_tokens=counted("cached_tokens"),
        completion_tokens=counted("completion_tokens"),
        memory=phase.memory,
        machine_seconds=None if remote else of_costs(machine_seconds(phase)),
        cost=of_costs(costs(phase), THOUSAND),
    )


def _against(name: str, systems: Systems, dollars: Mapping[str, Costs], confidence: float) -> Against:
    (_, here, student), (_, there, teacher) = systems[STUDENT], systems[name]
    single, many = (alone(teacher), alone(student)), (headline(teacher), headline(student))
    groups = _groups(student)

    def of(phases: Sequence[RawPhase], value: Callable[[Timed], float | None]) -> Estimated | None:
        a, b = ({one.id: at for one in phase.good if (at := value(one)) is not None} for phase in phases)
        return ratio(a, b, groups, confidence)

    costs = dollars[name](many[0]), dollars[STUDENT](many[1])
    if not here.remote and not there.remote:  # one machine, whose price is the same for both
        costs = machine_seconds(many[0]), machine_seconds(many[1])
    return Against(
        system=name,
        alike=(here.engine, here.form) == (there.engine, there.form),
        latency=of(single, lambda one: one.latency),
        first_token=of(single, lambda one: one.first),
        prompt_tokens=of(single, lambda one: float(one.counted.prompt_tokens)),
        completion_tokens=of(single, lambda one: float(one.counted.completion_tokens)),
        cost=ratio(costs[0], costs[1], groups, confidence) if costs[0] and costs[1] else None,
    )


def _payback(
    run: Run, name: str, systems: Systems, dollars: Mapping[str, Costs], machine_price: float | None, confidence: float
) -> Payback | None:
    """When the student has paid for itself against a teacher's system; None where a price is missing that it takes. Of two systems on one
    machine both sides are its seconds, whatever they cost."""
    (_, here, student), (_, there, teacher) = systems[STUDENT], systems[name]
    in_seconds = not here.remote and not there.remote
    unit: Unit = "machine seconds" if in_seconds else "dollars"
    price = there.price if there.remote else None
    costs = [
        machine_seconds(headline(one)) if in_seconds else of(headline(one))
        for one, of in ((teacher, dollars[name]), (student, dollars[STUDENT]))
    ]
    if not costs[0] or not costs[1] or (not in_seconds and (price is None or machine_price is None)):
        return None
    saved = saved_per_call(costs[0], costs[1], _groups(student), confidence)
    if saved is None:
        return None
    generation, training, evaluation = spent(run, price, 1.0 if in_seconds else (machine_price or 0.0) / HOUR)
    fixed = generation + training + evaluation
    calls, low, high = calls_until_paid(fixed, saved)
    return Payback(
        system=name, unit=unit, generation=generation, training=training, evaluation=evaluation, fixed=fixed, saved=saved,
        calls=calls, low=low, high=high,
    )  # fmt: skip


def spent(run: Run, price: Price | None, per_second: float) -> tuple[float, float, float]:
    """What generation, training and evaluation cost: the machine's seconds, by the manifest, at ``per_second``; where the teacher is an
    endpoint with a ``price``, in place of the seconds of generation the tokens of its answers, whoever asked for them first, and those of its
    test answers besides."""
    seconds = {name: float(entry.get("seconds", 0.0)) for name, entry in run.stages.items()}

    def time(*stages: str) -> float:
        return per_second * sum(seconds.get(stage, 0.0) for stage in stages)

    if price is None:
        return time("data", "generate", "curate"), time("train"), time("evaluate", "judge")
    rows = run.read(GENERATED) if run.path(GENERATED.file).exists() else []
    generation = sum(price.cost(r["prompt_tokens"], r["completion_tokens"], r["cached_tokens"]) for r in rows)
    asked = _teacher_predictions(run)
    answers = sum(price.cost(r["prompt_tokens"], r["completion_tokens"]) for r in asked)
    return generation + time("curate"), time("train"), answers + time("evaluate")


def _teacher_predictions(run: Run) -> list[Mapping[str, Any]]:
    tables = [predictions(one.name) for one in run.recipe.systems if one.role is Role.TEACHER and run.recipe.asks(one)]
    return [row for table in tables if run.path(table.file).exists() for row in run.read(table)]


def _groups(raw: Raw) -> dict[str, Hashable]:
    return {one.id: one.group for one in raw.answers}


def _quality(values: Mapping[str, Any], name: str) -> Estimated | None:
    """As evaluated on the split; None where nothing decides, or the system was not evaluated."""
    metric = values["systems"].get(name, {}).get("metrics", {}).get(values["measure"]) if values["decided"] else None
    return Estimated(estimate=metric["estimate"], low=metric["low"], high=metric["high"]) if metric else None


def _cost_unit(systems: Mapping[str, SystemMeasured]) -> Unit | None:
    """In what the costs of all systems are known."""
    last = [one["phases"][-1] for one in systems.values()]
    if all(phase["cost"] for phase in last):
        return "dollars"
    return "machine seconds" if all(phase["machine_seconds"] for phase in last) else None


def quality_and_cost(one: SystemMeasured, unit: Unit) -> tuple[float, float] | None:
    """The quality of a system, and the cost of 1,000 answers in its headline phase; None where it was not evaluated."""
    phase = max(one["phases"], key=lambda phase: (phase["concurrency"], phase["cache"] == "warm"))
    cost = phase["cost"] if unit == "dollars" else phase["machine_seconds"]
    if not one["quality"] or not cost:
        return None
    return one["quality"]["estimate"], cost["estimate"] * (1 if unit == "dollars" else THOUSAND)
