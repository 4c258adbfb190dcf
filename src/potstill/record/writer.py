"""The thread that turns exchanges into rows of the log. It may be slow, fail or fall behind: the traffic does not wait for it."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from potstill.progress import echo
from potstill.recipe.redaction import Redactor
from potstill.record.assembly import NotAssembledError
from potstill.record.exchange import Exchange
from potstill.record.log import Log
from potstill.record.rows import line

RETRY_SECONDS = 5.0
"""Time after a failed write until the log is tried again; the answers in between are lost."""
CLOSE_SECONDS = 30.0
"""Time that waiting exchanges have to be written when the proxy stops."""
SWITCH_SECONDS = 0.0005
"""The longest time that this thread runs before the server's gets its turn; Python's default of 0.005 delays an answer by as much."""
LOST_AT_END = "lost, because the log was too slow at the end"
LOST_UNWRITTEN, BROKEN = "lost, because the log could not be written", "lost by an error of the recorder"


class Writer:
    """``counts``: of each reason why an answer is not in the log, how many; ``recorded`` how many are."""

    def __init__(self, log: Log, redact: Redactor) -> None:
        self.log, self.redact = log, redact
        self.recorded = 0
        self.counts: Counter[str] = Counter()
        self._queue: SimpleQueue[Exchange | None] = SimpleQueue()
        self._failed_at = 0.0
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def put(self, exchange: Exchange) -> None:
        """Have an exchange written. Never blocks: what waits is bounded by the exchanges' room."""
        self._queue.put(exchange)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write within the context; what then still waits has `CLOSE_SECONDS`."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()
        try:
            yield
        finally:
            self._queue.put(None)
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                self.counts[LOST_AT_END] += max(self._queue.qsize(), 1)
            sys.setswitchinterval(interval)

    def _run(self) -> None:
        try:
            self.log.open()
        except OSError as error:
            self._say(error.strerror or str(error))
        while (exchange := self._queue.get()) is not None:
            try:
                self._record(exchange)
            except NotAssembledError as reason:
                self.counts[str(reason)] += 1
            except Exception as error:  # whatever it is, the next exchange is written
                self._lose(BROKEN, type(error).__name__)
            finally:
                exchange.close()
        self.log.close()

    def _record(self, exchange: Exchange) -> None:
        row = line(exchange, self.redact)
        if self._failed_at and time.monotonic() - self._failed_at < RETRY_SECONDS:
            self.counts[LOST_UNWRITTEN] += 1
            return
        try:
            self.log.append(row)
        except OSError as error:
            self._failed_at = time.monotonic()
            self._lose(LOST_UNWRITTEN, error.strerror or str(error))
            return
        self.recorded += 1
        if self._failure:
            echo(f"The log is written again; {self.counts[LOST_UNWRITTEN]:,} answers were lost.")
        self._failed_at, self._failure = 0.0, ""

    def _lose(self, reason: str, failure: str) -> None:
        self.counts[reason] += 1
        self._say(failure)

    def _say(self, failure: str) -> None:
        """Say why answers are lost, once for each failure."""
        if failure != self._failure:
            echo(
                f"Answers are not recorded ({failure}: {self.log.folder}). The traffic continues; the loss is counted."
            )
        self._failure = failure
