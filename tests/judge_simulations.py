"""Simulated questions with people's labels of some and a judge's of all, for the coverage of corrected intervals."""

from dataclasses import dataclass

import numpy as np

from potstill.stats import corrected_mean

N, LABELS, GROUPS, ICC = 3000, 100, 300, 0.3


@dataclass(frozen=True)
class Judge:
    """A judge of answers of which ``right`` are right: its scores have this ``correlation`` with people's labels, and a mean that is too
    high by ``bias``. ``binary``: it says right or wrong; else it gives scores with normal errors. ``grouped``: questions are in `GROUPS` groups, whose
    labels, and the judge's errors, have the intra-class correlation `ICC`."""

    right: float
    binary: bool
    correlation: float
    bias: float
    grouped: bool

    @property
    def cells(self):
        """Probabilities of (people, judge) = (1, 1), (1, 0), (0, 1), (0, 0)."""
        p, q = self.right, self.right + self.bias
        both = p * q + self.correlation * np.sqrt(p * (1 - p) * q * (1 - q))
        return np.array([both, p - both, q - both, 1 - p - q + both])

    @property
    def possible(self):
        """Not every correlation is possible of two that say yes with different frequency."""
        return not self.binary or (0 < self.right + self.bias < 1 and self.cells.min() > -1e-12)

    def draw(self, rng):
        """People's labels (nan where there are none), the judge's scores, and groups, of `N` questions."""
        groups = np.arange(N) % GROUPS if self.grouped else np.arange(N)
        position, noise = rng.random(N), rng.normal(size=N)
        if self.grouped:
            shared = rng.random(N) < np.sqrt(ICC)
            position = np.where(shared, rng.random(GROUPS)[groups], position)
            noise = np.sqrt(ICC) * rng.normal(size=GROUPS)[groups] + np.sqrt(1 - ICC) * noise
        if self.binary:
            cell = np.searchsorted(np.cumsum(self.cells), position).clip(0, 3)
            people, judge = (cell < 2).astype(float), (cell % 2 == 0).astype(float)
        else:
            people = (position < self.right).astype(float)
            spread, r = np.sqrt(self.right * (1 - self.right)), self.correlation
            judge = self.right + self.bias + r * (people - self.right) + spread * np.sqrt(1 - r**2) * noise
        gold = np.full(N, np.nan)
        drawn = rng.choice(N, LABELS, replace=False)
        gold[drawn] = people[drawn]
        return gold, judge, groups


@dataclass(frozen=True)
class Coverage:
    """How often 95 % intervals hold the truth: corrected, by people's labels alone, and by the judge alone; ``ratio``: width of the
    corrected over that by people alone."""

    corrected: float
    alone: float
    raw: float
    ratio: float


def simulate(judge, simulations, seed=0):
    """The coverage of the intervals for a judge."""
    rng, held, widths = np.random.default_rng(seed), [], []
    for _ in range(simulations):
        gold, scores, groups = judge.draw(rng)
        found = corrected_mean(gold, scores, groups), corrected_mean(gold, None, groups)
        sums = np.bincount(groups, scores - scores.mean())
        half = 1.96 * np.sqrt((sums**2).sum()) / N
        limits = [*((one.low, one.high) for one in found), (scores.mean() - half, scores.mean() + half)]
        held.append([low <= judge.right <= high for low, high in limits])
        widths.append([one.high - one.low for one in found])
    (corrected, alone, raw), (width, of_alone) = np.mean(held, axis=0), np.mean(widths, axis=0)
    return Coverage(float(corrected), float(alone), float(raw), float(width / of_alone))


def cases(biases):
    """Judges of the correlations 0, .3, .6 and .9 with some ``biases``, where they are possible, of 60 % and of 95 % right answers; of
    scores, whose bias changes nothing, the last one."""
    return [
        judge
        for right in (0.6, 0.95)
        for binary in (True, False)
        for correlation in (0.0, 0.3, 0.6, 0.9)
        for bias in ([*biases, *([-0.02, 0.02] if right == 0.95 else [])] if binary else biases[-1:])
        for grouped in (False, True)
        if (judge := Judge(right, binary, correlation, bias, grouped)).possible
    ]
