"""What every client of benchmarks/generation.py does: 256 requests in flight; it prints its seconds, rows and memory."""

import argparse
import json
import resource
import time

_parser = argparse.ArgumentParser(description=__doc__)
_parser.add_argument("url", help="base address of the server")
_parser.add_argument("n", type=int, help="number of prompts")
_parser.add_argument("folder", nargs="?", help="folder of what the client stores; left out: a temporary one")
_options = _parser.parse_args()

URL, FOLDER, IN_FLIGHT = _options.url, _options.folder, 256
PROMPTS = [
    f"Question {i}: what is {i} plus {i * 7 % 1000}? Explain your reasoning, then give the answer."
    for i in range(_options.n)
]


def measured(work):
    """Run ``work()``, which returns the number of answers, and print its figures as JSON."""
    began = time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - began
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "rows": rows, "mib": mib}))
