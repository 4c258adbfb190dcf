"""Solved examples for few-shot prompts: the task's own, or training examples, drawn by seed or the most alike."""

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import log
from typing import Any

import numpy as np

from potstill.data.rows import hash64
from potstill.errors import RecipeError
from potstill.recipe import Recipe
from potstill.tasks import Example, Prompting, question

POOL = 20_000
"""Training examples, drawn by seed, among which the most alike are looked for."""
_WORD = re.compile(r"\w+")
_Solved = list[tuple[Mapping[str, Any], str]]


class Shots:
    """The solved examples that go before a question; ``examples`` gives those of all splits, anew at each call.

    No question is shown that is asked, nor one that stands in another split than training. Raises `RecipeError` when a
    prompting wants examples that neither the task nor the data has.
    """

    def __init__(self, recipe: Recipe, examples: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        self.recipe, self.examples = recipe, examples
        options = recipe.generate.shots
        self._pools: dict[bool, tuple[_Solved, _Index | None]] = {}
        self.own = options.source == "task" or (options.source is None and bool(recipe.task.shots))

    def __call__(self, example: Example, prompting: Prompting) -> Sequence[Example]:
        options = self.recipe.generate.shots
        if not prompting.has_shots:
            return ()
        if self.own or prompting.prompt == "cod":  # a chain is more than gold
            if not self.recipe.task.shots:
                raise RecipeError(
                    f"The task {self.recipe.task.name} has no solved examples of its own for '{prompting.value}': set "
                    "generate.shots.source to train, or ask without examples."
                )
            return self.recipe.task.shots
        pool, index = self._pool(prompting.prompt == "cot")
        asked = question(self.recipe.task, example)
        if index is None:
            return [shot for shot, text in pool if text != asked][: options.n]
        likest = index.most(asked, options.n + 1)
        return [pool[i][0] for i in likest if pool[i][1] != asked][: options.n][::-1]

    def _pool(self, reasoned: bool) -> "tuple[_Solved, _Index | None]":
        """Examples that can be shown, with their questions, and an index where the likest are wanted."""
        if reasoned not in self._pools:
            pool = self._draw(reasoned)
            by_likeness = self.recipe.generate.shots.choose == "similarity"
            self._pools[reasoned] = pool, _Index([text for _, text in pool]) if by_likeness else None
        return self._pools[reasoned]

    def _draw(self, reasoned: bool) -> _Solved:
        options = self.recipe.generate.shots
        n = POOL if options.choose == "similarity" else options.n + 1
        pool = heapq.nsmallest(n, self._usable(reasoned), key=lambda one: hash64(f"{self.recipe.seed}:shot:{one[1]}"))
        if len(pool) < 2:
            missing = "a rationale (data.columns.rationale)" if reasoned else "gold"
            raise RecipeError(
                f"generate.shots: too few training examples have {missing} to stand in a prompt; choose a prompting "
                "without examples, such as cot, or the task's own (source: task)."
            )
        return pool

    def _usable(self, reasoned: bool) -> Iterator[tuple[Mapping[str, Any], str]]:
        task = self.recipe.task
        seen = {hash64(question(task, row)) for row in self.examples() if row["split"] != "train"}
        for row in self.examples():
            if row["split"] != "train" or row["gold"] is None or (reasoned and not row["rationale"]):
                continue
            if (text := question(task, row)) and (key := hash64(text)) not in seen:
                seen.add(key)
                yield row, text


class _Index:
    """Texts by their words, each weighed by its rarity (TF-IDF), compared by cosine."""

    def __init__(self, texts: Sequence[str]) -> None:
        from scipy.sparse import csr_matrix

        counts = [Counter(_WORD.findall(text)) for text in texts]
        found = Counter(word for count in counts for word in count)
        self.place = {word: i for i, word in enumerate(found)}
        self.rarity = np.array([log((1 + len(texts)) / (1 + n)) + 1 for n in found.values()])
        rows = [i for i, count in enumerate(counts) for _ in count]
        columns = [self.place[word] for count in counts for word in count]
        weights = np.array([n for count in counts for n in count.values()], dtype=float) * self.rarity[columns]
        matrix = csr_matrix((weights, (rows, columns)), shape=(len(texts), len(found)))
        lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        self.matrix, self.lengths = matrix, np.maximum(lengths, 1e-9)

    def most(self, text: str, n: int) -> list[int]:
        """Places of the n texts most like this one, the likest first."""
        asked = np.zeros(len(self.place))
        for word, count in Counter(_WORD.findall(text)).items():
            if word in self.place:
                asked[self.place[word]] = count * self.rarity[self.place[word]]
        alike = self.matrix @ asked / self.lengths
        return [int(i) for i in np.argsort(-alike, kind="stable")[:n]]
