"""Generation in this process with transformers: length-bucketed prompts, shared-prefix KV cache, continuous batching."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from potstill import interrupt
from potstill.models import Completion, ErrorKind, Request, Sampling, reasoning, repetition
from potstill.models.local.decoding import Batch, prefill_prefix
from potstill.models.local.resident import CutAnswer, Resident, resident
from potstill.models.local.windows import windows
from potstill.models.prices import Price

PREFILL_BATCH = 16
"""Prompts in one prefill: enough to keep the processor busy, few enough to need little memory."""
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

    @property
    def tokens(self) -> list[int]:
        """Those of the prompt and of the answer so far."""
        return self.prompt + self.answer

    @property
    def asked(self) -> Hashable:
        """What decides the answer, without its limit."""
        sampling = self.request.sampling
        seed = self.request.draw_seed() if self.generator else None
        return tuple(self.prompt), sampling.temperature, sampling.top_p, seed

    def resume(self, cut: CutAnswer) -> None:
        """Start from an answer that a lower limit cut."""
        self.answer, self.seconds = list(cut.tokens), cut.seconds
        if self.generator:
            self.generator.set_state(cut.random_state)


class LocalModel:
    """A causal language model in this process that generates ``batch_size`` answers concurrently.

    The longest prefix that all prompts of a window share (few-shot examples, a system prompt) is computed once. At a
    temperature above 0 each row has its own random generator, so that a draw does not depend on the rest of its batch.

    ``load`` is called with the first request, unless the model with this ``identity`` is loaded already. An answer that a
    limit cut is resumed when it is requested again under a larger one. ``repeated_period`` says of an answer's token ids whether it ends
    there, as a loop.
    """

    price: Price | None = None
    address = ""
    left_out: tuple[str, ...] = ()

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

    @property
    def _resident(self) -> Resident:
        return resident(self.identity, self._load)

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[list[Completion]]:
        """See `Model.complete`; raises `PotstillError` for architectures without a plain KV cache."""
        async for window in windows(requests):
            async for completions in self._answer(window):
                yield completions

    async def _answer(self, window: Sequence[Request]) -> AsyncIterator[list[Completion]]:
        # All in this thread: with a second team of OpenMP threads libgomp counts more threads than cores, and lets each sleep after
        # each operation, which wastes a fourth of the processor, and several times that beside other processes.
        loaded = self._resident
        context = int(getattr(loaded.model.config, "max_position_embeddings", 0)) or 1 << 30
        rows = []
        for request in window:
            prompt = loaded.chat.tokens(request.messages)
            limit = min(request.sampling.max_tokens, context - len(prompt))
            if limit < 1:
                detail = f"a prompt of {len(prompt)} tokens leaves no room for an answer in a context of {context}"
                yield [Completion(request.id, request.sample, error=ErrorKind.CONTEXT_TOO_LONG, detail=detail)]
            else:
                row = _Row(request, prompt, limit, _random_generator(request))
                if cut := loaded.cut(row.asked, limit):
                    row.resume(cut)
                rows.append(row)
        rows.sort(key=lambda row: -len(row.tokens))
        steps = self._generate(rows, loaded)
        for finished in steps:
            yield [self._completion(row, loaded) for row in finished]
            await asyncio.sleep(0)

    def _generate(self, waiting: list[_Row], loaded: Resident) -> Iterator[list[_Row]]:
        """Answer all rows, sorted by descending number of tokens; yields after each pass of the model the rows that it finished."""
        if not waiting:
            return
        eos_token_ids = loaded.chat.end_ids(loaded.model)
        shared = _shared_prefix_length([row.prompt for row in waiting])
        prefix = prefill_prefix(loaded.model, waiting[0].prompt[:shared])
        batch = Batch(loaded.model, prefix, min(self.batch_size, len(waiting)))
        live: list[_Row] = []
        last_step = time.perf_counter()
        while (live or waiting) and not interrupt.stop_requested():
            free = self.batch_size - len(live)
            # A prefill delays the live rows: it pays off only for a good fraction of the batch.
            if waiting and free >= min(len(waiting), self.batch_size // 4 or 1):
                n = min(free, PREFILL_BATCH)
                joining, waiting = waiting[:n], waiting[n:]
                live += joining
                self._append_tokens(joining, batch.prefill([row.tokens for row in joining]), eos_token_ids)
            else:
                self._append_tokens(live, batch.step([row.answer[-1] for row in live]), eos_token_ids)
            now = time.perf_counter()
            for row in live:
                row.seconds += (now - last_step) / len(live)
            last_step = now
            finished = [i for i, row in enumerate(live) if row.finish_reason]
            yield [live[i] for i in finished]
            if finished:
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

    def _completion(self, row: _Row, loaded: Resident) -> Completion:
        if row.finish_reason == "length":
            state = row.generator.get_state() if row.generator else None
            loaded.keep(row.asked, CutAnswer(row.answer, row.seconds, state))
        thoughts, answer = reasoning.split(str(loaded.tokenizer.decode(row.answer, skip_special_tokens=True)))
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
    """The next token of each row, from logits [rows, vocabulary] on any device: from there only ids travel, and the logits of
    rows that are drawn."""
    # A CPU is slower in argmax of bfloat16 than in a copy in float32 and its argmax. Both give the first of equal maxima.
    greedy = (logits.float() if logits.device.type == "cpu" else logits).argmax(-1).tolist()
    return [
        token if row.generator is None else _draw(logits[i].float().cpu(), row.request.sampling, row.generator)
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
