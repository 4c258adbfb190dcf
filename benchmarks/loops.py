"""python benchmarks/loops.py [--quick]: answers that loop, left running: how many would have recovered?

The packaged 135M base answers word problems and open requests (plans, quizzes, JSON, verse, code) greedily, and the
rule that ends a repeating answer only watches. Printed is what became of the answers that it would have ended, at the limit of
512 tokens:

- ``corrected``: its answer to the word problem, read leniently, had become correct;
- ``ended``: the model ended it by itself;
- ``left``: it had left the loop, and what it said since then does not end in another;
- ``other_loop``: it had left the loop for another one;
- ``same_loop``: the rest.

The first three recovered; they are printed, and their fraction has a 95 % Wilson interval. ``saved`` is the fraction of all
generated tokens that the rule would have saved. 300 answers must loop. ``--quick`` stops at 5, and its figures do not count.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from itertools import islice, product

from potstill.data import word_problems
from potstill.models import Completion, Request, Sampling, stream
from potstill.models.local import loading
from potstill.models.local.model import TOKENS_BETWEEN_CHECKS, LocalModel
from potstill.models.local.weights import LocalWeights
from potstill.models.repetition import repeated_period
from potstill.stats import wilson_interval
from potstill.tasks import Example
from potstill.tasks.math import Math

BASE = "packaged/smollm2-135m-instruct"
GOALS = {"loops": ">= 300", "recovered": "<= 0.02"}
LIMIT = 512
PROBLEMS = 200
FORMS = (
    "Write a plan for a year about {}, week by week.", "Write a plan for 30 days about {}, day by day.",
    "Count from 1 to 100 and say something about {}.", "Name one fact about {} for each number from 1 to 50.",
    "Write a JSON array of 20 records about {}.", "Write a quiz of 20 questions and answers about {}.",
    "Write a song about {} with a long refrain.", "Write a poem of 20 verses about {}.",
    "Write unit tests in Python for a class about {}.", "Write the timetable of a day about {}, hour by hour.",
    "Write an HTML page about {} with a table.", "Write 30 rules about {}, one in each line.",
)  # fmt: skip
TOPICS = (
    "the sea", "bread", "bicycles", "bees", "the moon", "chess", "rain", "libraries", "trains", "apples", "winter",
    "lighthouses", "tea", "gardens", "birds", "rivers", "clocks", "markets", "snow", "maps", "bridges", "wool", "horses",
    "mountains", "cheese", "letters", "ships", "music", "glass", "cats", "forests", "stars", "shoes", "salt", "wind",
    "schools", "fish", "paper", "fire", "honey", "islands", "dreams", "stones", "bells", "roses", "ice", "doors", "hats",
    "dogs", "coins", "soup", "kites", "sand", "books", "lamps", "mirrors", "eggs", "wheels", "boats", "trees", "gold",
    "milk", "towers", "masks", "spoons", "wolves", "clouds", "grapes", "tigers", "pens", "rugs", "frogs", "drums",
    "owls", "jam", "knots", "vases", "plums", "mud", "figs",
)  # fmt: skip
TASK = Math()


class WatchedModel(LocalModel):
    """Keeps the token ids of its answers, by request id; no answer ends for repeating itself."""

    def __init__(self) -> None:
        folder = LocalWeights(BASE).download()

        def load():
            return loading.load_model(folder, "auto"), loading.load_tokenizer(folder)

        super().__init__(load, {"weights": BASE}, BASE, batch_size=64, repeated_period=lambda answer: 0)
        self.answers: dict[str, list[int]] = {}

    def _completion(self, row, loaded) -> Completion:
        self.answers[row.request.id] = row.answer
        return super()._completion(row, loaded)

    def decode(self, tokens: list[int]) -> str:
        return self._resident.tokenizer.decode(tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    fates, tokens, saved = asyncio.run(watch(5 if quick else 300))
    loops = fates.total()
    recovered = sum(fates[fate] for fate in ("ended", "left", "corrected"))
    interval = wilson_interval(recovered, loops)
    figures = {
        "loops": loops, **fates, "recovered": round(recovered / loops, 4), "recovered_low": round(interval.low, 4),
        "recovered_high": round(interval.high, 4), "saved": round(saved / tokens, 3),
    }  # fmt: skip
    met = not quick and loops >= 300 and recovered / loops <= 0.02
    print(json.dumps({"benchmark": "loops", "figures": figures, "goals": GOALS, "met": met}))


async def watch(wanted: int) -> tuple[Counter[str], int, int]:
    """What became of ``wanted`` looping answers; the tokens of all answers, and those after the rule would have ended them."""
    questions = islice(word_problems.questions(5, "loops", unseen=False, taken=set()), PROBLEMS)
    problems = {f"problem {i}": row for i, row in enumerate(questions)}
    requests = [Request(name, TASK.messages(row), Sampling(LIMIT)) for name, row in problems.items()]
    for topic, form in product(TOPICS, FORMS):
        text = form.format(topic)
        requests.append(Request(text, [{"role": "user", "content": text}], Sampling(LIMIT)))
    model = WatchedModel()
    fates: Counter[str] = Counter()
    answers = tokens = saved = 0
    async for name in finished(model, requests):
        answer = model.answers[name]
        answers, tokens = answers + 1, tokens + len(answer)
        if not (end := first_loop(answer)):
            continue
        saved += len(answer) - end
        fate = fate_of(model, answer, end, problems.get(name))
        fates[fate] += 1
        print(f"{fates.total()} loops in {answers} answers: {fate} ({end} of {len(answer)} tokens)", flush=True)
        if fate not in ("same_loop", "other_loop"):
            print(f"  {name!r}: {model.decode(answer[:end])!r}\n  AND THEN {model.decode(answer[end:])!r}", flush=True)
        if fates.total() == wanted:
            break
    return fates, tokens, saved


async def finished(model: LocalModel, requests: list[Request]) -> AsyncIterator[str]:
    """The ids of answered requests."""
    async for group in model.complete(stream(requests)):
        for completion in group:
            if not completion.error:
                yield completion.id


def first_loop(answer: list[int]) -> int:
    """The number of tokens at which the rule ends an answer; 0 where it does not."""
    ends = range(TOKENS_BETWEEN_CHECKS, len(answer) + 1, TOKENS_BETWEEN_CHECKS)
    return next((end for end in ends if repeated_period(answer[:end])), 0)


def fate_of(model: WatchedModel, answer: list[int], end: int, problem: Example | None) -> str:
    """What became of an answer that the rule would have ended at ``end``."""
    period = repeated_period(answer[:end])
    if problem and is_correct(model, answer, problem) and not is_correct(model, answer[:end], problem):
        return "corrected"
    if len(answer) < LIMIT:
        return "ended"
    if all(answer[i] == answer[i - period] for i in range(end, len(answer))):
        return "same_loop"
    return "other_loop" if repeated_period(answer[end:]) else "left"


def is_correct(model: WatchedModel, answer: list[int], problem: Example) -> bool:
    parsed = TASK.parse(model.decode(answer), "stop", problem, strict=False)
    return TASK.main_score(parsed.answer, problem) == 1.0


if __name__ == "__main__":
    main()
