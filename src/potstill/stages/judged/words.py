"""What people and judges say, each named as what it is: at most three lines, notes, and a table for the terminal."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from potstill.labels.table import Form, State
from potstill.recipe.systems import STUDENT, Role
from potstill.rubrics.rubric import OVERALL
from potstill.stages.evaluate.result import Metric
from potstill.stages.evaluate.ruling import overall, reason
from potstill.stages.evaluate.verdict import WHERE
from potstill.stages.judged.decision import FEW_LABELLED, Ruling
from potstill.stages.judged.inputs import Setting
from potstill.stages.judged.result import JURY, PEOPLE, AboutRater, Compared, Estimate, Judged, Split, Verdict
from potstill.stages.judged.series import ALL_CRITERIA

MANY_UNREADABLE = 0.05
"""Share of unreadable judgements from which a note says so."""
MOST_TURNS = 3
"""Turns up to which the terminal shows the results of each; judged.json and the report have all."""
BIAS = 0.1
"""How far from even the shares must be shown to be for a note on order or length."""

IMPLYING = {
    Form.SCORES.value: "scores",
    Form.PASS.value: "passes and fails",
    Form.REFERENCE.value: "agreement with gold",
}
"""Labels of single answers from which preferences follow, in words."""


def verdict(
    splits: Mapping[str, Split],
    raters: Sequence[AboutRater],
    rulings: Mapping[str, Ruling],
    related: Mapping[str, Sequence[str]],
    setting: Setting,
) -> Verdict:
    """The decision with its reason and who decides, then a line for each split."""
    decisions = {split: ruling.decision for split, ruling in rulings.items()}
    decision = overall(decisions)
    lines = []
    if not setting.gold_decides:
        split = next((one for one, found in decisions.items() if found == decision), "")
        lines.append(
            _headline(rulings[split], related, setting) if split else "UNDECIDED: nobody labelled these answers."
        )
    lines += [_of_split(split, splits[split], ruling) for split, ruling in rulings.items()]
    return Verdict(
        decision=decision,
        splits=decisions,
        by={split: ruling.by for split, ruling in rulings.items()},
        lines=lines[:3],
        notes=list(dict.fromkeys(_notes(splits, raters, related, setting))),
    )


def who(rater: str, kind: str) -> str:
    """A rater in words."""
    return PEOPLE if kind == "people" else "the jury" if rater == JURY else f"judge {rater}"


def percent(metric: Mapping[str, float] | Metric) -> str:
    """A fraction with its interval, as "71 % [64, 78]"."""
    return f"{100 * metric['estimate']:.0f} % [{100 * metric['low']:.0f}, {100 * metric['high']:.0f}]"


def value(estimate: Estimate, metric: Metric | None = None) -> str:
    """An estimate with its interval, in percent, points, or on its scale; of another ``metric`` in the same way."""
    found = metric or estimate
    if estimate["measure"] == "score" or (estimate["measure"] == "difference" and estimate["form"] == Form.SCORES):
        sign = "+" if estimate["measure"] == "difference" else ""
        return f"{found['estimate']:{sign}.2f} [{found['low']:{sign}.2f}, {found['high']:{sign}.2f}]"
    if estimate["measure"] == "difference":
        return f"{100 * found['estimate']:+.0f} [{100 * found['low']:+.0f}, {100 * found['high']:+.0f}]"
    return percent(found)


def says(several: Sequence[Compared]) -> str:
    """What one rater says of the student and other systems, with what people's labels make of it."""
    first = several[0]
    subject, verb = who(first["rater"], first["kind"]), _verb(first)
    read = [one for one in several if one["n"]]
    if not read:
        return f"no judgement by {subject} could be read"
    found = " and ".join(f"{_against(one)} {value(one)} of {_questions(one['n'])}" for one in read)
    text = f"{subject} {verb} {found}"
    if first["kind"] == "people":
        return text
    corrected = [(one, one["corrected"]) for one in read if one["corrected"]]
    if not corrected:
        return f"{text} (not checked by people)"
    fixed = " and ".join(f"{_against(one)} {value(one, by_people)}" for one, by_people in corrected if by_people)
    few = any(by_people["groups"] < FEW_LABELLED for _, by_people in corrected if by_people)
    return f"{text}; corrected by people's labels{', which are too few to decide,' if few else ''} {fixed}"


def _verb(one: Compared) -> str:
    if one["implied_by"]:
        by, verb = ("their", "rate") if one["kind"] == "people" else ("its", "rates")
        return f"by {by} {IMPLYING[one['implied_by']]} {verb} the student higher than"
    one_says, all_say, what = {
        Form.PAIRWISE: ("prefers", "prefer", "the student"),
        Form.SCORES: ("scores", "score", "the student against"),
        Form.PASS: ("passes", "pass", "the student more often than"),
        Form.REFERENCE: ("calls", "call", "the student right more often than"),
    }[Form(one["form"])]
    return f"{all_say if one['kind'] == 'people' else one_says} {what}"


def _against(one: Compared) -> str:
    if one["implied_by"]:
        return f"{one['b']} in"
    if one["form"] == Form.PAIRWISE:
        return f"to {one['b']} in"
    return f"{one['b']} by" if one["form"] != Form.SCORES else one["b"]


def table(judged: Judged) -> list[str]:
    """A table for the terminal: of each split and rater the systems and the comparisons."""
    every = [one for of in judged["splits"].values() for one in [*of["scores"], *of["comparisons"]]]
    turns = turns_of(every) if len(turns_of(every)) <= MOST_TURNS else []
    rows = [
        ["split", "rater", "what", "about", "result", *(f"turn {turn}" for turn in turns), "n", "corrected by people"]
    ]
    for split, values in judged["splits"].items():
        for one in values["scores"]:
            if one["kind"] != "judge" or one["criterion"] in (ALL_CRITERIA, OVERALL):
                rows.append([split, *_cells(one, one["system"], turns)])
        for pair in values["comparisons"]:
            rows.append([split, *_cells(pair, f"{pair['a']} vs {pair['b']}", turns)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def turns_of(several: Iterable[Estimate]) -> list[int]:
    """The turns of chats that any of these is shown by."""
    return sorted({of_turn["turn"] for one in several for of_turn in one["turns"]})


def by_turn(one: Estimate, turns: Sequence[int]) -> list[str]:
    """An estimate of each of these turns with its interval; empty for a turn without one."""
    found = {of_turn["turn"]: value(one, of_turn) for of_turn in one["turns"]}
    return [found.get(turn, "") for turn in turns]


def _cells(one: Estimate, about: str, turns: Sequence[int]) -> list[str]:
    what = measured(one) + (f" by {one['implied_by']}" if one["implied_by"] else "")
    corrected = value(one, one["corrected"]) if one["corrected"] else ""
    return [who(one["rater"], one["kind"]), what, about, value(one), *by_turn(one, turns), f"{one['n']:,}", corrected]


def measured(one: Estimate) -> str:
    """What an estimate is of, with its criterion."""
    return one["measure"] if one["criterion"] == OVERALL else f"{one['measure']} ({one['criterion']})"


def _headline(ruling: Ruling, related: Mapping[str, Sequence[str]], setting: Setting) -> str:
    margin = f"{100 * setting.margin:.3g} points"
    if any(one["form"] == Form.SCORES for one in ruling.comparisons):
        margin = f"{100 * setting.margin:.3g} % of the scale"
    if ruling.decision == "undecided":
        why = _why_undecided(ruling)
    else:
        why = reason(ruling.decision, ruling.against, setting.confidence, margin, "the labels", "is judged")
    return f"{ruling.decision.upper()}: {why}.{_decided_by(ruling, related)}"


def _why_undecided(ruling: Ruling) -> str:
    if not ruling.against:
        return "nobody compared the student with another system"
    missing = [
        name
        for name, there in (
            ("something cheaper", any(one.cheaper for one in ruling.against)),
            ("the teacher", any(one.role == Role.TEACHER for one in ruling.against)),
        )
        if not there
    ]
    return f"the student was not compared with {' and '.join(missing)}"


def _decided_by(ruling: Ruling, related: Mapping[str, Sequence[str]]) -> str:
    if ruling.by == "people":
        return " People's labels decide."
    if not ruling.rater:
        return ""
    name = who(ruling.rater, "jury" if ruling.rater == JURY else "judge")
    checked = (
        ", corrected by people's labels, decides"
        if ruling.by == "judge corrected by people"
        else " decides, not checked by people"
    )
    systems = sorted({one for judge, of in related.items() if ruling.rater in (judge, JURY) for one in of})
    subject = "one of its judges" if ruling.rater == JURY else "it"
    relation = f"; {subject} is of the family of {' and '.join(systems)}" if systems else ""
    return f" {name[0].upper()}{name[1:]}{checked}{relation}."


def _of_split(split: str, values: Split, ruling: Ruling) -> str:
    """What people say, and then judges, of the comparisons that decide, or else of the systems."""
    names = [one["b"] for one in ruling.comparisons]
    form = ruling.comparisons[0]["form"] if ruling.comparisons else ""
    found = [*values["comparisons"], *values["differences"]]
    spoken: list[Compared] = [
        one
        for one in found
        if one["a"] == STUDENT
        and one["b"] in names
        and one["form"] == form
        and one["criterion"] == ruling.comparisons[0]["criterion"]
        and (one["kind"] == "people" or one["rater"] == ruling.rater)
    ]
    if not spoken:
        scores = [one for one in values["scores"] if one["criterion"] in (ALL_CRITERIA, OVERALL)]
        words = [f"{who(one['rater'], one['kind'])}: {measured(one)} of {one['system']} {value(one)}" for one in scores]
        return f"{WHERE[split]} ({split}) {'; '.join(words) or 'no two systems were compared'}."
    spoken.sort(key=lambda one: names.index(one["b"]))
    people, judge = ([one for one in spoken if (one["kind"] == "people") == is_people] for is_people in (True, False))
    return f"{WHERE[split]} ({split}) {'; '.join(says(several) for several in (people, judge) if several)}."


def _notes(
    splits: Mapping[str, Split],
    raters: Sequence[AboutRater],
    related: Mapping[str, Sequence[str]],
    setting: Setting,
) -> Iterator[str]:
    if setting.gold_decides:
        yield "Gold answers decide the verdict of this run; what people and judges say is shown beside it."
    yield "Labels are opinions: none of these numbers is an accuracy."
    for name, systems in related.items():
        yield (
            f"Judge {name} is the model of {' and '.join(systems)}, or of its family (allow_related): a judge prefers answers like its own."
        )
    for person in setting.inattentive:
        yield (
            f"{person.labels:,} labels by the reviewer {person.name} are left out: {person.right} of {person.of} answers that were damaged on "
            "purpose were rated as bad, fewer than the rule asks for that the review began with."
        )
    for one in raters:
        yield from _about(one, raters)
    contradicted: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for pair in (pair for values in splits.values() for pair in values["comparisons"]):
        contradicted[pair["rater"]] += pair["disagreed"]
        pairs[pair["rater"]] += pair["n"]
    for name, n in contradicted.items():
        if n:
            yield f"Judge {name} contradicted itself on {n} of {pairs[name]} pairs when the order changed; these count as ties."


def _about(one: AboutRater, raters: Sequence[AboutRater]) -> Iterator[str]:
    name = who(one["rater"], one["kind"])
    name = name[0].upper() + name[1:]
    if one["kind"] == "judge" and one["criterion"] in (OVERALL, ALL_CRITERIA) and not one["agreement"]:
        yield f"{name} ({one['form']}) {_unchecked(one, raters)}"
    failures = one["parse_failures"]
    if failures and failures["estimate"] > MANY_UNREADABLE and one["criterion"] == OVERALL:
        yield f"{name}: {percent(failures)} of {failures['n']} judgements were unreadable; they are left out of both sides, with bounds."
    order = one["order"]
    if order:
        for place, share in (("first", order["first"]), ("second", order["second"])):
            if share["low"] > BIAS:
                yield f"{name} preferred the answer shown {place} in both orders for {percent(share)} of {share['n']} pairs."
    longer = one["longer"]
    if longer and longer["low"] > 0.5 + BIAS:
        yield f"{name} preferred the longer answer in {percent(longer)} of {longer['n']} pairs; see the length-controlled win rate."
    if failed := one["requests"].get(State.FAILED, 0):
        yield f"{name} ({one['form']}, {one['criterion']}): {failed} requests failed."


def _unchecked(judge: AboutRater, raters: Sequence[AboutRater]) -> str:
    """Why people's labels do not correct a judge, and what would."""
    people = [one for one in raters if one["kind"] == "people"]
    if not people:
        return "was not checked by people: have them label a random draw of the same answers with potstill review."
    if any(one["agreement"] and one["rubric"] == judge["rubric"] for one in raters if one["rater"] == judge["rater"]):
        return "is checked by people in which of two answers it rates higher, and not in how high its labels are: people compared answers."
    if all(one["rubric"] != judge["rubric"] for one in people):
        return "was not checked by people, who labelled by another rubric: one rubric's labels say nothing of those by another one."
    forms = sorted({one["form"] for one in people if one["rubric"] == judge["rubric"]})
    if judge["form"] not in forms and Form.PAIRWISE not in (judge["form"], *forms):
        return (
            f"was not checked by people, who gave labels of another form ({', '.join(forms)}): neither is on the scale of the other. Choose "
            f"one form for both, or pairwise for one of them."
        )
    return "was not checked by people, who labelled none of the same answers: have them label a random draw of these."


def _questions(n: int) -> str:
    return f"{n:,} question{'s' if n != 1 else ''}"
