"""What the student is trained to say: labels, their weights, and the teacher's probabilities; the loss over them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

IGNORED = -100
"""The label of tokens without loss."""

ROUNDING = 1e-6
"""Probability below which nothing is left for other tokens."""


@dataclass(frozen=True)
class Soft:
    """The teacher's log-probabilities at n tokens.

    ``logs`` [n, k] are in nats, of the tokens ``ids`` [n, k], or of the whole vocabulary where that is None; -inf where there is none,
    in all columns of a token that the teacher said nothing about. ``weight`` is the part of the loss that they have.
    """

    logs: torch.Tensor
    ids: torch.Tensor | None
    weight: float


@dataclass(frozen=True)
class Targets:
    """The ``labels`` [n] of n tokens, the weights of their losses [n] if these differ, and the teacher's probabilities."""

    labels: torch.Tensor
    weights: torch.Tensor | None = None
    soft: Soft | None = None

    def split(self, size: int) -> Iterator["Targets"]:
        """The targets of each ``size`` tokens in turn."""
        for start in range(0, len(self.labels), size):
            part = slice(start, start + size)
            soft = self.soft
            if soft:
                soft = Soft(soft.logs[part], None if soft.ids is None else soft.ids[part], soft.weight)
            yield Targets(self.labels[part], None if self.weights is None else self.weights[part], soft)


def loss_and_gradient(logits: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, torch.Tensor]:
    """The summed loss in nats of ``logits`` [n, vocabulary] in float32, and its gradient for them.

    The loss of a token is its cross-entropy, or with the teacher's probabilities p and a weight w the sum of (1 - w) times it and w times
    the forward divergence KL(p || q) from the student's q (Hinton et al. 2015, arXiv 1503.02531). Of p known for k tokens alone, all others are
    one outcome with the rest of the probability: what is minimal at p there is minimal at p, which renormalized or unnormalized
    probabilities of k tokens do not achieve (Anshumann et al. 2025, arXiv 2503.16870).
    """
    logs = logits.log_softmax(-1)
    rows = torch.arange(len(logs), device=logs.device)
    losses = -logs[rows, targets.labels]
    gradient = logs.exp() if targets.soft else logs.exp_()  # in place, to save memory
    if targets.soft:
        w = targets.soft.weight * (targets.soft.logs[:, 0] > float("-inf")).float()
        divergences, wanted = _divergence(logs, gradient, targets.soft)
        losses = torch.where(w > 0, (1 - w) * losses + w * divergences, losses)
        gradient -= w[:, None] * wanted
        gradient[rows, targets.labels] -= 1 - w
    else:
        gradient[rows, targets.labels] -= 1
    if targets.weights is not None:
        losses = losses * targets.weights
        gradient *= targets.weights[:, None]
    return losses.sum(), gradient


def _divergence(logs: torch.Tensor, q: torch.Tensor, soft: Soft) -> tuple[torch.Tensor, torch.Tensor]:
    """KL(p || q) of each token [n], and the probabilities at which it would be minimal [n, vocabulary]."""
    p = soft.logs.exp()
    if soft.ids is None:
        return (torch.xlogy(p, p) - p * logs).sum(1), p
    top = logs.gather(1, soft.ids)
    p_rest = 1 - p.sum(1)
    p_rest = torch.where(p_rest > ROUNDING, p_rest, 0.0)
    log_rest = logs.scatter(1, soft.ids, float("-inf")).logsumexp(1)
    known = torch.xlogy(p, p) - torch.where(p > 0, p * top, 0)
    rest = torch.xlogy(p_rest, p_rest) - torch.where(p_rest > 0, p_rest * log_rest, 0)
    wanted = q * (p_rest / log_rest.exp().clamp(min=torch.finfo(q.dtype).tiny))[:, None]
    wanted.scatter_(1, soft.ids, 0.0).scatter_add_(1, soft.ids, p)
    return known.sum(1) + rest, wanted


class SummedLoss(torch.autograd.Function):
    """`loss_and_gradient` of logits [n, vocabulary] in any format. The gradient is computed with the loss."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: Targets) -> torch.Tensor:
        total, gradient = loss_and_gradient(logits.float(), targets)
        ctx.saved = gradient.to(logits.dtype)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        return ctx.saved.mul_(gradient), None


def summed_loss(
    model: Any,
    inputs: Mapping[str, torch.Tensor],
    labels: torch.Tensor,
    weights: torch.Tensor | None = None,
    soft: Soft | None = None,
) -> torch.Tensor:
    """The summed loss in nats over the n tokens with a label, from ``labels`` [rows, tokens], and of these tokens, row by row,
    ``weights`` [n] and the teacher's probabilities."""
    labels = labels[:, 1:]
    with_label = labels != IGNORED
    trained = with_label.any(0).nonzero()[:, 0]
    logits = model(**inputs, use_cache=False, logits_to_keep=trained).logits
    here = with_label[:, trained]
    loss: torch.Tensor = SummedLoss.apply(logits[here], Targets(labels[:, trained][here], weights, soft))
    return loss
