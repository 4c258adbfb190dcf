"""The memory of the processes that this one has started."""

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def of_children() -> int | None:
    """Bytes: the sum of the largest resident memory that each process below this one has had (VmHWM; pages that several of them share count
    for each). None where the system does not say."""
    if not (PROC / "self" / "status").exists():
        return None
    children = defaultdict(list)
    peaks: dict[int, int] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, KeyError, ValueError):
                lines = (folder / "status").read_text(encoding="utf-8", errors="replace").splitlines()
                status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
                children[int(status["PPid"])].append(int(folder.name))
                peaks[int(folder.name)] = int(status["VmHWM"].split()[0]) * 1024
    below, waiting = 0, list(children[os.getpid()])
    while waiting:
        process = waiting.pop()
        below += peaks.get(process, 0)
        waiting += children[process]
    return below
