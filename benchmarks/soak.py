"""A long mixed load on a server: good requests, malformed ones, and clients that leave in the middle of an answer."""

import asyncio
import random
from collections import Counter

import aiohttp
import psutil

MALFORMED = (
    b"{", b"[]", b'{"messages": 5}', b'{"messages": [{"role": "user", "content": "x"}], "temperature": -1}', b"\xff",
    b'{"model": "none", "messages": [{"role": "user", "content": "x"}]}',
)  # fmt: skip
SHARE = 0.01
"""Of malformed requests, and of clients that leave."""
WARM = 0.2
"""Part of the requests after which memory should not grow any more."""


async def soak(url, pids, questions, n, at_once):
    """Send ``n`` requests, ``at_once`` at a time. Returns counts of what came, and the memory of the processes ``pids`` in bytes after
    each hundredth of them.

    An error of the server's own is any status that is not that of its kind of request, and a connection that it closes.
    """
    counts, memory, left = Counter(), [], iter(range(n))
    draw = random.Random(0)
    kinds = draw.choices(("good", "malformed", "leaves"), (1 - 2 * SHARE, SHARE, SHARE), k=n)
    processes = [psutil.Process(pid) for pid in pids]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def good(i):
            body = {"messages": [{"role": "user", "content": questions[i % len(questions)]}], "max_tokens": 4}
            async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                answer = await response.json()
                return "answered" if response.status == 200 and answer["choices"] else f"error {response.status}"

        async def malformed(i):
            headers = {"Content-Type": "application/json"}
            data = MALFORMED[i % len(MALFORMED)]
            async with session.post(f"{url}/v1/chat/completions", data=data, headers=headers) as response:
                error = (await response.json())["error"]
                return "refused" if 400 <= response.status < 500 and error["message"] else f"error {response.status}"

        async def leaves(i):
            question = questions[i % len(questions)]
            body = {"messages": [{"role": "user", "content": question}], "max_tokens": 64, "stream": True}
            response = await session.post(f"{url}/v1/chat/completions", json=body)
            began = await response.content.readany()
            response.close()
            return "left" if response.status == 200 and began else f"error {response.status}"

        async def client():
            for i in left:
                try:
                    counts[await {"good": good, "malformed": malformed, "leaves": leaves}[kinds[i]](i)] += 1
                except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
                    counts[f"error {type(error).__name__}"] += 1
                if (i + 1) % max(1, n // 100) == 0:
                    memory.append(sum(process.memory_info().rss for process in processes))

        await asyncio.gather(*(client() for _ in range(at_once)))
    return counts, memory


def growth(memory):
    """Growth of the memory from the end of warming up to the end, as a part of it: medians of ten measurements each."""
    warm = sorted(memory[int(WARM * len(memory)) :][:10])
    last = sorted(memory[-10:])
    return last[len(last) // 2] / warm[len(warm) // 2] - 1
