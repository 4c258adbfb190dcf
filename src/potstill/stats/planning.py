"""How many questions a comparison takes, before it is made."""

from math import ceil, inf, sqrt

from scipy.optimize import brentq
from scipy.special import ndtri

from potstill.stats.checks import fraction


def required_sample_size(
    discordance: float,
    difference: float = 0.0,
    margin: float | None = None,
    power: float = 0.8,
    confidence: float = 0.95,
    design_effect: float = 1.0,
) -> int:
    """Questions that both systems answer, for a test to find a true ``difference`` A - B with probability ``power``.

    ``discordance`` q is the share of questions that only one of them answers correctly. Without ``margin`` the test is the
    two-sided one of no difference d: (z_(1 - alpha/2) sqrt(q) + z_power sqrt(q - d^2))^2 / d^2 (Connor 1987, Biometrics
    43:207; Connett, Smith and McHugh 1987, Stat. Med. 6:53). With ``margin`` m it is the one-sided one of non-inferiority:
    (z_(1 - alpha) + z_power)^2 (q - d^2) / (d + m)^2 (Lu and Bean 1995, Stat. Med. 14:1831, unconditional).
    ``design_effect`` multiplies the number, for questions in groups (`clustered_difference`). The result is rounded up.
    """
    _check(discordance, power, confidence, design_effect)
    if abs(difference) > discordance:
        raise ValueError(
            f"a difference of {difference} takes a discordance of at least {abs(difference)}, not {discordance}"
        )
    if margin is None and difference == 0:
        raise ValueError("give the difference to be found, or a margin for non-inferiority")
    if margin is not None and difference + _margin(margin) <= 0:
        raise ValueError(
            f"no number of questions shows a difference of {difference} to lie within a margin of {margin}"
        )
    n = _questions(discordance, difference, margin, power, confidence) * design_effect
    return max(1, ceil(n - 1e-9))


def minimum_detectable_difference(
    n: int,
    discordance: float,
    margin: float | None = None,
    power: float = 0.8,
    confidence: float = 0.95,
    design_effect: float = 1.0,
) -> float:
    """The true difference A - B that ``n`` questions find with probability ``power``: the reverse of `required_sample_size`.

    With ``margin`` the smallest difference at which A is found not inferior; negative where A may be worse. Infinite where not
    even a difference as large as the discordance is found.
    """
    _check(discordance, power, confidence, design_effect)
    if not n >= 1:
        raise ValueError(f"n must be at least 1, and is {n}")
    worst = 0.0 if margin is None else max(-_margin(margin), -discordance)

    def missing(difference: float) -> float:
        return _questions(discordance, difference, margin, power, confidence) * design_effect / n - 1

    start = worst + 1e-9 if margin is None or worst == -margin else worst
    if missing(discordance) > 0:
        return inf
    if missing(start) <= 0:
        return start
    return float(brentq(missing, start, discordance, xtol=1e-12))


def _questions(discordance: float, difference: float, margin: float | None, power: float, confidence: float) -> float:
    of_power, variance = float(ndtri(power)), discordance - difference**2
    if margin is None:
        null = float(ndtri((1 + confidence) / 2)) * sqrt(discordance)
        return (null + of_power * sqrt(variance)) ** 2 / difference**2
    return (float(ndtri(confidence)) + of_power) ** 2 * variance / (difference + margin) ** 2


def _check(discordance: float, power: float, confidence: float, design_effect: float) -> None:
    fraction("power", power)
    fraction("confidence", confidence)
    if not 0 < discordance <= 1:
        raise ValueError(f"discordance must lie above 0 and be at most 1, and is {discordance}")
    if not 0 < design_effect < inf:
        raise ValueError(f"design_effect must be positive, and is {design_effect}")


def _margin(margin: float) -> float:
    if not 0 < margin < 1:
        raise ValueError(f"margin must lie between 0 and 1, and is {margin}; write five points as 0.05")
    return margin
