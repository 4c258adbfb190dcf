"""What every client of the benchmark does: 5,000 prompts, 256 in flight; it prints its seconds, rows and memory."""

import json
import resource
import sys
import time

URL, N, IN_FLIGHT = sys.argv[1], int(sys.argv[2]), 256
PROMPTS = [
    f"Question {i}: what is {i} plus {i * 7 % 1000}? Explain your reasoning, then give the answer." for i in range(N)
]


def measured(work):
    """Run ``work()``, which returns the number of rows delivered."""
    began = time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - began
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "rows": rows, "mib": mib}))
