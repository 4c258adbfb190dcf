"""A store of many completions: fill it, or find out by `ask` that nothing is left to ask."""

import hashlib
import json
import resource
import sys
import time
from pathlib import Path

from potstill.models import Completion, Request
from potstill.models.complete import complete
from potstill.models.store.store import Store, batched, keys

folder, n, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


class Nobody:
    identity = {"engine": "chat-completions", "url": "http://127.0.0.1:9/v1", "model": "mock"}
    name, price = "mock", None

    async def complete(self, requests):
        async for request in requests:
            raise AssertionError(f"{request.id} was asked")
            yield []


class Questions:
    def __len__(self):
        return n

    def __iter__(self):
        for i in range(n):
            text = f"Question {i}: what is {i} plus {i * 7 % 1000}? Explain your reasoning, then give the answer."
            yield Request(str(i), [{"role": "user", "content": text}])


store = Store(folder / "completions.sqlite")
began = time.perf_counter()
if what == "fill":
    key = keys(Nobody.identity)
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
    ask(Nobody(), Questions(), "mock", store)  # the answers are read back by whoever goes through them
mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": time.perf_counter() - began, "mib": mib}))
