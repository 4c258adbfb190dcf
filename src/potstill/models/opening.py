"""Open the models that a recipe names."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.models import Model
from potstill.models.local.weights import NO_KEYWORDS, Dtype, LocalWeights
from potstill.models.specs import Endpoint, Served
from potstill.models.store.store import Store

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def open_model(
    source: LocalWeights | Endpoint | Served,
    batch_size: int,
    dtype: Dtype,
    store: Store,
    chat_template: Mapping[str, Any] = NO_KEYWORDS,
) -> Model:
    """A model that completes requests. ``batch_size`` (rows) and ``dtype`` apply to models in this process only,
    ``chat_template`` (values of its keywords) to these and to servers that are started.

    Raises `RecipeError` for a model that does not exist or whose key is missing.
    """
    source.check()
    match source:
        case Endpoint():
            from potstill.models.remote.batch import BatchModel
            from potstill.models.remote.chat import ChatModel

            return ChatModel(source) if source.mode == "requests" else BatchModel(source, store)
        case Served():
            from potstill.models.served.launch import ServedModel

            return ServedModel(source, chat_template)
        case LocalWeights():
            return open_folder(source.download(), str(source), batch_size, dtype, chat_template)


def open_folder(
    folder: Path, name: str, batch_size: int, dtype: Dtype, chat_template: Mapping[str, Any] = NO_KEYWORDS
) -> Model:
    """A model in this process; its weights in ``folder`` are loaded with the first request."""
    from potstill.models.local import loading, weights
    from potstill.models.local.model import LocalModel

    def load() -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        return loading.load_model(folder, dtype), loading.load_tokenizer(folder, chat_template)

    return LocalModel(load, weights.identity(folder, dtype, chat_template), name, batch_size=batch_size)
