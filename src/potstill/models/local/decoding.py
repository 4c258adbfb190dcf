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
from potstill.models.local.attention import BLOCK, Held, Pair


@dataclass(frozen=True)
class Prefix:
    """By layer, keys and values [groups, length, size] of the tokens that all prompts share."""

    length: int
    layers: dict[int, Pair]

    @property
    def whole(self) -> int:
        """The length of its complete blocks, which are kept once. The rest is copied to each row."""
        return self.length // BLOCK * BLOCK

    def part(self, start: int, end: int) -> dict[int, Pair]:
        """Of the positions from ``start`` to ``end``; empty if there are none."""
        if start == end:
            return {}
        return {
            i: (keys[:, start:end].contiguous(), values[:, start:end].contiguous())
            for i, (keys, values) in self.layers.items()
        }


class _Blocks(DynamicCache):
    """Keys and values [blocks, capacity, groups, `BLOCK`, size] of each layer, after the complete blocks of the prefix.

    `DynamicCache` copies all rows for each token. Here a new token, an added row and a dropped row copy only themselves.
    """

    def __init__(self, model: PreTrainedModel, prefix: Prefix, capacity: int) -> None:
        super().__init__(config=model.config)
        if any(type(layer) is not DynamicLayer for layer in self.layers):
            raise PotstillError(
                f"{model.config.model_type}: models of this architecture (sliding windows, recurrent layers) are not supported in "
                "process yet. Run it in a server and give its url, or choose another model."
            )
        self.capacity = capacity
        self.prefix, self.rest = prefix.part(0, prefix.whole), prefix.part(prefix.whole, prefix.length)
        self.parts: dict[int, Pair] = {}
        self.rows = slice(0)
        """Rows that the next keys and values are of."""
        self.is_new = False
        """Whether these rows have nothing yet."""
        self.ends: list[int] = []
        """For each block in use the number of rows up to the last one that reaches into it."""
        self.is_token = self.block = self.row = self.column = torch.empty(0)
        """[rows, tokens]: where the next keys are of tokens, and not of padding; for each of these its place."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> Pair:
        """Keep new keys and values [rows, groups, tokens, size]; see `held` for all of a layer."""
        new = key_states, value_states
        old = self.parts.get(layer_idx, (None, None))
        self.parts[layer_idx] = self._with_room(old[0], key_states), self._with_room(old[1], value_states)
        for i, (part, states) in enumerate(zip(self.parts[layer_idx], new, strict=True)):
            if self.is_new and (rest := self.rest.get(layer_idx)):
                part[0, self.rows, :, : rest[i].shape[1]] = rest[i]
            tokens = states.transpose(1, 2)
            part[self.block, self.row, :, self.column] = tokens[self.is_token] if tokens.shape[1] > 1 else tokens[:, 0]
        return new

    def held(self, layer: int) -> Held:
        """The rows of the last keys and values, by blocks of columns."""
        keys, values = self.parts[layer]
        rows = [slice(self.rows.start, min(self.rows.stop, end)) for end in self.ends]
        return Held(self.prefix.get(layer), [(keys[i, of], values[i, of]) for i, of in enumerate(rows)])

    def move(self, source: int, to: int) -> None:
        """Copy a row."""
        for parts in self.parts.values():
            for part in parts:
                part[:, to] = part[:, source]

    def _with_room(self, part: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        """A part with the blocks that are in use."""
        blocks = len(self.ends)
        if part is not None and len(part) >= blocks:
            return part[:blocks]
        present = 0 if part is None else len(part)
        # Zeros: masked columns are still multiplied by a weight of 0.
        more = like.new_zeros(blocks - present, self.capacity, like.shape[1], BLOCK, like.shape[3])
        return more if part is None else torch.cat([part, more])


class Batch:
    """Up to ``capacity`` rows whose prompts all begin with the tokens of ``prefix``."""

    def __init__(self, model: PreTrainedModel, prefix: Prefix, capacity: int) -> None:
        model.set_attn_implementation(attention.NAME)
        self.model, self.prefix = model, prefix
        self.cache = _Blocks(model, prefix, capacity)
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
        self.cache.is_new = True
        return self._forward(ids, positions, first)

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; returns the logits [rows, vocabulary] of the next ones."""
        positions = torch.tensor(self.lengths)[:, None]
        self.lengths = [length + 1 for length in self.lengths]
        self.cache.is_new = False
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
            self.cache.move(source, hole)
        self.lengths = [self.lengths[row] for row in order]
        return order

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, first: int) -> torch.Tensor:
        """The logits of the last of the new tokens ids [rows, tokens] of the rows from ``first`` on; a position of -1 is padding."""
        device, whole, cache = self.model.device, self.prefix.whole, self.cache
        columns = positions - whole
        cache.rows = slice(first, len(self.lengths))
        cache.ends = self._ends()
        cache.is_token = (positions >= 0).to(device)
        row, token = (positions >= 0).nonzero(as_tuple=True)
        at = columns[row, token]
        cache.block, cache.row, cache.column = (t.to(device) for t in (at // BLOCK, row + first, at % BLOCK))
        # Padding, whose result nobody reads, sees the first column.
        seen = torch.arange(BLOCK * len(cache.ends)) <= columns.clamp(min=0)[:, None, :, None]
        mask = torch.zeros(seen.shape, dtype=self.model.dtype).masked_fill(~seen, float("-inf"))
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.clamp(min=0).to(device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            held=cache.held,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _ends(self) -> list[int]:
        """For each block of columns the number of rows up to the last one that reaches into it."""
        ends: list[int] = []
        for row, length in enumerate(self.lengths, 1):
            blocks = -(-(length - self.prefix.whole) // BLOCK)
            ends = [row] * blocks + ends[blocks:]
        return ends


@torch.inference_mode()
def prefill_prefix(model: PreTrainedModel, tokens: Sequence[int]) -> Prefix:
    """The keys and values of ``tokens``.

    Raises `PotstillError` for architectures without a plain KV cache: rows cannot be added to or dropped from others.
    """
    batch = Batch(model, Prefix(0, {}), 1)
    if tokens:
        batch.prefill([tokens])
    layers: dict[int, Pair] = {}
    for layer, (keys, values) in batch.cache.parts.items():
        # [blocks, 1, groups, columns of a block, size] to [groups, columns, size]
        joined = [part[:, 0].transpose(0, 1).flatten(1, 2)[:, : len(tokens)] for part in (keys, values)]
        layers[layer] = joined[0], joined[1]
    return Prefix(len(tokens), layers)
