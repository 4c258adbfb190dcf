"""TRL's `DistillationTrainer`: the student answers, and learns the teacher's probabilities of its own answers' tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback
from trl.trainer.distillation_config import DistillationConfig
from trl.trainer.distillation_trainer import DistillationTrainer

from potstill.errors import RecipeError
from potstill.models.local import loading
from potstill.models.local.chat_template import ChatTemplate
from potstill.recipe.recipe import Recipe
from potstill.stages.train import base as weights_to_train
from potstill.stages.train import room
from potstill.stages.train.teacher import difference


def prepared(
    recipe: Recipe, base: Path, rows: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]
) -> "OnPolicyTrainer":
    """A trainer of the weights in ``base``, or of adapters for them, on the prompts of curated rows; ``arguments`` are those of any trainer.

    Raises `RecipeError` where the teacher has another vocabulary than the student.
    """
    options, weights = recipe.train.on_policy, recipe.teacher_weights
    assert options is not None
    assert weights is not None
    chat = loading.load_chat(base, recipe.student.chat_template)
    folder = weights.download()
    if different := difference(loading.load_tokenizer(folder), chat.tokenizer):
        raise RecipeError(
            f"train.on_policy: the vocabulary of the teacher's weights {folder} is not the student's: {different}. Use a student of the "
            "teacher's family, or leave train.on_policy out."
        )
    teacher = loading.load_model(folder, recipe.teacher.dtype)
    model = weights_to_train.load(recipe, base, sharded=room.here(recipe).sharded)
    assert model.generation_config is not None
    model.generation_config.eos_token_id = sorted(chat.end_ids(model))
    trainer = OnPolicyTrainer(
        model=model,
        teacher_model=teacher,
        args=DistillationConfig(
            **arguments,
            beta=options.beta,
            temperature=options.temperature,
            max_completion_length=recipe.student.max_tokens,
        ),
        train_dataset=Dataset.from_list([{"prompt": list(row["student_messages"])} for row in rows]),
        processing_class=padded_left(chat.tokenizer),
        peft_config=weights_to_train.adapters(recipe),
    )
    if recipe.train.method == "qlora":
        weights_to_train.keep_adapters_exact(trainer.model)
    trainer.chat = chat
    trainer.remove_callback(PrinterCallback)
    return trainer


def padded_left(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer, which pads before prompts."""
    tokenizer.padding_side = "left"
    return tokenizer


class OnPolicyTrainer(DistillationTrainer):
    """`DistillationTrainer` with prompts as potstill tokenizes them: control tokens that a message quotes are text."""

    chat: ChatTemplate
    ids_of_step: list[str]
    """Always empty: the student's own answers are not rows."""

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.chat.tokens(prompt) for prompt in prompts], None, {}
