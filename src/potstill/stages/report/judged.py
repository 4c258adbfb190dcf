"""What people and judges say, arranged for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.labels.table import Form
from potstill.rubrics.rubric import OVERALL
from potstill.stages.evaluate.verdict import interval
from potstill.stages.judged.series import ALL_CRITERIA
from potstill.stages.judged.words import by_turn, measured, turns_of, value, who


@dataclass(frozen=True)
class Columns:
    """A table with a row for each system."""

    headings: Sequence[str]
    rows: Mapping[str, Sequence[str]]


def side_by_side(judged: Mapping[str, Any], evaluation: Mapping[str, Any]) -> dict[str, Columns]:
    """For each split ground truth, people and judges, of each system: labels of answers as a whole, and where they correct a judge, that too."""
    return {split: _of_split(values, evaluation["splits"].get(split, {})) for split, values in judged["splits"].items()}


def criteria(values: Mapping[str, Any]) -> dict[str, Columns]:
    """For each rater the mean scores of the systems by criterion."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for one in values["scores"]:
        if one["form"] == Form.SCORES:
            of_rater = found.setdefault(f"{who(one['rater'], one['kind'])}, {one['rubric'].split('@')[0]}", {})
            of_rater.setdefault(one["criterion"], {})[one["system"]] = value(one)
    return {rater: _columns(by_criterion) for rater, by_criterion in found.items()}


def turns(values: Mapping[str, Any]) -> Columns:
    """The results by turn of the chats beside those of all turns: of answers as a whole, and where people correct a judge, that too."""
    found = [
        *((one["system"], one) for one in values["scores"]),
        *((f"{one['a']} against {one['b']}", one) for one in values["comparisons"]),
        *((f"{one['a']} minus {one['b']}", one) for one in values["differences"]),
    ]
    whole = [(about, one) for about, one in found if one["turns"] and one["criterion"] in (ALL_CRITERIA, OVERALL)]
    numbers = turns_of(one for _, one in whole)
    rows: dict[str, list[str]] = {}
    for about, one in whole:
        implied = f" by {one['implied_by']}" if one["implied_by"] else ""
        name = f"{about}, {measured(one)}{implied}, {who(one['rater'], one['kind'])}"
        rows[name] = [value(one), *by_turn(one, numbers)]
        if one["corrected"]:
            fixed = {of["turn"]: value(one, of["corrected"]) for of in one["turns"] if of["corrected"]}
            rows[f"{name}, corrected by people"] = [
                value(one, one["corrected"]),
                *(fixed.get(number, "") for number in numbers),
            ]
    return Columns(["all turns", *(f"turn {number}" for number in numbers)], rows)


def strengths(values: Mapping[str, Any]) -> Columns:
    """The strengths of the systems by each rater."""
    return _columns(
        {
            who(one["rater"], one["kind"]): {
                of["system"]: f"{of['estimate']:.2f} [{of['low']:.2f}, {of['high']:.2f}]" for of in one["systems"]
            }
            for one in values["ratings"]
        }
    )


def _of_split(values: Mapping[str, Any], evaluated: Mapping[str, Any]) -> Columns:
    columns: dict[str, dict[str, str]] = {}
    for name, system in evaluated.get("systems", {}).items():
        if "accuracy" in system["metrics"]:
            columns.setdefault("ground truth, correct, %", {})[name] = interval(system["metrics"]["accuracy"])
    ordered = sorted(values["scores"], key=lambda one: ("people", "jury", "judge").index(one["kind"]))
    for one in ordered:
        if one["criterion"] in (ALL_CRITERIA, OVERALL):
            rubric = f", {one['rubric'].split('@')[0]}" if one["form"] == Form.SCORES else ""
            of = f" ({one['criterion']})" if one["form"] == Form.SCORES else ""
            heading = f"{who(one['rater'], one['kind'])}: {one['measure']}{rubric}{of}"
            columns.setdefault(heading, {})[one["system"]] = value(one)
            if one["corrected"]:
                columns.setdefault(f"{heading}, corrected by people", {})[one["system"]] = value(one, one["corrected"])
    return _columns(columns)


def _columns(columns: Mapping[str, Mapping[str, str]]) -> Columns:
    systems = dict.fromkeys(name for of in columns.values() for name in of)
    return Columns(list(columns), {name: [of.get(name, "") for of in columns.values()] for name in systems})
