"""Ctrl-C: the first asks the work in hand to end where nothing is lost, the second ends the process at once."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from potstill.errors import PotstillError

_asked = threading.Event()


class Interrupted(PotstillError):  # noqa: N818
    """The user stopped the work (exit code 130). What was done is kept."""

    exit_code = 130


def asked() -> bool:
    """Whether the work should end where nothing is lost."""
    return _asked.is_set()


def check() -> None:
    """Raises `Interrupted` when the work should end; for places where nothing is in hand."""
    if asked():
        raise Interrupted("Stopped. What is done is kept; the same command again goes on from here.")


async def sleep(seconds: float) -> bool:
    """Sleep, unless the work should end; False when it should."""
    until = time.monotonic() + seconds
    while not asked() and (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.5))
    return not asked()


@contextmanager
def noticed() -> Iterator[None]:
    """Within, SIGINT and SIGTERM ask the work to end; elsewhere, and outside the main thread, they do as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()


def _on_signal(number: int, frame: Any) -> None:
    from potstill.progress import show_cursor

    if _asked.is_set():
        # Everything that is kept was committed before: ending here is as safe as being killed.
        with suppress(Exception):
            show_cursor()
            os.write(2, b"Stopped at once. The same command again goes on from what was kept.\n")
        os._exit(130)
    _asked.set()
    with suppress(OSError):
        os.write(2, b"Stopping: what is in hand is brought to an end and kept. Once more stops at once.\n")
