"""What was measured, in words: claim (c) in at most three lines, notes on what they rest on, and a table for the terminal."""

from collections.abc import Iterator, Mapping, Sequence

from potstill.measure.result import About, Against, Estimated, Measured, Payback, Phase, SystemMeasured, Verdict
from potstill.recipe.systems import STUDENT
from potstill.stages.report.measured import calls, ratio

FEW_GROUPS = 30
"""Groups of questions below which intervals are wide."""
GIGABYTE = 1e9


def verdict(
    about: About,
    systems: Mapping[str, SystemMeasured],
    against: Sequence[Against],
    payback: Sequence[Payback],
    of_evaluation: str,
) -> Verdict:
    """Whether the student, with only its plain prompt, infers cheaper and faster than the teacher's system that the verdict speaks of."""
    if not against:
        return Verdict(faster=None, cheaper=None, lines=["UNDECIDED: no system of the teacher was measured."], notes=[])
    first = against[0]
    faster, cheaper = _shown(first["latency"]), _shown(first["cost"])
    paid = next((one for one in payback if one["system"] == first["system"]), None)
    lines = [
        f"{_headline(faster, cheaper, first['cost'])}: {_compared(first, systems)}",
        _paid(paid) if paid else _unpaid(first["system"], systems, about),
        f"How good the answers are is the verdict's: {of_evaluation}",
    ]
    return Verdict(faster=faster, cheaper=cheaper, lines=lines, notes=list(_notes(about, systems, against, payback)))


def _shown(found: Estimated | None) -> bool | None:
    """Whether a ratio is shown to be above 1; None where neither that nor the reverse is shown."""
    if found is None:
        return None
    if found["low"] is not None and found["low"] > 1:
        return True
    return False if found["high"] is not None and found["high"] < 1 else None


def _headline(faster: bool | None, cheaper: bool | None, cost: Estimated | None) -> str:
    speed = {True: "FASTER", False: "SLOWER", None: "NOT SHOWN TO BE FASTER"}[faster]
    if cost is None:
        return f"{speed}, COSTS NOT KNOWN"
    money = {True: "CHEAPER", False: "DEARER", None: "NOT SHOWN TO BE CHEAPER"}[cheaper]
    return f"{money} AND {speed}"


def _compared(one: Against, systems: Mapping[str, SystemMeasured]) -> str:
    prompts = [_tokens(systems[name], "prompt_tokens") for name in (STUDENT, one["system"])]
    answers = [_tokens(systems[name], "completion_tokens") for name in (STUDENT, one["system"])]
    text = f"with its plain prompt ({prompts[0]} tokens; that of {one['system']} has {prompts[1]}) the student"
    if one["latency"]:
        text += f" answers {ratio(one['latency'])} times as fast, one request at a time"
    if one["cost"]:
        text += f"; an answer of {one['system']} costs {ratio(one['cost'])} times as much"
    return f"{text}. Its answers have {answers[0]} tokens, the others {answers[1]}."


def _tokens(system: SystemMeasured, name: str) -> str:
    found = system["phases"][0][name]  # type: ignore[literal-required]
    return f"{found['estimate']:.0f}" if found else "?"


def _paid(one: Payback) -> str:
    """When the run has paid for itself."""
    fixed = f"${one['fixed']:,.2f}" if one["unit"] == "dollars" else f"{one['fixed']:,.0f} s of the machine"
    what = f"generation, training and evaluation ({fixed})"
    if one["calls"] is None:
        least = f" (at the earliest after {one['low']:,} calls)" if one["low"] is not None else ""
        return f"Against {one['system']} {what} are not shown to pay for themselves{least}: an answer of the student is not cheaper."
    return (
        f"Against {one['system']} {what} have paid for themselves after {one['calls']:,} calls "
        f"[{calls(one['low'])}, {calls(one['high'])}]."
    )


def _unpaid(name: str, systems: Mapping[str, SystemMeasured], about: About) -> str:
    lacking = []
    if systems[name]["remote"] and not any(phase["cost"] for phase in systems[name]["phases"]):
        lacking.append("the endpoint's price (teacher.model.price)")
    if about["machine_price"] is None:
        lacking.append("the machine's (--machine-price, dollars an hour)")
    return f"When the run has paid for itself is not known: give {' and '.join(lacking) or 'more questions'}."


def _notes(
    about: About, systems: Mapping[str, SystemMeasured], against: Sequence[Against], payback: Sequence[Payback]
) -> Iterator[str]:
    yield (
        f"{about['questions']} test questions ({about['split']}) in {about['groups']} groups; intervals are at {about['confidence']:.0%}, clustered "
        "by group. Times are of one run on one machine: what else it does, and other days, are not in the intervals."
    )
    if about["groups"] < FEW_GROUPS:
        yield f"Fewer than {FEW_GROUPS} groups of questions: the intervals are wide."
    yield (
        "Percentiles are observed times (nearest rank), and left out where too few answers say anything of them. Requests come in a closed loop: "
        "as one ends, the next begins."
    )
    if any(not one["remote"] for one in systems.values()):
        yield (
            "Cold cache: nothing of any prompt is reused. Warm: what all prompts begin with is in the cache, no question. Costs and times compared "
            "are those with the warm cache."
        )
    for one in against:
        if systems[one["system"]]["remote"]:
            yield (
                f"{one['system']} is an endpoint: its times include the network and other people's requests, its cache is its own, and its memory "
                "is not known."
            )
        elif not one["alike"]:
            here, there = (systems[name] for name in (STUDENT, one["system"]))
            yield (
                f"The student ran as {here['form']} in {here['engine']}, {one['system']} as {there['form']} in {there['engine']}: they differ in more "
                "than the model."
            )
    if any(one["unit"] == "machine seconds" for one in payback):
        yield "Student and teacher ran on the same machine, so that its price does not change after how many calls the run has paid for itself."
    if payback:
        yield (
            "What the run cost is taken as known, by its stages' times and the tokens of its answers; the interval is that of what a call saves. "
            "Answers out of the store count as what they cost when they were asked for, where they have a price."
        )
    failed = {name: sum(phase["failed"] for phase in one["phases"]) for name, one in systems.items()}
    for name, n in failed.items():
        if n:
            yield f"{name}: {n} requests failed, and are in no number."


def table(measured: Measured) -> Iterator[str]:
    """A row for each system, concurrency and state of the cache."""
    rows = [
        [
            "system",
            "at once",
            "cache",
            "first token",
            "per token",
            "p50",
            "p95",
            "answers/s",
            "tokens/s",
            "GB",
            "$ per 1,000",
        ]
    ]
    for name, system in measured["systems"].items():
        rows += [_row(name, phase) for phase in system["phases"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(name: str, phase: Phase) -> list[str]:
    first, per_token, latency = phase["first_token"], phase["per_token"], phase["latency"]
    return [
        name,
        str(phase["concurrency"]),
        phase["cache"],
        f"{first['p50']:.3f} s" if first else "",
        f"{1000 * per_token['p50']:.1f} ms" if per_token else "",
        f"{latency['p50']:.2f} s" if latency else "",
        f"{latency['p95']:.2f} s" if latency and latency["p95"] is not None else "",
        f"{phase['answers_per_second']:.2f}",
        f"{phase['tokens_per_second']:.1f}",
        f"{phase['memory'] / GIGABYTE:.2f}" if phase["memory"] else "",
        f"{phase['cost']['estimate']:.3f}" if phase["cost"] else "",
    ]
