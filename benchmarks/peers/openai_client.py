"""The openai client with a semaphore."""

import asyncio

from openai import AsyncOpenAI
from work import IN_FLIGHT, PROMPTS, URL, measured


async def complete_all():
    client = AsyncOpenAI(base_url=URL, api_key="none", max_retries=8)
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def complete(prompt):
        async with slots:
            response = await client.chat.completions.create(
                model="mock", messages=[{"role": "user", "content": prompt}], max_tokens=256, temperature=0
            )
            return response.choices[0].message.content

    return sum(map(bool, await asyncio.gather(*map(complete, PROMPTS))))


measured(lambda: asyncio.run(complete_all()))
