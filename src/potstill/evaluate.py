"""Base, student and teacher answer the same test questions: predictions/ and evaluation.json."""

from collections import Counter
from enum import StrEnum
from statistics import mean
from typing import TYPE_CHECKING, Any

from potstill import tasks
from potstill.models import Request, Sampling
from potstill.models.ask import ask, open_model
from potstill.models.store import StoredModel
from potstill.recipe import Recipe, System
from potstill.stats import mcnemar_exact, newcombe_paired, wilson
from potstill.tasks import Prompting

if TYPE_CHECKING:
    from potstill.pipeline import Run


class Outcome(StrEnum):
    """What became of a question: right, wrong, the status of a text that is not ok, or an error on the way."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSTAINED = "abstained"
    UNPARSEABLE = "unparseable"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    REFUSED = "refused"
    ERROR = "error"


SPLITS = ("test_unseen", "test")
PROMPTINGS = {"": Prompting.PLAIN, "plain": Prompting.PLAIN} | {p.value: p for p in Prompting}


def evaluate(recipe: Recipe, run: "Run") -> None:
    """Ask every system of the recipe; write predictions/SYSTEM.parquet and evaluation.json."""
    examples = [row for row in run.read("examples.parquet") if row["split"] in SPLITS]
    predictions = {}
    for system in recipe.evaluate.systems:
        predictions[system.value] = _ask(recipe, run, system, examples)
        run.write(f"predictions/{system.value}.parquet", predictions[system.value])
    splits = {}
    for split in SPLITS:
        ids = {row["id"] for row in examples if row["split"] == split}
        of_split = {name: [row for row in rows if row["id"] in ids] for name, rows in predictions.items()}
        if ids:
            splits[split] = summary(of_split, recipe.evaluate.confidence)
    verdict = " ".join(_verdict(split, values, recipe.evaluate.margin) for split, values in splits.items())
    run.write_json("evaluation.json", {"splits": splits, "verdict": verdict})


def _ask(recipe: Recipe, run: "Run", system: System, examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    task = tasks.load(recipe.task)
    who, _, how = system.value.partition("-")
    source: Any = {"base": recipe.student.model, "student": run.path("student"), "teacher": recipe.teacher.model}[who]
    teacher = who == "teacher"
    room = recipe.generate.max_tokens if teacher else recipe.student.max_tokens
    requests = [Request(row["id"], task.messages(row, PROMPTINGS[how]), Sampling(room)) for row in examples]
    model = open_model(source, (recipe.teacher if teacher else recipe.student).batch_size)
    answers = ask(StoredModel(model, run.store), requests, system.value)
    rows = []
    for example, request, completion in zip(examples, requests, answers, strict=True):
        read = {
            s: task.parse(completion.text, completion.finish_reason, strict=s == "strict")
            for s in ("strict", "lenient")
        }
        parsed = read[recipe.evaluate.extraction]
        scores = {name: next(iter(task.scores(p.answer, example["gold"]).values())) for name, p in read.items()}
        outcome = Outcome.ERROR if completion.error else Outcome(parsed.status.value) if parsed.answer is None else (
            Outcome.RIGHT if scores[recipe.evaluate.extraction] == 1.0 else Outcome.WRONG
        )  # fmt: skip
        rows.append(
            {
                "id": request.id,
                "sample": 0,
                "messages": [dict(m) for m in request.messages],
                "text": completion.text,
                "rationale": parsed.rationale,
                "answer": parsed.answer,
                "status": parsed.status.value,
                "outcome": outcome.value,
                "scores": scores,
                "prompt_tokens": completion.prompt_tokens,
                "completion_tokens": completion.completion_tokens,
                "seconds": completion.seconds,
                "error": completion.error and completion.error.value,
            }
        )
    return rows


def summary(predictions: dict[str, list[dict[str, Any]]], confidence: float) -> dict[str, Any]:
    """Systems and all comparisons with the student on one split; everything but ``right`` counts as wrong."""
    systems = {}
    for name, rows in predictions.items():
        metrics = {}
        outcomes = Counter(row["outcome"] for row in rows)
        for metric, right in (
            ("accuracy", outcomes["right"]),
            *((kind, int(sum(row["scores"][kind] for row in rows))) for kind in ("strict", "lenient")),
        ):
            low, high = wilson(right, len(rows), confidence)
            metrics[metric] = {"estimate": right / len(rows), "low": low, "high": high}
        systems[name] = {
            "n": len(rows),
            "outcomes": dict(outcomes),
            "metrics": metrics,
            "tokens_per_answer": mean(row["completion_tokens"] for row in rows),
            "seconds_per_answer": mean(row["seconds"] for row in rows),
        }
    comparisons = [
        compare(predictions, "student", b, confidence) for b in systems if "student" in systems and b != "student"
    ]
    return {"systems": systems, "comparisons": comparisons}


def compare(predictions: dict[str, list[dict[str, Any]]], a: str, b: str, confidence: float) -> dict[str, Any]:
    """Paired difference of accuracies a - b, question by question."""
    right_a, right_b = ({row["id"]: row["outcome"] == "right" for row in predictions[name]} for name in (a, b))
    table = Counter((right_a[id_], right_b[id_]) for id_ in right_a)
    both, only_a, only_b, neither = (
        table[pair] for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    low, high = newcombe_paired(both, only_a, only_b, neither, confidence)
    difference = (only_a - only_b) / len(right_a)
    return dict(
        a=a,
        b=b,
        only_a=only_a,
        only_b=only_b,
        difference=difference,
        low=low,
        high=high,
        p_value=mcnemar_exact(only_a, only_b),
    )


def _verdict(split: str, values: dict[str, Any], margin: float) -> str:
    where = {
        "test_unseen": "On question templates never trained on",
        "test": "On new questions of the trained templates",
    }[split]
    systems = values["systems"]
    if "student" not in systems:
        return f"{where} ({split}) the student was not asked."
    n = systems["student"]["n"]

    def rate(name: str) -> str:
        return f"{systems[name]['metrics']['accuracy']['estimate']:.0%}"

    def best(role: str) -> dict[str, Any] | None:
        found = [c for c in values["comparisons"] if c["b"].startswith(role)]
        return min(found, key=lambda c: float(c["difference"])) if found else None

    text = f"{where} ({split}, {n} questions) the student answers {rate('student')} right"
    for role in ("base", "teacher"):
        if c := best(role):
            if c["low"] > 0:
                finding = "better"
            elif c["high"] < 0:
                finding = "worse"
            elif -margin < c["low"] and c["high"] < margin:
                finding = "equal within the margin"
            else:
                finding = "not distinguishable"
            text += (
                f"; against the best of the {role}'s systems ({c['b']}, {rate(c['b'])}) it is {finding}: "
                f"{c['difference'] * 100:+.0f} points [{c['low'] * 100:+.0f}, {c['high'] * 100:+.0f}], p = {c['p_value']:.2g}"
            )
    return text + "."
