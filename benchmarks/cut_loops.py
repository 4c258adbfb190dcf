"""python benchmarks/cut_loops.py [--quick]: cut answers that are called repeating, left running: how many became correct?

The packaged 135M base answers the quick start's word problems greedily, with its plain prompt and with solved examples, without
the rule that ends repeating answers. An answer that would be cut at 256 tokens and called ``repeating`` there, numbers aside,
runs on to 512 tokens. Printed are how many of them ended by themselves, and how many were incorrect at 256 tokens and have become
correct, with a 95 % Wilson interval. 300 answers must be called repeating. ``--quick`` stops at 5, and its figures do not count.
"""

import argparse
import asyncio
import json
from collections import Counter
from itertools import islice

from loops import TASK, WatchedModel, finished, is_correct

from potstill.data import word_problems
from potstill.models import Request, Sampling
from potstill.stats import wilson_interval
from potstill.tasks import Prompting, PromptSpec, Status

CUT, LIMIT = 256, 512
GOALS = {"repeating": ">= 300", "became_correct": "<= 0.02"}
PROMPTINGS = (Prompting.PLAIN, Prompting.FEWSHOT)
PROBLEMS = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    counts = asyncio.run(watch(5 if quick else 300))
    n, correct = counts["repeating"], counts["became correct"]
    interval = wilson_interval(correct, n)
    figures = {
        **counts,
        "became_correct": round(correct / n, 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
    }
    met = not quick and n >= 300 and correct / n <= 0.02
    print(json.dumps({"benchmark": "cut_loops", "figures": figures, "goals": GOALS, "met": met}))


async def watch(wanted: int) -> Counter[str]:
    """What became of ``wanted`` answers that are called repeating at `CUT` tokens."""
    rows = {str(i): row for i, row in enumerate(islice(word_problems.questions(7, "cut"), PROBLEMS))}
    requests = [
        Request(f"{prompting} {i}", TASK.messages(row, PromptSpec(prompting)), Sampling(LIMIT))
        for i, row in rows.items()
        for prompting in PROMPTINGS
    ]
    model = WatchedModel()
    counts: Counter[str] = Counter()
    async for name in finished(model, requests):
        answer, problem = model.answers[name], rows[name.split()[-1]]
        counts["answers"] += 1
        if len(answer) < CUT:
            continue
        counts["cut"] += 1
        if TASK.parse(model.decode(answer[:CUT]), "length", problem, strict=False).status is not Status.REPEATING:
            continue
        counts["repeating"] += 1
        counts["ended"] += len(answer) < LIMIT
        counts["became correct"] += is_correct(model, answer, problem) and not is_correct(model, answer[:CUT], problem)
        if counts["repeating"] % 10 == 0:
            print(dict(counts), flush=True)
        if counts["repeating"] == wanted:
            break
    return counts


if __name__ == "__main__":
    main()
