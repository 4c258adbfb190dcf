"""A pool of processes that compare mathematics (`potstill.answers.math_worker`), one for each concurrent comparison.

Idle processes are reused until the interpreter exits.
"""

import atexit
import json
import subprocess
import sys
from collections import deque
from functools import lru_cache
from typing import Any

_idle: deque["subprocess.Popen[bytes]"] = deque()


def compare(gold: str, prediction: str, kind: str, precision: int) -> bool | None:
    """The result of `math_equivalence.equivalent`; None when it took too long or too much memory.

    Raises `RuntimeError` when the process ends unexpectedly.
    """
    arguments = {"gold": gold, "prediction": prediction, "kind": kind, "precision": precision}
    result: bool | None = _compare(json.dumps(arguments))
    return result


@lru_cache(maxsize=2_000)
def _compare(line: str) -> Any:
    try:
        worker = _idle.pop()
    except IndexError:
        command = [sys.executable, "-m", "potstill.answers.math_worker"]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(line.encode() + b"\n")
    worker.stdin.flush()
    reply = worker.stdout.readline()
    if not reply:
        raise RuntimeError(f"the process that compares mathematics exited with {worker.wait()}")
    _idle.append(worker)
    return json.loads(reply)


@atexit.register
def close() -> None:
    """Stop all idle processes."""
    while _idle:
        with _idle.pop() as worker:
            assert worker.stdin is not None
            worker.stdin.close()
