"""What was measured on servers, arranged for the report: quality against cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

WIDTH, HEIGHT = 600.0, 220.0
EDGE = 20.0
"""Height that a label takes."""
ROOM = 1.6
"""Factor by which the scale of costs exceeds them at both ends."""
THOUSAND = 1000.0


@dataclass(frozen=True)
class Point:
    """A system in the figure. x, y: of its mark. low, high: places of the ends of its interval."""

    name: str
    role: str
    x: float
    y: float
    low: float
    high: float
    on_front: bool
    label_y: float
    end: bool
    """Whether its label ends at the mark, because it would leave the figure."""
    words: str


@dataclass(frozen=True)
class Chart:
    """A figure `WIDTH` wide and `HEIGHT` high. ticks: place and text of the costs. front: the corners of the front's steps."""

    points: Sequence[Point]
    ticks: Sequence[tuple[float, str]]
    front: str
    unit: str

    @property
    def words(self) -> str:
        """The figure in words, for those who do not see it."""
        return "Quality against cost. " + ". ".join(point.words for point in self.points) + "."


def headline(system: Mapping[str, Any]) -> Mapping[str, Any]:
    """The phase whose costs count: the largest concurrency, with a warm cache where there is one."""
    phases: Sequence[Mapping[str, Any]] = system["phases"]
    return max(phases, key=lambda phase: (phase["concurrency"], phase["cache"] == "warm"))


def chart(measured: Mapping[str, Any]) -> Chart | None:
    """Quality against the cost of 1,000 answers; None where fewer than two systems have both."""
    unit = measured["cost_unit"]
    costs = {name: _cost(headline(one), unit) for name, one in measured["systems"].items()} if unit else {}
    known = {name: cost for name, cost in costs.items() if cost and measured["systems"][name]["quality"]}
    if len(known) < 2:
        return None
    low, high = log10(min(known.values()) / ROOM), log10(max(known.values()) * ROOM)

    def place(cost: float) -> float:
        return WIDTH * (log10(cost) - low) / (high - low)

    points = []
    for name, cost in sorted(known.items(), key=lambda item: item[1]):
        system = measured["systems"][name]
        quality, x = system["quality"], place(cost)
        y = _height(quality["estimate"])
        on_front = name in measured["front"]
        above = y > EDGE if on_front else y > HEIGHT - EDGE  # the front's line is above the others
        points.append(
            Point(
                name=name,
                role=system["role"],
                x=x,
                y=y,
                low=_height(quality["low"] or 0.0),
                high=_height(1.0 if quality["high"] is None else quality["high"]),
                on_front=on_front,
                label_y=y - 9 if above else y + 20,
                end=x > 0.7 * WIDTH,
                words=f"{name}: {100 * quality['estimate']:.0f} % at {amount(cost, unit)} for 1,000 answers",
            )
        )
    return Chart(points, [(place(tick), amount(tick, unit)) for tick in _ticks(low, high)], _steps(points), unit)


def amount(cost: float, unit: str) -> str:
    """A cost in its unit."""
    return f"${cost:.3g}" if unit == "dollars" else f"{cost:.3g} s"


def _cost(phase: Mapping[str, Any], unit: str) -> float:
    found = phase["cost"] if unit == "dollars" else phase["machine_seconds"]
    return float(found["estimate"]) * (1 if unit == "dollars" else THOUSAND) if found else 0.0


def _height(quality: float) -> float:
    return HEIGHT * (1 - min(max(quality, 0.0), 1.0))


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two logarithms; where these are too many, the powers alone."""
    all_ = [factor * 10.0**power for power in range(floor(low), floor(high) + 1) for factor in (1, 2, 5)]
    within = [tick for tick in all_ if low <= log10(tick) <= high]
    return within if len(within) <= 8 else [tick for tick in within if f"{tick:e}".startswith("1")]


def _steps(points: Sequence[Point]) -> str:
    """The front as steps: no system is in the corner above and left of them."""
    corners: list[tuple[float, float]] = []
    for point in (one for one in points if one.on_front):
        if corners:
            corners.append((point.x, corners[-1][1]))
        corners.append((point.x, point.y))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def ratio(value: Mapping[str, Any]) -> str:
    """A ratio with its interval."""
    low, high = ("any" if end is None else f"{end:.3g}" for end in (value["low"], value["high"]))
    return f"{value['estimate']:.3g} [{low}, {high}]"


def calls(number: int | None) -> str:
    """A number of calls; None is never."""
    return "never" if number is None else f"{number:,}"
