"""A bare aiohttp loop that only counts answers."""

import asyncio

import aiohttp
from work import IN_FLIGHT, PROMPTS, URL, measured


async def complete_all():
    prompts, answered = iter(PROMPTS), 0

    async def worker(session):
        nonlocal answered
        for prompt in prompts:
            body = {
                "model": "mock",
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": 256,
                "temperature": 0,
            }
            async with session.post(f"{URL}/chat/completions", json=body) as response:
                answered += response.status == 200 and bool((await response.json())["choices"][0]["message"]["content"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(worker(session) for _ in range(IN_FLIGHT)))
    return answered


measured(lambda: asyncio.run(complete_all()))
