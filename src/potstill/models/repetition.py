"""When an answer repeats itself for good: generation in this process ends there, and a server's cut answer is called repeating.

A small model often falls into a loop that it leaves only at the token limit (Holtzman et al. 2020, arXiv 1904.09751). The rule
asks for exact repetition: a list that counts on, and a table whose rows differ in one cell, are no loops. ``benchmarks/loops.py``
counts the looping answers that would have recovered.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
VERSION = 1
"""Part of the identity of a model in this process: another rule gives other answers."""
FRACTION = 3
"""The last of this many parts of an answer must repeat one period."""
REPEATS = 4
"""The least number of repeats."""


@dataclass(frozen=True)
class _Measure:
    """The least length of what repeats, and of rows of equal cells: periods with fewer than ``varied`` different items."""

    least: int
    least_cells: int
    varied: int


TOKENS = _Measure(least=64, least_cells=256, varied=9)
CHARACTERS = _Measure(least=256, least_cells=1024, varied=12)
"""A refrain is shorter than ``least``, a matrix of zeros or an empty form shorter than ``least_cells``."""


def repeats_but_for_numbers(text: str) -> bool:
    """Whether a text is a loop when all its numbers are taken as equal: "Day 3: 9 pages. Day 4: 12 pages." without end.

    For a text that was cut, never to end one: a table may count on as well. ``benchmarks/cut_loops.py`` counts the cut texts
    that would have become correct.
    """
    return bool(repeated_period(text) or repeated_period(_NUMBER.sub("0", text)))


def repeated_period(answer: Sequence[int] | str) -> int:
    """The length of the period that the last third of an answer, token ids or text, repeats; 0 where it is no loop. Linear time.

    The shortest period of an end of the answer is its length less that of its longest border, which the prefix function of the
    reversed answer gives for every length (Knuth, Morris and Pratt 1977).
    """
    measure = CHARACTERS if isinstance(answer, str) else TOKENS
    backwards = answer[::-1]
    borders: list[int] = []
    different: list[int] = []
    seen: set[object] = set()
    border = 0
    for length, item in enumerate(backwards, 1):
        seen.add(item)
        different.append(len(seen))
        if length > 1:
            while border and item != backwards[border]:
                border = borders[border - 1]
            border += item == backwards[border]
        borders.append(border)
        period = length - border
        least = measure.least if different[period - 1] >= measure.varied else measure.least_cells
        if length >= max(least, REPEATS * period) and FRACTION * length >= len(answer):
            return period
    return 0
