"""Ask llama.cpp what it makes of chats and texts, and for greedy answers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.export.gate.agreement import Said
from potstill.models import Message
from potstill.models.served.launch import llama_command
from potstill.models.served.process import run_process
from potstill.progress import progress

START_SECONDS, ANSWER_SECONDS = 1800.0, 600.0
EXACT = ("--cache-type=f32", "--flash-attention=disabled")
"""Keys and values in float32, so that only the weights differ from those of the student."""


class Llama:
    """A llama.cpp server with one slot."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session, self._address = session, address

    async def prompt(self, messages: Sequence[Message]) -> str:
        """The text of a chat up to the start of the reply, by the template in the file."""
        return str((await self._post("apply-template", {"messages": [dict(one) for one in messages]}))["prompt"])

    async def tokens(self, text: str) -> list[int]:
        """Token ids of a text as a prompt."""
        asked = {"content": text, "add_special": True, "parse_special": True}
        return [int(id) for id in (await self._post("tokenize", asked))["tokens"]]

    async def answer(self, id: str, prompt: Sequence[int], limit: int) -> Said:
        """The greedy answer of at most ``limit`` tokens to a prompt of token ids."""
        asked = {
            "prompt": list(prompt),
            "n_predict": limit,
            "temperature": 0,
            "return_tokens": True,
            "cache_prompt": False,
        }
        body = await self._post("completion", asked)
        return Said(id, prompt, [int(id) for id in body["tokens"]], body.get("stop_type") == "eos")

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        async with self._session.post(f"{self._address}/{path}", json=body) as response:
            if response.status != 200:
                raise PotstillError(
                    f"llama.cpp answered /{path} with status {response.status}: {(await response.text())[:500]}"
                )
            return await response.json()


@asynccontextmanager
async def running(file: Path, context: int) -> AsyncIterator[Llama]:
    """A server for a GGUF file, within the context. Raises `PotstillError` where llama.cpp cannot load it."""
    command = partial(llama_command, str(file), slots=1, context=context, arguments=EXACT)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with (
        run_process("llama.cpp", command, START_SECONDS) as (address, _),
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        yield Llama(session, address)


async def answers(llama: Llama, asked: Sequence[tuple[str, Sequence[int], int]]) -> list[Said]:
    """The answers to prompts, each with its id and limit, one after the other."""
    said = []
    with progress("gate: llama.cpp", len(asked), "answers") as bar:
        for id, prompt, limit in asked:
            interrupt.raise_if_requested()
            said.append(await llama.answer(id, prompt, limit))
            bar.advance(1, len(said[-1].answer))
    return said
