"""Log-probabilities of given replies: one forward pass over prompt and reply, in this process."""

import asyncio
import json
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from potstill import interrupt
from potstill.models import Completion, ErrorKind, Message, Request, Sampling
from potstill.models.local import loading, weights
from potstill.models.local.resident import Resident, resident
from potstill.models.local.weights import NO_KEYWORDS, Dtype
from potstill.models.local.windows import windows
from potstill.models.prices import Price

VERSION = 1
"""Of how log-probabilities are computed; part of the store's keys."""
LOGITS_BYTES = 256e6
"""Memory for the logits of a batch."""


def scored(id: str, prompt: Sequence[Message], reply: str) -> Request:
    """The request for the log-probabilities of ``reply`` after ``prompt``."""
    return Request(id, [*prompt, {"role": "assistant", "content": reply}], Sampling(max_tokens=0))


@dataclass(frozen=True)
class _Row:
    request: Request
    prompt: list[int]
    reply: list[int]

    @property
    def tokens(self) -> list[int]:
        return self.prompt + self.reply


class ScoringModel:
    """Says of each request's last message, which is the assistant's, the log-probability of its tokens under the model, without the end
    token: ``logprobs`` of the completion is JSON, for each token ``[[text, log-probability]]``, and its text is empty.

    The tokens are those of `ChatTemplate.reply_tokens`, which need not be those that a model wrote the text with.
    """

    price: Price | None = None
    address = ""
    left_out: tuple[str, ...] = ()

    def __init__(
        self,
        load: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
        identity: Mapping[str, Any],
        name: str,
    ) -> None:
        self._load, self._answers_as, self.name = load, identity, name
        self.identity: Mapping[str, Any] = {**identity, "engine": "scoring", "version": VERSION}

    async def complete(self, requests: AsyncIterable[Request]) -> AsyncIterator[list[Completion]]:
        """See `Model.complete`."""
        async for window in windows(requests):
            async for completions in self._score(window):
                yield completions

    async def _score(self, window: Sequence[Request]) -> AsyncIterator[list[Completion]]:
        loaded = resident(self._answers_as, self._load)
        context = int(getattr(loaded.model.config, "max_position_embeddings", 0)) or 1 << 30
        rows = []
        for request in window:
            row = _Row(
                request,
                loaded.chat.tokens(request.messages[:-1]),
                loaded.chat.reply_tokens(request.messages[-1]["content"]),
            )
            if len(row.tokens) > context:
                detail = f"prompt and reply have {len(row.tokens)} tokens, more than a context of {context}"
                yield [Completion(request.id, request.sample, error=ErrorKind.CONTEXT_TOO_LONG, detail=detail)]
            elif row.reply:
                rows.append(row)
            else:
                yield [Completion(request.id, request.sample, finish_reason="stop", logprobs="[]")]
        for batch in _batches(sorted(rows, key=lambda row: -len(row.tokens)), int(loaded.model.config.vocab_size)):
            if interrupt.stop_requested():
                return
            yield _completions(batch, loaded)
            await asyncio.sleep(0)


def scoring_model(
    folder: Path, name: str, dtype: Dtype, chat_template: Mapping[str, Any] = NO_KEYWORDS
) -> ScoringModel:
    """A model in this process that scores replies; its weights in ``folder`` are loaded with the first request."""

    def load() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        return loading.load_model(folder, dtype), loading.load_tokenizer(folder, chat_template)

    return ScoringModel(load, weights.identity(folder, dtype, chat_template), name)


def _batches(rows: Sequence[_Row], vocabulary: int) -> Iterator[list[_Row]]:
    """Rows, sorted by descending number of tokens, in batches whose logits have room."""
    batch: list[_Row] = []
    for row in rows:
        positions = len((batch or [row])[0].tokens) - min(len(one.prompt) for one in [*batch, row]) + 1
        if batch and (len(batch) + 1) * positions * vocabulary * 4 > LOGITS_BYTES:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _completions(batch: Sequence[_Row], loaded: Resident) -> list[Completion]:
    started = time.perf_counter()
    length = len(batch[0].tokens)
    device = loaded.model.device
    ids = torch.tensor([row.tokens + [row.tokens[-1]] * (length - len(row.tokens)) for row in batch], device=device)
    mask = torch.tensor([[1] * len(row.tokens) + [0] * (length - len(row.tokens)) for row in batch], device=device)
    # The token at a position is predicted by the logits of the position before.
    first = min(len(row.prompt) for row in batch) - 1
    logits = loaded.model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=length - first).logits
    found = []
    for row, of_row in zip(batch, logits, strict=True):
        start = len(row.prompt) - 1 - first
        values = of_row[start : start + len(row.reply)].float()
        chosen = values.gather(1, torch.tensor(row.reply, device=device)[:, None])[:, 0]
        found.append((chosen - values.logsumexp(1)).tolist())
    seconds = (time.perf_counter() - started) / len(batch)
    return [
        Completion(
            row.request.id,
            row.request.sample,
            finish_reason="stop",
            prompt_tokens=len(row.prompt),
            completion_tokens=len(row.reply),
            logprobs=json.dumps(
                [[[loaded.tokenizer.decode([token]), value]] for token, value in zip(row.reply, values, strict=True)]
            ),
            seconds=seconds,
        )
        for row, values in zip(batch, found, strict=True)
    ]
