"""python benchmarks/reading.py [FILES...]: how often an answer is read that a text does not give, or not read that it gives.

Two kinds of data:

- cases: JSON Lines ``{task, text, expected}``, with ``example``, ``finish`` and ``mode`` (`strict` or `lenient`, the default) where
  they matter: the answer must be ``expected``; with ``gold`` the score says whether the answer is right. Left out: all
  ``cases.jsonl`` in the folder ``cases`` beside POTSTILL_TEST_DATA.
- recorded answers: the solutions of four models to 660 problems of GSM8K in POTSTILL_TEST_DATA, whose correctness is recorded.

``false_right`` counts texts that give no answer, or an incorrect one, and are read as giving the right one or another one;
``false_wrong`` those whose right answer is read as another one; ``unread`` those whose right answer is not read at all.
``recorded`` and ``recomputed`` are the numbers of correct solutions. Reading must not raise.
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from potstill.tasks import Task
from potstill.tasks.math import Math
from potstill.tasks.registry import parse_task

GOALS = {"right": ">= 0.96 of the cases", "false_right": "0", "recomputed": "as recorded"}
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="files of cases")
    files = parser.parse_args().files
    data = Path(os.environ.get("POTSTILL_TEST_DATA", "."))
    files = files or sorted((data.parent / "cases").glob("*/cases.jsonl"))
    counts: Counter[str] = Counter()
    for file in files:
        counts += of_file(file)
    figures: dict[str, Any] = {
        name: counts[name] for name in ("cases", "right", "false_right", "false_wrong", "unread")
    }
    solutions = data / "gsm8k_example_model_solutions_a.jsonl"
    same = True
    if solutions.exists():
        figures["recorded"], figures["recomputed"], figures["solutions_differ"] = recorded(solutions)
        same = not figures["solutions_differ"]
    met = bool(counts["cases"]) and counts["right"] >= 0.96 * counts["cases"] and not counts["false_right"] and same
    print(json.dumps({"benchmark": "reading", "figures": figures, "goals": GOALS, "met": met}))


def of_file(file: Path) -> Counter[str]:
    """The verdicts on the cases of a file that say a task; prints each that is not right."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    counts: Counter[str] = Counter()
    for case in rows:
        if "task" not in case or "text" not in case or "expected" not in case:
            continue
        verdict, answer = verdict_on(case)
        counts.update(["cases", verdict])
        if verdict != "right":
            print(
                f"{file.parent.name}: {verdict}: {case['text'][:80]!r}: {answer!r}, expected {case['expected']!r}",
                flush=True,
            )
    return counts


def verdict_on(case: Mapping[str, Any]) -> tuple[str, str | None]:
    """What the reader made of a case, and the answer that it read."""
    task = parse_task(case["task"])
    example = dict.fromkeys([*task.columns, "gold"], "") | {"id": "1"} | case.get("example", {})
    parsed = task.parse(case["text"], case.get("finish", "stop"), example, strict=case.get("mode") == "strict")
    if "gold" in case:
        return verdict_by_score(task, parsed.answer, example, case), parsed.answer
    if parsed.answer == case["expected"]:
        return "right", parsed.answer
    if case["expected"] is None:
        return "false_right", parsed.answer
    return "unread" if parsed.answer is None else "false_wrong", parsed.answer


def verdict_by_score(task: Task, answer: str | None, example: dict[str, Any], case: Mapping[str, Any]) -> str:
    gold = task.parse_gold(case["gold"], example)
    correct = answer is not None and task.main_score(answer, example | {"gold": gold}) == 1.0
    if correct == case["expected"]:
        return "right"
    if correct:
        return "false_right"
    return "unread" if answer is None else "false_wrong"


def recorded(file: Path) -> tuple[list[int], list[int], int]:
    """The correct solutions of each model as recorded and as recomputed from their last lines, and how many differ."""
    rows = [json.loads(line) for line in file.open(encoding="utf-8")]
    pairs = [list(correctness(rows, model)) for model in MODELS]
    return (
        [sum(was for was, _ in of_model) for of_model in pairs],
        [sum(now for _, now in of_model) for of_model in pairs],
        sum(was != now for of_model in pairs for was, now in of_model),
    )


def correctness(rows: Iterable[Mapping[str, Any]], model: str) -> Iterable[tuple[bool, bool]]:
    """Whether each solution of a model is correct: as recorded, and as read."""
    task = Math()
    for row in rows:
        gold = task.parse_gold(row["ground_truth"].rpartition("A:")[2], {})
        answer = task.parse(f"Answer:{row[model]['solution'].rpartition('A:')[2]}", "stop", {}, strict=False).answer
        yield row[model]["is_correct"], answer is not None and task.scores(answer, {"gold": gold})["accuracy"] == 1.0


if __name__ == "__main__":
    main()
