"""Label every generated row, then choose: curated.parquet holds them all."""

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from potstill import tasks
from potstill.errors import PotstillError
from potstill.progress import say
from potstill.recipe import Condition, Filter, Recipe
from potstill.tasks import Prompting

if TYPE_CHECKING:
    from potstill.run_folder import Run


def curate(recipe: Recipe, run: "Run") -> None:
    """Write curated.parquet: labels, the student's messages and completion, ``kept``, ``reason``.

    Raises `PotstillError` when no row is left to train on.
    """
    from potstill.models import loading, weights
    from potstill.models.local import chat_tokens

    task = tasks.load(recipe.task)
    examples = {row["id"]: row for row in run.read("examples.parquet")}
    tested = {tasks.question(recipe.task, row) for row in examples.values() if row["split"] != "train"}
    tokenizer = loading.load_tokenizer(weights.folder(recipe.student.model))
    seen: set[tuple[str, str]] = set()
    rows: list[dict[str, Any]] = []
    for row in run.read("generated.parquet"):
        example = examples[row["id"]]
        rationale = row["rationale"] if recipe.condition is Condition.COT_RATIONALE else ""
        said = task.completion(rationale, row["answer"]) if row["answer"] is not None else ""
        messages = [dict(m) for m in task.messages(example, Prompting.PLAIN)]
        tokens = len(chat_tokens(tokenizer, messages)) + len(tokenizer(said, add_special_tokens=False)["input_ids"]) + 1
        pair = (tasks.question(recipe.task, example), said)
        labels = {
            Filter.PARSED: row["status"] == "ok",
            Filter.FINISHED: row["finish_reason"] == "stop",
            Filter.RIGHT: tasks.main_score(task, row["answer"], example["gold"]) == 1.0,
            Filter.DUPLICATE: pair in seen,
            Filter.IN_TEST_SET: pair[0] in tested,
            Filter.TOO_LONG: tokens > recipe.train.max_length,
        }
        seen.add(pair)
        reason = "" if said else Filter.PARSED.value
        for name in recipe.curate.filters:
            bad = labels[name] != (name in (Filter.PARSED, Filter.FINISHED, Filter.RIGHT))
            reason = reason or (name.value if bad else "")
        columns = {name.value.replace("-", "_"): value for name, value in labels.items()}
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
    if not counts["kept"]:
        raise PotstillError("No row is left to train on: see 'reason' in curated.parquet, and relax curate.filters.")


def _in_words(reason: str) -> str:
    positive = (Filter.PARSED.value, Filter.FINISHED.value, Filter.RIGHT.value)
    return f"not {reason}" if reason in positive else reason
