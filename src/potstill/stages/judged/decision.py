"""Whether distilling was worth it, where no gold says so: by people's labels, a judge's that people's correct, or a judge's alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from potstill import stats
from potstill.labels.table import Form
from potstill.recipe.systems import STUDENT, Role
from potstill.rubrics.rubric import OVERALL
from potstill.stages.evaluate.choosing import COMPARED
from potstill.stages.evaluate.result import Decision, Metric, OneSided
from potstill.stages.judged.inputs import Setting
from potstill.stages.judged.result import By, Compared, Split
from potstill.stages.judged.series import ALL_CRITERIA

FEW_LABELLED = 10
"""Groups of questions that people labelled below which their labels decide nothing; `stats.corrected_mean` does not use a judge either."""
FORMS = (Form.PAIRWISE, Form.PASS, Form.REFERENCE, Form.SCORES)
"""Which form decides where there are several."""


@dataclass(frozen=True)
class Against:
    """The student against one other system, by those who decide."""

    system: str
    role: str
    cheaper: bool
    p_value: float
    low: float
    high: float
    null: float
    not_worse: OneSided
    matched: OneSided
    better: bool = False
    worse: bool = False


@dataclass(frozen=True)
class Ruling:
    """The decision of a split, by whom, and the comparisons that it rests on."""

    decision: Decision
    by: By
    rater: str
    comparisons: tuple[Compared, ...]
    against: tuple[Against, ...]


def decide(splits: Mapping[str, Split], setting: Setting) -> dict[str, Ruling]:
    """The decision of each split, in the words of `potstill.stages.evaluate.decision`, whose rules these are, with the margin as a part of a win rate or
    of the range of the scores.

    Pairwise labels decide before passing, reference and scores; a judge that people's labels correct before people alone, and these before
    a judge alone; a jury before its judges. The p-values of all splits are corrected by Holm's method.
    """
    chosen = {split: _chosen(values, setting) for split, values in splits.items()}
    every = [one for _, _, _, against in chosen.values() for one in against]
    adjusted = iter(stats.adjust_p_values([one.p_value for one in every], "holm") if every else [])
    rulings = {}
    for split, (by, rater, comparisons, against) in chosen.items():
        found = tuple(_with_finding(one, float(next(adjusted)), setting.confidence) for one in against)
        decision = "undecided" if setting.gold_decides else _decision(found, setting.confidence)
        rulings[split] = Ruling(decision, "gold" if setting.gold_decides else by, rater, comparisons, found)
    return rulings


def as_good(against: Sequence[Against], confidence: float) -> list[Against]:
    """The cheaper systems that are shown to be as good as the student, or better."""
    cheaper = [one for one in against if one.cheaper]
    if not cheaper:
        return []
    adjusted = stats.adjust_p_values([one.matched["p_value"] for one in cheaper], "holm")
    return [one for one, p in zip(cheaper, adjusted, strict=True) if p < 1 - confidence or one.worse]


def _decision(against: Sequence[Against], confidence: float) -> Decision:
    teachers, cheaper = [one for one in against if one.role == Role.TEACHER], [one for one in against if one.cheaper]
    if as_good(against, confidence):
        return "do not distil"
    if not teachers or not cheaper:
        return "undecided"
    if all(one.better for one in cheaper) and all(one.not_worse["shown"] for one in teachers):
        return "distilled"
    if any(one.worse and not one.not_worse["shown"] for one in teachers):
        return "not yet"
    return "not distinguishable"


def _chosen(values: Split, setting: Setting) -> tuple[By, str, tuple[Compared, ...], tuple[Against, ...]]:
    """Who decides a split, and the comparisons that they decide by."""
    best: tuple[tuple[int, int, int], By, list[Compared]] | None = None
    for comparisons in _by_rater(values).values():
        spoken = list(_spoken(comparisons, setting))
        if not spoken:
            continue
        rank, by = _rank(spoken)
        key = rank, FORMS.index(Form(spoken[0]["form"])), ("jury", "people", "judge").index(spoken[0]["kind"])
        if best is None or key < best[0]:
            best = key, by, spoken
    if best is None:
        return "nobody", "", (), ()
    _, by, spoken = best
    against = tuple(_against(one, by, setting) for one in spoken)
    return by, spoken[0]["rater"], tuple(spoken), against


def _rank(spoken: Sequence[Compared]) -> tuple[int, By]:
    if spoken[0]["kind"] == "people":
        return (1, "people") if min(one["groups"] for one in spoken) >= FEW_LABELLED else (3, "people")
    corrected = [one["corrected"] for one in spoken]
    if all(one is not None and one["groups"] >= FEW_LABELLED for one in corrected):
        return 0, "judge corrected by people"
    return 2, "judge"


def _by_rater(values: Split) -> dict[tuple[str, ...], list[Compared]]:
    """The student's comparisons, by rater, rubric and form; of scores those of all criteria together."""
    found: dict[tuple[str, ...], list[Compared]] = {}
    for one in [*cast(Sequence[Compared], values["comparisons"]), *values["differences"]]:
        if one["a"] == STUDENT and one["n"] and one["criterion"] in (OVERALL, ALL_CRITERIA):
            found.setdefault((one["rater"], one["rubric"], one["form"], one["criterion"]), []).append(one)
    together = {(rater, rubric, form) for rater, rubric, form, criterion in found if criterion == ALL_CRITERIA}
    return {key: several for key, several in found.items() if key[3] == ALL_CRITERIA or key[:3] not in together}


def _spoken(comparisons: Sequence[Compared], setting: Setting) -> Iterator[Compared]:
    """Those with the system that represents a role, or else the first of it, and with each other model."""
    by_name = {one["b"]: one for one in comparisons}
    for role in dict.fromkeys(setting.roles.values()):
        names = [name for name, of in setting.roles.items() if of == role and name in by_name]
        if role in COMPARED:
            names = ([name for name in names if name in setting.chosen] or names)[:1]
        yield from (by_name[name] for name in names)


def _against(one: Compared, by: By, setting: Setting) -> Against:
    found: Any = one["corrected"] if by == "judge corrected by people" else one
    limits: list[Metric] = [found]
    if by != "judge corrected by people" and (bounds := one["bounds"]):
        limits = [bounds["lower"], bounds["upper"]]
    return Against(
        system=one["b"],
        role=setting.roles.get(one["b"], Role.OTHER),
        cheaper=one["b"] in setting.cheaper,
        p_value=found["p_value"],
        low=min(limit["low"] for limit in limits),
        high=max(limit["high"] for limit in limits),
        null=0.5 if one["form"] == Form.PAIRWISE else 0.0,
        not_worse=found["not_worse"],
        matched=found["matched"],
    )


def _with_finding(one: Against, p_adjusted: float, confidence: float) -> Against:
    certain = p_adjusted < 1 - confidence
    return replace(one, better=certain and one.low > one.null, worse=certain and one.high < one.null)
