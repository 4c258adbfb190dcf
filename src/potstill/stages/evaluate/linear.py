"""A linear model on TF-IDF: what can be learned from the student's training rows without a language model.

Logistic regression, each label against the rest, on n-grams of words and of characters. Such a model is hard to beat where labels
follow from words (Joachims 1998, ECML, 10.1007/BFb0026683; Wang and Manning 2012, ACL P12-2018), and it costs nothing to run.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from potstill.answers.folding import fold
from potstill.errors import PotstillError
from potstill.metrics.splitting import words
from potstill.models import Completion
from potstill.progress import echo
from potstill.tasks import Example, Task

MAX_CHARACTERS = 4_000
"""Characters at the start of a text that are read."""
ALL_CHARACTERS = 2_000_000
"""Characters of all training texts whose n-grams are counted; with more, each text is read to the same length for these, at least
`MIN_CHARACTERS`."""
MIN_CHARACTERS = 100
MAX_FEATURES = 50_000
"""N-grams of each kind and column, the most frequent ones."""
STRENGTHS = (0.3, 3.0, 30.0)
"""Values of C, the inverse strength of regularization, among which one is chosen."""
FOLDS = 3
CHOSEN_ON = 2_000
"""Questions, in whole groups drawn by seed, on which C is chosen."""


@dataclass(frozen=True)
class Labelled:
    """A question: the text of each column, its labels and its group."""

    texts: tuple[str, ...]
    labels: frozenset[str]
    group: str


class LinearModel:
    """A model that is fitted on rows of a task with a ``label_set``; ``seed`` draws the questions on which C is chosen.

    A question counts once: with several rows its answer is that of most of them, of equals the first. C is chosen by
    cross-validation by group, the smallest of equals, and is 1 where one group or one answer leaves no choice. Raises
    `PotstillError` where there are no rows.
    """

    def __init__(self, task: Task, rows: Iterable[Example], seed: int) -> None:
        started = time.perf_counter()
        self.task = task
        questions = labelled(task, rows)
        if not questions:
            raise PotstillError(
                "evaluate.systems: linear: no training row is kept to fit it on. See 'reason' in curated.parquet, and relax "
                "curate.filters."
            )
        self._labels = sorted(frozenset[str]().union(*(question.labels for question in questions)))
        self._features = _Features(questions)
        matrix = self._features.matrix
        targets = np.array([[label in question.labels for label in self._labels] for question in questions], dtype=bool)
        groups = [question.group for question in questions]
        self.strength = self._chosen_strength(matrix, targets, groups, seed)
        self._model = _OneVsRest(matrix, targets, self.strength)
        seconds = time.perf_counter() - started
        echo(f"  linear: fitted on {len(questions)} questions in {seconds:.1f} s, C = {self.strength:g}")

    def answers(self, examples: Sequence[Example]) -> list[Completion]:
        """The answers as completions, in the task's form; ``seconds`` is each one's share of the time for all."""
        started = time.perf_counter()
        named = self._named(self._model.scores(self._features.of([_texts(self.task, example) for example in examples])))
        texts = [self._text(labels, example) for labels, example in zip(named, examples, strict=True)]
        seconds = (time.perf_counter() - started) / max(len(texts), 1)
        return [
            Completion(example["id"], 0, text=text, finish_reason="stop", seconds=seconds)
            for text, example in zip(texts, examples, strict=True)
        ]

    def _named(self, scores: np.ndarray) -> Any:
        """Which labels each row of scores names: any that are likelier than not, or exactly the likeliest."""
        if self.task.takes_several_labels:
            return scores > 0
        return np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]

    def _text(self, named: np.ndarray, example: Example) -> str:
        labels = [label for label, is_named in zip(self._labels, named, strict=True) if is_named]
        gold = labels if self.task.takes_several_labels else labels[0]
        return self.task.target_text("", self.task.parse_gold(gold, example))

    def _chosen_strength(self, matrix: Any, targets: np.ndarray, groups: Sequence[str], seed: int) -> float:
        some = _drawn(groups, seed)
        matrix, targets, folds = matrix[some], targets[some], _folds([groups[i] for i in some])
        if not folds or (targets == targets[0]).all():
            return 1.0
        correct = dict.fromkeys(STRENGTHS, 0)
        for c in STRENGTHS:
            for fitted, held_out in folds:
                scores = _OneVsRest(matrix[fitted], targets[fitted], c).scores(matrix[held_out])
                correct[c] += int((self._named(scores) == targets[held_out]).all(axis=1).sum())
        return max(STRENGTHS, key=lambda c: correct[c])


def labelled(task: Task, rows: Iterable[Example]) -> list[Labelled]:
    """The questions of some rows, each once, in their order, with the answer of most of its rows, of equals the first."""
    first: dict[str, Example] = {}
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        key = task.question_key(row)
        first.setdefault(key, row)
        answers[key][row["gold"]] += 1
    return [
        Labelled(_texts(task, row), task.labels_of(answers[key].most_common(1)[0][0]), row["group"])
        for key, row in first.items()
    ]


class _OneVsRest:
    """A logistic regression for each label; where the features or the rows say nothing of a label, its log-odds among the rows."""

    def __init__(self, matrix: Any, targets: np.ndarray, strength: float) -> None:
        from scipy.special import logit
        from sklearn.linear_model import LogisticRegression

        self._models: list[Any] = []
        for target in targets.T:
            if matrix.shape[1] and 0 < target.sum() < len(target):
                # Coordinate descent in the dual (Yu et al. 2011, Mach. Learn. 85:41) is fast where features outnumber rows.
                model = LogisticRegression(
                    C=strength, solver="liblinear", dual=True, tol=0.01, max_iter=1000, random_state=0
                )
                self._models.append(model.fit(matrix, target))
            else:
                self._models.append(logit(target.mean()))

    def scores(self, matrix: Any) -> np.ndarray:
        """The log-odds of each label, by row."""
        n = matrix.shape[0]
        columns = [np.full(n, m) if isinstance(m, float) else m.decision_function(matrix) for m in self._models]
        return np.column_stack(columns) if columns else np.zeros((n, 0))


class _Features:
    """TF-IDF with logarithmic term frequencies, by column: words and pairs of words, and three or four neighbouring characters.
    Vectors of each kind have length 1. ``matrix`` has a row for each of the ``questions``."""

    def __init__(self, questions: Sequence[Labelled]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        options = {"sublinear_tf": True, "max_features": MAX_FEATURES}
        characters = max(MIN_CHARACTERS, min(MAX_CHARACTERS, ALL_CHARACTERS // len(questions)))
        self._vectorizers: list[tuple[int, int, Any]] = []
        for column, texts in enumerate(zip(*(question.texts for question in questions), strict=True)):
            if any(map(words, texts)):
                self._vectorizers.append((column, MAX_CHARACTERS, TfidfVectorizer(analyzer=_word_n_grams, **options)))
            if any(texts):
                self._vectorizers.append((column, characters, TfidfVectorizer(analyzer=_character_n_grams, **options)))
        self.matrix = self._stacked([question.texts for question in questions], "fit_transform")

    def of(self, texts: Sequence[tuple[str, ...]]) -> Any:
        """A row for each question, by the texts of its columns."""
        return self._stacked(texts, "transform")

    def _stacked(self, texts: Sequence[tuple[str, ...]], method: str) -> Any:
        from scipy.sparse import csr_matrix, hstack

        blocks = [csr_matrix((len(texts), 0))]
        for column, limit, vectorizer in self._vectorizers:
            blocks.append(getattr(vectorizer, method)([one[column][:limit] for one in texts]))
        return hstack(blocks, format="csr")


def _texts(task: Task, example: Example) -> tuple[str, ...]:
    """The start of each column's text, in one spelling."""
    columns = task.columns.items()
    return tuple(fold(column.display(example[name])[:MAX_CHARACTERS]) for name, column in columns)


def _word_n_grams(text: str) -> Iterator[str]:
    found = words(text)
    yield from found
    yield from (f"{a} {b}" for a, b in pairwise(found))


def _folds(groups: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices of rows to fit on and rows to hold out, in whole groups; none where there is one group."""
    from sklearn.model_selection import GroupKFold

    folds = min(FOLDS, len(set(groups)))
    return list(GroupKFold(folds).split(groups, groups=groups)) if folds > 1 else []


def _character_n_grams(text: str) -> Iterator[str]:
    padded = f" {text} "
    for n in (3, 4):
        yield from map("".join, zip(*(padded[i:] for i in range(n)), strict=False))


def _drawn(groups: Sequence[str], seed: int) -> np.ndarray:
    """The indices of the rows of whole groups, drawn by seed, until they are `CHOSEN_ON` or more."""
    of_group: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        of_group[group].append(i)
    rows, drawn = list(of_group.values()), list[int]()
    for i in np.random.default_rng(seed).permutation(len(rows)):
        if len(drawn) >= CHOSEN_ON:
            break
        drawn += rows[i]
    return np.array(sorted(drawn))
