"""Random draws and orders. Each is a function of the seed and of names, so that it is the same after a restart."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace

from potstill.labels.items import Item

LEAST_WORDS = 8
"""Words of an answer that is damaged for a check of attention: the order of fewer may say nothing."""


def rank(seed: int, *names: str) -> float:
    """A number that is uniform between 0 and 1 over names."""
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


def order(seed: int, names: Sequence[str]) -> list[str]:
    """A random permutation: each prefix of it is a simple random sample without replacement."""
    return sorted(names, key=lambda name: (rank(seed, "order", name), name))


def is_shared(seed: int, question: str, overlap: float) -> bool:
    """Whether every reviewer labels the question; true of a random share ``overlap``."""
    return overlap >= 1 or rank(seed, "overlap", question) < overlap


def swaps(seed: int, item: str, reviewer: str) -> bool:
    """Whether a reviewer sees the second answer of an item on the left."""
    return rank(seed, "side", item, reviewer) < 0.5


def check_places(seed: int, n: int, questions: int) -> list[int]:
    """For each of ``n`` checks the number of questions that come before it: one at a random place in each of ``n`` equal parts."""
    return [int((k + rank(seed, "check", str(k))) * questions / n) for k in range(n)]


def can_be_damaged(item: Item) -> bool:
    """Whether the item's first answer is long enough to show that it is damaged."""
    return len(set(item.answers[0].text.split())) >= LEAST_WORDS


def damaged(item: Item, number: int, seed: int, pairs: bool) -> Item:
    """A check of attention: the item's first answer with its words in random order; in a pair, the intact answer comes first."""
    intact = item.answers[0]
    pieces = intact.text.split()
    random.Random(f"{seed} {item.id}").shuffle(pieces)
    broken = replace(intact, system="", text=" ".join(pieces))
    answers = (replace(intact, system=""), broken) if pairs else (broken,)
    return replace(item, id=f"check-{number}", question=f"check-{number}", answers=answers)
