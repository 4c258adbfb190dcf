"""Evaluate all systems on the same test questions: predictions/ and evaluation.json."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from potstill.data import predictions
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import Role, System
from potstill.stages import chats, sealed
from potstill.stages.evaluate.asking import Answer, Asker, requests
from potstill.stages.evaluate.choosing import COMPARED, choose, contenders
from potstill.stages.evaluate.decision import corrected
from potstill.stages.evaluate.held_out import held_out
from potstill.stages.evaluate.notes import about
from potstill.stages.evaluate.outcome import outcome_of
from potstill.stages.evaluate.pitfalls.evidence import Evidence
from potstill.stages.evaluate.pitfalls.find import pitfalls
from potstill.stages.evaluate.pitfalls.training import Training
from potstill.stages.evaluate.result import Evaluation, PitfallFound, Seal, Split
from potstill.stages.evaluate.summary import Evaluated, summary
from potstill.stages.evaluate.verdict import verdict
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.judge import scoring
from potstill.stages.limits import TokenLimits
from potstill.stages.planned import KnownExamples, Planned
from potstill.tasks import Example, Task
from potstill.workspace import artifacts, exports
from potstill.workspace.artifacts import CURATED, EVALUATION, PREDICTIONS, STUDENT, TEST_SPLITS, CuratedRow, Prediction
from potstill.workspace.digests import Part
from potstill.workspace.run import Run


def evaluate(recipe: Recipe, run: Run) -> None:
    """Choose the ways to ask, ask every system, write predictions/SYSTEM.parquet and evaluation.json."""
    examples = list(run.examples(*TEST_SPLITS))
    used = [split for split in TEST_SPLITS if any(example["split"] == split for example in examples)]
    for system in recipe.systems:
        if system.predictions is not None:  # a faulty file stops the stage before anything is requested
            predictions.completions(system.predictions, recipe.task, examples)
    for name in recipe.exports():
        exports.require(run, name)
    run.remove(PREDICTIONS)
    asker = Asker(recipe, run)
    frozen: dict[str, str] = {}
    for split in used:
        frozen |= sealed.sealed_settings(run, split, examples).get("chosen", {})
    chosen = choose(recipe, run, asker, examples, frozen)
    settings = _settings(recipe, run, {role: choice["system"] for role, choice in chosen.items()})
    student = run.digest(Part(STUDENT))
    seals = {split: sealed.record_look(run, split, examples, student, settings) for split in used}
    answers = asker.ask(recipe.systems, examples)
    evaluated = [evaluated_system(recipe, run, system, examples, answers[system.name]) for system in recipe.systems]
    for one in evaluated:
        run.write(artifacts.predictions(one.system.name), one.rows)
    training = Training(_trained_on(run))
    alone: dict[str, Split] = {}
    of_split = {split: [example for example in examples if example["split"] == split] for split in used}
    losses = held_out(recipe, run, of_split, evaluated)
    for split, asked in of_split.items():
        parts = [one.only({example["id"] for example in asked}) for one in evaluated]
        alone[split] = summary(parts, recipe.task, recipe.evaluate, chosen)
        alone[split]["sealed"] = cast(Seal, seals[split])
        if split in losses:
            alone[split]["held_out"] = losses[split]
        on_purpose = recipe.data.real.shares_groups and split == "test"
        evidence = Evidence(run.task, asked, parts, training, recipe.evaluate, on_purpose)
        alone[split]["pitfalls"] = [cast(PitfallFound, asdict(pitfall)) for pitfall in pitfalls(evidence)]
    splits, tests = corrected(alone)
    rests_on = about(recipe, tests)
    evaluation = Evaluation(splits=splits, chosen=chosen, about=rests_on, verdict=verdict(splits, rests_on))
    run.write_json(EVALUATION, evaluation)


def _trained_on(run: Run) -> list[CuratedRow]:
    """The kept rows; none where the student was trained elsewhere."""
    return [row for row in run.read(CURATED) if row["turns"]] if run.path(CURATED.file).exists() else []


def planned(recipe: Recipe, known: KnownExamples) -> Iterator[Planned]:
    """The requests about validation questions, where a way of asking is chosen on them, and about test questions.

    Base and student answer in this process and are not planned. Training examples with their gold stand for the rows that the
    student will be trained on.
    """
    validation, test = list(known.rows("validation")), list(known.rows(*TEST_SPLITS))
    shots, limits = FewShotExamples(recipe, known.rows, lambda: _with_gold(known.rows("train"))), TokenLimits(recipe)
    with_gold = list(_with_gold(validation))
    rounds = len(chats.rounds(recipe.task, test))
    roles = COMPARED if recipe.task.gradable else ()
    choices = {role: ways for role in roles if len(ways := contenders(recipe, role, test)) > 1}
    for system in recipe.systems:
        own = system.role in (Role.BASE, Role.STUDENT) and system.asked_elsewhere is None
        if own or not recipe.asks(system):
            continue
        asked = test + (with_gold if system in choices.get(Role.TEACHER, []) else [])
        longest = "word " * recipe.max_tokens(system.prompting)
        sent = requests(recipe, system, [chats.with_stand_in(recipe.task, e, longest) for e in asked], shots, limits)
        yield Planned(
            f"evaluate: {system.name}", recipe.asked(system), sent, estimated=system.uses_training_rows or rounds > 1
        )
    jury = scoring.of_evaluation(recipe)
    yield from scoring.planned(jury, recipe.task, "evaluate: judge", test, len(recipe.systems))
    if choices:
        answers = sum(map(len, choices.values()))
        yield from scoring.planned(jury, recipe.task, "evaluate: judge of ways to ask", validation, answers)


def _with_gold(examples: Iterable[Example]) -> Iterator[Example]:
    return (example for example in examples if example["gold"] is not None)


def _settings(recipe: Recipe, run: Run, chosen: Mapping[str, str]) -> dict[str, Any]:
    """What is sealed with a test set."""
    systems = {
        one.name: {"model": _answers_of(recipe, run, one), "prompting": one.prompting.value} for one in recipe.systems
    }
    jury = scoring.of_evaluation(recipe)
    limits = {one.prompting.prompt: recipe.max_tokens(one.prompting) for one in recipe.systems if recipe.asks(one)}
    return {
        "margin": recipe.evaluate.margin,
        "confidence": recipe.evaluate.confidence,
        "extraction": recipe.evaluate.extraction,
        "judge": jury and [model.name for model in jury.models],
        "task": recipe.task.model_dump(mode="json"),
        "prompts": recipe.generate.model_dump(mode="json", include={"output", "max_words", "shots"}),
        "limits": limits,
        "retrieved": recipe.evaluate.retrieved if any(one.prompting.is_retrieved for one in recipe.systems) else None,
        "systems": systems,
        "chosen": dict(chosen),
    }


def _answers_of(recipe: Recipe, run: Run, system: System) -> str:
    """The name of a system's model, or of its file or export with the SHA-256 of the content."""
    if system.predictions is not None:
        return f"{system.predictions.name} {predictions.digest(system.predictions)}"
    if system.export is not None:
        return f"{system.export} {run.digest(exports.part(system.export))}"
    return recipe.asked(system).name if system.asks_model else system.answers_from


def evaluated_system(
    recipe: Recipe, run: Run, system: System, examples: Sequence[Example], answers: Sequence[Answer]
) -> Evaluated:
    """A system with the rows of its answers to some examples; where judges say which are correct, they are asked."""
    read = ((e, parsed.answer) for e, one in zip(examples, answers, strict=True) for parsed in one.parsed.values())
    task = run.task.with_verdicts(scoring.verdicts(scoring.of_evaluation(recipe), run, run.task, read, system.name))
    extraction = recipe.evaluate.extraction
    rows = [prediction(task, extraction, *pair) for pair in zip(examples, answers, strict=True)]
    tells_task = not system.asks_model or all(task.tells_task(system.prompting, example) for example in examples)
    return Evaluated(system, rows, tells_task=tells_task, engine=recipe.engine(system))


def prediction(task: Task, extraction: str, example: Example, answer: Answer) -> Prediction:
    """A row of predictions/SYSTEM.parquet: an answer, read by a kind of extraction and scored."""
    completion, parsed = answer.completion, answer.parsed[extraction]
    known = task.gradable and example["gold"] is not None
    scores: dict[str, float | None] = dict(task.all_scores(parsed.answer, example))
    scores |= {kind: task.main_score(p.answer, example) if known else None for kind, p in answer.parsed.items()}
    score = scores[extraction]
    correct = None if score is None else score == 1.0
    return {
        "id": example["id"],
        "group": example["group"],
        "sample": 0,
        "messages": [dict(m) for m in answer.request.messages],
        "text": completion.text,
        "rationale": parsed.rationale,
        "answer": parsed.answer,
        "gold": example["gold"],
        "status": parsed.status.value,
        "rule": parsed.rule,
        "finish_reason": completion.finish_reason,
        "outcome": outcome_of(completion, parsed, correct, has_gold=known).value,
        "scores": scores,
        "max_tokens": answer.request.sampling.max_tokens,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "seconds": completion.seconds,
        "error": completion.error and completion.error.value,
    }
