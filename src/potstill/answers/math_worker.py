"""python -m potstill.answers.math_worker: compares mathematics for another process.

Reads one JSON line per comparison (the arguments of `math_equivalence.equivalent`) and writes one JSON line per result. A
forked child does the work. Its CPU time is limited, not its wall time, so that a busy machine changes no result; its memory
is limited too. When a limit kills the child, the result is null and a new child continues.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import warnings

CPU_SECONDS_PER_COMPARISON = 0.8
EXTRA_MEMORY_BYTES = 2 << 30
"""Address space beyond what the libraries take."""


def main() -> None:
    """Answer the lines of standard input until it ends."""
    warnings.simplefilter("ignore")  # SymPy warns about what a model wrote
    from potstill.answers.math_equivalence import equivalent

    # Load everything that a comparison needs before the fork.
    equivalent(gold="$\\frac{1}{2}$", prediction="so it is $x = 0.5$", kind="latex+expr", precision=6)
    while True:
        if not (child := os.fork()):
            _serve()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
        print("null", flush=True)


def _serve() -> None:
    from potstill.answers.math_equivalence import equivalent

    with contextlib.suppress(ValueError, OSError):
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + EXTRA_MEMORY_BYTES, used + EXTRA_MEMORY_BYTES))
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_PER_COMPARISON)
        try:
            result = equivalent(**json.loads(line))
        except (Exception, RecursionError):
            result = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
