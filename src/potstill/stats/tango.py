"""The score statistic of a paired difference of proportions, from which its tests and limits come."""

from math import inf, sqrt


def score(only_a: float, only_b: float, n: float, difference: float) -> float:
    """Standard errors between the observed difference and ``difference``, the error being that under ``difference``
    (Tango 1998, Stat. Med. 17:891, equations 6 to 9).

    0 where the observed difference is ``difference``; infinite where ``difference`` cannot have given the observed one.
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
    """The most likely probability that only B is right, among those that have the difference."""
    a = 2 * n
    b = (2 * n - only_a + only_b) * difference - only_a - only_b
    c = -only_b * difference * (1 - difference)
    root = sqrt(max(b * b - 4 * a * c, 0.0))
    # The form that does not subtract nearly equal numbers.
    return (root - b) / (2 * a) if b <= 0 else (-2 * c / (b + root) if b + root else 0.0)
