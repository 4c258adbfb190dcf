"""Clients that ask a chat-completions server, a fixed number of them at once."""

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Load:
    """What came of some requests. seconds: of all together. latencies: of each, in seconds. tokens: of all answers."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    tokens: int = 0

    @property
    def answers_per_second(self):
        return len(self.latencies) / self.seconds


async def ask_all(url, bodies, at_once):
    """Post each body, ``at_once`` at a time: a client sends its next one when it has its answer. Raises for a status but 200."""
    load, left = Load(), iter(bodies)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=1800)) as session:

        async def client():
            for body in left:
                began = time.perf_counter()
                async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                    answer = await response.json()
                    assert response.status == 200, answer
                load.latencies.append(time.perf_counter() - began)
                load.tokens += answer["usage"]["completion_tokens"]

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(at_once)))
        load.seconds = time.perf_counter() - began
    return load
