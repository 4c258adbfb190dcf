"""The figure of a cascade: quality by the share of questions that the teacher answers."""

from collections.abc import Mapping
from typing import Any

WIDTH, HEIGHT = 600, 200
"""Of the figure, whose x axis goes from no question to all of them."""
STEP = 0.1
"""Between two lines of the y axis."""


def figure(cascade: Mapping[str, Any]) -> dict[str, Any]:
    """Places of the figure: for each signal a ``line`` of its thresholds, ``points`` of the shown signal with their intervals, both systems
    alone, the chosen threshold, and the y axis's ``ticks``."""
    chosen = cascade["chosen"] or {}
    curves = {one["signal"]: _distinct(one["points"]) for one in cascade["curves"]}
    shown = chosen.get("signal") or max(cascade["curves"], key=lambda one: one["rejected"])["signal"]
    alone = {name: cascade["validation"][name]["accuracy"] for name in ("student", "teacher")}
    values = [point["accuracy"] for points in curves.values() for point in points] + list(alone.values())
    low = STEP * int(min(one["low"] for one in values) / STEP)
    high = min(1.0, STEP * (int(max(one["high"] for one in values) / STEP) + 1))

    def y(value: float) -> float:
        return HEIGHT * (high - value) / (high - low)

    def place(share: float, metric: Mapping[str, float]) -> dict[str, float]:
        return {"x": WIDTH * share, "y": y(metric["estimate"]), "low": y(metric["low"]), "high": y(metric["high"])}

    def of(point: Mapping[str, Any]) -> dict[str, float]:
        return place(point["escalated"]["estimate"], point["accuracy"])

    lines = {
        name: " ".join(f"{at['x']:.1f},{at['y']:.1f}" for at in map(of, points)) for name, points in curves.items()
    }
    ticks = [low + STEP * i for i in range(round((high - low) / STEP) + 1)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "lines": {name: line for name, line in lines.items() if name != shown},
        "shown": shown,
        "line": lines[shown],
        "points": [of(point) for point in curves[shown]],
        "student": place(0.0, alone["student"]),
        "teacher": place(1.0, alone["teacher"]),
        "chosen": next((of(one) for one in curves[shown] if one["threshold"] == chosen.get("threshold")), None),
        "ticks": [{"y": y(value), "text": f"{100 * value:.0f} %"} for value in ticks],
    }


def _distinct(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last of the points that escalate the same share, in order."""
    return list({one["escalated"]["estimate"]: one for one in points}.values())
