"""Open what a recipe names as a model."""

from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import RecipeError
from potstill.models import Model, packaged
from potstill.models.store import Store
from potstill.recipe_models import Dtype, Endpoint, Served

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def check_source(source: str | Path | Endpoint | Served) -> None:
    """Raises `RecipeError` for a model that cannot be there, without loading or asking it."""
    if isinstance(source, Endpoint):
        from potstill.models.chat import ChatModel

        ChatModel(source)
    elif isinstance(source, Served):
        from potstill.models import launch

        launch.check(source)
    elif str(source).startswith("packaged/"):
        packaged.find(str(source).removeprefix("packaged/"))
    elif not str(source).startswith("hf/") and not (Path(source) / "config.json").is_file():
        raise RecipeError(
            f"Model '{source}': no config.json there. Name packaged/NAME, hf/ORG/NAME or a folder of weights."
        )


def open_model(source: str | Path | Endpoint | Served, batch_size: int, dtype: Dtype, store: Store) -> Model:
    """A model that can be asked. Raises `RecipeError` for one that is not there or whose key is missing."""
    check_source(source)
    if isinstance(source, Endpoint):
        from potstill.models.batch import BatchModel
        from potstill.models.chat import ChatModel

        return ChatModel(source) if source.mode == "requests" else BatchModel(source, store)
    if isinstance(source, Served):
        from potstill.models.launch import ServedModel

        return ServedModel(source)
    from potstill.models import loading, weights
    from potstill.models.local import LocalModel

    folder = weights.folder(str(source))

    def load() -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        return loading.load_model(folder, dtype), loading.load_tokenizer(folder)

    return LocalModel(load, weights.identity(folder, dtype), str(source), batch_size=batch_size)
