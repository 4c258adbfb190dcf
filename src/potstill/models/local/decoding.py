"""A batch of unfinished answers: their KV cache, and the logits of each row's next token.

Rows are added and dropped while the batch runs (continuous batching). The cache holds the prefix that all prompts share
once, and the rest row by row, each token in the column of its position. So neither padding nor other rows change the sums
of a row (see `attention`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from potstill.errors import PotstillError
from potstill.models.local import attention
from potstill.models.local.attention import BLOCK

Layers = dict[int, tuple[torch.Tensor, torch.Tensor]]
"""Keys and values by layer."""


@dataclass(frozen=True)
class Prefix:
    """Keys and values [groups, length, size] of the tokens that all prompts share."""

    length: int
    layers: Layers

    @property
    def whole(self) -> int:
        """The length of its complete blocks, which are kept once. The rest is copied to each row."""
        return self.length // BLOCK * BLOCK

    def part(self, start: int, end: int) -> Layers:
        """Of the positions from ``start`` to ``end``, by layer; empty if there are none."""
        if start == end:
            return {}
        return {i: (keys[:, start:end], values[:, start:end]) for i, (keys, values) in self.layers.items()}


class _Slots(DynamicCache):
    """Keys and values [capacity, groups, width, size] of each layer, in which the first rows are filled.

    `DynamicCache` copies all rows for each token. Here a new token, an added row and a dropped row copy only themselves.
    """

    def __init__(self, model: PreTrainedModel, capacity: int, rest: Layers) -> None:
        super().__init__(config=model.config)
        if any(type(layer) is not DynamicLayer for layer in self.layers):
            raise PotstillError(
                f"{model.config.model_type}: models of this architecture (sliding windows, recurrent layers) are not supported in "
                "process yet. Run it in a server and give its url, or choose another model."
            )
        self.capacity, self.rest, self.width = capacity, rest, 0
        self.held: Layers = {}
        self.rows = slice(0)
        """Rows that the next keys and values are of."""
        self.index: tuple[torch.Tensor, slice, torch.Tensor] = torch.empty(0), slice(None), torch.empty(0)
        """Row and column of each new token."""
        self.is_token = torch.empty(0)
        """[rows, tokens]: where the new keys are of tokens, and not of padding."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep new keys and values [rows, groups, tokens, size]; returns all of their rows [rows, groups, width, size]."""
        new = key_states, value_states
        if layer_idx not in self.held:
            self.held[layer_idx] = self._allocate(key_states), self._allocate(value_states)
        held = self.held[layer_idx]
        is_prompt = self.is_token.shape[1] > 1
        for kind, states in enumerate(new):
            held[kind][self.index] = states.transpose(1, 2)[self.is_token] if is_prompt else states[:, :, 0]
        return held[0][self.rows], held[1][self.rows]

    def copy_rest(self, rows: slice) -> None:
        """Begin rows with the part of the prefix that is not in complete blocks."""
        for layer, parts in self.rest.items():
            if layer not in self.held:
                self.held[layer] = self._allocate(parts[0][None]), self._allocate(parts[1][None])
            for held, part in zip(self.held[layer], parts, strict=True):
                held[rows, :, : part.shape[1]] = part

    def resize(self, width: int, rows: int) -> None:
        """Make the columns ``width``, and keep the first ``rows`` rows."""
        if width == self.width:
            return
        kept, self.width = min(width, self.width), width
        for layer, parts in self.held.items():
            larger = self._allocate(parts[0]), self._allocate(parts[1])
            for new, old in zip(larger, parts, strict=True):
                new[:rows, :, :kept] = old[:rows, :, :kept]
            self.held[layer] = larger

    def _allocate(self, like: torch.Tensor) -> torch.Tensor:
        # Zeros: masked columns are still multiplied by a weight of 0.
        return like.new_zeros(self.capacity, like.shape[1], self.width, like.shape[3])


class Batch:
    """Up to ``capacity`` rows whose prompts all begin with the tokens of ``prefix``."""

    def __init__(self, model: PreTrainedModel, prefix: Prefix, capacity: int) -> None:
        model.set_attn_implementation(attention.NAME)
        self.model, self.prefix = model, prefix
        self.cache = _Slots(model, capacity, prefix.part(prefix.whole, prefix.length))
        self.shared = prefix.part(0, prefix.whole)
        self.lengths: list[int] = []
        """Tokens of each row, with those of the prefix."""

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Add prompts as the last rows; returns the logits [prompts, vocabulary] of their first tokens, on the model's
        device and in its number format."""
        first, shared = len(self.lengths), self.prefix.length
        own = max(map(len, prompts)) - shared
        ids = torch.zeros(len(prompts), own, dtype=torch.long)
        positions = torch.full((len(prompts), own), -1)
        for row, prompt in enumerate(prompts):
            start = own - (len(prompt) - shared)
            ids[row, start:] = torch.tensor(prompt[shared:])
            positions[row, start:] = torch.arange(shared, len(prompt))
        self.lengths += map(len, prompts)
        return self._forward(ids, positions, first, copies_rest=True)

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; returns the logits [rows, vocabulary] of the next ones."""
        positions = torch.tensor(self.lengths)[:, None]
        self.lengths = [length + 1 for length in self.lengths]
        return self._forward(torch.tensor(tokens)[:, None], positions, 0)

    @torch.inference_mode()
    def drop(self, leaving: Sequence[int]) -> list[int]:
        """Drop rows; returns the old indices of the remaining rows in new order."""
        gone, rows = set(leaving), len(self.lengths) - len(leaving)
        holes = [row for row in leaving if row < rows]
        sources = [row for row in range(rows, len(self.lengths)) if row not in gone]
        order = list(range(rows))
        for hole, source in zip(holes, sources, strict=True):
            order[hole] = source
            for parts in self.cache.held.values():
                for held in parts:
                    held[hole] = held[source]
        self.lengths = [self.lengths[row] for row in order]
        return order

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, first: int, copies_rest: bool = False
    ) -> torch.Tensor:
        """The logits of the last of the new tokens ids [rows, tokens] of the rows from ``first`` on; a position of -1 is padding."""
        device, whole, cache = self.model.device, self.prefix.whole, self.cache
        cache.resize(-(-(max(self.lengths) - whole) // BLOCK) * BLOCK, first + len(ids))
        cache.rows = slice(first, first + len(ids))
        if copies_rest:
            cache.copy_rest(cache.rows)
        is_token = positions >= 0
        row, token = is_token.nonzero(as_tuple=True)
        cache.is_token = is_token.to(device)
        cache.index = (row + first).to(device), slice(None), (positions[row, token] - whole).to(device)
        # Padding, whose result nobody reads, sees the first column.
        seen = torch.arange(cache.width) <= (positions.clamp(min=whole) - whole)[:, None, :, None]
        mask = torch.zeros(seen.shape, dtype=self.model.dtype).masked_fill(~seen, float("-inf"))
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.clamp(min=0).to(device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            shared=self.shared,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits


@torch.inference_mode()
def prefill_prefix(model: PreTrainedModel, tokens: Sequence[int]) -> Prefix:
    """The keys and values of ``tokens``.

    Raises `PotstillError` for architectures without a plain KV cache: rows cannot be added to or dropped from others.
    """
    batch = Batch(model, Prefix(0, {}), 1)
    if tokens:
        batch.prefill([tokens])
    held = batch.cache.held.items()
    n = len(tokens)
    return Prefix(n, {layer: (keys[0, :, :n], values[0, :, :n]) for layer, (keys, values) in held})
