"""Whether distilling was worth it, where no gold says so: by people's labels, a judge's that people's correct, or a judge's alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from potstill import stats
from potstill.labels.table import Form
from potstill.recipe.systems import STUDENT, Role
from potstill.rubrics.rubric import OVERALL
from potstill.stages.evaluate.choosing import COMPARED
from potstill.stages.evaluate.result import Decision, Metric
from potstill.stages.evaluate.ruling import Against, ruling
from potstill.stages.judged.comparisons import EVEN
from potstill.stages.judged.inputs import Setting
from potstill.stages.judged.result import By, Compared, Split
from potstill.stages.judged.series import ALL_CRITERIA

FEW_LABELLED = 10
"""Groups of questions that people labelled below which their labels decide nothing; `stats.corrected_mean` does not use a judge either."""
FORMS = (Form.PAIRWISE, Form.PASS, Form.REFERENCE, Form.SCORES)
"""Which form decides where there are several."""


@dataclass(frozen=True)
class Ruling:
    """The decision of a split, by whom, and the comparisons that it rests on."""

    decision: Decision
    by: By
    rater: str
    comparisons: tuple[Compared, ...]
    against: tuple[Against, ...]


def decide(splits: Mapping[str, Split], setting: Setting) -> dict[str, Ruling]:
    """The decision of each split, by the rules of `potstill.stages.evaluate.ruling`, with the margin as a part of a win rate or
    of the range of the scores.

    Pairwise labels decide before passing, reference and scores; a judge that people's labels correct before people alone, and these before
    a judge alone; a jury before its judges. The p-values of all splits are corrected by Holm's method.
    """
    chosen = {split: _chosen(values, setting) for split, values in splits.items()}
    every = [_shown_by(one, by)["p_value"] for by, comparisons in chosen.values() for one in comparisons]
    adjusted = iter(stats.adjust_p_values(every, "holm") if every else [])
    rulings = {}
    for split, (by, comparisons) in chosen.items():
        found = tuple(_against(one, by, float(next(adjusted)), setting) for one in comparisons)
        rater = comparisons[0]["rater"] if comparisons else ""
        decision = "undecided" if setting.gold_decides else ruling(found, setting.confidence)
        rulings[split] = Ruling(decision, "gold" if setting.gold_decides else by, rater, comparisons, found)
    return rulings


def _chosen(values: Split, setting: Setting) -> tuple[By, tuple[Compared, ...]]:
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
    return (best[1], tuple(best[2])) if best else ("nobody", ())


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


def _shown_by(one: Compared, by: By) -> Any:
    """What decides of a comparison."""
    return one["corrected"] if by == "judge corrected by people" else one


def _against(one: Compared, by: By, p_adjusted: float, setting: Setting) -> Against:
    found = _shown_by(one, by)
    limits: list[Metric] = [found]
    if by != "judge corrected by people" and (bounds := one["bounds"]):
        limits = [bounds["lower"], bounds["upper"]]
    null = EVEN if one["form"] == Form.PAIRWISE else 0.0
    certain = p_adjusted < 1 - setting.confidence
    return Against(
        system=one["b"],
        role=setting.roles.get(one["b"], Role.OTHER),
        cheaper=one["b"] in setting.cheaper,
        better=certain and all(limit["low"] > null for limit in limits),
        worse=certain and all(limit["high"] < null for limit in limits),
        not_worse=found["not_worse"]["shown"],
        p_matched=found["matched"]["p_value"],
    )
