"""A bare aiohttp loop that only counts answers."""

import asyncio

import aiohttp
from work import IN_FLIGHT, PROMPTS, URL, measured


async def ask_all():
    prompts, answered = iter(PROMPTS), 0

    async def work(session):
        nonlocal answered
        for prompt in prompts:
            body = {
                "model": "mock",
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": 256,
                "temperature": 0,
            }
            async with session.post(f"{URL}/chat/completions", json=body) as answer:
                answered += answer.status == 200 and bool((await answer.json())["choices"][0]["message"]["content"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(IN_FLIGHT)))
    return answered


measured(lambda: asyncio.run(ask_all()))
