"""The student out of a checkpoint: merged and saved in float32, and what its number format takes from its training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.recipe.recipe import Recipe
from potstill.workspace.artifacts import CuratedRow

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from potstill.stages.train.rows import Row

COMPARED_ROWS = 8
"""Training rows that the loss is compared on; of each, one forward pass for each of three models."""
NOTABLE = 0.05
"""Fraction of the gain whose loss is reported."""


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of an epoch, or the mean of several: whole weights, or adapters for those of ``base``, in ``folders``."""

    recipe: Recipe
    base: Path
    folders: tuple[Path, ...]
    epochs: tuple[int, ...]

    @property
    def name(self) -> str:
        numbers = ", ".join(map(str, self.epochs))
        return f"epoch {numbers}" if len(self.epochs) == 1 else f"averaging epochs {numbers}"

    def merged(self) -> "PreTrainedModel":
        """The weights in float32, adapters merged into those of ``base``. A step of training is often too small for
        bfloat16 to add to a weight. Of several checkpoints, the mean of their merged weights (Izmailov et al. 2018,
        arXiv 1803.05407)."""
        import torch

        mean = self._merged(self.folders[0])
        with torch.no_grad():
            for number, folder in enumerate(self.folders[1:], 2):
                for weight, other in zip(mean.parameters(), self._merged(folder).parameters(), strict=True):
                    weight.lerp_(other, 1 / number)
        return mean

    def _merged(self, folder: Path) -> "PreTrainedModel":
        from potstill.models.local import loading

        if not self._has_adapters:
            return loading.load_model(folder, "float32")
        merged: PreTrainedModel = self._adapted(loading.load_model(self.base, "float32"), folder).merge_and_unload()
        return merged

    def as_it_answers(self) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
        """The merged weights in the student's number format, and the tokenizer: as if they were saved and loaded."""
        from potstill.models.local import loading

        tokenizer = loading.load_tokenizer(self.base, self.recipe.student.chat_template)
        return cast(self.merged(), self.recipe.student.dtype), tokenizer

    def save(self, folder: Path, rows: Sequence[CuratedRow]) -> dict[str, Any]:
        """Write the student into ``folder``. Returns the `loss` on some of the ``rows``: of the base, of the weights as they
        were trained (``apart``), and as the student answers (``merged``)."""
        from potstill.models.local import loading
        from potstill.stages.train.rows import tokenized

        chat = loading.load_chat(self.base, self.recipe.student.chat_template)
        model: Any = loading.load_model(self.base, "float32")
        ends = sorted(chat.end_ids(model))
        some = [tokenized(chat, row) for row in rows[:: -(-len(rows) // COMPARED_ROWS)]]
        base = loss(model, some)
        if self._has_adapters and len(self.folders) == 1:
            model = self._adapted(model, self.folders[0])
            apart = loss(model, some)
            model = model.merge_and_unload()
        else:
            del model  # before the next is loaded
            model = self.merged()
            apart = loss(model, some)
        model.generation_config.eos_token_id = ends  # whoever generates with it stops there
        model.save_pretrained(folder)
        chat.tokenizer.save_pretrained(folder)
        merged = loss(cast(model, self.recipe.student.dtype), some)
        return {"rows": len(some), "base": base, "apart": apart, "merged": merged, "lost": lost(base, apart, merged)}

    def _adapted(self, model: "PreTrainedModel", folder: Path) -> Any:
        from peft import PeftModel

        return PeftModel.from_pretrained(model, folder).eval()

    @property
    def _has_adapters(self) -> bool:
        return (self.folders[0] / "adapter_config.json").exists()


def cast(model: "PreTrainedModel", dtype: Any) -> "PreTrainedModel":
    """The model with its weights in a number format, in place. Its buffers, such as rotary frequencies, keep theirs, as when
    a model is loaded in a number format."""
    import torch

    from potstill.models.local.weights import resolve_dtype

    for weight in model.parameters():
        weight.data = weight.data.to(getattr(torch, resolve_dtype(dtype)))
    return model


def loss(model: Any, rows: "Sequence[Row]") -> float:
    """Mean cross-entropy in nats of a model over the tokens with a label of tokenized rows."""
    losses = [loss_of_row(model, row) for row in rows]
    return sum(total for total, _ in losses) / sum(tokens for _, tokens in losses)


def loss_of_row(model: Any, row: "Row") -> tuple[float, int]:
    """The summed cross-entropy in nats of a model over the tokens with a label of a tokenized row, and their number."""
    import torch

    from potstill.stages.train.targets import IGNORED, summed_loss

    with torch.inference_mode():
        ids, labels = (torch.tensor([of], device=model.device) for of in (row["input_ids"], row["labels"]))
        return summed_loss(model, {"input_ids": ids}, labels).item(), int((labels[:, 1:] != IGNORED).sum())


def lost(base: float, apart: float, merged: float) -> float | None:
    """The fraction of the gain of training, ``base - apart``, that ``merged`` lacks; None where nothing was gained."""
    return (merged - apart) / (base - apart) if base > apart else None


def warnings_about(merge: Mapping[str, Any], dtype: str) -> list[str]:
    """What to say of what `Checkpoint.save` measured; nothing if at most `NOTABLE` of the gain is lost."""
    if merge["lost"] is None or merge["lost"] <= NOTABLE:
        return []
    fix = "" if dtype == "float32" else "; set student.dtype: float32"
    return [
        f"in {dtype} the student lacks {merge['lost']:.0%} of what training gained: its loss on {merge['rows']} rows is "
        f"{merge['merged']:.3f}, {merge['apart']:.3f} as trained and {merge['base']:.3f} before{fix}"
    ]
