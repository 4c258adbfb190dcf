"""What was measured of one system, answer by answer, on disk: a measurement that is interrupted resumes after the last finished phase."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from potstill.measure.load import Counted, Loaded, Timed
from potstill.measure.result import Cache
from potstill.workspace.artifacts import MEASUREMENTS
from potstill.workspace.run import Run


@dataclass(frozen=True)
class RawPhase:
    """The answers of one phase, in the order of their ends."""

    concurrency: int
    cache: Cache
    seconds: float
    memory: int | None
    answers: Sequence[Timed]

    @property
    def good(self) -> list[Timed]:
        """The answers that came."""
        return [one for one in self.answers if not one.counted.error]


@dataclass
class Raw:
    """The phases of a system. ``key`` is everything that decides what they measure."""

    key: Mapping[str, Any]
    phases: list[RawPhase] = field(default_factory=list)

    def has(self, concurrency: int, cache: Cache) -> bool:
        return any((one.concurrency, one.cache) == (concurrency, cache) for one in self.phases)

    def add(self, concurrency: int, cache: Cache, loaded: Loaded, memory: int | None) -> None:
        self.phases.append(RawPhase(concurrency, cache, loaded.seconds, memory, loaded.answers))


def read(run: Run, name: str, key: Mapping[str, Any]) -> Raw:
    """What is on disk of a system; nothing where something else was measured."""
    values = run.read_json(_file(name))
    if values.get("key") != key:
        return Raw(key)
    return Raw(key, [_phase(one) for one in values["phases"]])


def write(run: Run, name: str, raw: Raw) -> None:
    run.write_json(_file(name), {"key": dict(raw.key), "phases": [asdict(phase) for phase in raw.phases]})


def _phase(values: Mapping[str, Any]) -> RawPhase:
    answers = [Timed(**{**one, "counted": Counted(**one["counted"])}) for one in values["answers"]]
    return RawPhase(**{**values, "answers": answers})


def _file(name: str) -> str:
    return f"{MEASUREMENTS}/{name}.json"
