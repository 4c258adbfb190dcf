"""Draw validation and test splits from the training rows by a threshold on a hash of each row's group."""

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from potstill.data.texts import hash64
from potstill.errors import RecipeError
from potstill.progress import echo


def draw_thresholds(rows: Iterable[Mapping[str, Any]], sizes: Mapping[str, int], seed: int) -> dict[str, int]:
    """For each split the largest `group_hash` that belongs to it.

    rows: training rows with their ``group``. sizes: the minimum number of rows of each split. A split consists of complete
    groups, so it may get more rows. The hash depends only on seed, split and group name, so that adding a row moves few
    other rows, if any. Raises `RecipeError` where too few rows would be left to train on.
    """
    hashes = {split: array("Q") for split in sizes}
    for row in rows:
        for split, of_split in hashes.items():
            of_split.append(group_hash(seed, split, row["group"]))
    left = np.ones(len(next(iter(hashes.values()))), dtype=bool)
    thresholds: dict[str, int] = {}
    for split, n in sizes.items():
        hash_of_row = np.frombuffer(hashes[split], dtype=np.uint64)
        groups, rows_per_group = np.unique(hash_of_row[left], return_counts=True)
        totals = np.cumsum(rows_per_group)
        if not len(totals) or totals[-1] <= n:
            raise _too_few(int(left.sum()), len(groups), n, split)
        last = int(np.searchsorted(totals, n))
        if last == len(groups) - 1:
            raise _too_few(int(left.sum()), len(groups), n, split)
        thresholds[split] = int(groups[last])
        left &= hash_of_row > groups[last]
        if totals[last] > 2 * n:
            echo(f"  {split}: {totals[last]} rows instead of {n}, since a group is never split")
    return thresholds


def group_hash(seed: int, split: str, group: str) -> int:
    """A 64-bit hash that decides whether the group belongs to the split."""
    return hash64(f"{seed}:{split}:{group}")


def _too_few(n_rows: int, n_groups: int, n: int, split: str) -> RecipeError:
    return RecipeError(
        f"data.train: {n_rows} rows in {n_groups} groups are too few to draw {n} of them for data.{split} and leave some to "
        "train on; a group is never split."
    )
