"""New inputs from few: by self-instruction (Wang et al. 2022, arXiv 2212.10560) and by rewriting (Xu et al. 2023, arXiv
2304.12244). They have no gold, and are only ever trained on."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill import tasks
from potstill.errors import PotstillError
from potstill.models import Request, Sampling
from potstill.models.ask import ask_within
from potstill.progress import say
from potstill.recipe import Recipe
from potstill.recipe_data import Synthesize
from potstill.tasks import Column, Task, json_schema, prompts
from potstill.tasks.reading import json_in

if TYPE_CHECKING:
    from potstill.run_folder import Run

TEXTS = Path(__file__).with_suffix(".yaml")
SHOWN = 3
"""Real inputs that are shown where a new one is asked for; of a rewriting, the one that is rewritten."""
RUN_OF_WORDS = 3
_WORD = re.compile(r"\w+")
KINDS: Mapping[Column, Mapping[str, Any]] = {
    Column.TEXT: {"type": "string"},
    Column.OPTIONS: {"type": "array", "items": {"type": "string"}},
    Column.MESSAGES: {"type": "string"},
}


def synthesize(
    recipe: Recipe, source: Synthesize, run: "Run", real: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """New training examples from the real ones, as many as were asked for less those that are dropped.

    Writes synthesis.json: how many were dropped and why, and how diverse real and new ones are. Raises `PotstillError`
    like any other asking.
    """
    seeds = [row for row in real if row["split"] == "train"]
    asked = requests(recipe.task, source, seeds, recipe.seed)
    to_ask = [request for request, _ in asked]
    answers = ask_within(recipe.teacher, to_ask, "new inputs", run.store, run.name_in_store)
    seen = _Near(source.similarity)
    for row in real:
        seen.add(tasks.question(recipe.task, row))
    made: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    unread = ""
    for (request, method), answer in zip(asked, answers, strict=True):
        new = read(recipe.task, answer.text) if answer.finish_reason == "stop" else None
        if new is None:
            dropped["unreadable"] += 1
            unread = unread or answer.text
            continue
        if seen.near(text := tasks.question(recipe.task, new)):
            dropped["near-duplicate"] += 1
            continue
        seen.add(text)
        empty: dict[str, Any] = dict.fromkeys(("system", "prompt", "rationale", "gold"))
        example: dict[str, Any] = {**empty, **new, "id": f"train-{request.id}", "group": request.id, "split": "train"}
        example["origin"] = method
        made += recipe.task.shown(example, recipe.seed)
    if dropped["unreadable"] == len(asked):
        raise PotstillError(
            f"None of the teacher's {len(asked)} replies holds a new input in JSON; the first begins {unread[:80]!r}. "
            "Try a larger teacher, or make rows by hand."
        )
    texts = {
        "real": [tasks.question(recipe.task, r) for r in seeds],
        "new": [tasks.question(recipe.task, r) for r in made],
    }
    measured = {name: diversity(of) for name, of in texts.items()}
    run.write_json("synthesis.json", {"asked": len(asked), "made": len(made), "dropped": dict(dropped), **measured})
    lost = ", ".join(f"{n} {why}" for why, n in dropped.most_common())
    say(f"  {len(made)} new inputs of {len(asked)} asked for" + (f" ({lost})" if lost else ""))
    say("  different runs of three words: " + ", ".join(f"{name} {m['distinct']:.0%}" for name, m in measured.items()))
    return made


def requests(
    task: Task, source: Synthesize, seeds: Sequence[Mapping[str, Any]], seed: int
) -> list[tuple[Request, str]]:
    """What is asked, each with its method: methods, topics and difficulties by turns, seeds drawn by ``seed``."""
    rng = random.Random(f"synthesize:{seed}")
    sampling = Sampling(source.max_tokens, source.temperature, 1.0, seed)
    asked: list[tuple[Request, str]] = []
    for i in range(source.n):
        method = source.methods[i % len(source.methods)]
        shown = rng.sample(list(seeds), min(len(seeds), SHOWN if method == "new" else 1))
        attributes = {
            "topic": rng.choice(source.topics) if source.topics else "",
            "difficulty": rng.choice(source.difficulties) if source.difficulties else "",
        }
        messages = [{"role": "user", "content": _prompt(task, method, shown, attributes)}]
        asked.append((Request(f"new-{i}", messages, sampling, schema=_schema(task)), method))
    return asked


def read(task: Task, text: str) -> dict[str, Any] | None:
    """The columns of a new input out of a reply; None where one is missing or no use."""
    inside = json_in(text)
    if not isinstance(inside, dict):
        return None
    try:
        return {
            name: column.read(
                [{"role": "user", "content": inside[name]}] if column is Column.MESSAGES else inside[name]
            )
            for name, column in task.columns.items()
        }
    except (ValueError, KeyError):
        return None


def diversity(texts: Sequence[str]) -> dict[str, float]:
    """``distinct``: different runs of three words, of all that there are (Li et al. 2016, arXiv 1510.03055, for one and
    two words); ``words``: the mean length."""
    found = [_runs(text) for text in texts]
    total = sum(len(runs) for runs in found)
    every = set().union(*found) if found else set()
    words = sum(len(_WORD.findall(text)) for text in texts)
    return {"distinct": len(every) / total if total else 0.0, "words": words / max(1, len(texts))}


@dataclass
class _Near:
    """Finds texts that share most runs of words with one before."""

    similarity: float
    texts: list[set[str]] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        runs = _runs(text)
        for run in runs:
            self.places.setdefault(run, []).append(len(self.texts))
        self.texts.append(runs)

    def near(self, text: str) -> bool:
        """Whether the Jaccard similarity with any text is at least ``similarity``."""
        runs = _runs(text)
        shared = Counter(place for run in runs for place in self.places.get(run, ()))
        return any(n >= self.similarity * (len(runs) + len(self.texts[place]) - n) for place, n in shared.items())


def _runs(text: str) -> set[str]:
    words = _WORD.findall(text.lower())
    return {" ".join(words[i : i + RUN_OF_WORDS]) for i in range(max(1, len(words) - RUN_OF_WORDS + 1))}


def _schema(task: Task) -> dict[str, Any]:
    return json_schema.object_schema({name: dict(KINDS[column]) for name, column in task.columns.items()})


def _prompt(task: Task, method: str, shown: Iterable[Mapping[str, Any]], attributes: Mapping[str, str]) -> str:
    texts = prompts.read(TEXTS)
    said = [texts[method]]
    if any(attributes.values()):
        lines = prompts.render(texts["attributes"], attributes)
        said.append(" ".join(part for part in re.split(r"(?<=\.) ", lines) if not part.endswith(": .")))
    for row in shown:
        columns = {name: _flat(row[name], column) for name, column in task.columns.items()}
        said.append(json.dumps(columns, ensure_ascii=False))
    form = ", ".join(f'"{name}": ...' for name in task.columns)
    return "\n\n".join([*(text.strip() for text in said), f"Reply with JSON alone: {{{form}}}"])


def _flat(value: Any, column: Column) -> Any:
    return next(m["content"] for m in value if m["role"] == "user") if column is Column.MESSAGES else value
