"""Label every generated row, then choose: curated.parquet holds them all."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill import judge, tasks
from potstill.errors import PotstillError
from potstill.progress import say
from potstill.recipe import Condition, Filter, Recipe
from potstill.tasks import Task

if TYPE_CHECKING:
    from potstill.run_folder import Run

POSITIVE = (Filter.PARSED, Filter.FINISHED, Filter.RIGHT)
"""Labels that a row must have; of the others it must have none."""
REASONED = (Condition.COT_RATIONALE, Condition.GOLD_RATIONALE)
MAJORITY = 0.5
"""Part of a question's samples that must agree with an answer whose gold is unknown."""


def curate(recipe: Recipe, run: "Run") -> None:
    """Write curated.parquet: labels, the student's messages and completion, ``kept``, ``reason``.

    Raises `PotstillError` when no row is left to train on.
    """
    from potstill.models import loading, weights
    from potstill.models.local import chat_tokens

    examples = {row["id"]: row for row in run.read("examples.parquet")}
    tested = {tasks.question(recipe.task, row) for row in examples.values() if row["split"] != "train"}
    tokenizer = loading.load_tokenizer(weights.folder(recipe.student.model))
    seen: set[tuple[str, str]] = set()
    generated = run.read("generated.parquet")
    answers = ((examples[row["id"]], row["answer"]) for row in generated)
    task = judge.judged(recipe, run, recipe.task, answers, "the teacher's answers")
    agreements = agreement(task, generated)
    rows: list[dict[str, Any]] = []
    for row, agreed in zip(generated, agreements, strict=True):
        example = examples[row["id"]]
        rationale = row["rationale"] if recipe.condition in REASONED else ""
        said = task.say(rationale, row["answer"]) if row["answer"] is not None else ""
        messages = [dict(m) for m in task.messages(example)]
        tokens = len(chat_tokens(tokenizer, messages)) + len(tokenizer(said, add_special_tokens=False)["input_ids"]) + 1
        pair = (tasks.question(task, example), said)
        labels = {
            Filter.PARSED: row["status"] == "ok",
            Filter.FINISHED: row["finish_reason"] == "stop",
            Filter.RIGHT: right(task, row["answer"], example, agreed),
            Filter.DUPLICATE: pair in seen,
            Filter.IN_TEST_SET: pair[0] in tested,
            Filter.TOO_LONG: tokens > recipe.train.max_length,
        }
        seen.add(pair)
        reason = "" if said else Filter.PARSED.value
        for name in recipe.curate.filters:
            bad = labels[name] is not None and labels[name] != (name in POSITIVE)
            reason = reason or (name.value if bad else "")
        columns = {name.value.replace("-", "_"): value for name, value in labels.items()} | {"agreement": agreed}
        rows.append(
            row
            | columns
            | dict(student_messages=messages, completion=said, tokens=tokens, kept=not reason, reason=reason)
        )
    kept = [row for row in rows if row["kept"]]
    if recipe.curate.max_rows is not None and len(kept) > recipe.curate.max_rows:
        for row in random.Random(recipe.seed).sample(kept, len(kept) - recipe.curate.max_rows):
            row.update(kept=False, reason="max-rows")
    run.write("curated.parquet", rows)
    counts = Counter(row["reason"] or "kept" for row in rows)
    say(f"  {len(rows)} rows: " + ", ".join(f"{n} {_in_words(reason)}" for reason, n in counts.most_common()))
    if task.decides and (unknown := sum(examples[row["id"]]["gold"] is None for row in rows)):
        checked = sum(row["agreement"] is not None for row in rows if examples[row["id"]]["gold"] is None)
        say(f"  {unknown} have no gold: {checked} judged by agreement between samples, {unknown - checked} not at all")
    if not counts["kept"]:
        raise PotstillError("No row is left to train on: see 'reason' in curated.parquet, and relax curate.filters.")


def right(task: Task, answer: str | None, example: Mapping[str, Any], agreed: float | None) -> bool | None:
    """Whether an answer is right by gold; without gold, whether most samples agree with it; None where neither is known."""
    if not task.decides:
        return None
    if example["gold"] is not None:
        return tasks.main_score(task, answer, example) == 1.0
    return None if agreed is None else agreed > MAJORITY


def agreement(task: Task, rows: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """For each row the part of its question's samples that give an equal answer; None where there is but one sample."""
    samples: dict[str, list[str | None]] = defaultdict(list)
    for row in rows:
        samples[row["id"]].append(row["answer"])
    parts: list[float | None] = []
    for row in rows:
        of_question = samples[row["id"]]
        if len(of_question) < 2 or not task.decides:
            parts.append(None)
            continue
        same = sum(task.same(row["answer"], other) for other in of_question)
        parts.append(same / len(of_question))
    return parts


def _in_words(reason: str) -> str:
    return f"not {reason}" if reason in [label.value for label in POSITIVE] else reason
