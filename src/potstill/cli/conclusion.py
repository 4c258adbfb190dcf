"""What an evaluation shows, on a terminal: the verdict, the table, and notes on what they rest on."""

from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import Any

WIDTH = 120


def conclusion(evaluation: Mapping[str, Any]) -> str:
    """The verdict's lines, a table of all systems on each test split, and the notes."""
    from potstill.stages.evaluate.pitfalls.pitfall import in_a_line

    lines, notes = paragraphs(evaluation["verdict"])
    pitfalls = in_a_line(evaluation["splits"])
    return "\n".join([*lines, "", *_table(evaluation["splits"]), "", *notes, *([pitfalls] if pitfalls else [])])


def paragraphs(verdict: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The lines and the notes of a verdict, each wrapped."""
    lines = [fill(line, WIDTH, break_on_hyphens=False, subsequent_indent="  ") for line in verdict["lines"]]
    notes = [
        fill(note, WIDTH, break_on_hyphens=False, initial_indent="- ", subsequent_indent="  ")
        for note in verdict["notes"]
    ]
    return lines, notes


def _table(splits: Mapping[str, Any]) -> Iterator[str]:
    """Of each system the accuracy and the finding on each split; the number of answers where nothing decides."""
    from potstill.stages.evaluate.verdict import interval

    known = all(values["decided"] for values in splits.values())

    def cells(name: str, values: Mapping[str, Any]) -> list[str]:
        system = values["systems"][name]
        if not known:
            return [str(system["outcomes"].get("answered", 0))]
        findings = {c["b"]: f"student {c['finding']}" for c in values["comparisons"]}
        return [interval(system["metrics"][values["measure"]]), findings.get(name, "")]

    judged = known and next(iter(splits.values()))["measure"] == "judged_right"
    rows = [["judged right, %" if judged else "correct, %" if known else "answered"]]
    rows[0] += [
        cell for split, values in splits.items() for cell in ([f"{split} ({values['n']})", ""] if known else [split])
    ]
    for name in next(iter(splits.values()))["systems"]:
        rows.append([name, *(cell for values in splits.values() for cell in cells(name, values))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
