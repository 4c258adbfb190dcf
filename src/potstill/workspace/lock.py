"""The lock of a run's folder: one process at a time. The system frees the lock of a process that died."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from potstill.errors import PotstillError

OWNER = "owner.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of ``folder``. Raises `PotstillError` when another process has it."""
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise PotstillError(f"{folder} is in use{owner(folder)}. Wait until it has ended, or stop it.") from None
    try:
        note = {"process": os.getpid(), "host": socket.gethostname(), "since": now()}
        (folder / OWNER).write_text(json.dumps(note, indent=1), encoding="utf-8")
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        lock.release()


def owner(folder: Path) -> str:
    """Who holds the lock, in words that follow 'in use'; empty where that is unknown."""
    try:
        note = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        return " by process {process} on {host} since {since}".format(**note)
    except (KeyError, OSError, ValueError, TypeError):
        return ""


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of ``folder``."""
    if not (folder / "lock").exists():
        return False
    try:
        with FileLock(folder / "lock", timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a read-only disk
        return False


def now() -> str:
    """The time, for people."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
