"""The weights that training starts from, and the adapters on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, prepare_model_for_kbit_training
from transformers import BitsAndBytesConfig

from potstill.models.local import loading, weights
from potstill.recipe.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load(recipe: Recipe, folder: Path, *, sharded: bool = False) -> "PreTrainedModel":
    """The weights in ``folder``, as `train.method` trains them; in the memory of the machine where they are to be ``sharded`` over GPUs.

    Steps of full fine-tuning are smaller than bfloat16 can add to a weight, so that its weights are in float32. For `qlora` the matrices of
    the layers are in 4 bits, and norms, embeddings and head in float32.
    """
    match recipe.train.method:
        case "full":
            return loading.load_model(folder, "float32", on_gpu=not sharded)
        case "lora":
            return loading.load_model(folder, recipe.student.dtype, on_gpu=not sharded)
        case "qlora":
            model = loading.load_model(folder, recipe.student.dtype, quantization=quantization(recipe))
            prepared: PreTrainedModel = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
            return prepared


def quantization(recipe: Recipe) -> BitsAndBytesConfig:
    """QLoRA's form of frozen weights: NF4, its constants quantized too, multiplied in the student's number format (Dettmers et al. 2023,
    arXiv 2305.14314)."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, weights.resolve_dtype(recipe.student.dtype)),
    )


def adapters(recipe: Recipe) -> LoraConfig | None:
    """The adapters that are trained; None for full fine-tuning."""
    lora = recipe.train.lora
    if recipe.train.method == "full":
        return None
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def keep_adapters_exact(model: Any) -> None:
    """Trained weights in float32: TRL has adapters of quantized weights in bfloat16, to which small steps add nothing."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
