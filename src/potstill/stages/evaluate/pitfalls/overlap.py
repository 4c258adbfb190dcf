"""Which text of many shares the longest runs of words with a question: exact runs, found by hashing, in linear time and memory.

A run has eight words, as in the decontamination of Tülu 3 (Lambert et al. 2024, arXiv 2411.15124, section 3.2), which counts
the words of a test question that lie in runs shared with one and the same training text; PaLM's is the same length
(Chowdhery et al. 2022, arXiv 2204.02311).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from potstill.stages.evaluate.pitfalls.texts import Ids

RUN = 8
"""Words of a run."""
SHORTEST = 3
"""Words of the longest part of a question that is searched at all: each of its words is in half of the texts."""
MOST_TEXTS = 20
"""Texts with one run that are compared, which bounds time and memory: the first ones."""
FEW_QUESTIONS, SOME_QUESTIONS = 2, 0.05
"""A run that more than `MOST_TEXTS` texts have, or more than half of at least `FEW_TEXTS`, and more questions than these (their number
and their fraction), is a phrase of the data or of its instructions, and counts for none."""
FEW_TEXTS = 4
MOST_WORDS = 1_000
"""Words of a part that are compared."""
_WORDS_AT_ONCE = 1_000_000
_QUESTION_WORDS_AT_ONCE = 300_000
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SIEVE_BITS = 20

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shared:
    """The ``fraction`` of a question's words that the ``text`` (its index) shares in runs; -1 where none shares any. ``whole``:
    whether the text has each part of the question from its first word to its last."""

    fraction: float = 0.0
    text: int = -1
    whole: bool = False


def closest(
    questions: Sequence[Sequence[Ids]], texts: Sequence[Ids], kin: tuple[Sequence[int], Sequence[int]] | None = None
) -> list[Shared]:
    """For each question, of several parts, the text that shares most of its words.

    ``kin`` numbers the groups of questions and of texts: those of one group are not compared. A run does not go across parts. A
    part that is shorter than a run counts where the text has it as a whole, in the same order. A question without a part of
    eight words counts only as a whole, and not at all below eight words: short phrases stand in many texts by chance.
    """
    complete, questions = questions, [[part[:MOST_WORDS] for part in parts] for parts in questions]
    found = [Shared() for _ in questions]
    longest = [max(map(len, parts), default=0) for parts in questions]
    searched = [i for i, parts in enumerate(questions) if longest[i] >= SHORTEST and sum(map(len, parts)) >= RUN]
    for n in sorted({min(RUN, longest[i]) for i in searched}):
        for indices in _batches([i for i in searched if min(RUN, longest[i]) == n], questions):
            groups = None if kin is None else ([kin[0][i] for i in indices], kin[1])
            shares = _Search([questions[i] for i in indices], texts, n, groups).shared()
            for i, share in zip(indices, shares, strict=True):
                whole = share.fraction >= 1 and _has(texts[share.text], complete[i])
                if n == RUN or whole:
                    found[i] = replace(share, whole=whole)
    return found


def _batches(indices: Sequence[int], questions: Sequence[Sequence[Ids]]) -> Iterator[list[int]]:
    """Indices of questions that have about as many words together as memory allows."""
    batch: list[int] = []
    n = 0
    for i in indices:
        batch.append(i)
        n += sum(map(len, questions[i]))
        if n >= _QUESTION_WORDS_AT_ONCE:
            yield batch
            batch, n = [], 0
    if batch:
        yield batch


class _Search:
    """One pass over the texts, for runs of ``n`` words."""

    def __init__(
        self,
        questions: Sequence[Sequence[Ids]],
        texts: Sequence[Ids],
        n: int,
        kin: tuple[Sequence[int], Sequence[int]] | None,
    ) -> None:
        self.questions, self.texts, self.n, self.kin = questions, texts, n, kin
        hashes, self.question, self.place = _runs_of_questions(questions, n)
        order = np.argsort(hashes, kind="stable")
        self.question, self.place = self.question[order], self.place[order]
        self.runs, self.first = np.unique(hashes[order], return_index=True)
        self.count = np.diff(np.append(self.first, len(hashes)))

    def shared(self) -> list[Shared]:
        run, text = self._found()
        texts_with = np.bincount(run, minlength=len(self.runs))
        phrases = self._phrases(texts_with)
        counted = self._counted(phrases)
        nth = np.arange(len(run)) - np.repeat(np.cumsum(texts_with) - texts_with, texts_with)
        keep = ~phrases[run] & (nth < MOST_TEXTS)
        run, text = run[keep], text[keep]
        # Each run of a text, for each question that has it, and each place where it has it.
        times = self.count[run]
        before = np.repeat(np.cumsum(times) - times, times)
        entry = np.repeat(self.first[run], times) + np.arange(times.sum()) - before
        text, question, place = np.repeat(text, times), self.question[entry], self.place[entry]
        if self.kin is not None:
            of_question, of_text = (np.array(groups, dtype=np.int64) for groups in self.kin)
            apart = of_question[question] != of_text[text]
            text, question, place = text[apart], question[apart], place[apart]
        pair = question * max(1, len(self.texts)) + text
        order = np.lexsort((place, pair))
        pairs, covered = _covered(pair[order], place[order], self.n)
        question, text = pairs // max(1, len(self.texts)), pairs % max(1, len(self.texts))
        best = np.lexsort((-text, covered, question))
        last = best[np.flatnonzero(np.diff(question[best], append=-1))]
        shares = [Shared() for _ in self.questions]
        for i, of, words in zip(question[last].tolist(), text[last].tolist(), covered[last].tolist(), strict=True):
            words += _short_parts(self.questions[i], self.texts[of], self.n)
            shares[i] = Shared(min(1.0, words / counted[i]), of)
        return shares

    def _found(self) -> tuple[Integers, Integers]:
        """The runs of questions that texts have, each with the index of the text, once for each text, in this order."""
        sieve = np.zeros(1 << _SIEVE_BITS, dtype=bool)  # most runs of texts are in no question: a small table says so
        shift = np.uint64(64 - _SIEVE_BITS)
        sieve[self.runs >> shift] = True
        n_texts = max(1, len(self.texts))
        found = [np.empty(0, dtype=np.int64)]
        for joined, owner in _joined(self.texts):
            hashes = _hashes(joined, self.n)
            maybe = np.flatnonzero(sieve[hashes >> shift])
            at = np.searchsorted(self.runs, hashes[maybe])
            at[at == len(self.runs)] = 0
            hit = self.runs[at] == hashes[maybe]
            found.append(np.unique(at[hit] * n_texts + owner[maybe[hit]]))
        pairs = np.sort(np.concatenate(found))
        return pairs // n_texts, pairs % n_texts

    def _phrases(self, texts_with: Integers) -> npt.NDArray[np.bool_]:
        """Which runs are phrases, by the number of texts that have each."""
        often = texts_with > MOST_TEXTS
        if len(self.texts) >= FEW_TEXTS:
            often |= 2 * texts_with > len(self.texts)
        n = len(self.questions)
        of_questions = np.unique(np.repeat(np.arange(len(self.runs)), self.count) * n + self.question) // n
        questions_with = np.bincount(of_questions, minlength=len(self.runs))
        return often & (questions_with > max(FEW_QUESTIONS, SOME_QUESTIONS * n))

    def _counted(self, phrases: npt.NDArray[np.bool_]) -> list[float]:
        """The words of each question, without those that are in phrases only."""
        totals = np.array([sum(map(len, parts)) for parts in self.questions], dtype=np.int64)
        is_phrase = np.repeat(phrases, self.count)
        for sign, chosen in ((-1, np.ones_like(is_phrase)), (1, ~is_phrase)):
            question, place = self.question[chosen], self.place[chosen]
            order = np.lexsort((place, question))
            which, covered = _covered(question[order], place[order], self.n)
            np.add.at(totals, which, sign * covered)
        counted: list[float] = np.maximum(totals, 1).astype(float).tolist()
        return counted


def _runs_of_questions(questions: Sequence[Sequence[Ids]], n: int) -> tuple[Hashes, Integers, Integers]:
    """The runs of all questions: hash, question, and place in the question."""
    hashes, question, place = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for i, parts in enumerate(questions):
        start = 0
        for part in parts:
            if len(part) >= n:
                hashes.append(_hashes(part, n))
                question.append(np.full(len(part) - n + 1, i, dtype=np.int64))
                place.append(start + np.arange(len(part) - n + 1))
            start += len(part)
    return np.concatenate(hashes), np.concatenate(question), np.concatenate(place)


def _joined(texts: Sequence[Ids]) -> Iterator[tuple[Ids, Integers]]:
    """The words of many texts, -1 after each, and the index of the text at each place; about a million words at once."""
    separator = np.array([-1])
    start = 0
    while start < len(texts):
        end, n = start, 0
        while end < len(texts) and (n == 0 or n + len(texts[end]) < _WORDS_AT_ONCE):
            n += len(texts[end]) + 1
            end += 1
        chunk = [piece for text in texts[start:end] for piece in (text, separator)]
        owner = np.repeat(np.arange(start, end), [len(text) + 1 for text in texts[start:end]])
        yield np.concatenate(chunk), owner
        start = end


def _hashes(ids: Ids, n: int) -> Hashes:
    """A hash of each run of ``n`` words, [words - n + 1]."""
    values = ids.astype(np.uint64) * _MULTIPLIER  # the finalizer of SplitMix64 (Steele, Lea and Flood 2014)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    length = max(0, len(ids) - n + 1)
    hashes = np.zeros(length, dtype=np.uint64)
    for k in range(n):
        hashes = hashes * _MULTIPLIER + values[k : k + length]
    return hashes


def _covered(owner: Integers, place: Integers, n: int) -> tuple[Integers, Integers]:
    """How many places runs of ``n`` words cover together, by owner; both are sorted, by owner and place."""
    if not len(owner):
        return owner, place
    first = np.diff(owner, prepend=owner[0] - 1) != 0
    step = np.where(first, n, np.minimum(np.diff(place, prepend=0), n))
    starts = np.flatnonzero(first)
    return owner[starts], np.add.reduceat(step, starts)


def _short_parts(parts: Sequence[Ids], text: Ids, n: int) -> int:
    """The words of the parts that are shorter than a run and stand in the text."""
    short = [part for part in parts if 0 < len(part) < n]
    return sum(len(part) for part in short if _has(text, [part]))


def _has(text: Ids, parts: Sequence[Ids]) -> bool:
    """Whether each part is in the text."""
    written = _written(text)
    return all(_written(part) in written for part in parts if len(part))


def _written(ids: Ids) -> str:
    return f" {' '.join(map(str, ids.tolist()))} "
