"""Attention over a prefix that all rows share and over each row's own columns, whose result for a row depends on no other row.

Bit for bit it is a function of the row's tokens: a key is in the column of its position, products over columns are made in
blocks of `BLOCK` columns and added in float32, and no product has a single row, for which oneDNN takes another order of sums.
"""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

BLOCK = 64
"""Columns (positions) of a product; the shared prefix and the width of a cache are multiples of it."""
QUERIES = 128
"""Tokens of a prompt whose scores are in memory together."""
NAME = "potstill"
"""Of `attend` in the registry of attention functions of transformers."""


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    shared: Mapping[int, tuple[torch.Tensor, torch.Tensor]] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of query [rows, heads, tokens, size] over the ``shared`` prefix and the row's own columns, of which
    ``attention_mask`` [rows, 1, tokens, columns] is added to the scores. Returns [rows, tokens, heads, size].

    ``shared`` has by layer the keys and values [groups, columns, size] of the prefix. One product reads them for all rows
    (Juravsky et al. 2024, arXiv 2402.05099), instead of a copy for each row. Without ``shared`` it is the usual attention.
    """
    if shared is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    assert attention_mask is not None
    rows, heads, tokens, size = query.shape
    query = query * (size**-0.5 if scaling is None else scaling)
    query = query.view(rows, key.shape[1], heads // key.shape[1], tokens, size)
    prefix = shared.get(module.layer_idx)  # type: ignore[arg-type]
    outputs = []
    for start in range(0, tokens, QUERIES):
        end = min(start + QUERIES, tokens)
        # A token of a prompt sees no later ones; before the first may be less than one block of the prefix.
        seen = min(key.shape[2], -(-end // BLOCK) * BLOCK + BLOCK) if tokens > 1 else key.shape[2]
        own = key[:, :, :seen], value[:, :, :seen]
        outputs.append(_attend(query[:, :, :, start:end], own, prefix, attention_mask[:, None, :, start:end, :seen]))
    output = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 3)
    return output.flatten(1, 2).transpose(1, 2), None


def _attend(
    query: torch.Tensor,
    own: tuple[torch.Tensor, torch.Tensor],
    prefix: tuple[torch.Tensor, torch.Tensor] | None,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Attention of query [rows, groups, heads of a group, tokens, size], in the same shape."""
    rows, groups, *shape, size = query.shape
    queries = query.reshape(rows, groups, -1, size)
    alone = queries.shape[2] == 1
    if alone:
        queries = queries.expand(-1, -1, 2, -1)
    n = queries.shape[2]
    scores = queries @ own[0].transpose(2, 3)
    scores.view(rows, groups, -1, shape[1], scores.shape[-1]).add_(mask)
    width = 0
    if prefix:
        width = prefix[0].shape[1]
        by_group = queries.transpose(0, 1).reshape(groups, rows * n, size) @ prefix[0].transpose(1, 2)
        scores = torch.cat([by_group.view(groups, rows, n, width).transpose(0, 1), scores], -1)
    weights = scores.softmax(-1)
    output = _weighted_sums(weights[..., width:].flatten(0, 1), own[1].flatten(0, 1)).view(rows, groups, n, -1)
    if prefix:
        by_group = weights[..., :width].transpose(0, 1).reshape(groups, rows * n, width)
        output = output + _weighted_sums(by_group, prefix[1]).view(groups, rows, n, -1).transpose(0, 1)
    return output[:, :, : 1 if alone else n].to(query.dtype).unflatten(2, shape)


def _weighted_sums(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Sums [batch, n, size] in float32 of values [batch, columns, size] with weights [batch, n, columns], by blocks of columns."""
    batch, n, columns = weights.shape
    blocks = columns // BLOCK
    weights = weights.view(batch, n, blocks, BLOCK) if weights.is_contiguous() else weights.unflatten(2, (blocks, BLOCK))
    sums = weights.transpose(1, 2).reshape(-1, n, BLOCK) @ values.reshape(-1, BLOCK, values.shape[-1])
    return sums.view(batch, blocks, n, -1).sum(1, dtype=torch.float32)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
