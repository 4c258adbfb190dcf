"""What every function of this package asks of its arguments; what does not fit is a `ValueError` that names the argument."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def vector(name: str, values: npt.ArrayLike, dimensions: int = 1) -> Floats:
    """Finite numbers as an array of so many dimensions, with at least one of them."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold numbers only, in rows of equal length") from None
    if array.ndim != dimensions or not array.size:
        shape = {1: "a list of numbers", 2: "a list of rows of numbers"}[dimensions]
        raise ValueError(f"{name} must be {shape}, and not empty; its shape is {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains a number that is missing or infinite; leave such rows out of all arguments")
    return array


def vectors(**named: npt.ArrayLike) -> list[Floats]:
    """Several lists of finite numbers of one length, row by row about the same questions."""
    arrays = [vector(name, values) for name, values in named.items()]
    lengths = {name: len(array) for name, array in zip(named, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the arguments must have one length: {lengths}")
    return arrays


def codes(name: str, labels: Sequence[Hashable] | npt.NDArray[Any] | None, n: int) -> tuple[Codes, int]:
    """Labels of rows as integers from 0, and how many labels there are; None makes each row a label of its own."""
    if labels is None:
        return np.arange(n), n
    if len(labels) != n:
        raise ValueError(f"{name} has {len(labels)} labels for {n} rows")
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "iub":
        distinct, integers = np.unique(labels, return_inverse=True)
        return integers, len(distinct)
    index: dict[Hashable, int] = {}
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    integers = np.fromiter((index.setdefault(label, len(index)) for label in listed), dtype=np.intp, count=n)
    if None in index or any(label != label for label in index):
        raise ValueError(f"{name} has a missing label; give each row one, or leave the row out")
    return integers, len(index)


def sums_by(groups: Codes, n_groups: int, values: Floats | None = None) -> Floats:
    """Sums of ``values`` [rows] by group [groups], or the number of rows where there are none."""
    return np.bincount(groups, values, minlength=n_groups).astype(np.float64)


def count(name: str, value: float) -> int:
    """A whole number of at least 0."""
    if not value >= 0 or value != int(value):
        raise ValueError(f"{name} must be a whole number of at least 0, and is {value}")
    return int(value)


def cells(table: Sequence[Sequence[float]]) -> tuple[int, int, int, int]:
    """Both right, only A, only B, both wrong, from ``[[both right, only A], [only B, both wrong]]``."""
    rows = [list(row) for row in table]
    if [len(row) for row in rows] != [2, 2]:
        raise ValueError("a table is [[both right, only A], [only B, both wrong]]")
    (both, only_a), (only_b, neither) = ([count("a cell of the table", cell) for cell in row] for row in rows)
    return both, only_a, only_b, neither


def counts(name: str, values: npt.ArrayLike, square: bool = False) -> Floats:
    """A table of counts."""
    table = vector(name, values, dimensions=2)
    if square and table.shape[0] != table.shape[1]:
        raise ValueError(f"{name} must be a square table; its shape is {table.shape}")
    if (table < 0).any():
        raise ValueError(f"{name} contains a negative count")
    return table


def p_values(values: npt.ArrayLike) -> Floats:
    array = vector("p_values", values)
    if (array < 0).any() or (array > 1).any():
        raise ValueError("p_values must lie between 0 and 1")
    return array


def fraction(name: str, value: float) -> float:
    """A number between 0 and 1, without the ends."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, and is {value}; write 95 % as 0.95")
    return float(value)


def choice(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, and is {value!r}")
    return value
