"""The loss over the vocabulary, without the logits of all tokens in memory."""

from typing import Any

import torch

from potstill.stages.train.fused.products import product
from potstill.stages.train.targets import Targets, loss_and_gradient

TOKENS, BLOCK = 256, 32
"""Tokens whose logits are computed together, and of these as many as are in float32 at once."""


class HeadLoss(torch.autograd.Function):
    """The summed loss in nats of the tokens that are predicted. The gradients are computed with it: the logits are needed once."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: Targets, dtype: torch.dtype) -> Any:
        """``hidden`` [n, features], ``weight`` [vocabulary, features], ``targets`` of n tokens; products in ``dtype``."""
        total = torch.zeros((), dtype=torch.float32)
        matrix, x = weight.detach().to(dtype), hidden.to(dtype)
        of_hidden = torch.empty_like(x)
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for part, wanted, target in zip(x.split(TOKENS), targets.split(TOKENS), of_hidden.split(TOKENS), strict=True):
            logits = product(part, matrix)
            for block, block_wanted in zip(logits.split(BLOCK), wanted.split(BLOCK), strict=True):
                loss, of_logits = loss_and_gradient(block.float(), block_wanted)
                total += loss
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
