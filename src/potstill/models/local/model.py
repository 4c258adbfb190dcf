"""Generation in this process with transformers: prompts of like length together, shared prefixes computed once,
finished rows replaced by waiting ones."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from potstill import interrupt
from potstill.models import Completion, ErrorKind, Request, Sampling, reasoning
from potstill.models.local.decoding import Batch, read_prefix
from potstill.models.local.packing import pack
from potstill.models.prices import Price

READ = 16
"""Prompts read at once: enough to keep the processor busy, few enough to need little memory."""
WINDOW = 1024
"""Requests looked at together, to find rows of like length and a common prefix."""


@dataclass
class _Row:
    request: Request
    prompt: list[int]
    generator: torch.Generator | None
    answer: list[int] = field(default_factory=list)
    finish_reason: str = ""
    seconds: float = 0.0


class LocalModel:
    """A causal language model in this process, ``batch_size`` answers at a time.

    The longest prefix that all prompts of a window share (few-shot examples, a system prompt) is computed once. Draws
    with a temperature have a random stream for each row, so that a draw does not depend on the rest of its batch.
    """

    price: Price | None = None

    def __init__(
        self,
        load: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
        identity: Mapping[str, Any],
        name: str,
        *,
        batch_size: int,
    ) -> None:
        self._load, self.identity, self.name, self.batch_size = load, identity, name, batch_size

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        model, tokenizer = self._load()
        pack(model.eval())
        return model, tokenizer

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[list[Completion]]:
        window: list[Request] = []
        async for request in requests:
            window.append(request)
            if len(window) == WINDOW:
                async for completions in self._answer(window):
                    yield completions
                window = []
        async for completions in self._answer(window):
            yield completions

    async def _answer(self, window: Sequence[Request]) -> AsyncIterator[list[Completion]]:
        if not window:
            return
        model, tokenizer = await asyncio.to_thread(lambda: self._loaded)
        context = int(getattr(model.config, "max_position_embeddings", 0)) or 1 << 30
        rows = []
        for request in window:
            prompt = chat_tokens(tokenizer, request.messages)
            room = context - len(prompt)
            if room < request.sampling.max_tokens:
                detail = f"{len(prompt)} tokens of prompt leave {room} of {context} for the answer"
                yield [Completion(request.id, request.sample, error=ErrorKind.CONTEXT_TOO_LONG, detail=detail)]
            else:
                rows.append(_Row(request, prompt, _generator(request)))
        rows.sort(key=lambda row: -len(row.prompt))
        steps = self._generate(rows)
        while (ended := await asyncio.to_thread(next, steps, None)) is not None:
            yield [self._completion(row) for row in ended]

    def _generate(self, waiting: list[_Row]) -> Iterator[list[_Row]]:
        """Answer all rows; yields those that ended, as they end."""
        if not waiting:
            return
        model, tokenizer = self._loaded
        ends = _end_tokens(model, tokenizer)
        shared = _shared_prefix([row.prompt for row in waiting])
        prefix = read_prefix(model, waiting[0].prompt[:shared])
        batch = Batch(model, prefix, min(self.batch_size, len(waiting)))
        live: list[_Row] = []
        clock = time.perf_counter()
        while (live or waiting) and not interrupt.stop_requested():
            free = self.batch_size - len(live)
            # Reading prompts interrupts the others: worth it only for a good part of the batch.
            if waiting and free >= min(len(waiting), self.batch_size // 4 or 1):
                reading, waiting = waiting[: min(free, READ)], waiting[min(free, READ) :]
                live += reading
                _take(reading, batch.read([row.prompt for row in reading]), ends)
            else:
                _take(live, batch.step([row.answer[-1] for row in live]), ends)
            now = time.perf_counter()
            for row in live:
                row.seconds += (now - clock) / len(live)
            clock = now
            if ended := [place for place, row in enumerate(live) if row.finish_reason]:
                yield [live[place] for place in ended]
                live = [live[place] for place in batch.drop(ended)]

    def _completion(self, row: _Row) -> Completion:
        thought, said = reasoning.split(str(self._loaded[1].decode(row.answer, skip_special_tokens=True)))
        return Completion(
            row.request.id,
            row.request.sample,
            text=said,
            reasoning=thought,
            finish_reason=row.finish_reason,
            prompt_tokens=len(row.prompt),
            completion_tokens=len(row.answer),
            seconds=row.seconds,
        )


def chat_tokens(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Token ids of ``messages`` in the tokenizer's chat template, up to where the assistant begins to speak."""
    text = tokenizer.apply_chat_template([dict(m) for m in messages], tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def count_chat_tokens(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]], completion: str
) -> int:
    """The number of tokens of a chat, its completion and the end token."""
    return len(chat_tokens(tokenizer, messages)) + len(tokenizer(completion, add_special_tokens=False)["input_ids"]) + 1


def _take(rows: Sequence[_Row], logits: torch.Tensor, ends: set[int]) -> None:
    """Give each row its next token."""
    for row, token in zip(rows, _choose(logits, rows), strict=True):
        if token in ends:
            row.finish_reason = "stop"
        else:
            row.answer.append(token)
            if len(row.answer) == row.request.sampling.max_tokens:
                row.finish_reason = "length"


def _choose(logits: torch.Tensor, rows: Sequence[_Row]) -> list[int]:
    greedy = logits.argmax(-1).tolist()
    return [
        token if row.generator is None else _draw(logits[place], row.request.sampling, row.generator)
        for place, (row, token) in enumerate(zip(rows, greedy, strict=True))
    ]


def _draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """Nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751) from logits [vocabulary]."""
    probabilities, order = torch.softmax(logits / sampling.temperature, -1).sort(descending=True)
    outside = probabilities.cumsum(-1) - probabilities >= sampling.top_p
    probabilities[outside] = 0.0
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])


def _generator(request: Request) -> torch.Generator | None:
    if request.sampling.temperature == 0:
        return None
    return torch.Generator().manual_seed(request.sampling.seed * 1_000_003 + request.sample)


def _shared_prefix(prompts: Sequence[list[int]]) -> int:
    """How many leading tokens all prompts share, leaving each at least one of its own."""
    first, last = min(prompts), max(prompts)
    limit = min(map(len, prompts)) - 1
    same = 0
    while same < limit and first[same] == last[same]:
        same += 1
    return same


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ends = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*ends, tokenizer.eos_token_id] if token is not None}
