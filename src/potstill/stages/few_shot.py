"""Solved examples of prompts: the task's own, training examples drawn by seed or most similar to the question, or the most similar
of the rows that the student is trained on."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from math import log

import numpy as np

from potstill.data.texts import hash64
from potstill.errors import RecipeError
from potstill.metrics.splitting import words
from potstill.recipe.recipe import Recipe
from potstill.tasks import Example, Prompting

POOL_SIZE = 20_000
"""Number of training examples, drawn by seed, among which the most similar ones are searched."""
COMPARED_CHARACTERS = 4_000
"""Characters at the start of a question that decide how similar it is."""
SHOWN_CHARACTERS = 16_000
"""Characters of questions, rationales and answers that retrieved examples have together."""


def _none() -> Iterator[Example]:
    return iter(())


class FewShotExamples:
    """The solved examples that go before a question.

    ``examples`` gives those of all splits at each call, ``training_rows`` the rows that the student is trained on, for the promptings
    that retrieve them. The question itself is never shown with its answer, nor one that is also in another split, nor one of a group
    of another split unless the data shares groups on purpose. Of retrieved rows there may be fewer than the recipe says. Raises
    `RecipeError` when another prompting needs examples that neither the task nor the data has.
    """

    def __init__(
        self,
        recipe: Recipe,
        examples: Callable[[], Iterator[Example]],
        training_rows: Callable[[], Iterator[Example]] = _none,
    ) -> None:
        self.recipe, self.examples, self.training_rows = recipe, examples, training_rows
        options = recipe.generate.shots
        self._pools: dict[str, _Pool] = {}
        self._from_task = options.source == "task" or (options.source is None and bool(recipe.task.shots))

    def __call__(self, example: Example, prompting: Prompting) -> Sequence[Example]:
        task, options = self.recipe.task, self.recipe.generate.shots
        if not prompting.is_few_shot:
            return ()
        if prompting.is_retrieved:
            pool = self._pool("retrieved", self._retrievable)
            nearest = pool.nearest(task.question_key(example), self.recipe.evaluate.retrieved)
            return self._fitting(nearest)[::-1]
        if self._from_task or prompting.prompt == "cod":  # a chain of density is more than gold
            if not task.shots:
                raise RecipeError(
                    f"The task {task.name} has no solved examples of its own for '{prompting.value}': set "
                    "generate.shots.source to train, or choose a prompting without examples."
                )
            return task.shots
        kind = "rationale" if prompting.prompt == "cot" else "gold"
        pool = self._pool(kind, lambda: self._with(kind))
        if options.select == "similarity":
            return pool.nearest(task.question_key(example), options.n)[::-1]
        return pool.first(task.question_key(example), options.n)

    def _pool(self, name: str, make: "Callable[[], _Pool]") -> "_Pool":
        if name not in self._pools:
            self._pools[name] = make()
        return self._pools[name]

    def _retrievable(self) -> "_Pool":
        return self._drawn(self.training_rows(), POOL_SIZE)

    def _with(self, kind: str) -> "_Pool":
        options = self.recipe.generate.shots
        solved = (row for row in self.examples() if row["split"] == "train" and row["gold"] is not None)
        shown = (row for row in solved if row[kind])
        pool = self._drawn(shown, POOL_SIZE if options.select == "similarity" else options.n + 1)
        if len(pool.solved) < 2:
            missing = "gold" if kind == "gold" else "a rationale (data.columns.rationale)"
            raise RecipeError(
                f"generate.shots: too few training examples have {missing} to be shown in a prompt; choose a prompting "
                "without examples, such as cot, or the task's own (source: task)."
            )
        return pool

    def _drawn(self, rows: Iterable[Example], n: int) -> "_Pool":
        seed = self.recipe.data_seed
        return _Pool(heapq.nsmallest(n, self._usable(rows), key=lambda one: hash64(f"{seed}:shot:{one[1]}")))

    def _usable(self, rows: Iterable[Example]) -> Iterator[tuple[Example, str]]:
        """The first row of each question that no other split has, with the question."""
        task, seen, groups = self.recipe.task, set(), set()
        for row in (row for row in self.examples() if row["split"] != "train"):
            seen.add(hash64(task.question_key(row)))
            groups.add(row.get("group"))
        kept_apart = not self.recipe.data.real.shares_groups
        for row in rows:
            if kept_apart and row.get("group") is not None and row["group"] in groups:
                continue
            if (text := task.question_key(row)) and (key := hash64(text)) not in seen:
                seen.add(key)
                yield row, text

    def _fitting(self, shots: Sequence[Example]) -> list[Example]:
        """The examples without those that would make them longer than `SHOWN_CHARACTERS` together."""
        fitting, left, columns = list[Example](), SHOWN_CHARACTERS, self.recipe.task.columns.items()
        for shot in shots:
            texts = [column.display(shot[name]) for name, column in columns] + [shot["rationale"] or "", shot["gold"]]
            if (length := sum(map(len, texts))) <= left:
                fitting.append(shot)
                left -= length
        return fitting


class _Pool:
    """Solved examples, each with its question, compared as bags of IDF-weighted words by cosine similarity."""

    def __init__(self, solved: Sequence[tuple[Example, str]]) -> None:
        self.solved = solved

    def first(self, question: str, n: int) -> list[Example]:
        """The first examples that ask something else."""
        return [shot for shot, text in self.solved if text != question][:n]

    def nearest(self, question: str, n: int) -> list[Example]:
        """The examples most similar to a question that ask something else, the most similar first, the first of equals."""
        ranked = self._index.nearest(question, n + 1) if self.solved else []
        return [self.solved[i][0] for i in ranked if self.solved[i][1] != question][:n]

    @cached_property
    def _index(self) -> "_Index":
        return _Index([text for _, text in self.solved])


class _Index:
    """Texts as bags of words, weighted by inverse document frequency."""

    def __init__(self, texts: Sequence[str]) -> None:
        from scipy.sparse import csr_matrix

        counts = [_count(text) for text in texts]
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
        """Indices of the ``top_k`` texts most similar to this one, the most similar first, the first of equals."""
        query = np.zeros(len(self.column))
        for word, count in _count(text).items():
            if word in self.column:
                query[self.column[word]] = count * self.idf[self.column[word]]
        distance = -(self.matrix @ query / self.norms)
        if top_k < len(distance):
            near = np.flatnonzero(distance <= np.partition(distance, top_k)[top_k])
        else:
            near = np.arange(len(distance))
        return [int(i) for i in near[np.argsort(distance[near], kind="stable")][:top_k]]


def _count(text: str) -> Counter[str]:
    return Counter(words(text[:COMPARED_CHARACTERS]))
