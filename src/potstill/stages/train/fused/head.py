"""The loss over the vocabulary, without the logits of all tokens in memory."""

from typing import Any

import torch

from potstill.stages.train.fused.products import product

TOKENS, BLOCK = 256, 32
"""Tokens whose logits are computed together, and of these as many as are in float32 at once."""


class SummedLoss(torch.autograd.Function):
    """Cross-entropy in nats, summed. The gradients are computed with it: the logits are needed once."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype) -> Any:
        """``hidden`` [n, features], ``weight`` [vocabulary, features], ``labels`` [n]; products in ``dtype``."""
        total = torch.zeros((), dtype=torch.float32)
        matrix, x = weight.detach().to(dtype), hidden.to(dtype)
        of_hidden = torch.empty_like(x)
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for part, part_labels, target in zip(
            x.split(TOKENS), labels.split(TOKENS), of_hidden.split(TOKENS), strict=True
        ):
            logits = product(part, matrix)
            for block, gold in zip(logits.split(BLOCK), part_labels.split(BLOCK), strict=True):
                logs = block.float().log_softmax(-1)
                total -= logs.gather(1, gold[:, None]).sum()
                of_logits = logs.exp_()
                of_logits[torch.arange(len(gold)), gold] -= 1
                block.copy_(of_logits)
            target.copy_(product(logits, matrix.t()))
            if of_weight is not None:
                of_weight += product(logits.t(), part.t())
        ctx.saved = of_hidden, of_weight, hidden.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        of_hidden, of_weight, dtype = ctx.saved
        (gradient,) = gradients
        return (of_hidden * gradient).to(dtype), None if of_weight is None else of_weight.mul_(gradient), None, None
