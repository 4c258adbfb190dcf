"""Progress on standard error: live bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

SECONDS_BETWEEN_LINES = 10.0
"""Interval of plain lines."""


@cache
def _console() -> Console:
    return _Console(stderr=True, soft_wrap=True)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads standard error any more: continue without output."""
        self.quiet = True


def echo(line: str) -> None:
    """Print one line."""
    _console().print(printable(line), markup=False, highlight=False)


def printable(text: str) -> str:
    """Text with control characters replaced: parts of it come from servers and models."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def show_cursor() -> None:
    """Restore the cursor of the terminal when live bars are cut off."""
    _console().show_cursor()


class Progress:
    """Count finished units of ``total``, and show them, unless they are not ``shown``, with tokens/s, cost (US dollars) and the time
    left."""

    def __init__(self, name: str, total: float, unit: str, shown: bool = True) -> None:
        self.name, self.total, self.unit, self.shown = name, total, unit, shown
        self.done = self.tokens = self.skipped = self.cost = 0.0
        self._started = self._last_line = time.perf_counter()
        self._bars: Bars | None = None
        if shown and _console().is_terminal:
            self._bars = Bars(
                TextColumn("  {task.description}", markup=False), BarColumn(), TextColumn("{task.fields[state]}"),
                console=_console(), transient=True,
            )  # fmt: skip
            self._task = self._bars.add_task(name, total=total, state="")

    def advance(self, done: float = 1, tokens: float = 0, cost: float = 0) -> None:
        """Add ``done`` units, for which ``tokens`` were generated or trained on at a ``cost`` in US dollars."""
        self.done += done
        self.cost += cost
        self.tokens += tokens
        now = time.perf_counter()
        if self._bars is not None:
            self._bars.update(self._task, completed=self.done, state=self.state())
        elif self.shown and now - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = now
            echo(f"  {self.name}: {self.state()}")

    def skip(self, done: float) -> None:
        """Add ``done`` units that an earlier invocation did; they do not count for the rate."""
        self.skipped += done
        self.advance(done)

    def reach(self, done: float) -> None:
        """Raise the count to ``done``, if it is lower."""
        self.advance(max(done - self.done, 0))

    def state(self) -> str:
        """The counts as text."""
        seconds = time.perf_counter() - self._started
        text = f"{self.done:.0f} of {self.total:.0f} {self.unit}"
        if self.tokens:
            text += f", {self.tokens / seconds:.0f} tokens/s"
        if self.cost:
            text += f", ${self.cost:.4f}"
        if self.skipped < self.done < self.total:
            text += f", {seconds / (self.done - self.skipped) * (self.total - self.done):.0f} s left"
        return text


@contextmanager
def progress(name: str, total: float, unit: str = "rows", *, shown: bool = True) -> Iterator[Progress]:
    """Show the progress of a task; at its end one plain line with the duration remains. Without being ``shown`` it only counts."""
    bar = Progress(name, total, unit, shown)
    if bar._bars is not None:
        with bar._bars:
            yield bar
    else:
        yield bar
    if shown:
        echo(f"  {name}: {bar.state()}, {time.perf_counter() - bar._started:.0f} s")
