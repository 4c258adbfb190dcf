"""What depends on how answers are read: strictly in the requested form, or leniently."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from potstill import stats
from potstill.stages.evaluate.pitfalls.evidence import ENOUGH, Evidence
from potstill.stages.evaluate.pitfalls.paired import Excess, adjusted, excess
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall
from potstill.stages.evaluate.summary import Evaluated
from potstill.tasks import Parsed
from potstill.workspace.artifacts import Prediction

MISREAD = 0.02
"""Fraction of a system's questions whose answers are at least read falsely, from which on that is reported; above the same
fraction of truncated answers their limit is doubled."""
SHOWN = 3
"""Systems that a sentence names."""


@dataclass(frozen=True)
class _Form:
    system: str
    strict: int
    lenient: int
    n: int
    excess: Excess


@dataclass(frozen=True)
class _Rule:
    """A lenient rule: the texts that it was tried on, and how many of these it read falsely."""

    tried: int = 0
    false: int = 0


def reading(evidence: Evidence) -> list[Pitfall]:
    """Only where gold decides, and for systems with at least 30 answers."""
    if not evidence.decided:
        return []
    systems = [one for one in evidence.evaluated if len(evidence.rows(one)) >= ENOUGH]
    return [*_format(evidence, systems), *_ranking(evidence, systems), *_false(evidence, systems)]


def _format(evidence: Evidence, systems: Sequence[Evaluated]) -> list[Pitfall]:
    """Systems whose lenient accuracy is higher than the strict one by at least `evaluate.margin`, the difference that the recipe
    calls equal, with a p-value below 1 - confidence that is adjusted for all systems (Benjamini and Hochberg)."""
    forms = [_form(evidence, one) for one in systems]
    p_values = adjusted([form.excess.p_value for form in forms], len(forms))
    level, margin = 1 - evidence.options.confidence, evidence.options.margin
    found = [form for form, p in zip(forms, p_values, strict=True) if p < level and form.excess.difference >= margin]
    if not found:
        return []
    found.sort(key=lambda form: -form.excess.difference)
    listed = "; ".join(
        f"{form.system} answers {form.strict} of {form.n} questions correctly when read strictly and {form.lenient} when read leniently"
        for form in found[:SHOWN]
    )
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [
        Pitfall(
            "format-sensitivity",
            f"{listed}{more}: part of what is compared is the form of answers, so say which reading a number is of, and ask for the form "
            "in the prompt.",
            {"margin": margin, "systems": [_figures(form) for form in found]},
        )
    ]


def _form(evidence: Evidence, one: Evaluated) -> _Form:
    rows = evidence.rows(one)
    strict, lenient = _correct(rows, "strict"), _correct(rows, "lenient")
    groups = [row["group"] for row in rows]
    found = excess(lenient, strict, groups, evidence.options.confidence)
    return _Form(one.system.name, sum(strict), sum(lenient), len(rows), found)


def _figures(form: _Form) -> dict[str, Any]:
    values = asdict(form)
    return {**values.pop("excess"), **values}


def _ranking(evidence: Evidence, systems: Sequence[Evaluated]) -> list[Pitfall]:
    """Pairs of systems of which one is better by one reading, and behind by the other. Better: the p-value of the clearer of the
    two readings, doubled, and adjusted for all pairs, lies below 1 - confidence (Bonferroni, Benjamini and Hochberg)."""
    confidence = evidence.options.confidence
    pairs = list(combinations([one for one in systems if one.tells_task], 2))
    turned: list[tuple[str, str, dict[str, Excess]]] = []
    for one, other in pairs:
        of_b = {row["id"]: row for row in evidence.rows(other)}
        both = [(row, of_b[row["id"]]) for row in evidence.rows(one) if row["id"] in of_b]
        rows_a, rows_b = [row for row, _ in both], [row for _, row in both]
        groups = [row["group"] for row in rows_a]
        by = {
            kind: excess(_correct(rows_a, kind), _correct(rows_b, kind), groups, confidence)
            for kind in ("strict", "lenient")
        }
        if by["strict"].difference * by["lenient"].difference < 0:
            turned.append((one.system.name, other.system.name, by))
    p_values = adjusted([min(1.0, 2 * min(one.p_value for one in by.values())) for _, _, by in turned], len(pairs))
    found = [pair for pair, p in zip(turned, p_values, strict=True) if p < 1 - confidence]
    if not found:
        return []
    a, b, by = found[0]
    more = f", and {len(found) - 1} more pairs change places" if len(found) > 1 else ""
    return [
        Pitfall(
            "ranking-depends-on-reading",
            f"{a} minus {b} is {100 * by['strict'].difference:+.0f} points when answers are read strictly and "
            f"{100 * by['lenient'].difference:+.0f} when they are read leniently{more}: neither is better whatever the form, so decide which "
            "form your use needs, and compare by that.",
            {
                "pairs": len(pairs),
                "turned": [
                    {"a": one, "b": other, "strict": asdict(of["strict"]), "lenient": asdict(of["lenient"])}
                    for one, other, of in found
                ],
            },
        )
    ]


def _correct(rows: Sequence[Prediction], kind: str) -> list[bool]:
    return [row["scores"].get(kind) == 1.0 for row in rows]


def _false(evidence: Evidence, systems: Sequence[Evaluated]) -> list[Pitfall]:
    """Systems of whose questions at least `MISREAD` have an answer that a lenient rule is likely to read falsely.

    A rule's error is measured on texts that also have an answer in the requested form: it reads the reasoning before that
    answer alone, and is false where it finds another answer. The texts of all systems together are used, and of the error the
    lower limit (Clopper and Pearson) at the recipe's confidence, so that few texts show nothing. It is assumed that a rule reads reasoning
    without an answer as well as reasoning before one.
    """
    lenient = {one.system.name: _read_leniently(evidence, one) for one in systems}
    if not any(
        of.total() >= MISREAD * len(evidence.rows(one)) > 0 for one, of in zip(systems, lenient.values(), strict=True)
    ):
        return []
    rules = _rules(evidence, systems)
    found: list[dict[str, Any]] = []
    for one in systems:
        name, n = one.system.name, len(evidence.rows(one))
        tried = {rule: rules.get(rule, _Rule()) for rule in lenient[name]}
        low = sum(k * _low(tried[rule], evidence.options.confidence) for rule, k in lenient[name].items())
        if low >= MISREAD * n:
            likely = sum(
                k * tried[rule].false / tried[rule].tried for rule, k in lenient[name].items() if tried[rule].tried
            )
            of_rules = {rule: {"read": k, **asdict(tried[rule])} for rule, k in lenient[name].items()}
            read = lenient[name].total()
            found.append(
                {"system": name, "n": n, "leniently": read, "likely": likely, "at_least": low, "rules": of_rules}
            )
    if not found:
        return []
    worst = max(found, key=lambda one: one["likely"] / one["n"])
    more = f"; so are those of {len(found) - 1} more systems" if len(found) > 1 else ""
    return [
        Pitfall(
            "false-reading",
            f"{worst['leniently']} of {worst['n']} answers of {worst['system']} are read by lenient rules only, which read about "
            f"{worst['likely']:.0f} of them falsely, to judge by texts that also have an answer in the requested form{more}: read some of "
            "them, and ask for the form in the prompt.",
            {"least": MISREAD, "systems": found},
        )
    ]


def _read_leniently(evidence: Evidence, one: Evaluated) -> Counter[str]:
    """The answers that only a lenient rule finds, by rule."""
    found: Counter[str] = Counter()
    for row in evidence.rows(one):
        if (row["answer"] is None and evidence.options.extraction == "lenient") or row["scores"].get("strict") == 1.0:
            continue
        if _parse(evidence, row, strict=True).answer is None:
            lenient = _parse(evidence, row, strict=False)
            if lenient.answer is not None:
                found[lenient.rule] += 1
    return found


def _rules(evidence: Evidence, systems: Sequence[Evaluated]) -> Mapping[str, _Rule]:
    """Each lenient rule, tried on the reasoning before answers in the requested form."""
    rules: dict[str, _Rule] = {}
    for one in systems:
        for row in evidence.rows(one):
            asked = _parse(evidence, row, strict=True)
            if asked.answer is None or not asked.rationale.strip():
                continue
            before = {**row, "text": asked.rationale, "finish_reason": "stop"}
            if _parse(evidence, before, strict=True).answer is not None:
                continue
            read = _parse(evidence, before, strict=False)
            if read.answer is not None:
                of = rules.get(read.rule, _Rule())
                is_false = not evidence.task.equivalent(read.answer, asked.answer)
                rules[read.rule] = _Rule(of.tried + 1, of.false + is_false)
    return rules


def _low(rule: _Rule, confidence: float) -> float:
    low: float = stats.clopper_pearson_interval(rule.false, rule.tried, confidence).low
    return low


def _parse(evidence: Evidence, row: Mapping[str, Any], *, strict: bool) -> Parsed:
    return evidence.task.parse(row["text"], row["finish_reason"], evidence.by_id[row["id"]], strict=strict)
