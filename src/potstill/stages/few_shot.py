"""Solved examples for few-shot prompts: the task's own, or training examples drawn by seed or most similar."""

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import log

import numpy as np

from potstill.data.texts import hash64
from potstill.errors import RecipeError
from potstill.recipe.recipe import Recipe
from potstill.tasks import Example, Prompting

POOL_SIZE = 20_000
"""Number of training examples, drawn by seed, among which the most similar ones are searched."""
_WORD = re.compile(r"\w+")
_Solved = list[tuple[Example, str]]
"""Examples with their questions."""


class FewShotExamples:
    """The solved examples that go before a question; ``examples`` gives those of all splits at each call.

    The question itself is never among them, nor one that is also in another split. Raises `RecipeError` when a prompting
    needs examples that neither the task nor the data has.
    """

    def __init__(self, recipe: Recipe, examples: Callable[[], Iterator[Example]]) -> None:
        self.recipe, self.examples = recipe, examples
        options = recipe.generate.shots
        self._pools: dict[bool, tuple[_Solved, _Index | None]] = {}
        self._from_task = options.source == "task" or (options.source is None and bool(recipe.task.shots))

    def __call__(self, example: Example, prompting: Prompting) -> Sequence[Example]:
        n = self.recipe.generate.shots.n
        if not prompting.is_few_shot:
            return ()
        if self._from_task or prompting.prompt == "cod":  # a chain of density is more than gold
            if not self.recipe.task.shots:
                raise RecipeError(
                    f"The task {self.recipe.task.name} has no solved examples of its own for '{prompting.value}': set "
                    "generate.shots.source to train, or choose a prompting without examples."
                )
            return self.recipe.task.shots
        pool, index = self._pool(prompting.prompt == "cot")
        question = self.recipe.task.question_key(example)
        if index is None:
            return [shot for shot, text in pool if text != question][:n]
        nearest = index.nearest(question, n + 1)
        return [pool[i][0] for i in nearest if pool[i][1] != question][:n][::-1]

    def _pool(self, with_rationale: bool) -> "tuple[_Solved, _Index | None]":
        """The examples to choose from, and an index where the most similar ones are wanted."""
        if with_rationale not in self._pools:
            pool = self._draw(with_rationale)
            by_similarity = self.recipe.generate.shots.select == "similarity"
            self._pools[with_rationale] = pool, _Index([text for _, text in pool]) if by_similarity else None
        return self._pools[with_rationale]

    def _draw(self, with_rationale: bool) -> _Solved:
        options = self.recipe.generate.shots
        n = POOL_SIZE if options.select == "similarity" else options.n + 1
        usable = self._usable(with_rationale)
        pool = heapq.nsmallest(n, usable, key=lambda one: hash64(f"{self.recipe.data_seed}:shot:{one[1]}"))
        if len(pool) < 2:
            missing = "a rationale (data.columns.rationale)" if with_rationale else "gold"
            raise RecipeError(
                f"generate.shots: too few training examples have {missing} to be shown in a prompt; choose a prompting "
                "without examples, such as cot, or the task's own (source: task)."
            )
        return pool

    def _usable(self, with_rationale: bool) -> Iterator[tuple[Example, str]]:
        task = self.recipe.task
        seen = {hash64(task.question_key(row)) for row in self.examples() if row["split"] != "train"}
        for row in self.examples():
            if row["split"] != "train" or row["gold"] is None or (with_rationale and not row["rationale"]):
                continue
            if (text := task.question_key(row)) and (key := hash64(text)) not in seen:
                seen.add(key)
                yield row, text


class _Index:
    """Texts as bags of IDF-weighted words, compared by cosine similarity."""

    def __init__(self, texts: Sequence[str]) -> None:
        from scipy.sparse import csr_matrix

        counts = [Counter(_WORD.findall(text)) for text in texts]
        frequencies = Counter(word for count in counts for word in count)
        self.column = {word: i for i, word in enumerate(frequencies)}
        self.idf = np.array([log((1 + len(texts)) / (1 + n)) + 1 for n in frequencies.values()])
        rows = [i for i, count in enumerate(counts) for _ in count]
        columns = [self.column[word] for count in counts for word in count]
        weights = np.array([n for count in counts for n in count.values()], dtype=float) * self.idf[columns]
        self.matrix = csr_matrix((weights, (rows, columns)), shape=(len(texts), len(frequencies)))
        norms = np.sqrt(np.asarray(self.matrix.multiply(self.matrix).sum(axis=1)).ravel())
        self.norms = np.maximum(norms, 1e-9)

    def nearest(self, text: str, top_k: int) -> list[int]:
        """Indices of the ``top_k`` texts most similar to this one, the most similar first."""
        query = np.zeros(len(self.column))
        for word, count in Counter(_WORD.findall(text)).items():
            if word in self.column:
                query[self.column[word]] = count * self.idf[self.column[word]]
        similarity = self.matrix @ query / self.norms
        return [int(i) for i in np.argsort(-similarity, kind="stable")[:top_k]]
