"""Load models and tokenizers from folders of weights."""

from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from potstill.errors import PotstillError
from potstill.models.local import resident
from potstill.models.local.weights import Dtype, resolve_dtype

transformers.utils.logging.disable_progress_bar()


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in ``path``. Raises `PotstillError` for one without a chat template."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path)
    if tokenizer.chat_template is None:
        raise PotstillError(f"{path}: its tokenizer has no chat template; use an instruction-tuned model.")
    return tokenizer


def load_model(path: Path, dtype: Dtype) -> PreTrainedModel:
    """The model in ``path``, on the GPU if there is one. The model that was loaded to answer requests is released."""
    resident.release()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, resolve_dtype(dtype)))
    if torch.cuda.is_available():
        model.cuda()  # type: ignore[call-arg]
    return model
