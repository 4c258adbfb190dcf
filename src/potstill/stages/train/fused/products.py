"""Products of matrices by oneDNN, and linear layers that share an input as one product, with their adapters.

A LoRA layer computes x W' + s x A' B' (Hu et al. 2021, arXiv 2106.09685). Here the columns s B stand beside W, and u = x A'
beside x, so that the forward pass is one product [x u] [W sB]', and the backward pass gives the gradients of x and u in one.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch

Gradients = list[torch.Tensor | None]


def product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """``x`` [n, k] times the transpose of ``weight`` [m, k]. Either may be the transpose of a contiguous matrix.

    PyTorch itself computes products in float32 with MKL, which takes twice as long on processors not made by Intel.
    """
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


class Projection:
    """Linear layers of the same input, of which either all have adapters or all are trained.

    The weights of the layers become views of one matrix: no copy of them is kept. With autocast to another ``dtype`` trained
    weights are copied to it once for each forward pass.
    """

    def __init__(self, layers: Sequence[Any], dtype: torch.dtype) -> None:
        self.adapted = hasattr(layers[0], "lora_A")
        plain = [layer.base_layer if self.adapted else layer for layer in layers]
        self.inputs = plain[0].in_features
        sizes = [layer.out_features for layer in plain]
        ranks = [layer.r["default"] if self.adapted else 0 for layer in layers]
        self.rank = sum(ranks)
        self.columns, self.rows = _slices(ranks), _slices(sizes)
        self.dtype = dtype
        self.scales = [layer.scaling["default"] for layer in layers] if self.adapted else []
        weight = plain[0].weight.new_zeros(sum(sizes), self.inputs + self.rank)
        for layer, rows in zip(plain, self.rows, strict=True):
            weight[rows, : self.inputs] = layer.weight.data
            layer.weight.data = weight[rows, : self.inputs]
        self.master = self.weight = weight
        biases = [layer.bias for layer in plain]
        self.biased = biases[0] is not None
        self.bias = torch.cat([bias.data for bias in biases]).to(dtype) if self.biased else None
        self.parameters: list[torch.nn.Parameter]
        if self.adapted:
            self.parameters = [half["default"].weight for layer in layers for half in (layer.lora_A, layer.lora_B)]
        else:
            self.parameters = [layer.weight for layer in plain] + (biases if self.biased else [])

    def update(self) -> None:
        """Take over the present values of the parameters."""
        if self.adapted:
            down, up = self.parameters[::2], self.parameters[1::2]
            self.down = torch.cat([a.detach() for a in down]).to(self.dtype)
            for b, rows, columns, scale in zip(up, self.rows, self.columns, self.scales, strict=True):
                part = self.weight[rows, self.inputs + columns.start : self.inputs + columns.stop]
                torch.mul(b.detach(), scale, out=part) if b.dtype == part.dtype else part.copy_(b.detach() * scale)
        else:
            self.weight = self.master.to(self.dtype)
            if self.biased:
                self.bias = torch.cat([bias.detach() for bias in self.parameters[len(self.rows) :]]).to(self.dtype)

    def empty(self, tokens: int) -> torch.Tensor:
        """Room for an input [tokens, inputs + rank]; see `extend`."""
        return torch.empty(tokens, self.inputs + self.rank, dtype=self.dtype)

    def forward(self, extended: torch.Tensor) -> torch.Tensor:
        """Maps an input in the first columns of ``extended`` to [tokens, outputs]; its last columns become u."""
        self.extend(extended)
        return product(extended, self.weight, self.bias)

    def extend(self, extended: torch.Tensor) -> torch.Tensor:
        """Compute the columns u from the input in the first columns."""
        if self.adapted:
            extended[:, self.inputs :] = product(extended[:, : self.inputs], self.down)
        return extended

    def backward(self, gradient: torch.Tensor, extended: torch.Tensor) -> tuple[torch.Tensor, Gradients]:
        """The gradients of the input [tokens, inputs] and of the parameters, given that of the output."""
        of_input = product(gradient, self.weight.t())
        if not self.adapted:
            of_weight = product(gradient.t(), extended.t()).float()
            gradients: Gradients = [of_weight[rows] for rows in self.rows]
            if self.biased:
                of_bias = gradient.sum(0, dtype=torch.float32)
                gradients += [of_bias[rows] for rows in self.rows]
            return of_input, gradients
        x, u = extended[:, : self.inputs], extended[:, self.inputs :]
        of_x, of_u = of_input[:, : self.inputs], of_input[:, self.inputs :]
        of_x += product(of_u, self.down.t())
        of_down = (of_u.t() @ x).float()  # `product` takes a thousand times as long for transposed parts of a matrix
        gradients = []
        for rows, columns, scale in zip(self.rows, self.columns, self.scales, strict=True):
            of_up = (u[:, columns].t() @ gradient[:, rows]).t().float()
            gradients += [of_down[columns], of_up.mul_(scale)]
        return of_x, gradients


def _slices(sizes: Sequence[int]) -> list[slice]:
    return [slice(start, stop) for start, stop in pairwise(accumulate(sizes, initial=0))]
