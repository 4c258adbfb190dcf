"""Goals of benchmarks, such as ``>= 0.9``."""

import operator

SIGNS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}


def is_met(figure: float, goal: str) -> bool:
    """Whether a figure meets a goal."""
    sign, limit = goal.split()
    return bool(SIGNS[sign](figure, float(limit)))
