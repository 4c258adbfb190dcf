"""Linear layers by oneDNN, for models that only answer, on a CPU.

PyTorch hands products in float32 to MKL, which is slow on processors of other makers and with few rows, and whose result for
a row depends on how many rows there are. oneDNN with weights in the order that it wants is up to twice as fast, and (seen
with AVX-512) gives each row bit for bit what it gives it alone.
"""

import torch


class _Packed(torch.nn.Module):
    """What a linear layer computes; its weights cannot be trained or saved any more."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = None if linear.bias is None else linear.bias.detach().clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., features in] to [..., features out]."""
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        return product


def pack(model: torch.nn.Module) -> None:
    """Put packed layers in the place of the linear ones, where the model lies on a CPU that oneDNN knows."""
    weights = next(model.parameters())
    able = torch.backends.mkldnn.is_available() and weights.device.type == "cpu"
    if able and (weights.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        _pack(model)
        for parameter in model.parameters():  # what is left would hold the whole file of weights in memory
            parameter.data = parameter.data.clone()


def _pack(module: torch.nn.Module) -> None:
    # One after the other: two copies of the whole model would need twice its memory.
    for name, layer in module.named_children():
        if type(layer) is torch.nn.Linear:
            setattr(module, name, _Packed(layer))
        else:
            _pack(layer)
