"""Causal attention of rows that share a prefix, forward and backward.

PyTorch's fused attention takes more than twice as long on a CPU for rows of some hundred tokens. Queries of the heads that
share keys (grouped queries, Ainslie et al. 2023, arXiv 2305.13245) are rows of one product.
"""

from dataclasses import dataclass

import torch

from potstill.stages.train.fused.batch import Batch


@dataclass(frozen=True)
class Heads:
    """Number of query heads and of key heads, and their size."""

    queries: int
    keys: int
    size: int

    @property
    def group(self) -> int:
        return self.queries // self.keys

    @property
    def rotated(self) -> int:
        """Number of query and key heads, which come before the values."""
        return self.queries + self.keys


Saved = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""Queries [rows * key heads, group * tokens, size], keys and values [rows * key heads, prefix + tokens, size], and the
weights of the values."""


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Rotary embedding (Su et al. 2021, arXiv 2104.09864) of ``x`` [tokens, heads, size] by ``cos`` and ``sin`` [tokens, 1,
    size], which are in float32, in its place. With ``-sin`` it is the inverse, up to the factor in both."""
    half = x.shape[-1] // 2
    rotated = x * cos
    rotated[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
    rotated[..., half:].addcmul_(x[..., :half], sin[..., half:])
    x.copy_(rotated)


def forward(qkv: torch.Tensor, heads: Heads, batch: Batch, out: torch.Tensor) -> tuple[Saved | None, Saved]:
    """Attention of ``qkv`` [tokens, query heads + 2 * key heads, size], queries and keys rotated and scaled, into ``out``
    [tokens, query heads * size]. Returns what `backward` needs, of the prefix and of the rows."""
    qk, v = _parts(qkv, heads)
    prefix = batch.prefix
    of_prefix = None
    if prefix:
        of_prefix = _forward(qk[:prefix], v[:prefix], None, heads, 1, out[:prefix])
    return of_prefix, _forward(qk[prefix:], v[prefix:], (qk[:prefix], v[:prefix]), heads, batch.rows, out[prefix:])


def backward(gradient: torch.Tensor, saved: tuple[Saved | None, Saved], heads: Heads, batch: Batch) -> torch.Tensor:
    """The gradient of ``qkv``, given that of ``out``."""
    of_prefix, of_rows = saved
    prefix = batch.prefix
    of_qkv = gradient.new_empty(len(gradient), heads.queries + 2 * heads.keys, heads.size)
    of_qk, of_v = _parts(of_qkv, heads)
    shared = _backward(gradient[prefix:], of_rows, heads, batch.rows, of_qk[prefix:], of_v[prefix:])
    if of_prefix:
        _backward(gradient[:prefix], of_prefix, heads, 1, of_qk[:prefix], of_v[:prefix])
        for total, part in zip((of_qk[:prefix, heads.queries :], of_v[:prefix]), shared, strict=True):
            total += part
    return of_qkv


def _parts(qkv: torch.Tensor, heads: Heads) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys, and values."""
    return qkv[:, : heads.rotated], qkv[:, heads.rotated :]


def _forward(
    qk: torch.Tensor,
    v: torch.Tensor,
    before: tuple[torch.Tensor, torch.Tensor] | None,
    heads: Heads,
    rows: int,
    out: torch.Tensor,
) -> Saved:
    length = len(qk) // rows
    grouped = qk[:, : heads.queries].view(rows, length, heads.keys, heads.group, heads.size).permute(0, 2, 3, 1, 4)
    queries = grouped.reshape(rows * heads.keys, heads.group * length, heads.size)
    earlier_k, earlier_v = (before[0][:, heads.queries :], before[1]) if before else (None, None)
    keys = _after(earlier_k, qk[:, heads.queries :], heads, rows)
    values = _after(earlier_v, v, heads, rows)
    mask = _mask(length, keys.shape[1], qk.dtype).repeat(heads.group, 1)
    scores = torch.baddbmm(mask, queries, keys.transpose(1, 2))
    weights = scores.softmax(-1, dtype=torch.float32).to(qk.dtype)
    mixed = (weights @ values).view(rows, heads.keys, heads.group, length, heads.size)
    out.unflatten(0, (rows, length)).unflatten(2, (heads.keys, heads.group, heads.size)).copy_(
        mixed.permute(0, 3, 1, 2, 4)
    )
    return queries, keys, values, weights


def _backward(
    gradient: torch.Tensor, saved: Saved, heads: Heads, rows: int, of_qk: torch.Tensor, of_v: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fill in the gradients of the rows; returns those of the keys and values of the prefix [prefix, key heads, size]."""
    queries, keys, values, weights = saved
    length = len(gradient) // rows
    by_row = (rows, length, heads.keys, heads.group, heads.size)
    of_mixed = gradient.reshape(by_row).permute(0, 2, 3, 1, 4).reshape(queries.shape)
    of_values = weights.transpose(1, 2) @ of_mixed
    of_weights = of_mixed @ values.transpose(1, 2)
    of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
    of_queries = (of_scores @ keys).view(rows, heads.keys, heads.group, length, heads.size)
    of_keys = of_scores.transpose(1, 2) @ queries
    of_qk[:, : heads.queries].view(by_row).copy_(of_queries.permute(0, 3, 1, 2, 4))
    prefix = keys.shape[1] - length
    shared = []
    for whole, target in ((of_keys, of_qk[:, heads.queries :]), (of_values, of_v)):
        by_key = whole.view(rows, heads.keys, prefix + length, heads.size).transpose(1, 2)
        target.unflatten(0, (rows, length)).copy_(by_key[:, prefix:])
        shared.append(by_key[:, :prefix].sum(0))
    return shared[0], shared[1]


def _after(before: torch.Tensor | None, x: torch.Tensor, heads: Heads, rows: int) -> torch.Tensor:
    """Keys or values of each row after those of the prefix: [rows * key heads, prefix + tokens, size]."""
    own: torch.Tensor = x.unflatten(0, (rows, -1)).transpose(1, 2)
    if before is not None and len(before):
        own = torch.cat([before.transpose(0, 1).expand(rows, -1, -1, -1), own], 2)
    return own.reshape(rows * heads.keys, -1, heads.size)


def _mask(length: int, keys: int, dtype: torch.dtype) -> torch.Tensor:
    """0 where a token may look, -inf where not, for the last ``length`` of ``keys`` tokens."""
    return torch.full((length, keys), float("-inf"), dtype=dtype).triu(keys - length + 1)
