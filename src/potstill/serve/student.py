"""How a student is asked: exactly as it was trained, with what its recipe fixes."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.parquet as pq

from potstill.errors import RecipeError
from potstill.models.local.chat_template import ChatTemplate
from potstill.recipe.recipe import Recipe
from potstill.serve import memory
from potstill.stages import student_prompts
from potstill.workspace.artifacts import EXAMPLES
from potstill.workspace.run import Run

LEAST_CONTEXT = 2048
"""Tokens of prompt and answer together that a request may have at least, if the model takes so many."""
TRAINING = "train"
"""The split of the examples that the student was trained on, and the stage that trained it."""


@dataclass(frozen=True)
class Student:
    """A trained student, and what its recipe fixes of each request.

    systems: the system messages of the rows that it was trained on, None among them where some have none. max_tokens: limit on the new
    tokens of an answer to a request that says none. context: limit on prompt and answer together, in tokens. ends: the tokens that
    end an answer.
    """

    name: str
    chat: ChatTemplate
    systems: tuple[str | None, ...]
    max_tokens: int
    context: int
    ends: tuple[int, ...]

    @classmethod
    def of(cls, run: Run, context: int = 0) -> "Student":
        """The student of a run; ``context`` 0 for the tokens that its recipe needs.

        Raises `RecipeError` where the run has no student, `PotstillError` where it would not be asked as it was trained.
        """
        from potstill.models.local import loading

        folder = run.student_folder
        _require(run)
        student_prompts.of_evaluation(run.recipe, run)
        chat = loading.load_chat(folder)
        most = int(memory.config_of(folder).get("max_position_embeddings") or LEAST_CONTEXT)
        if context > most:
            raise RecipeError(f"--context {context}: the student takes {most} tokens at most.")
        context = context or min(most, _needed_context(run.recipe))
        return cls(run.recipe.name, chat, _systems(run), run.recipe.student.max_tokens, context, _ends(run, chat))

    @property
    def system(self) -> str:
        """The system message of a chat that has none; empty where rows of training had several, or none."""
        return self.systems[0] or "" if len(self.systems) == 1 else ""

    def with_system(self, messages: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
        """The messages, after the `system` message where they have none."""
        if self.system and messages[0]["role"] != "system":
            return [{"role": "system", "content": self.system}, *messages]
        return list(messages)


def _require(run: Run) -> None:
    """Raises `RecipeError` where the run has no student."""
    if run.stages.get(TRAINING, {}).get("state") != "done":
        raise RecipeError(f"{run.folder} has no student yet. Train one: potstill run {run.source or 'RECIPE'}")
    if not any(run.student_folder.glob("*.safetensors")):
        raise RecipeError(
            f"{run.student_folder}: the weights of the student are missing. Put them back, or delete the folder and train again: "
            f"potstill run {run.source or 'RECIPE'}"
        )


def _needed_context(recipe: Recipe) -> int:
    """Tokens that hold a prompt as long as the longest row of training, and an answer with the doubled limit."""
    return max(LEAST_CONTEXT, recipe.train.max_length + 2 * recipe.student.max_tokens)


def _systems(run: Run) -> tuple[str | None, ...]:
    """The system messages of the rows of training, each once; (None,) where there are no rows any more."""
    if not run.path(EXAMPLES).exists():
        return (run.recipe.system,)
    table = pq.read_table(run.path(EXAMPLES), columns=["split", "system"])
    return tuple(pc.unique(table.filter(pc.equal(table["split"], TRAINING))["system"]).to_pylist()) or (None,)


def _ends(run: Run, chat: ChatTemplate) -> tuple[int, ...]:
    """The tokens that end an answer: those of the generation config, which training wrote, and the template's."""
    ends = {chat.end}
    with suppress(OSError, ValueError):
        config = json.loads((run.student_folder / "generation_config.json").read_text(encoding="utf-8"))
        configured = config.get("eos_token_id")
        ends |= {
            int(token) for token in (configured if isinstance(configured, list) else [configured]) if token is not None
        }
    return tuple(sorted(ends))
