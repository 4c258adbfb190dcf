"""A test and limits that hold however often one looks, and however many questions one adds after looking."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, nan

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

from potstill.stats.checks import Floats, count, fraction, vector


@dataclass(frozen=True)
class AnytimeTest:
    """``e_value``: evidence against equality, at most 1 on average without a difference. ``low`` and ``high`` are limits of the
    share of wins among wins and losses that hold at all looks together."""

    e_value: float
    p_value: float
    low: float
    high: float


def anytime_mcnemar(wins: int, losses: int, confidence: float = 0.95) -> AnytimeTest:
    """Test that A (``wins``: only A right) and B (``losses``: only B right) are right equally often, at any number of looks.

    The e-value is the likelihood of the discordant questions under a uniform prior of the share of wins, over that under
    1/2: 2^n B(wins + 1, losses + 1) (Robbins 1970, Ann. Math. Statist. 41:1397; Ramdas et al. 2023, Stat. Sci. 38:576). By
    Ville's inequality it exceeds 1 / alpha at any look with probability alpha at most, so that p = min(1, 1 / e). The
    limits are the shares that the same test does not reject. Every question counts once, in the order in which it was
    asked. No discordant question: e = 1, limits 0 and 1.
    """
    wins, losses = count("wins", wins), count("losses", losses)
    n, alpha = wins + losses, 1 - fraction("confidence", confidence)
    mixture = float(betaln(wins + 1, losses + 1))
    evidence = mixture + n * log(2)

    def is_rejected(share: float) -> bool:
        return mixture - float(xlogy(wins, share) + xlog1py(losses, -share)) > -log(alpha)

    ends = []
    for outside in (0.0, 1.0):
        inside = wins / n if n else 0.5
        if not is_rejected(outside):
            ends.append(outside)
            continue
        while (middle := (inside + outside) / 2) not in (inside, outside):
            inside, outside = (inside, middle) if is_rejected(middle) else (middle, outside)
        ends.append(inside)
    return AnytimeTest(exp(min(evidence, 700.0)), exp(min(-evidence, 0.0)), ends[0], ends[1])


MOST_OF_CAPITAL = 0.5
"""Part of the capital that is staked at most: no bet loses all of it."""
HALVINGS = 40
"""Steps in which a limit is found, each of which doubles its precision."""


@dataclass(frozen=True)
class AnytimeMean:
    """The ``mean`` of ``n`` values (not a number of none), and limits of their expected value that hold at all looks together."""

    mean: float
    low: float
    high: float
    n: int


def anytime_mean(values: Sequence[float], confidence: float = 0.95) -> AnytimeMean:
    """Limits of the expected value of ``values`` between 0 and 1, at any number of looks.

    The hedged capital of Waudby-Smith & Ramdas (2024, J. R. Stat. Soc. B 86:1, theorem 3, with the stakes of their equation 26): for
    each possible mean m one player bets that the next value is above m, another that it is below. If each value has the
    expected value m given the earlier ones, the capital of either ever exceeds 2 / alpha with probability alpha / 2 at most (Ville's
    inequality). The limits are those m for which neither did at any look until now. Values count in the order in which they came. No value:
    0 and 1.
    """
    alpha = 1 - fraction("confidence", confidence)
    if not len(values):
        return AnytimeMean(nan, 0.0, 1.0, 0)
    x = vector("values", values)
    if x.min() < 0 or x.max() > 1:
        raise ValueError("values must be between 0 and 1")
    stakes = _stakes(x, alpha)
    return AnytimeMean(float(x.mean()), _lowest(x, stakes, alpha), 1 - _lowest(1 - x, stakes, alpha), len(x))


def _stakes(x: Floats, alpha: float) -> Floats:
    """What is staked on each value, by the values before it."""
    t = np.arange(1, len(x) + 1)
    means = (0.5 + np.cumsum(x)) / (t + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    stakes: Floats = np.sqrt(2 * log(2 / alpha) / (before * t * np.log(t + 1)))
    return stakes


def _lowest(x: Floats, stakes: Floats, alpha: float) -> float:
    """The lowest mean at which the player who bets on higher values has never won: the higher the mean, the less it wins."""

    def has_won(m: float) -> bool:
        capped = np.minimum(stakes, MOST_OF_CAPITAL / m)
        return bool(np.cumsum(np.log1p(capped * (x - m))).max() > log(2 / alpha))

    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if has_won(middle) else (low, middle)
    return low
