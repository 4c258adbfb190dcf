"""What a run says while it works, on standard error: live bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

EVERY = 10.0
"""Seconds between two plain lines."""


@cache
def _console() -> Console:
    return _Console(stderr=True, soft_wrap=True)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads on: the work goes on without words."""
        self.quiet = True


def say(line: str) -> None:
    """One line, as it is."""
    _console().print(printable(line), markup=False, highlight=False)


def printable(text: str) -> str:
    """Text that cannot steer a terminal: servers and models have a say in it."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def show_cursor() -> None:
    """Give a terminal its cursor back when live bars end without their own end."""
    _console().show_cursor()


class Progress:
    """Counts what is done of ``total`` and shows it with the rate of tokens and the time left."""

    def __init__(self, name: str, total: float, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = self.tokens = self.given = self.cost = 0.0
        self._started = self._said = time.perf_counter()
        self._bars: Bars | None = None
        if _console().is_terminal:
            self._bars = Bars(
                TextColumn("  {task.description}", markup=False), BarColumn(), TextColumn("{task.fields[state]}"),
                console=_console(), transient=True,
            )  # fmt: skip
            self._task = self._bars.add_task(name, total=total, state="")

    def advance(self, done: float = 1, tokens: float = 0, cost: float = 0) -> None:
        """So much more is done; ``tokens`` were generated or trained on for it, at a ``cost`` in US dollars."""
        self.done += done
        self.cost += cost
        self.tokens += tokens
        now = time.perf_counter()
        if self._bars is not None:
            self._bars.update(self._task, completed=self.done, state=self.state())
        elif now - self._said > EVERY:
            self._said = now
            say(f"  {self.name}: {self.state()}")

    def give(self, done: float) -> None:
        """So much more was done before; it says nothing about the rate."""
        self.given += done
        self.advance(done)

    def reach(self, done: float) -> None:
        """``done`` is done, unless more is already."""
        self.advance(max(done - self.done, 0))

    def state(self) -> str:
        seconds = time.perf_counter() - self._started
        text = f"{self.done:.0f} of {self.total:.0f} {self.unit}"
        if self.tokens:
            text += f", {self.tokens / seconds:.0f} tokens/s"
        if self.cost:
            text += f", ${self.cost:.4f}"
        if self.given < self.done < self.total:
            text += f", {seconds / (self.done - self.given) * (self.total - self.done):.0f} s left"
        return text


@contextmanager
def progress(name: str, total: float, unit: str = "rows") -> Iterator[Progress]:
    """Show the progress of a piece of work while it lasts; one plain line stays at its end."""
    shown = Progress(name, total, unit)
    if shown._bars is not None:
        with shown._bars:
            yield shown
    else:
        yield shown
    say(f"  {name}: {shown.state()}, {time.perf_counter() - shown._started:.0f} s")
