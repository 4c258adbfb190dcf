"""Linear layers by oneDNN, for inference on a CPU.

PyTorch computes products in float32 with MKL, which is slow on processors not made by Intel and for few rows, and whose
result for a row depends on the number of rows. oneDNN with reordered weights is up to twice as fast, and gives each of two or more
rows bit for bit the result that it has among others, in float32 and in bfloat16 (observed with AVX-512). A single row is computed
twice. With `attention` this makes an answer independent of its batch.
"""

import torch


class _Packed(torch.nn.Module):
    """A linear layer with reordered weights, which can be neither trained nor saved."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = None if linear.bias is None else linear.bias.detach().clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [..., input features] to [..., output features]."""
        rows = x.expand(2, *x.shape[1:]) if self._is_alone(x) else x
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, "none", [], "")
        return product[: len(x)]

    @staticmethod
    def _is_alone(x: torch.Tensor) -> bool:
        """Whether one row is computed, for which oneDNN takes another order of sums."""
        return x.shape[:-1].numel() == 1


def pack(model: torch.nn.Module) -> None:
    """Replace the linear layers of ``model`` in place, if it is on a CPU that oneDNN supports; else do nothing."""
    weights = next(model.parameters())
    supported = torch.backends.mkldnn.is_available() and weights.device.type == "cpu"
    if supported and (weights.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        _pack(model)
        for parameter in model.parameters():  # each would keep the complete weights file in memory
            parameter.data = parameter.data.clone()


def _pack(module: torch.nn.Module) -> None:
    # Layer by layer: two copies of the model would need twice its memory.
    for name, layer in module.named_children():
        if type(layer) is torch.nn.Linear:
            setattr(module, name, _Packed(layer))
        else:
            _pack(layer)
