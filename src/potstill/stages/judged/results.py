"""From labels to judged.json."""

from collections.abc import Iterable, Sequence
from typing import Any

from potstill.labels.table import Form, Label
from potstill.stages.judged.comparisons import differences, win_rate
from potstill.stages.judged.decision import decide
from potstill.stages.judged.estimates import Level, score
from potstill.stages.judged.implied import implied
from potstill.stages.judged.inputs import Question, Setting
from potstill.stages.judged.raters import about, ratings
from potstill.stages.judged.result import Inattentive, Judged, Split
from potstill.stages.judged.series import Series, all_series, current, of_people
from potstill.stages.judged.words import verdict


def judged(labels: Iterable[Label], questions: Sequence[Question], setting: Setting) -> Judged:
    """What people's and judges' ``labels`` of the answers to the test ``questions`` show.

    Every interval is clustered by the group of the questions, by `potstill.stats.corrected_mean`. Labels that have no value are left out of both
    sides of a comparison, counted, and give bounds. Labels of texts that changed since are dropped, and counted.
    """
    by_id = {question.id: question for question in questions}
    given = list(labels)
    used = list(current(given, by_id))
    groups, turns = {one.id: one.group for one in questions}, {one.id: one.turn for one in questions}
    level = Level(groups, setting.confidence, setting.margin, turns)
    series, persons = all_series(used, by_id, setting), of_people(used, by_id, setting)
    series += implied(series)
    names = dict.fromkeys(one.split for one in questions)
    splits = {
        split: _split([s for s in series if s.split == split], [s for s in persons if s.split == split], level, by_id)
        for split in names
        if any(s.split == split for s in series)
    }
    raters = list(about(series, persons, level, by_id))
    related = {name: list(systems) for name, systems in setting.related.items() if systems}
    return Judged(
        confidence=setting.confidence,
        margin=setting.margin,
        obsolete=len(given) - len(used),
        related=related,
        inattentive=[
            Inattentive(reviewer=one.name, right=one.right, of=one.of, labels=one.labels) for one in setting.inattentive
        ],
        splits=splits,
        raters=raters,
        verdict=verdict(splits, raters, decide(splits, setting), related, setting),
    )


def _split(series: Sequence[Series], persons: Sequence[Series], level: Level, questions: dict[str, Question]) -> Split:
    people: dict[Any, Series] = {one.about: one for one in series if one.kind == "people"}
    single = [one for one in series if one.form != Form.PAIRWISE]
    pairs = [one for one in series if one.form == Form.PAIRWISE]
    return Split(
        scores=[score(one, people.get(one.about), level) for one in single],
        differences=list(differences(single, people, level)),
        comparisons=[win_rate(one, people.get(one.about), level, questions) for one in pairs],
        ratings=list(ratings(pairs, [one for one in persons if one.form == Form.PAIRWISE], level)),
    )
