"""How well this process uses the processor's cores."""

import os


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_seconds() -> float:
    """User and system time of this process and of its children that have ended, in seconds."""
    return sum(os.times()[:4])


def utilisation(cpu: float, seconds: float, of_cores: int) -> float:
    """The fraction of the time of all cores that was used: CPU seconds over cores times elapsed seconds."""
    return cpu / (of_cores * seconds) if seconds else 0.0
