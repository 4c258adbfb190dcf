"""Load models and tokenizers from folders of weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from potstill.errors import PotstillError
from potstill.models.local.chat_template import ChatTemplate
from potstill.models.local.pinning import pinned
from potstill.models.local.weights import NO_KEYWORDS, Dtype, resolve_dtype

if TYPE_CHECKING:
    from transformers import PreTrainedModel

transformers.utils.logging.disable_progress_bar()


def load_tokenizer(path: Path, keywords: Mapping[str, Any] = NO_KEYWORDS) -> PreTrainedTokenizerBase:
    """The tokenizer in ``path``, with values for keywords of its chat template.

    Raises `PotstillError` for one that cannot be read or has no chat template, `RecipeError` for an unknown keyword.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path)
    except Exception as error:  # of several libraries
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PotstillError(
            f"{path}: its tokenizer cannot be read: {reason} Copy tokenizer.json and tokenizer_config.json there again."
        ) from error
    if not tokenizer.chat_template:
        raise PotstillError(
            f"{path}: its tokenizer has no chat template. Use an instruction-tuned model, or put a chat_template.jinja there."
        )
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:
        raise PotstillError(f"{path}: none of its chat templates is named default. Name one so.") from error
    tokenizer.chat_template = pinned(template, keywords, str(path))
    return tokenizer


def load_chat(path: Path, keywords: Mapping[str, Any] = NO_KEYWORDS) -> ChatTemplate:
    """The chat template of the tokenizer in ``path``; see `load_tokenizer`."""
    return ChatTemplate(load_tokenizer(path, keywords))


def load_model(path: Path, dtype: Dtype, *, on_gpu: bool = True, quantization: Any = None) -> "PreTrainedModel":
    """The model in ``path``, on the GPU if there is one and it is to be ``on_gpu``, by default with its weights as they are; a ``quantization``
    of transformers chooses another form. The model that was loaded to answer requests is released."""
    # A check of tokenizers needs none of this, which takes seconds to load.
    import torch
    from transformers import AutoModelForCausalLM

    from potstill.models.local import resident

    resident.release()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        path, dtype=getattr(torch, resolve_dtype(dtype)), quantization_config=quantization
    )
    if torch.cuda.is_available() and on_gpu and quantization is None:  # which transformers loads there itself
        model.cuda()  # type: ignore[call-arg]
    return model
