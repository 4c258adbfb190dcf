"""New inputs from a few seed inputs: by self-instruction (Wang et al. 2022, arXiv 2212.10560) and by rewriting (Xu et al. 2023,
arXiv 2304.12244). They have no gold, and are used for training only."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from potstill.answers.json_replies import parse_json
from potstill.errors import PotstillError
from potstill.models import Request, Sampling
from potstill.models.complete import complete_within_budget
from potstill.progress import echo
from potstill.recipe.data import Synthesize
from potstill.recipe.recipe import Recipe
from potstill.stages.planned import KnownExamples, Planned
from potstill.tasks import Column, Example, Task, json_schema, prompts
from potstill.workspace.artifacts import SYNTHESIS
from potstill.workspace.run import Run

PROMPTS_FILE = Path(__file__).with_suffix(".yaml")
MAX_REDRAWS = 20
"""Draws of a prompt before one that was drawn before is used again."""
INPUTS_PER_PROMPT = 3
"""Number of real inputs in a prompt for a new one; a prompt to rewrite contains only the input to rewrite."""
_WORD = re.compile(r"\w+")
COLUMN_SCHEMAS: Mapping[Column, Mapping[str, Any]] = {
    Column.TEXT: {"type": "string"},
    Column.OPTIONS: {"type": "array", "items": {"type": "string"}},
    Column.MESSAGES: {"type": "string"},
}


def synthesize(recipe: Recipe, run: Run, source: Synthesize, real: Sequence[Example]) -> list[Example]:
    """New training examples from the real ones, at most ``source.n``.

    Writes synthesis.json: how many replies were dropped and why, and the diversity of real and new examples. Raises
    `PotstillError` as `complete` does, and when no reply is readable.
    """
    seeds = [example for example in real if example["split"] == "train"]
    planned_requests = list(requests(recipe, source, seeds))
    to_send = [request for request, _ in planned_requests]
    completions = complete_within_budget(recipe.teacher, to_send, "new inputs", run)
    seen = _NearDuplicates(source.similarity)
    for example in real:
        seen.add(recipe.task.question_key(example))
    new: list[Example] = []
    dropped: Counter[str] = Counter()
    unreadable = ""
    for (request, method), completion in zip(planned_requests, completions, strict=True):
        columns = parse_input(recipe.task, completion.text) if completion.finish_reason == "stop" else None
        if columns is None:
            dropped["unreadable"] += 1
            unreadable = unreadable or completion.text
        elif seen.has_similar(text := recipe.task.question_key(columns)):
            dropped["near-duplicate"] += 1
        else:
            seen.add(text)
            new += recipe.task.expand(_example(request.id, method, columns), recipe.data_seed)
    if dropped["unreadable"] == len(planned_requests):
        raise PotstillError(
            f"None of the teacher's {len(planned_requests)} replies holds a new input in JSON; the first begins {unreadable[:80]!r}. "
            "Use a larger teacher, or write rows by hand."
        )
    by_kind = {"real": seeds, "new": new}
    measured = {name: diversity([recipe.task.question_key(e) for e in of_kind]) for name, of_kind in by_kind.items()}
    run.write_json(
        SYNTHESIS, {"requested": len(planned_requests), "created": len(new), "dropped": dict(dropped), **measured}
    )
    reasons = ", ".join(f"{n} {reason}" for reason, n in dropped.most_common())
    echo(f"  {len(new)} new inputs from {len(planned_requests)} requests" + (f" ({reasons})" if reasons else ""))
    echo("  distinct word trigrams: " + ", ".join(f"{name} {m['distinct']:.0%}" for name, m in measured.items()))
    return new


def planned(recipe: Recipe, known: KnownExamples) -> Iterator[Planned]:
    """The requests of the data stage, for `potstill plan`."""
    if source := recipe.data.synthesis:
        seeds = [example for example in known.rows("train") if not example["origin"]]
        yield Planned("new inputs", recipe.teacher, [request for request, _ in requests(recipe, source, seeds)])


def requests(recipe: Recipe, source: Synthesize, seeds: Sequence[Example]) -> Iterator[tuple[Request, str]]:
    """Requests for new inputs, each with its method, no two the same.

    Methods alternate; seed inputs and attributes are drawn by `data.seed`. A prompt that was drawn before is drawn again, up to
    `MAX_REDRAWS` times; after that it is another sample of the same prompt.
    """
    task = recipe.task
    rng = random.Random(f"synthesize:{recipe.data_seed}")
    sampling = Sampling(
        max_tokens=source.max_tokens, temperature=source.temperature, top_p=1.0, seed=recipe.generate_seed
    )
    samples: Counter[str] = Counter()
    for i in range(source.n):
        method = source.methods[i % len(source.methods)]
        for _ in range(MAX_REDRAWS):
            prompt = _drawn_prompt(task, source, method, seeds, rng)
            if not samples[prompt]:
                break
        messages = [{"role": "user", "content": prompt}]
        yield Request(f"new-{i}", messages, sampling, samples[prompt], _schema(task)), method
        samples[prompt] += 1


def _drawn_prompt(task: Task, source: Synthesize, method: str, seeds: Sequence[Example], rng: random.Random) -> str:
    inputs = rng.sample(list(seeds), min(len(seeds), INPUTS_PER_PROMPT if method == "new" else 1))
    attributes = {
        "topic": rng.choice(source.topics) if source.topics else "",
        "difficulty": rng.choice(source.difficulties) if source.difficulties else "",
    }
    return _prompt(task, method, inputs, attributes)


def _example(id_: str, method: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(("system", "prompt", "rationale", "gold"))
    return {**empty, **columns, "id": f"train-{id_}", "group": id_, "split": "train", "origin": method}


def parse_input(task: Task, text: str) -> dict[str, Any] | None:
    """The columns of a new input in a reply; None where one is missing or unusable."""
    values = parse_json(text)
    if not isinstance(values, dict):
        return None
    try:
        return {
            name: column.parse(
                [{"role": "user", "content": values[name]}] if column is Column.MESSAGES else values[name]
            )
            for name, column in task.columns.items()
        }
    except (ValueError, KeyError):
        return None


def diversity(texts: Sequence[str]) -> dict[str, float]:
    """``distinct``: the number of distinct word trigrams divided by the number of all word trigrams (Li et al. 2016, arXiv
    1510.03055, for unigrams and bigrams); ``words``: the mean number of words of a text."""
    trigrams = [_trigrams(text) for text in texts]
    total = sum(map(len, trigrams))
    distinct = set().union(*trigrams)
    words = sum(len(_WORD.findall(text)) for text in texts)
    return {"distinct": len(distinct) / total if total else 0.0, "words": words / max(1, len(texts))}


@dataclass
class _NearDuplicates:
    """Finds texts that share most word trigrams with an earlier text."""

    similarity: float
    texts: list[set[str]] = field(default_factory=list)
    texts_with: dict[str, list[int]] = field(default_factory=dict)

    def add(self, text: str) -> None:
        trigrams = _trigrams(text)
        for trigram in trigrams:
            self.texts_with.setdefault(trigram, []).append(len(self.texts))
        self.texts.append(trigrams)

    def has_similar(self, text: str) -> bool:
        """Whether the Jaccard similarity with an earlier text is at least ``similarity``."""
        trigrams = _trigrams(text)
        shared = Counter(index for trigram in trigrams for index in self.texts_with.get(trigram, ()))
        return any(n >= self.similarity * (len(trigrams) + len(self.texts[index]) - n) for index, n in shared.items())


def _trigrams(text: str) -> set[str]:
    words = _WORD.findall(text.lower())
    return {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def _schema(task: Task) -> dict[str, Any]:
    return json_schema.object_schema({name: dict(COLUMN_SCHEMAS[column]) for name, column in task.columns.items()})


def _prompt(task: Task, method: str, inputs: Iterable[Mapping[str, Any]], attributes: Mapping[str, str]) -> str:
    texts = prompts.load(PROMPTS_FILE)
    parts = [texts[method]]
    if any(attributes.values()):
        lines = prompts.render(texts["attributes"], attributes)
        parts.append(" ".join(part for part in re.split(r"(?<=\.) ", lines) if not part.endswith(": .")))
    for row in inputs:
        columns = {name: _as_json(row[name], column) for name, column in task.columns.items()}
        parts.append(json.dumps(columns, ensure_ascii=False))
    keys = ", ".join(f'"{name}": ...' for name in task.columns)
    return "\n\n".join([*(text.strip() for text in parts), f"Reply with JSON alone: {{{keys}}}"])


def _as_json(value: Any, column: Column) -> Any:
    return next(m["content"] for m in value if m["role"] == "user") if column is Column.MESSAGES else value
