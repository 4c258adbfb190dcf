"""The content of measured.json, from which its JSON Schema is made.

Times are in seconds, money is in US dollars, memory in bytes. A number that is not known, or an end of an interval that nothing limits, is
null.
"""

from typing import Any, Literal

from pydantic import TypeAdapter
from typing_extensions import TypedDict

Cache = Literal["cold", "warm", "as served"]
"""The prefix cache: nothing of any prompt in it; what all prompts begin with in it, but no question; or whatever the endpoint has."""
Unit = Literal["dollars", "machine seconds"]


class Estimated(TypedDict):
    """A mean with its interval at the level ``confidence``, questions clustered by group (t, CR2)."""

    estimate: float
    low: float | None
    high: float | None


class Times(TypedDict):
    """Times of ``n`` answers. A percentile is the smallest observed time that so many percent of the answers do not exceed (nearest rank);
    null where fewer answers than 100 / (100 - percent) say nothing of it."""

    n: int
    mean: Estimated
    p50: float
    p90: float | None
    p95: float | None
    p99: float | None


class Phase(TypedDict):
    """The questions asked once, with ``concurrency`` of them in flight: as one ends, the next begins (a closed loop).

    first_token: from the request to the first text of the answer. per_token: from the first to the last text, by the tokens after the first.
    latency: from the request to the end of the answer. tokens_per_second: written, of all answers together. memory: the largest resident
    memory of the engine's processes. machine_seconds: of an answer, its share of the phase's time; null for an endpoint. cost: of 1,000
    answers.
    """

    concurrency: int
    cache: Cache
    n: int
    failed: int
    seconds: float
    answers_per_second: float
    tokens_per_second: float
    first_token: Times | None
    per_token: Times | None
    latency: Times | None
    prompt_tokens: Estimated | None
    cached_tokens: Estimated | None
    completion_tokens: Estimated | None
    memory: int | None
    machine_seconds: Estimated | None
    cost: Estimated | None


class SystemMeasured(TypedDict):
    """One system. ``quality`` is its metric ``measure`` on the questions' split, as evaluated; ``remote``: whether it is an endpoint, whose
    times include the network and other people's requests."""

    role: str
    prompting: str
    engine: str
    form: str
    remote: bool
    quality: Estimated | None
    phases: list[Phase]


class Against(TypedDict):
    """A teacher's system divided by the student's, of the same questions: above 1 the student is faster, cheaper or shorter. ``latency``
    and ``first_token`` are of one request at a time, ``cost`` of 1,000 answers at the largest concurrency. ``alike``: whether both ran on
    the same engine in the same number format."""

    system: str
    alike: bool
    latency: Estimated | None
    first_token: Estimated | None
    prompt_tokens: Estimated | None
    completion_tokens: Estimated | None
    cost: Estimated | None


class Payback(TypedDict):
    """After how many ``calls`` to the student instead of ``system`` the run has paid for itself: null is never, and a null ``high`` that
    never is not excluded. ``fixed`` is what the run cost, each call saves ``saved``; both in ``unit``."""

    system: str
    unit: Unit
    generation: float
    training: float
    evaluation: float
    fixed: float
    saved: Estimated
    calls: int | None
    low: int | None
    high: int | None


class About(TypedDict):
    """What the numbers rest on. ``machine_price``: dollars an hour, null where it was not given. ``measure``: the metric of ``quality``."""

    student: str
    split: str
    measure: str
    questions: int
    groups: int
    confidence: float
    concurrency: list[int]
    machine_price: float | None
    hardware: dict[str, Any]


class Verdict(TypedDict):
    """Claim (c) of the paper, that the student infers cheaper and faster with only its plain prompt, in ``lines``, and ``notes``."""

    faster: bool | None
    cheaper: bool | None
    lines: list[str]
    notes: list[str]


class Measured(TypedDict):
    """measured.json. ``front``: the systems that no other one beats in quality and cost, the cost in ``cost_unit`` for 1,000 answers at the
    largest concurrency; null where some system's is not known in the unit of the others."""

    about: About
    systems: dict[str, SystemMeasured]
    against: list[Against]
    payback: list[Payback]
    cost_unit: Unit | None
    front: list[str]
    verdict: Verdict


def schema() -> dict[str, Any]:
    """The JSON Schema of measured.json."""
    return TypeAdapter(Measured).json_schema()
