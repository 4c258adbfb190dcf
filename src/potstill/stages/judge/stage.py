"""Ask judges about the answers to the test questions: their rows of labels.parquet, and judged.json from all labels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from potstill import rubrics
from potstill.errors import PotstillError
from potstill.labels import table
from potstill.labels.items import Item, ShownAnswer, clipped, item_of, items
from potstill.labels.table import LABELS, Form, Label, Rater, State
from potstill.recipe.asked import AskedModel
from potstill.recipe.judging import Judges
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import Role
from potstill.rubrics.rubric import OVERALL, Rubric
from potstill.stages.judge import guard
from potstill.stages.judge.asking import Judgement, ask
from potstill.stages.judge.inquiry import Case, Inquiry
from potstill.stages.judged import planning
from potstill.stages.judged.inputs import Setting, questions, setting
from potstill.stages.judged.results import judged
from potstill.stages.planned import KnownExamples, Planned
from potstill.tasks import Example
from potstill.workspace.artifacts import JUDGED, REVIEW, TEST_SPLITS
from potstill.workspace.run import Run

SAME = "The two answers are the same."
"""The reason of a tie that no judge is asked about."""


def judge(recipe: Recipe, run: Run) -> None:
    """Write the judges' rows of labels.parquet, and judged.json; neither where nobody has labelled anything, whose labels count or are
    left out."""
    labels = _labels(recipe, run, recipe.evaluate.judge) if recipe.evaluate.judge else []
    by_people = [label for label in table.read(run) if label["kind"] != Rater.JUDGE]
    found = _setting(recipe, run)
    if not labels and not by_people and not found.inattentive:
        run.remove(LABELS.file)
        run.remove(JUDGED)
        return
    table.replace(run, lambda label: label["kind"] == Rater.JUDGE, labels)
    run.write_json(JUDGED, judged([*by_people, *labels], list(questions(run)), found))


def plan_labels(run: Run) -> list[planning.Plan]:
    """How many labels by people would give which interval (`potstill.stages.judged.planning`)."""
    return planning.plan(table.read(run), list(questions(run)), _setting(run.recipe, run))


def _setting(recipe: Recipe, run: Run) -> Setting:
    return setting(recipe, [rubric_of(recipe)], recipe.judge_relatives, run.evaluation, run.read_json(REVIEW))


def rubric_of(recipe: Recipe) -> Rubric:
    """The rubric that answers are graded by. Raises `RecipeError` for a file without one."""
    judges = recipe.evaluate.judge
    return rubrics.load((judges and judges.rubric) or recipe.task.rubric_name)


def rubric_files(recipe: Recipe) -> list[Path]:
    """The user's own rubric, if there is one."""
    judges = recipe.evaluate.judge
    own = judges and judges.rubric
    return [Path(own)] if own and own not in rubrics.shipped_names() else []


def form_of(recipe: Recipe) -> Form:
    """How judges label."""
    judges = recipe.evaluate.judge
    if judges and judges.form:
        return Form(judges.form)
    if recipe.task.judged:
        return Form.REFERENCE
    several = len((judges and judges.systems) or recipe.systems) > 1
    return Form.PAIRWISE if several and not recipe.task.gradable else Form.SCORES


def planned(recipe: Recipe, known: KnownExamples) -> Iterator[Planned]:
    """The requests to judges, estimated as if each answer were gold, or as long as it may be."""
    judges = recipe.evaluate.judge
    if judges is None:
        return
    asking = _Asking(judges, _inquiry(recipe), recipe.judge_seed)
    drawn = asking.draw(known.rows(*TEST_SPLITS))
    n = len(_systems(recipe, judges, {}))
    of_question = n * (n - 1) if asking.inquiry.form.pairs else n
    cases = [case for example in drawn for case in [_expected(recipe, asking.inquiry, example)] * of_question]
    if asking.inquiry.form is Form.REFERENCE:
        cases = [case for case in cases if case.reference is not None]
    orders = 2 if asking.inquiry.form.pairs else 1
    for model in judges.models:
        requests = (asking.inquiry.request(str(i), case, judges.max_tokens) for i, case in enumerate(cases))
        more = min(judges.repeats * orders, len(cases))
        yield Planned(f"judge: {model.name}", model, requests, more=more, estimated=True)


def _expected(recipe: Recipe, inquiry: Inquiry, example: Example) -> Case:
    task = recipe.task
    gold = None if example["gold"] is None else task.gold_text(example)
    text = clipped(gold or "word " * recipe.student.max_tokens)
    answer = ShownAnswer("", text, tuple(text for _ in task.own_turns(example)))
    return Case.of(item_of(task, example, (answer,) * (2 if inquiry.form.pairs else 1)), inquiry.form)


def _inquiry(recipe: Recipe) -> Inquiry:
    return Inquiry(form_of(recipe), rubric_of(recipe), recipe.judge_seed, recipe.task.correct_means)


def _systems(recipe: Recipe, judges: Judges, chosen: dict[str, dict[str, str]]) -> list[str]:
    """Those listed; otherwise the student with the base and the teacher that ``chosen`` names by role, or the first of each."""
    names = [one.name for one in recipe.systems]
    if judges.systems:
        return [name for name in names if name in judges.systems]
    of_role = {role: [one.name for one in recipe.systems if one.role is role] for role in Role}
    known = [of_role[role] for role in (Role.BASE, Role.STUDENT, Role.TEACHER) if of_role[role]]
    picked = [next((name for name in of if name in {c["system"] for c in chosen.values()}), of[0]) for of in known]
    return [name for name in names if name in picked] if of_role[Role.STUDENT] and len(picked) > 1 else names


def _labels(recipe: Recipe, run: Run, judges: Judges) -> list[Label]:
    asking = _Asking(judges, _inquiry(recipe), recipe.judge_seed)
    form = asking.inquiry.form
    drawn = {example["id"] for example in asking.draw(run.examples(*TEST_SPLITS))}
    systems = _systems(recipe, judges, run.evaluation.get("chosen", {}))
    of_questions = (item for item in items(run, systems, form.pairs) if item.question in drawn)
    to_judge = [one for one in of_questions if form is not Form.REFERENCE or Case.of(one, form).reference is not None]
    if not to_judge:
        lacking = (
            "has gold or a reference answer, so that" if form is Form.REFERENCE else "has answers of these systems, and"
        )
        raise PotstillError(
            f"{run.folder}: no test question {lacking} a judge could be asked (form {form.value}, systems {', '.join(systems)}). Choose "
            "another form or other systems under evaluate.judge."
        )
    return [label for model in judges.models for label in asking.labels(model, to_judge, run)]


@dataclass(frozen=True)
class _Asking:
    """Asks judges about items."""

    judges: Judges
    inquiry: Inquiry
    seed: int

    def draw(self, examples: Iterable[Example]) -> list[Example]:
        """At most ``judges.questions`` of each split: with a higher limit these, and more."""
        by_split: dict[str, list[Example]] = {}
        for example in examples:
            by_split.setdefault(example["split"], []).append(example)
        return [e for rows in by_split.values() for e in self._first(rows, self.judges.questions, "id")]

    def labels(self, model: AskedModel, to_judge: Sequence[Item], run: Run) -> Iterator[Label]:
        """The labels of all items by one judge, those of repetitions last."""
        by_id = {item.id: item for item in to_judge}
        again = self._first([{"id": id_} for id_ in by_id], self.judges.repeats, "id")
        asked = [
            (item, repeat, reverse)
            for repeat, some in enumerate((to_judge, [by_id[one["id"]] for one in again]))
            for item in some
            for reverse in ((False, True) if self.inquiry.form.pairs else (False,))
        ]
        cases = [self._case(item, repeat, reverse) for item, repeat, reverse in asked]
        to_ask = [i for i, case in enumerate(cases) if len(set(case.turns)) == len(case.answers)]
        label = f"judge {model.name}"
        found = ask(model, self.judges.max_tokens, self.inquiry, [cases[i] for i in to_ask], label, run)
        judgements = dict(zip(to_ask, found, strict=True))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for i, (item, repeat, reverse) in enumerate(asked):
            yield from self._rows(item, model.name, judgements.get(i), repeat, reverse, now)

    def _first(self, rows: Sequence[Example], n: int | None, key: str) -> list[Example]:
        """The first ``n`` in an order by seed, in the order of ``rows``; all where n is None."""
        if n is None or n >= len(rows):
            return list(rows)
        ranked = sorted(rows, key=lambda row: guard.digest([self.seed, row[key]]))
        kept = {row[key] for row in ranked[:n]}
        return [row for row in rows if row[key] in kept]

    def _case(self, item: Item, repeat: int, reverse: bool) -> Case:
        case = replace(Case.of(item, self.inquiry.form), repeat=repeat)
        return case.swapped if reverse else case

    def _rows(
        self, item: Item, rater: str, judgement: Judgement | None, repeat: int, reverse: bool, now: str
    ) -> Iterator[Label]:
        """A row for each criterion; without a judgement, of two equal answers, a tie."""
        systems = [answer.system for answer in item.answers]
        pairs = self.inquiry.form.pairs
        values = {OVERALL: 0.5} if judgement is None else judgement.reading.values if judgement.reading else {}
        for criterion in self.inquiry.criteria:
            value = values.get(criterion)
            yield Label(
                item=item.id,
                question=item.question,
                split=item.split,
                group=item.group,
                system=systems[0],
                other=systems[1] if pairs else None,
                shown=item.shown,
                kind=Rater.JUDGE.value,
                rater=rater,
                rubric=self.inquiry.rubric.key,
                form=self.inquiry.form.value,
                criterion=criterion,
                value=1 - value if reverse and value is not None else value,
                state=(judgement.state if judgement else State.GIVEN).value,
                reason=judgement.reason if judgement else SAME,
                first=systems[reverse] if pairs else None,
                repeat=repeat,
                probability=None,
                seconds=None,
                time=now,
            )
