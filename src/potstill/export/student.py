"""The student of a run, as it is exported."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import RecipeError
from potstill.models.local import weights
from potstill.workspace import exports
from potstill.workspace.artifacts import STUDENT
from potstill.workspace.digests import Part
from potstill.workspace.run import Run

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate


@dataclass(frozen=True)
class Student:
    """The student's ``folder`` with its ``digest``, and what its recipe fixes: the ``system`` prompt of rows without one, the limit
    ``max_tokens`` on an answer and the ``dtype`` in which it answers."""

    name: str
    folder: Path
    digest: str
    system: str
    max_tokens: int
    dtype: str

    @classmethod
    def of(cls, run: Run) -> "Student":
        """Raises `RecipeError` for a run without a student, or whose weights are incomplete."""
        folder, recipe = run.student_folder, run.recipe
        if not folder.is_dir():
            raise RecipeError(
                f"{run.folder}: there is no student to export. Train one: potstill run {run.source or 'RECIPE'}"
            )
        if not weights.is_complete(folder) or not (folder / "tokenizer.json").exists():
            raise RecipeError(
                f"{folder}: weights or tokenizer are missing, truncated or corrupt. Remove the folder and train again: potstill run "
                f"{run.source or 'RECIPE'}"
            )
        dtype = weights.resolve_dtype(recipe.student.dtype)
        return cls(
            recipe.name, folder, run.digest(Part(STUDENT)), recipe.system or "", recipe.student.max_tokens, dtype
        )

    @property
    def float32_bytes(self) -> int:
        return weights.LocalWeights(str(self.folder)).float32_bytes()

    @property
    def context(self) -> int:
        """Tokens of prompt and answer that an engine reserves memory for."""
        return min(exports.positions(self.folder) or exports.LONGEST_CONTEXT, exports.LONGEST_CONTEXT)

    @cached_property
    def chat(self) -> "ChatTemplate":
        from potstill.models.local import loading

        return loading.load_chat(self.folder)

    @property
    def end(self) -> int:
        """The token that ends a reply."""
        return self.chat.end

    @property
    def ends(self) -> Sequence[str]:
        """The texts of the tokens that end a reply, the template's first."""
        tokenizer = self.chat.tokenizer
        ids = dict.fromkeys([self.end, tokenizer.eos_token_id])
        return [str(tokenizer.convert_ids_to_tokens(id)) for id in ids if id is not None]
