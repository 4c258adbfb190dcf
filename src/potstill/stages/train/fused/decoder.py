"""A decoder like Llama, layer by layer, with gradients of the trained weights alone and little memory for them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import embedding, silu

from potstill.stages.train.fused import attention
from potstill.stages.train.fused.batch import Batch
from potstill.stages.train.fused.head import HeadLoss
from potstill.stages.train.fused.products import Projection

Angles = tuple[torch.Tensor, torch.Tensor]
"""Cosine and sine of the rotary embedding [tokens, 1, size], each times the root of the scale of attention."""


class Norm:
    """RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467) of a module, in float32."""

    def __init__(self, module: Any) -> None:
        self.parameter, self.epsilon = module.weight, module.variance_epsilon

    def inverse(self, x: torch.Tensor) -> torch.Tensor:
        """1 / root mean square of each token [tokens, 1]."""
        norm: torch.Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        return norm.square_().div_(x.shape[-1]).add_(self.epsilon).rsqrt_()

    def forward(self, x: torch.Tensor, inverse: torch.Tensor, out: torch.Tensor) -> None:
        torch.mul(x * inverse, self.parameter.detach().float(), out=out)

    def backward(
        self, gradient: torch.Tensor, x: torch.Tensor, inverse: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The gradients of ``x``, in float32, and of the weight."""
        normed = x * inverse
        of_weight = (gradient * normed).sum(0) if self.parameter.requires_grad else None
        scaled = gradient * self.parameter.detach().float()
        mean = (scaled * normed).mean(-1, keepdim=True)
        return scaled.addcmul_(normed, mean, value=-1).mul_(inverse), of_weight


class Layer:
    """The weights of one decoder layer."""

    def __init__(self, module: Any, dtype: torch.dtype) -> None:
        inner, mlp = module.self_attn, module.mlp
        self.norms = Norm(module.input_layernorm), Norm(module.post_attention_layernorm)
        self.qkv = Projection([inner.q_proj, inner.k_proj, inner.v_proj], dtype)
        self.out = Projection([inner.o_proj], dtype)
        self.gate_up = Projection([mlp.gate_proj, mlp.up_proj], dtype)
        self.down = Projection([mlp.down_proj], dtype)
        self.projections = self.qkv, self.out, self.gate_up, self.down
        self.width = mlp.down_proj.in_features
        trained = [p for projection in self.projections for p in projection.parameters]
        self.parameters = [*trained, *(norm.parameter for norm in self.norms)]


@dataclass(frozen=True)
class Step:
    """What all layers of a forward pass share."""

    batch: Batch
    heads: attention.Heads
    angles: Angles


class LayerFunction(torch.autograd.Function):
    """A decoder layer. Kept for the gradients are its input, the middle of its residual stream, queries, keys, values and gates;
    what is cheap to compute from these, attention too, is computed again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layer: Layer, step: Step, *parameters: torch.Tensor) -> torch.Tensor:
        """Maps the residual stream [tokens, features] to the next."""
        heads = step.heads
        inverse = layer.norms[0].inverse(x)
        normed = layer.qkv.empty(len(x))
        layer.norms[0].forward(x, inverse, normed[:, : layer.qkv.inputs])
        qkv = layer.qkv.forward(normed).unflatten(1, (-1, heads.size))
        attention.rotate(qkv[:, : heads.rotated], *step.angles)
        mixed = layer.out.empty(len(x))
        attention.forward(qkv, heads, step.batch, mixed[:, : layer.out.inputs])
        middle = x + layer.out.forward(mixed)
        inverse_2 = layer.norms[1].inverse(middle)
        normed_2 = layer.gate_up.empty(len(x))
        layer.norms[1].forward(middle, inverse_2, normed_2[:, : layer.gate_up.inputs])
        gate_up = layer.gate_up.forward(normed_2)
        hidden = _gated(layer, gate_up)[0]
        ctx.layer, ctx.step = layer, step
        ctx.saved = (
            (x, inverse, normed[:, layer.qkv.inputs :].clone()), qkv,
            (middle, inverse_2, normed_2[:, layer.gate_up.inputs :].clone()), gate_up,
        )  # fmt: skip
        return middle + layer.down.forward(hidden)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        layer, step, heads = ctx.layer, ctx.step, ctx.step.heads
        first, qkv, second, gate_up = ctx.saved
        ctx.saved = None
        (stream,) = gradients
        gradient = stream.to(gate_up.dtype)
        hidden, gate = _gated(layer, gate_up)
        of_hidden, of_down = layer.down.backward(gradient, layer.down.extend(hidden))
        of_gate_up = torch.empty_like(gate_up)
        torch.mul(of_hidden, gate, out=of_gate_up[:, layer.width :])
        of_hidden.mul_(gate_up[:, layer.width :])
        torch.ops.aten.silu_backward.grad_input(
            of_hidden, gate_up[:, : layer.width], grad_input=of_gate_up[:, : layer.width]
        )
        stream, of_up, of_norm_2 = _through(layer.gate_up, layer.norms[1], of_gate_up, stream, second)
        gradient = stream.to(gate_up.dtype)
        mixed = layer.out.empty(len(qkv))
        of_attention = attention.forward(qkv, heads, step.batch, mixed[:, : layer.out.inputs])
        of_mixed, of_out = layer.out.backward(gradient, layer.out.extend(mixed))
        of_qkv = attention.backward(of_mixed, of_attention, heads, step.batch)
        cos, sin = step.angles
        attention.rotate(of_qkv[:, : heads.rotated], cos, -sin)
        stream, of_in, of_norm = _through(layer.qkv, layer.norms[0], of_qkv.flatten(1), stream, first)
        return stream, None, None, *of_in, *of_out, *of_up, *of_down, of_norm, of_norm_2


def _gated(layer: Layer, gate_up: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The input of the last projection, and the activated gates."""
    gate = silu(gate_up[:, : layer.width])
    hidden = layer.down.empty(len(gate_up))
    torch.mul(gate, gate_up[:, layer.width :], out=hidden[:, : layer.width])
    return hidden, gate


def _through(
    projection: Projection, norm: Norm, gradient: torch.Tensor, stream: torch.Tensor, saved: Any
) -> tuple[torch.Tensor, list[torch.Tensor | None], torch.Tensor | None]:
    """The gradients of the residual stream before a norm and a projection, of the weights of the projection and the norm."""
    x, inverse, u = saved
    normed = projection.empty(len(x))
    norm.forward(x, inverse, normed[:, : projection.inputs])
    normed[:, projection.inputs :] = u
    of_normed, of_weights = projection.backward(gradient, normed)
    of_x, of_norm = norm.backward(of_normed, x, inverse)
    return stream + of_x.to(stream.dtype), of_weights, of_norm


class Decoder:
    """A model of transformers whose layers are like Llama's, for training."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        inner = model.model
        config = model.config
        size = inner.layers[0].self_attn.head_dim
        self.embeddings, self.norm, self.head = inner.embed_tokens, inner.norm, model.lm_head
        self.rotary, self.dtype = inner.rotary_emb, dtype
        self.heads = attention.Heads(config.num_attention_heads, config.num_key_value_heads, size)
        self.scale = inner.layers[0].self_attn.scaling
        self.layers = [Layer(layer, dtype) for layer in inner.layers]
        alone = [module.weight for module in (self.embeddings, self.norm, self.head)]
        for weight in [*alone, *(norm.parameter for layer in self.layers for norm in layer.norms)]:
            weight.data = weight.data.clone()  # each would keep the complete weights file in memory

    def summed_loss(self, batch: Batch) -> torch.Tensor:
        """The summed loss in nats over the tokens with a label; see `targets.loss_and_gradient`."""
        for layer in self.layers:
            for projection in layer.projections:
                projection.update()
        with torch.autocast("cpu", enabled=False):
            x = embedding(batch.ids, self.embeddings.weight)
            step = Step(batch, self.heads, self._angles(batch))
            if torch.is_grad_enabled() and not x.requires_grad:
                x.requires_grad_()  # else no function would have a gradient
            for layer in self.layers:
                x = LayerFunction.apply(x, layer, step, *layer.parameters)
            hidden = self.norm(x[batch.predicted])
            loss: torch.Tensor = HeadLoss.apply(hidden, self.head.weight, batch.targets, self.dtype)
            return loss

    def _angles(self, batch: Batch) -> Angles:
        places = torch.arange(batch.prefix + batch.length)[None]
        angles = self.rotary(torch.empty(0, dtype=torch.float32), places)
        rows = (torch.cat([a[0, : batch.prefix], a[0, batch.prefix :].repeat(batch.rows, 1)]) for a in angles)
        cos, sin = ((a * self.scale**0.5)[:, None] for a in rows)
        return cos, sin
