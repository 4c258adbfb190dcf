"""A batch of unfinished answers: their KV cache, and the logits of each row's next token.

Rows are added and dropped while the batch runs (continuous batching). The cache holds the prefix that all prompts share
once, and the rest row by row. Columns that a row does not use are masked; positions count only the row's own tokens, so
that padding changes nothing but the last bits.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import AttentionInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from potstill.errors import PotstillError

SPARE_COLUMNS = 64
"""Columns (tokens) that a buffer allocates ahead."""
ATTENTION_NAME = "potstill"
"""Name of `_attend` in the registry of attention functions of transformers."""


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    shared: DynamicCache | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one query per row [rows, heads, 1, size] over the ``shared`` prefix and the row's own columns.

    Returns [rows, 1, heads, size]. One product reads the shared keys for all rows (Juravsky et al. 2024,
    arXiv 2402.05099), instead of a copy for each row. Without ``shared`` it is the usual attention.
    """
    if shared is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    layer = shared.layers[module.layer_idx]  # type: ignore[index]
    assert isinstance(layer, DynamicLayer)
    assert layer.keys is not None
    assert layer.values is not None
    rows, heads, _, size = query.shape
    groups = key.shape[1]
    query = query.view(rows, groups, heads // groups, size) * (size**-0.5 if scaling is None else scaling)
    by_group = query.transpose(0, 1).reshape(groups, -1, size)
    prefix_scores = (by_group @ layer.keys[0].transpose(1, 2)).view(groups, rows, heads // groups, -1).transpose(0, 1)
    # In bfloat16 oneDNN copies the transposed factor: the few queries, not the keys, must be that.
    own_scores = (key @ query.transpose(2, 3)).transpose(2, 3)
    if attention_mask is not None:
        own_scores = own_scores.masked_fill(~attention_mask, float("-inf"))
    weights = torch.cat([prefix_scores, own_scores], -1).softmax(-1, dtype=torch.float32).to(query.dtype)
    width = prefix_scores.shape[-1]
    output = weights[..., width:] @ value
    by_group = weights[..., :width].transpose(0, 1).reshape(groups, -1, width)
    output += (by_group @ layer.values[0]).view(groups, rows, heads // groups, size).transpose(0, 1)
    return output.reshape(rows, 1, heads, size), None


AttentionInterface.register(ATTENTION_NAME, _attend)
AttentionMaskInterface.register(ATTENTION_NAME, sdpa_mask)


class _Slots(DynamicLayer):
    """One layer's keys and values [rows, heads, columns, size], in buffers that are larger than what they hold.

    `DynamicLayer` copies all rows for each token. Here a new token, an added row and a dropped row copy only themselves.
    """

    keys: torch.Tensor
    values: torch.Tensor
    buffer: tuple[torch.Tensor, torch.Tensor] | None = None
    """Of keys and of values; filled are the first ``rows`` rows in the columns from ``start`` to ``end``."""
    rows = start = end = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self._reserve(self.rows, 0, key_states.shape[-2], like=key_states)
        self.end += key_states.shape[-2]
        self._view()
        self.keys[:, :, self.end - self.start - key_states.shape[-2] :] = key_states
        self.values[:, :, self.end - self.start - key_states.shape[-2] :] = value_states
        return self.keys, self.values

    def append(self, keys: torch.Tensor, values: torch.Tensor, capacity: int) -> None:
        """Add rows below the present ones, aligned at the last column; ``capacity`` rows are allocated."""
        rows, _, width, _ = keys.shape
        widened = max(width - (self.end - self.start), 0)
        self._reserve(capacity, widened, 0, like=keys)
        self.start -= widened
        self.rows += rows
        self._view()
        self.keys[-rows:, :, -width:] = keys
        self.values[-rows:, :, -width:] = values

    def drop(self, moves: Sequence[tuple[int, int]], rows: int, columns: int) -> None:
        """Copy rows by ``moves`` (to, from), then keep the first ``rows`` rows, without their first ``columns`` columns."""
        for hole, source in moves:
            self.keys[hole] = self.keys[source]
            self.values[hole] = self.values[source]
        self.rows = rows
        self.start += columns
        self._view()

    def _view(self) -> None:
        assert self.buffer is not None
        self.keys, self.values = (part[: self.rows, :, self.start : self.end] for part in self.buffer)

    def _reserve(self, rows: int, before: int, after: int, like: torch.Tensor) -> None:
        """Allocate ``rows`` rows in all, and the given numbers of free columns before and after the filled ones."""
        if self.buffer is not None:
            allocated, _, columns, _ = self.buffer[0].shape
            if allocated >= rows and self.start >= before and columns - self.end >= after:
                return
            rows = max(rows, allocated)
        filled = self.end - self.start
        # Zeros: masked columns are still multiplied by a weight of 0.
        larger = [
            like.new_zeros(rows, like.shape[1], before + filled + after + SPARE_COLUMNS, like.shape[3])
            for _ in range(2)
        ]
        if self.buffer is not None:
            for new, old in zip(larger, (self.keys, self.values), strict=True):
                new[: self.rows, :, before : before + filled] = old
        else:
            self.lazy_initialization(like, like)
        self.buffer = larger[0], larger[1]
        self.start, self.end = before, before + filled
        self._view()


class Batch:
    """Up to ``capacity`` rows whose prompts all begin with the tokens in ``prefix``."""

    def __init__(self, model: PreTrainedModel, prefix: DynamicCache, capacity: int) -> None:
        model.set_attn_implementation(ATTENTION_NAME)
        self.model, self.prefix, self.capacity = model, prefix, capacity
        self.cache = _new_cache(model)
        self.cache.layers = [_Slots() for _ in self.cache.layers]
        self.mask = torch.ones(0, 0, dtype=torch.long)
        """[rows, columns], without the prefix: 1 where a row has a token."""
        self.positions = torch.zeros(0, 1, dtype=torch.long)
        """[rows, 1]: position of each row's last token."""

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Add prompts as the last rows; returns the logits [prompts, vocabulary] of their first tokens, on the model's
        device and in its number format."""
        shared = self.prefix.get_seq_length()
        own = max(map(len, prompts)) - shared
        ids = torch.zeros(len(prompts), own, dtype=torch.long)
        mask = torch.ones(len(prompts), shared + own, dtype=torch.long)
        positions = torch.zeros(len(prompts), own, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            start = own - (len(prompt) - shared)
            ids[row, start:] = torch.tensor(prompt[shared:])
            mask[row, shared : shared + start] = 0
            positions[row, start:] = torch.arange(shared, len(prompt))
        cache = copy.deepcopy(self.prefix)
        if shared:
            cache.batch_repeat_interleave(len(prompts))
        logits = self._forward(ids, mask, positions, cache)
        for layer, added in zip(self._layers(), cache.layers, strict=True):
            assert isinstance(added, DynamicLayer)
            assert added.keys is not None
            assert added.values is not None
            layer.append(added.keys[:, :, shared:], added.values[:, :, shared:], self.capacity)
        width = max(self.mask.shape[1], own)
        self.mask = torch.cat([pad(m, (width - m.shape[1], 0)) for m in (self.mask, mask[:, shared:])])
        self.positions = torch.cat([self.positions, positions[:, -1:]])
        return logits

    @torch.inference_mode()
    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; returns the logits [rows, vocabulary] of the next ones."""
        shared = self.prefix if self.prefix.get_seq_length() else None
        self.mask = pad(self.mask, (0, 1), value=1)
        self.positions = self.positions + 1
        return self._forward(torch.tensor(tokens)[:, None], self.mask, self.positions, self.cache, shared=shared)

    @torch.inference_mode()
    def drop(self, leaving: Sequence[int]) -> list[int]:
        """Drop rows, and the columns that only they used; returns the old indices of the remaining rows in new order."""
        rows = self.mask.shape[0] - len(leaving)
        holes = [row for row in leaving if row < rows]
        sources = [row for row in range(rows, self.mask.shape[0]) if row not in leaving]
        moves = list(zip(holes, sources, strict=True))
        order = list(range(rows))
        for hole, source in moves:
            order[hole] = source
        self.mask, self.positions = self.mask[order], self.positions[order]
        unused = int(self.mask.any(0).int().argmax()) if rows else self.mask.shape[1]
        self.mask = self.mask[:, unused:]
        for layer in self._layers():
            layer.drop(moves, rows, unused)
        return order

    def _layers(self) -> list[_Slots]:
        return [layer for layer in self.cache.layers if isinstance(layer, _Slots)]

    def _forward(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: DynamicCache, **attention: Any
    ) -> torch.Tensor:
        device = self.model.device
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **attention,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits


@torch.inference_mode()
def prefill_prefix(model: PreTrainedModel, tokens: Sequence[int]) -> DynamicCache:
    """The cache of one row that holds ``tokens``.

    Raises `PotstillError` for architectures without a plain KV cache: rows cannot be added to or dropped from added.
    """
    cache = _new_cache(model)
    if tokens:
        ids = torch.tensor([list(tokens)], device=model.device)
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def _new_cache(model: PreTrainedModel) -> DynamicCache:
    cache = DynamicCache(config=model.config)
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        raise PotstillError(
            f"{model.config.model_type}: models of this architecture (sliding windows, recurrent layers) are not supported in process "
            "yet. Run it in a server and give its url, or choose another model."
        )
    return cache
