"""The models that have a fused training step."""

from typing import Any

import torch

from potstill.stages.train.fused.decoder import Decoder

FAMILIES = ("llama", "qwen2", "mistral")
"""Model types of transformers with RMSNorm, rotary embedding, grouped queries and gated SiLU, and nothing else."""


def decoder(model: Any, dtype: torch.dtype) -> Decoder | None:
    """The model, with or without PEFT's adapters, as a `Decoder` that computes in ``dtype``; None where there is none for
    its kind, for adapters with dropout, or for this machine."""
    adapted = hasattr(model, "peft_config")
    plain = model.get_base_model() if adapted else model
    config = plain.config
    weights = next(model.parameters())
    if weights.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return None
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return None
    usual = (
        config.model_type in FAMILIES
        and config.hidden_act == "silu"
        and not config.attention_dropout
        and not getattr(config, "mlp_bias", False)
        and getattr(config, "sliding_window", None) is None
    )
    if not usual or (adapted and model.peft_config["default"].lora_dropout):
        return None
    return Decoder(plain, dtype)
