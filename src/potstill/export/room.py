"""Whether this machine has the disk and the memory that an export needs, before anything is written or loaded."""

import shutil
from pathlib import Path

from potstill import memory
from potstill.errors import PotstillError

RESERVE_BYTES = 300_000_000
"""Memory of Python, torch and transformers."""


def check(folder: Path, disk: int, loaded: int) -> None:
    """Raises `PotstillError` where ``folder``'s disk or the memory has fewer bytes free than are needed: ``disk``, and ``loaded`` in memory."""
    free = shutil.disk_usage(folder).free
    if free < disk:
        raise PotstillError(
            f"{folder}: the export needs about {disk / 1e6:,.0f} MB on this disk, and {free / 1e6:,.0f} MB are free. Make room, or remove "
            "exports that are not needed."
        )
    available = memory.available()
    if available is not None and available < loaded + RESERVE_BYTES:
        raise PotstillError(
            f"The gate of the export loads the student in float32, which needs about {(loaded + RESERVE_BYTES) / 1e9:,.1f} GB of memory, and "
            f"{available / 1e9:,.1f} GB are free. Stop other processes, or export on a larger machine."
        )
