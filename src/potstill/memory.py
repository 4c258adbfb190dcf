"""The memory that a process may still take."""

import resource
from contextlib import suppress
from pathlib import Path

MACHINE, GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes of memory that are free for one more process; None where the system does not say."""
    limits = [*_of_machine(), *_of_group(), *_of_process()]
    return max(0, min(limits)) if limits else None


def _of_machine() -> list[int]:
    with suppress(OSError, ValueError, StopIteration):
        lines = MACHINE.read_text(encoding="ascii").splitlines()
        return [1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])]
    return []


def _of_group() -> list[int]:
    """What a container may still use (cgroup v2). Pages of files that nobody needs now are freed when there is need."""
    with suppress(OSError, ValueError, KeyError):
        limit = int((GROUP / "memory.max").read_text(encoding="ascii"))
        used = int((GROUP / "memory.current").read_text(encoding="ascii"))
        parts = dict(line.split() for line in (GROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        return [limit - used + int(parts["inactive_file"])]
    return []


def _of_process() -> list[int]:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return [] if limit == resource.RLIM_INFINITY else [limit]
