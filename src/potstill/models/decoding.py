"""A batch of half-finished answers: the attention cache and what is needed for each row's next token.

Rows join and leave while the batch runs. Columns of the cache that a row does not use are masked; positions count a
row's own tokens only, so that padding changes nothing but the last bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

SPARE = 64
"""Columns of room kept for tokens to come, so that a step does not copy the cache."""


class _Layer(DynamicLayer):
    """`DynamicLayer` copies the whole cache for each token; this one writes into room kept for it."""

    keys: torch.Tensor
    values: torch.Tensor
    room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        start, end = self.keys.shape[-2], self.keys.shape[-2] + key_states.shape[-2]
        if self.room is None or self.room[0].shape[-2] < end:
            self.room = _with_room(self.keys, end), _with_room(self.values, end)
        self.room[0][:, :, start:end] = key_states
        self.room[1][:, :, start:end] = value_states
        self.keys, self.values = self.room[0][:, :, :end], self.room[1][:, :, :end]
        return self.keys, self.values

    def put(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Hold these states in place of one's own."""
        self.keys, self.values, self.room = keys, values, None


def _with_room(states: torch.Tensor, columns: int) -> torch.Tensor:
    rows, heads, filled, size = states.shape
    roomy = states.new_empty(rows, heads, columns + SPARE, size)
    roomy[:, :, :filled] = states
    return roomy


@dataclass
class Batch:
    """Shapes: logits [rows, vocabulary] of the next token, mask [rows, columns], positions [rows, 1]."""

    model: PreTrainedModel
    cache: DynamicCache
    logits: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor

    @classmethod
    @torch.inference_mode()
    def read(cls, model: PreTrainedModel, prefix: DynamicCache, prompts: Sequence[Sequence[int]]) -> "Batch":
        """Read prompts that all begin with the tokens in ``prefix``; the shorter ones are padded after it."""
        shared = prefix.get_seq_length()
        cache = _new_cache(model)
        if shared:
            for mine, theirs in zip(_layers(cache), _layers(prefix), strict=True):
                mine.lazy_initialization(theirs.keys, theirs.values)
                mine.put(*(x.expand(len(prompts), -1, -1, -1) for x in (theirs.keys, theirs.values)))
        own = max(map(len, prompts)) - shared
        ids = torch.zeros(len(prompts), own, dtype=torch.long)
        mask = torch.ones(len(prompts), shared + own, dtype=torch.long)
        positions = torch.zeros(len(prompts), own, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            start = own - (len(prompt) - shared)
            ids[row, start:] = torch.tensor(prompt[shared:])
            mask[row, shared : shared + start] = 0
            positions[row, start:] = torch.arange(shared, len(prompt))
        batch = cls(model, cache, torch.empty(0), mask, positions[:, -1:])
        batch._forward(ids, positions)
        return batch

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> None:
        """Append one token to each row."""
        self.mask = pad(self.mask, (0, 1), value=1)
        self.positions = self.positions + 1
        self._forward(torch.tensor(tokens)[:, None], self.positions)

    @torch.inference_mode()
    def join(self, other: "Batch") -> None:
        """Take in the rows of ``other`` below one's own."""
        width = max(self.mask.shape[1], other.mask.shape[1])
        for mine, theirs in zip(_layers(self.cache), _layers(other.cache), strict=True):
            mine.put(
                torch.cat([_widen(mine.keys, width), _widen(theirs.keys, width)]),
                torch.cat([_widen(mine.values, width), _widen(theirs.values, width)]),
            )
        masks = [pad(mask, (width - mask.shape[1], 0)) for mask in (self.mask, other.mask)]
        self.mask = torch.cat(masks)
        self.logits = torch.cat([self.logits, other.logits])
        self.positions = torch.cat([self.positions, other.positions])

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows only, and drop the columns that none of them uses."""
        index = torch.tensor(rows)
        self.mask, self.positions, self.logits = self.mask[index], self.positions[index], self.logits[index]
        first = int(self.mask.any(0).int().argmax())
        self.mask = self.mask[:, first:]
        for layer in _layers(self.cache):
            layer.put(*(x[index.to(x.device), :, first:] for x in (layer.keys, layer.values)))

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> None:
        device = self.model.device
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=self.mask.to(device),
            position_ids=positions.to(device),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.logits = output.logits[:, -1].float().cpu()


@torch.inference_mode()
def read_prefix(model: PreTrainedModel, tokens: Sequence[int]) -> DynamicCache:
    """The cache of one row that holds ``tokens``.

    Raises `TypeError` for architectures whose memory is not a plain attention cache: rows cannot join or leave those.
    """
    cache = _new_cache(model)
    if tokens:
        ids = torch.tensor([list(tokens)], device=model.device)
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _new_cache(model: PreTrainedModel) -> DynamicCache:
    cache = DynamicCache(config=model.config)
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        raise TypeError(f"{model.config.model_type} does not keep a plain attention cache")
    cache.layers = [_Layer() for _ in cache.layers]
    return cache


def _layers(cache: DynamicCache) -> list[_Layer]:
    return [layer for layer in cache.layers if isinstance(layer, _Layer)]


def _widen(states: torch.Tensor, width: int) -> torch.Tensor:
    """Pad [rows, heads, columns, size] on the left to ``width`` columns."""
    return pad(states, (0, 0, width - states.shape[-2], 0))
