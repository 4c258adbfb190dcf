"""The score statistic of a paired difference of proportions, from which its tests and limits come."""

from math import inf, sqrt


def score(only_a: float, only_b: float, n: float, difference: float) -> float:
    """Standard errors between the observed difference and ``difference`` d, the error being that under d (Tango 1998, Stat.
    Med. 17:891): (b - c - n d) / sqrt(n (2 q + d (1 - d))), with b ``only_a``, c ``only_b``, and q the probability of only B
    that is most likely under d, the larger root of 2 n q^2 + ((2 n - b + c) d - b - c) q - c d (1 - d) = 0.

    0 where the observed difference is d; infinite where d cannot have given the observed one.
    """
    distance = only_a - only_b - n * difference
    if distance == 0:
        return 0.0
    variance = n * (2 * _nuisance(only_a, only_b, n, difference) + difference * (1 - difference))
    return distance / sqrt(variance) if variance > 0 else inf if distance > 0 else -inf


def limits(only_a: float, only_b: float, n: float, z: float) -> tuple[float, float]:
    """The differences whose score is z and -z, found by bisection; -1 and 1 for n = 0."""
    if n == 0:
        return -1.0, 1.0
    observed = (only_a - only_b) / n
    ends = []
    for outside in (-1.0, 1.0):
        inside = observed
        while (middle := (inside + outside) / 2) not in (inside, outside):
            if abs(score(only_a, only_b, n, middle)) <= z:
                inside = middle
            else:
                outside = middle
        ends.append(inside if abs(inside) < 1 else outside)
    return ends[0], ends[1]


def _nuisance(only_a: float, only_b: float, n: float, difference: float) -> float:
    """The root q of `score`."""
    a = 2 * n
    b = (2 * n - only_a + only_b) * difference - only_a - only_b
    c = -only_b * difference * (1 - difference)
    root = sqrt(max(b * b - 4 * a * c, 0.0))
    # The form that does not subtract nearly equal numbers.
    return (root - b) / (2 * a) if b <= 0 else (-2 * c / (b + root) if b + root else 0.0)
