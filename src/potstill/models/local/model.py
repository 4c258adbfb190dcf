"""Generation in this process with transformers: length-bucketed prompts, shared-prefix KV cache, continuous batching."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from potstill import interrupt
from potstill.models import Completion, ErrorKind, Request, Sampling, reasoning, repetition
from potstill.models.local.chat_template import ChatTemplate
from potstill.models.local.decoding import Batch, prefill_prefix
from potstill.models.local.packing import pack
from potstill.models.prices import Price

PREFILL_BATCH = 16
"""Prompts in one prefill: enough to keep the processor busy, few enough to need little memory."""
WINDOW_REQUESTS = 1024
"""Requests that are sorted by length together, and searched for a common prefix."""
TOKENS_BETWEEN_CHECKS = 16
"""Tokens of an answer between two checks whether it repeats itself."""


@dataclass
class _Row:
    request: Request
    prompt: list[int]
    limit: int
    """On new tokens: that of the request, or the room that the prompt leaves in the context."""
    generator: torch.Generator | None
    answer: list[int] = field(default_factory=list)
    finish_reason: str = ""
    seconds: float = 0.0


class LocalModel:
    """A causal language model in this process that generates ``batch_size`` answers concurrently.

    The longest prefix that all prompts of a window share (few-shot examples, a system prompt) is computed once. At a
    temperature above 0 each row has its own random generator, so that a draw does not depend on the rest of its batch.

    ``load`` is called with the first request. ``repeated_period`` says of an answer's token ids whether it ends
    there, as a loop.
    """

    price: Price | None = None

    def __init__(
        self,
        load: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
        identity: Mapping[str, Any],
        name: str,
        *,
        batch_size: int,
        repeated_period: Callable[[Sequence[int]], int] = repetition.repeated_period,
    ) -> None:
        self._load, self.identity, self.name, self.batch_size = load, identity, name, batch_size
        self._repeated_period = repeated_period

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        model, tokenizer = self._load()
        pack(model.eval())
        return model, tokenizer

    @cached_property
    def _chat(self) -> ChatTemplate:
        return ChatTemplate(self._loaded[1])

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[list[Completion]]:
        """See `Model.complete`; raises `PotstillError` for architectures without a plain KV cache."""
        window: list[Request] = []
        async for request in requests:
            window.append(request)
            if len(window) == WINDOW_REQUESTS:
                async for completions in self._answer(window):
                    yield completions
                window = []
        async for completions in self._answer(window):
            yield completions

    async def _answer(self, window: Sequence[Request]) -> AsyncIterator[list[Completion]]:
        if not window:
            return
        model, _ = await asyncio.to_thread(lambda: self._loaded)
        context = int(getattr(model.config, "max_position_embeddings", 0)) or 1 << 30
        rows = []
        for request in window:
            prompt = self._chat.tokens(request.messages)
            limit = min(request.sampling.max_tokens, context - len(prompt))
            if limit < 1:
                detail = f"a prompt of {len(prompt)} tokens leaves no room for an answer in a context of {context}"
                yield [Completion(request.id, request.sample, error=ErrorKind.CONTEXT_TOO_LONG, detail=detail)]
            else:
                rows.append(_Row(request, prompt, limit, _random_generator(request)))
        rows.sort(key=lambda row: -len(row.prompt))
        steps = self._generate(rows)
        while (finished := await asyncio.to_thread(next, steps, None)) is not None:
            yield [self._completion(row) for row in finished]

    def _generate(self, waiting: list[_Row]) -> Iterator[list[_Row]]:
        """Answer all rows, sorted by descending length of prompt; yields rows as they finish."""
        if not waiting:
            return
        model, _ = self._loaded
        eos_token_ids = self._chat.end_ids(model)
        shared = _shared_prefix_length([row.prompt for row in waiting])
        prefix = prefill_prefix(model, waiting[0].prompt[:shared])
        batch = Batch(model, prefix, min(self.batch_size, len(waiting)))
        live: list[_Row] = []
        last_step = time.perf_counter()
        while (live or waiting) and not interrupt.stop_requested():
            free = self.batch_size - len(live)
            # A prefill delays the live rows: it pays off only for a good fraction of the batch.
            if waiting and free >= min(len(waiting), self.batch_size // 4 or 1):
                n = min(free, PREFILL_BATCH)
                joining, waiting = waiting[:n], waiting[n:]
                live += joining
                self._append_tokens(joining, batch.prefill([row.prompt for row in joining]), eos_token_ids)
            else:
                self._append_tokens(live, batch.step([row.answer[-1] for row in live]), eos_token_ids)
            now = time.perf_counter()
            for row in live:
                row.seconds += (now - last_step) / len(live)
            last_step = now
            if finished := [i for i, row in enumerate(live) if row.finish_reason]:
                yield [live[i] for i in finished]
                live = [live[i] for i in batch.drop(finished)]

    def _append_tokens(self, rows: Sequence[_Row], logits: torch.Tensor, eos_token_ids: set[int]) -> None:
        """Append to each row its next token, from logits [rows, vocabulary]."""
        for row, token in zip(rows, _next_tokens(logits, rows), strict=True):
            if token in eos_token_ids:
                row.finish_reason = "stop"
                continue
            row.answer.append(token)
            is_full = len(row.answer) == row.limit
            if (is_full or len(row.answer) % TOKENS_BETWEEN_CHECKS == 0) and self._repeated_period(row.answer):
                row.finish_reason = "repeating"
            elif is_full:
                row.finish_reason = "length"

    def _completion(self, row: _Row) -> Completion:
        thoughts, answer = reasoning.split(str(self._loaded[1].decode(row.answer, skip_special_tokens=True)))
        return Completion(
            row.request.id,
            row.request.sample,
            text=answer,
            reasoning=thoughts,
            finish_reason=row.finish_reason,
            prompt_tokens=len(row.prompt),
            completion_tokens=len(row.answer),
            seconds=row.seconds,
        )


def _next_tokens(logits: torch.Tensor, rows: Sequence[_Row]) -> list[int]:
    greedy = logits.argmax(-1).tolist()
    return [
        token if row.generator is None else _draw(logits[i], row.request.sampling, row.generator)
        for i, (row, token) in enumerate(zip(rows, greedy, strict=True))
    ]


def _draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """Nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751) from logits [vocabulary]."""
    probabilities, order = torch.softmax(logits / sampling.temperature, -1).sort(descending=True)
    outside = probabilities.cumsum(-1) - probabilities >= sampling.top_p
    probabilities[outside] = 0.0
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])


def _random_generator(request: Request) -> torch.Generator | None:
    if request.sampling.temperature == 0:
        return None
    return torch.Generator().manual_seed(request.draw_seed())


def _shared_prefix_length(prompts: Sequence[list[int]]) -> int:
    """The number of leading tokens that all prompts share; at least one token of each prompt is left over."""
    first, last = min(prompts), max(prompts)
    limit = min(map(len, prompts)) - 1
    length = 0
    while length < limit and first[length] == last[length]:
        length += 1
    return length
