"""A store of many completions: fill it, or have `complete` find that every request is stored already."""

import argparse
import hashlib
import json
import resource
import time
from pathlib import Path

from potstill.models import Completion, Request
from potstill.models.complete import Billing, complete
from potstill.models.store.store import Store, batched, key_function

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path, help="folder of the store")
parser.add_argument("n", type=int, help="number of completions")
parser.add_argument("step", choices=["fill", "resume"])
options = parser.parse_args()


class Unreachable:
    """A model that must not get any request."""

    identity = {"engine": "chat-completions", "url": "http://127.0.0.1:9/v1", "model": "mock"}
    name, price, address, left_out = "mock", None, "", ()

    async def complete(self, requests):
        async for request in requests:
            raise AssertionError(f"{request.id} was requested")
            yield []


class Questions:
    """Requests that are created when they are iterated."""

    def __len__(self):
        return options.n

    def __iter__(self):
        for i in range(options.n):
            text = f"Question {i}: what is {i} plus {i * 7 % 1000}? Explain your reasoning, then give the answer."
            yield Request(str(i), [{"role": "user", "content": text}])


store = Store(options.folder / "completions.sqlite")
began = time.perf_counter()
if options.step == "fill":
    key = key_function(Unreachable.identity)
    for some in batched(Questions(), 5000):
        store.put(
            [
                Completion(
                    r.id, 0, text=hashlib.sha256(r.id.encode()).hexdigest() * 4, finish_reason="stop", key=key(r)
                )
                for r in some
            ]
        )
else:
    complete(Unreachable(), Questions(), "mock", Billing(store))  # answers would be read when the result is iterated
mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": time.perf_counter() - began, "mib": mib}))
