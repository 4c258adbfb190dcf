"""What was measured of one system, answer by answer, on disk: a measurement that is interrupted resumes with the questions that are left."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from potstill.measure.load import Counted, Loaded, Question, Timed
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

    def phase(self, concurrency: int, cache: Cache) -> RawPhase | None:
        return next((one for one in self.phases if (one.concurrency, one.cache) == (concurrency, cache)), None)

    def left(self, concurrency: int, cache: Cache, questions: Sequence[Question]) -> list[Question]:
        """The questions of a phase that are not answered yet."""
        phase = self.phase(concurrency, cache)
        answered = {one.id for one in phase.answers} if phase else set()
        return [one for one in questions if one.id not in answered]

    def add(self, concurrency: int, cache: Cache, loaded: Loaded, memory: int | None) -> None:
        """Add answers to a phase; the times of its parts add up."""
        seconds, answers = loaded.seconds, list(loaded.answers)
        if before := self.phase(concurrency, cache):
            self.phases.remove(before)
            seconds, answers = before.seconds + seconds, [*before.answers, *answers]
            memory = max(filter(None, (before.memory, memory)), default=None)
        self.phases.append(RawPhase(concurrency, cache, seconds, memory, answers))

    @property
    def answers(self) -> list[Timed]:
        return [one for phase in self.phases for one in phase.answers]


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
