"""The openai client with a semaphore."""

import asyncio

from openai import AsyncOpenAI
from work import IN_FLIGHT, PROMPTS, URL, measured


async def ask_all():
    client = AsyncOpenAI(base_url=URL, api_key="none", max_retries=8)
    room = asyncio.Semaphore(IN_FLIGHT)

    async def ask(prompt):
        async with room:
            answer = await client.chat.completions.create(
                model="mock", messages=[{"role": "user", "content": prompt}], max_tokens=256, temperature=0
            )
            return answer.choices[0].message.content

    return sum(map(bool, await asyncio.gather(*map(ask, PROMPTS))))


measured(lambda: asyncio.run(ask_all()))
