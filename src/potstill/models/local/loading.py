"""Models and tokenizers from folders of weights."""

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from potstill.errors import PotstillError
from potstill.models.local.weights import Dtype, resolve_dtype

transformers.utils.logging.disable_progress_bar()


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path)
    if tokenizer.chat_template is None:
        raise PotstillError(f"{path}: its tokenizer has no chat template; use an instruction-tuned model.")
    return tokenizer


def load_model(path: Path, dtype: Dtype) -> PreTrainedModel:
    """The weights in ``path``, on the GPU if there is one."""
    _make_room()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, resolve_dtype(dtype)))
    if torch.cuda.is_available():
        model.cuda()  # type: ignore[call-arg]
    return model


def _make_room() -> None:
    """Give the memory of models that are done with back to the system: they are full of cycles, and glibc keeps gigabytes."""
    gc.collect()
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
