"""Ctrl-C: the first one requests a stop at the next point where nothing is lost, the second one exits immediately."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from potstill.errors import PotstillError

_requested = threading.Event()


class Interrupted(PotstillError):  # noqa: N818
    """The user interrupted the run (exit code 130). Progress is saved."""

    exit_code = 130


def stop_requested() -> bool:
    """Whether work should stop at the next point where nothing is lost."""
    return _requested.is_set()


def raise_if_requested() -> None:
    """Raises `Interrupted` if a stop is requested. Call it where nothing is in flight."""
    if stop_requested():
        raise Interrupted("Interrupted. Progress is saved; rerun the same command to resume.")


async def sleep(seconds: float) -> bool:
    """Sleep until the time is over or a stop is requested; returns False if a stop is requested."""
    until = time.monotonic() + seconds
    while not stop_requested() and (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.5))
    return not stop_requested()


@contextmanager
def handle_signals() -> Iterator[None]:
    """Within, SIGINT and SIGTERM request a stop. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, _on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _requested.clear()


def _on_signal(number: int, frame: Any) -> None:
    from potstill.progress import show_cursor

    if _requested.is_set():
        # Completed work is already committed: exiting here loses no more than a kill.
        with suppress(Exception):
            show_cursor()
            os.write(2, b"Exiting immediately. Rerun the same command to resume from what was saved.\n")
        os._exit(130)
    _requested.set()
    with suppress(OSError):
        os.write(2, b"Stopping after in-flight work is saved. Press Ctrl-C again to exit immediately.\n")
