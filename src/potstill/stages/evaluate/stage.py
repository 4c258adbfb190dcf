"""Evaluate all systems on the same test questions: predictions/ and evaluation.json."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from potstill.models import Completion, Request, Sampling
from potstill.models.complete import Billing, complete, complete_within_budget
from potstill.models.opening import open_folder, open_model
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import Role, System
from potstill.stages import judge, sealed
from potstill.stages.evaluate.outcome import outcome_of
from potstill.stages.evaluate.summary import KINDS, summary
from potstill.stages.evaluate.verdict import verdict
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.generate import logged_completion
from potstill.stages.planned import KnownExamples, Planned
from potstill.tasks import Example, Parsed, Task
from potstill.workspace import artifacts
from potstill.workspace.artifacts import EVALUATION, PREDICTIONS, STUDENT, TEST_SPLITS, Prediction
from potstill.workspace.digests import Part
from potstill.workspace.run import Run

TOKENS_FACTOR = 2
"""An evaluated answer may have ``max_tokens`` times this many tokens, so that few are truncated. Unused room costs nothing;
requesting the truncated ones again would double their cost."""


def evaluate(recipe: Recipe, run: Run) -> None:
    """Ask every system of the recipe; write predictions/SYSTEM.parquet and evaluation.json."""
    examples = list(run.examples(*TEST_SPLITS))
    run.remove(PREDICTIONS)
    predictions = {}
    for system in recipe.systems:
        predictions[system] = _predict(recipe, run, system, examples)
        run.write(artifacts.predictions(system.value), predictions[system])
    student = run.digest(Part(STUDENT))
    splits = {}
    for split in TEST_SPLITS:
        ids = {example["id"] for example in examples if example["split"] == split}
        if ids:
            of_split = {system: [row for row in rows if row["id"] in ids] for system, rows in predictions.items()}
            splits[split] = summary(of_split, recipe.task, recipe.evaluate)
            splits[split]["sealed"] = sealed.record_evaluation(run, split, examples, student)
    run.write_json(EVALUATION, {"splits": splits, "verdict": verdict(splits)})


def planned(recipe: Recipe, known: KnownExamples) -> Iterator[Planned]:
    """The requests to the teacher and to a judge about the test questions."""
    examples = list(known.rows(*TEST_SPLITS))
    shots = FewShotExamples(recipe, known.rows)
    for system in recipe.systems:
        if system.role is Role.TEACHER and not recipe.answered_by_data(system):
            to_teacher = requests(recipe, system, examples, shots)
            yield Planned(f"evaluate: {system.value}", recipe.teacher, to_teacher)
    yield from judge.planned(recipe, "evaluate: judge", examples, len(recipe.systems))


def requests(recipe: Recipe, system: System, examples: Iterable[Example], shots: FewShotExamples) -> list[Request]:
    """What a system is asked about test questions."""
    task, spec = recipe.task, recipe.prompt_spec(system.prompting)
    limit = recipe.generate.max_tokens if system.role is Role.TEACHER else recipe.student.max_tokens
    sampling = Sampling(TOKENS_FACTOR * limit)
    return [
        Request(
            example["id"],
            task.messages(example, spec, shots(example, spec.prompting)),
            sampling,
            schema=task.reply_schema(example, spec),
        )
        for example in examples
    ]


def _predict(recipe: Recipe, run: Run, system: System, examples: Sequence[Example]) -> list[Prediction]:
    sent = requests(recipe, system, examples, FewShotExamples(recipe, run.examples))
    completions = list(_complete(recipe, run, system, sent, examples))
    task = run.task
    readings = [_read(task, *pair) for pair in zip(examples, completions, strict=True)]
    answers = ((e, parsed.answer) for e, kinds in zip(examples, readings, strict=True) for parsed in kinds.values())
    task = judge.judged(recipe, run, task, answers, system.value)
    return [
        _prediction(recipe, task, example, (request, completion), kinds)
        for example, request, completion, kinds in zip(examples, sent, completions, readings, strict=True)
    ]


def _complete(
    recipe: Recipe, run: Run, system: System, sent: list[Request], examples: Sequence[Example]
) -> Iterable[Completion]:
    if recipe.answered_by_data(system):
        return [logged_completion(example) for example in examples]
    student = recipe.student
    match system.role:
        case Role.TEACHER:
            return complete_within_budget(recipe.teacher, sent, system.value, run.store, run.id)
        case Role.BASE:
            model = open_model(student.model, student.batch_size, student.dtype, run.store)
        case Role.STUDENT:
            model = open_folder(run.student_folder, STUDENT, student.batch_size, student.dtype)
    return complete(model, sent, system.value, Billing(run.store, run.id))


def _read(task: Task, example: Example, completion: Completion) -> dict[str, Parsed]:
    """The completion as each kind of extraction parses it."""
    return {
        kind: task.parse(completion.text, completion.finish_reason, example, strict=kind == "strict") for kind in KINDS
    }


def _prediction(
    recipe: Recipe, task: Task, example: Example, exchange: tuple[Request, Completion], kinds: Mapping[str, Parsed]
) -> Prediction:
    request, completion = exchange
    parsed = kinds[recipe.evaluate.extraction]
    known = task.gradable and example["gold"] is not None
    scores: dict[str, float | None] = dict(task.all_scores(parsed.answer, example))
    scores |= {kind: task.main_score(p.answer, example) if known else None for kind, p in kinds.items()}
    correct = scores[recipe.evaluate.extraction] == 1.0 if known else None
    return {
        "id": request.id,
        "group": example["group"],
        "sample": 0,
        "messages": [dict(m) for m in request.messages],
        "text": completion.text,
        "rationale": parsed.rationale,
        "answer": parsed.answer,
        "gold": example["gold"],
        "status": parsed.status.value,
        "rule": parsed.rule,
        "finish_reason": completion.finish_reason,
        "outcome": outcome_of(completion, parsed, correct).value,
        "scores": scores,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "seconds": completion.seconds,
        "error": completion.error and completion.error.value,
    }
