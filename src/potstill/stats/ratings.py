"""Strengths of systems from comparisons of two answers at a time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from potstill.stats.checks import Floats, counts

STEPS = 200


@dataclass(frozen=True)
class Davidson:
    """Log strengths of the systems (the last is 0), log of how likely ties are, and log odds that the answer that is shown
    first gains by its place; standard errors in the same form (of the last strength: 0)."""

    strengths: Floats
    tie: float
    order: float
    strength_errors: Floats
    tie_error: float
    order_error: float


def bradley_terry(wins: npt.ArrayLike) -> Floats:
    """Log strengths s of systems, the last 0, from ``wins[i][j]``, how often i won against j: P(i wins) = exp(s_i) /
    (exp(s_i) + exp(s_j)) (Bradley and Terry 1952, Biometrika 39:324), by maximum likelihood.

    The maximum exists if each system can be reached from each other by a chain of wins (Ford 1957, Am. Math. Mon. 64:28); a
    system that always won or lost would have an infinite strength, which is a ValueError.
    """
    table = _comparisons("wins", wins)
    _check_chain(table)
    n = len(table)
    first, second = np.nonzero(~np.eye(n, dtype=bool))
    design = np.zeros((len(first), 2, n - 1))
    _add(design[:, 0], first, 1.0)
    _add(design[:, 1], second, 1.0)
    # Each pair is here in both orders; wins of the second belong to the other.
    observed = np.stack([table[first, second], np.zeros(len(first))], axis=1)
    found, _ = _maximise(design, observed)
    return np.append(found, 0.0)


def davidson(
    first_wins: npt.ArrayLike, second_wins: npt.ArrayLike, ties: npt.ArrayLike, order_effect: bool = True
) -> Davidson:
    """Strengths with ties and an order effect, from counts [system shown first][system shown second] of comparisons that
    the first won, that the second won, and that were tied.

    With strengths p = exp(s), tie v and order g: P(first wins), P(second wins) and P(tie) are as g p_i, p_j and v sqrt(p_i
    p_j) (Davidson 1970, J. Am. Stat. Assoc. 65:317, for ties; Davidson and Beaver 1977, Biometrics 33:693, for the order),
    by maximum likelihood, with standard errors by its information. ``order_effect=False`` sets g = 1, for comparisons whose
    order is not known. A ValueError where an estimate would be infinite: no ties (`bradley_terry`), a system that always
    won, one place that always won.
    """
    won, lost, tied = (
        _comparisons(name, table)
        for name, table in (("first_wins", first_wins), ("second_wins", second_wins), ("ties", ties))
    )
    if len({table.shape for table in (won, lost, tied)}) > 1:
        raise ValueError("first_wins, second_wins and ties must be about the same systems, in the same order")
    if not tied.sum():
        raise ValueError("there are no ties: use bradley_terry")
    if not won.sum() + lost.sum():
        raise ValueError("there are only ties: they tell no system from another")
    if order_effect and not (won.sum() and lost.sum()):
        raise ValueError("the answers of one place won every comparison: the order effect is infinite")
    _check_chain(won + lost.T + tied + tied.T)
    n = len(won)
    first, second = np.nonzero(won + lost + tied)
    design = np.zeros((len(first), 3, n - 1 + 1 + order_effect))
    for outcome, (of_first, of_second) in enumerate(((1.0, 0.0), (0.0, 1.0), (0.5, 0.5))):
        _add(design[:, outcome, : n - 1], first, of_first)
        _add(design[:, outcome, : n - 1], second, of_second)
    design[:, 2, n - 1] = 1.0
    if order_effect:
        design[:, 0, n] = 1.0
    observed = np.stack([table[first, second] for table in (won, lost, tied)], axis=1)
    found, errors = _maximise(design, observed)
    order, order_error = (float(found[n]), float(errors[n])) if order_effect else (0.0, 0.0)
    return Davidson(
        np.append(found[: n - 1], 0.0),
        float(found[n - 1]),
        order,
        np.append(errors[: n - 1], 0.0),
        float(errors[n - 1]),
        order_error,
    )


def _comparisons(name: str, table: npt.ArrayLike) -> Floats:
    array = counts(name, table, square=True)
    if len(array) < 2:
        raise ValueError(f"{name} must be about at least two systems")
    if np.diag(array).any():
        raise ValueError(f"{name} compares a system with itself: its diagonal must be 0")
    return array


def _check_chain(beaten: Floats) -> None:
    """Whether each system can be reached from each other; ``beaten[i][j]`` counts what speaks for i against j."""
    n_parts, part = connected_components(beaten > 0, connection="strong")
    if n_parts > 1:
        apart = [int(i) for i in np.flatnonzero(part != np.bincount(part).argmax())]
        raise ValueError(
            f"the strengths of systems {apart} (counted from 0) against the others are infinite or unknown: each system must be "
            "reached from each other by a chain of wins; compare them more often, or leave them out"
        )


def _add(columns: Floats, systems: npt.NDArray[np.intp], weight: float) -> None:
    """Add a weight in the column of a row's system; the last system has none."""
    rows = np.flatnonzero(systems < columns.shape[1])
    columns[rows, systems[rows]] += weight


def _maximise(design: Floats, observed: Floats) -> tuple[Floats, Floats]:
    """Coefficients of a multinomial logit and their standard errors, by Newton's method with halved steps; the likelihood is
    concave. ``design`` is [comparisons, outcomes, coefficients], ``observed`` [comparisons, outcomes]."""
    found = np.zeros(design.shape[2])
    total = observed.sum(1)

    def likelihood(coefficients: Floats) -> tuple[float, Floats]:
        logits = design @ coefficients
        logits = logits - logits.max(1, keepdims=True)
        logits = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        return float((observed * logits).sum()), np.exp(logits)

    value, p = likelihood(found)
    for _ in range(STEPS):
        centred = design - (p[..., None] * design).sum(1, keepdims=True)
        gradient = (observed[..., None] * centred).sum((0, 1))
        weighted = centred * (total[:, None] * p)[..., None]
        information = np.tensordot(weighted, centred, axes=([0, 1], [0, 1]))
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        if np.abs(step).max() < 1e-10:
            return found, np.sqrt(np.diag(np.linalg.inv(information)))
        new, p = likelihood(found + step)
        while new < value - 1e-9 * abs(value):
            step /= 2
            new, p = likelihood(found + step)
        found, value = found + step, new
        if np.abs(found).max() > 50:
            break
    raise ValueError(
        "the comparisons have no finite strengths: some outcome is certain; compare the systems more often"
    )
