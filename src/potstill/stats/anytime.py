"""A test that holds however often one looks, and however many questions one adds after looking."""

from dataclasses import dataclass
from math import exp, log

from scipy.special import betaln, xlog1py, xlogy

from potstill.stats.checks import count, fraction


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
