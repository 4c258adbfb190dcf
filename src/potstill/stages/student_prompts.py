"""How the student is prompted: in evaluation exactly as in training."""

from pathlib import Path
from typing import Any

from potstill.errors import PotstillError
from potstill.models.local.weights import NO_KEYWORDS
from potstill.recipe.recipe import Recipe
from potstill.workspace.artifacts import STUDENT
from potstill.workspace.run import Run


def of_training(recipe: Recipe, run: Run) -> dict[str, Any]:
    """The prompts of training, by the base's chat template and the recipe's values of its keywords."""
    return _prompts(recipe.student.model.download(), recipe.student.chat_template)


def of_evaluation(recipe: Recipe, run: Run) -> dict[str, Any]:
    """The prompts of the trained student. Raises `PotstillError` where they are not those of its training."""
    now = _prompts(run.student_folder)
    if run.stages["train"].get("prompts") != now["prompts"]:
        raise PotstillError(
            f"{run.folder / STUDENT}: the student would be asked in another form than it was trained on: its chat template, its "
            "tokenizer or their libraries have changed. Delete that folder, and train again: potstill run."
        )
    return now


def _prompts(folder: Path, chat_template: Any = NO_KEYWORDS) -> dict[str, Any]:
    from potstill.models.local import loading, pinning

    chat = loading.load_chat(folder, chat_template)
    return {"prompts": {"sha256": chat.digest(), "pinned": pinning.head(chat.tokenizer.get_chat_template())}}
