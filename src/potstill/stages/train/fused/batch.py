"""Rows of a training step in one sequence: the prefix that they share once, then the rest of each row."""

from dataclasses import dataclass

import torch

from potstill.stages.train.targets import IGNORED, Soft, Targets


@dataclass(frozen=True)
class Batch:
    """``prefix`` tokens that all rows begin with, and ``rows`` rests of ``length`` tokens, padded at their ends.

    ``predicted`` [n] are the places in ``ids`` that predict a token with a label, ``targets`` what these tokens are.
    """

    ids: torch.Tensor
    prefix: int
    rows: int
    length: int
    predicted: torch.Tensor
    targets: Targets


def shared(
    ids: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None, soft: Soft | None = None
) -> Batch:
    """The batch of right-padded ``ids`` and ``labels``, both [rows, tokens]; ``weights`` and ``soft`` of their labelled tokens, row by row.

    The prefix ends before the first place that predicts a label, which may be another one in each row.
    """
    rows, width = ids.shape
    equal = (ids == ids[0]).all(0).cumprod(0).sum().item() if rows > 1 else 0
    labelled = (labels != IGNORED).any(0).nonzero()
    first = int(labelled[0]) if len(labelled) else width
    prefix = max(0, min(int(equal), first - 1))
    next_labels = torch.full((rows, width - prefix), IGNORED)
    next_labels[:, :-1] = labels[:, prefix + 1 :]
    flat = next_labels.flatten()
    places = (flat != IGNORED).nonzero()[:, 0]
    return Batch(
        ids=torch.cat([ids[0, :prefix], ids[:, prefix:].flatten()]),
        prefix=prefix,
        rows=rows,
        length=width - prefix,
        predicted=places + prefix,
        targets=Targets(flat[places], weights, soft),
    )
