"""Draw splits out of the training rows by a bound on a hash of the group."""

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from potstill.data.rows import hash64
from potstill.errors import RecipeError
from potstill.progress import echo


def draw(rows: Iterable[Mapping[str, Any]], wanted: Mapping[str, int], seed: int) -> dict[str, int]:
    """For each split the largest position of a group that belongs to it: at least ``n`` rows, and whole groups only.

    A group's position depends on nothing but its name, so that a row which is added later moves few others, if any.
    """
    positions = {split: array("Q") for split in wanted}
    for row in rows:
        for split, of_rows in positions.items():
            of_rows.append(position(seed, split, row["group"]))
    left = np.ones(len(next(iter(positions.values()))), dtype=bool)
    bounds: dict[str, int] = {}
    for split, n in wanted.items():
        position_of_row = np.frombuffer(positions[split], dtype=np.uint64)
        groups, sizes = np.unique(position_of_row[left], return_counts=True)
        totals = np.cumsum(sizes)
        if not len(totals) or totals[-1] <= n:
            raise _too_few(int(left.sum()), len(groups), n, split)
        last = int(np.searchsorted(totals, n))
        if last == len(groups) - 1:
            raise _too_few(int(left.sum()), len(groups), n, split)
        bounds[split] = int(groups[last])
        left &= position_of_row > groups[last]
        if totals[last] > 2 * n:
            echo(f"  {split}: {totals[last]} rows instead of {n}, since a group is never split")
    return bounds


def position(seed: int, split: str, group: str) -> int:
    return hash64(f"{seed}:{split}:{group}")


def _too_few(n_rows: int, groups: int, n: int, split: str) -> RecipeError:
    return RecipeError(
        f"data.train: {n_rows} rows in {groups} groups are too few to draw {n} of them for data.{split} and leave some to "
        "train on; a group is never split."
    )
