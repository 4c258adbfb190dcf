"""python benchmarks/judge.py [--quick] [--model MODEL]: how well a packaged model judges, and how often a planted instruction moves it.

The judge reads solutions that another model wrote to problems of GSM8K, whose correctness is recorded
(``gsm8k_example_model_solutions_a.jsonl`` in POTSTILL_TEST_DATA, of its first 260 problems; as many correct as incorrect ones).

- ``scores``: by the shipped rubric `rationale`, without gold. A score for the whole above the middle of the scale says that the solution is
  correct: ``agreement`` with what is recorded. ``separation`` is how often a correct solution has a higher score than an incorrect
  one (ties count half; 0.5 is chance).
- ``reference``: the judge is shown the correct number. ``agreement`` of its verdict with what is recorded.
- ``injections``: a planted instruction of each kind of ``tests/injections.py`` in solutions that are recorded as incorrect and that the judge,
  shown the correct number, calls wrong without it. ``moved`` is the fraction that it then calls right, ``by_kind`` the counts.

Fractions have 95 % Wilson intervals. Unreadable judgements are left out and counted. ``--quick`` asks about a few, and the figures of fewer than the
default do not count.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from injections import planted
from potstill import rubrics
from potstill.labels.table import Form
from potstill.models.store.store import Store
from potstill.recipe.asked import AskedModel
from potstill.rubrics.rubric import OVERALL
from potstill.stages.judge.asking import ask
from potstill.stages.judge.inquiry import Case, Inquiry
from potstill.stats import wilson_interval

PROBLEMS = 260
"""Problems of the file that serve development."""
SOLUTIONS, EACH = 40, 3
MAX_TOKENS = 200
SOLVER = "6b_verification"


class Account:
    """Who pays: nobody."""

    id = "benchmark"

    def __init__(self, folder: str) -> None:
        self.store = Store(Path(folder) / "completions.sqlite")

    def note_answers(self, model: str, left_out: Sequence[str], counts: Any) -> None:
        """Nothing is noted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", default="packaged/qwen2.5-coder-1.5b-instruct")
    parser.add_argument(
        "--solutions", type=int, default=SOLUTIONS, help="solutions that are judged, half of them correct"
    )
    parser.add_argument("--each", type=int, default=EACH, help="solutions with each kind of planted instruction")
    given = parser.parse_args()
    n, each = (4, 1) if given.quick else (given.solutions, given.each)
    judge = AskedModel(model=given.model, batch_size=16)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        account = Account(folder)
        rows = solutions(n)
        figures: dict[str, Any] = {"judge": given.model, "solutions": len(rows)}
        for form in (Form.SCORES, Form.REFERENCE):
            values = judged(judge, form, [case(form, row, row["solution"]) for row in rows], account)
            figures[form.value] = against_record(form, rows, values)
            print(f"{form.value}: {figures[form.value]}", flush=True)
        wrong = [row for row, value in zip(rows, values, strict=True) if value == 0 and not row["is_correct"]]
        figures["injections"] = injected(judge, wrong, each, account)
    figures["seconds"] = round(time.perf_counter() - started)
    print(json.dumps({"benchmark": "judge", "figures": figures, "counts": n >= SOLUTIONS and each >= EACH}))


def solutions(n: int) -> list[dict[str, Any]]:
    """``n`` solutions with their problems, half of them correct, drawn by seed."""
    file = Path(os.environ.get("POTSTILL_TEST_DATA", ".")) / "gsm8k_example_model_solutions_a.jsonl"
    read = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()[:PROBLEMS]]
    rows = [
        {"question": one["question"], "gold": one["ground_truth"].rsplit("A:", 1)[-1].strip(), **one[SOLVER]}
        for one in read
    ]
    drawn = random.Random(0)
    of = {right: [row for row in rows if row["is_correct"] is right] for right in (True, False)}
    return [row for right in (True, False) for row in drawn.sample(of[right], n // 2)]


def case(form: Form, row: dict[str, Any], answer: str) -> Case:
    references = (row["gold"],) if form is Form.REFERENCE else ()
    return Case([{"role": "user", "content": row["question"]}], None, references, (answer,))


def judged(judge: AskedModel, form: Form, cases: Sequence[Case], account: Account) -> list[float | None]:
    """The value of each judgement of the whole; None where it is unreadable."""
    inquiry = Inquiry(form, rubrics.load("rationale"), 0)
    found = ask(judge, MAX_TOKENS, inquiry, cases, f"{form.value} of {len(cases)}", account)
    return [one.reading.values[OVERALL] if one.reading else None for one in found]


def against_record(form: Form, rows: Sequence[dict[str, Any]], values: Sequence[float | None]) -> dict[str, Any]:
    rubric = rubrics.load("rationale")
    middle = (rubric.lowest + rubric.highest) / 2 if form is Form.SCORES else 0.5
    known = [(row["is_correct"], value) for row, value in zip(rows, values, strict=True) if value is not None]
    same = sum((value > middle) == right for right, value in known)
    figures = {"agreement": fraction(same, len(known)), "unreadable": len(rows) - len(known)}
    pairs = [(a, b) for (of_a, a), (of_b, b) in product(known, known) if of_a and not of_b]
    higher = sum(a > b for a, b in pairs) + sum(a == b for a, b in pairs) / 2
    if form is Form.SCORES and pairs:
        figures["separation"] = round(higher / len(pairs), 3)
    return figures


def injected(judge: AskedModel, wrong: Sequence[dict[str, Any]], each: int, account: Account) -> dict[str, Any]:
    """What becomes of wrong solutions with planted instructions; each kind in other solutions."""
    kinds = list(planted("", "reference"))
    chosen = (
        [(kind, wrong[(i * each + j) % len(wrong)]) for i, kind in enumerate(kinds) for j in range(each)]
        if wrong
        else []
    )
    cases = [case(Form.REFERENCE, row, planted(row["solution"], Form.REFERENCE.value)[kind]) for kind, row in chosen]
    values = judged(judge, Form.REFERENCE, cases, account) if cases else []
    by_kind = {
        kind: sum(value == 1 for (of, _), value in zip(chosen, values, strict=True) if of == kind) for kind in kinds
    }
    readable = [value for value in values if value is not None]
    return {
        "moved": fraction(sum(value == 1 for value in readable), len(readable)),
        "unreadable": len(values) - len(readable),
        "wrong_solutions": len(wrong),
        "by_kind": {kind: f"{moved} of {each}" for kind, moved in by_kind.items()},
    }


def fraction(successes: int, n: int) -> dict[str, Any]:
    interval = wilson_interval(successes, n)
    return {
        "of": n,
        "is": round(successes / max(n, 1), 3),
        "low": round(interval.low, 3),
        "high": round(interval.high, 3),
    }


if __name__ == "__main__":
    main()
