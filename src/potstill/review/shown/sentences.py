"""Sentences of a text, and which sentences of a source support each sentence of a summary."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log

from potstill.metrics.splitting import words

MAX_SUPPORTS = 3
"""Sentences of the source that are named for a sentence of the summary."""
LEAST_SHARED = 0.25
"""Share of a sentence's words, weighted by their rarity in the source, that a supporting sentence has at least."""
_SENTENCE = re.compile(
    r"[^\n.!?。！？]*(?:[.!?](?!\s|$|[\"'”’)\]]+(?:\s|$))[^\n.!?。！？]*)*(?:[.!?。！？]+[\"'”’)\]]*|\n+|$)\s*"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sen|Gov|Gen|Lt|Col|No|vs|etc|Inc|Jr|Sr|U\.S|e\.g|i\.e)|\b[A-Z])\.\s*$"
)


@dataclass(frozen=True)
class Sentence:
    """A sentence, the white space after it, and the numbers of the sentences that support it, best first."""

    text: str
    space: str = ""
    supports: tuple[int, ...] = ()


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with the white space after it: joined they are the text. Takes linear time."""
    found: list[str] = []
    for match in _SENTENCE.finditer(text):
        if not match[0]:
            continue
        if found and _ABBREVIATION.search(found[-1][-12:]):
            found[-1] += match[0]
        else:
            found.append(match[0])
    return found


@lru_cache(maxsize=64)
def supported(summary: str, source: str) -> tuple[list[Sentence], list[Sentence]]:
    """The sentences of a summary with the numbers of those of the source that support them, and the sentences of the source.

    A word weighs ``log(1 + n / df)``, where ``df`` of the source's ``n`` sentences have it (inverse document frequency, Spärck Jones
    1972, 10.1108/eb026526). A sentence supports another if it has at least `LEAST_SHARED` of its weight and half as much as the best one.
    It is a help for the eye, and no statement about truth.
    """
    of_source = sentences(source)
    bags = [frozenset(words(one)) for one in of_source]
    frequency = Counter(word for bag in bags for word in bag)
    weights = {word: log(1 + len(bags) / n) for word, n in frequency.items()}
    unseen = log(1 + len(bags))
    supports = [(one, _supports(frozenset(words(one)), bags, weights, unseen)) for one in sentences(summary)]
    return [_sentence(*one) for one in supports], [_sentence(one) for one in of_source]


def _sentence(text: str, supports: tuple[int, ...] = ()) -> Sentence:
    bare = text.rstrip()
    return Sentence(bare, text[len(bare) :], supports)


def _supports(
    sentence: frozenset[str], bags: Sequence[frozenset[str]], weights: dict[str, float], unseen: float
) -> tuple[int, ...]:
    total = sum(weights.get(word, unseen) for word in sentence)
    if not total:
        return ()
    shares = [sum(weights[word] for word in sentence & bag) / total for bag in bags]
    least = max(LEAST_SHARED, max(shares, default=0.0) / 2)
    ranked = sorted((i for i, share in enumerate(shares) if share >= least), key=lambda i: (-shares[i], i))
    return tuple(ranked[:MAX_SUPPORTS])
