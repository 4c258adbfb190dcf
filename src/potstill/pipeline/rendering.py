"""The prompts of a recipe as its models see them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from potstill.data.examples import examples
from potstill.models import Message, Request
from potstill.models.remote.wire import estimate_prompt_tokens
from potstill.models.specs import ModelSpec
from potstill.recipe.recipe import Recipe
from potstill.stages import generate
from potstill.stages.few_shot import FewShotExamples
from potstill.tasks import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Prompt:
    """A prompt as a model sees it.

    who: `teacher` or `student`. id: of the example. exact: whether ``tokens`` were counted by the model's own tokenizer; else
    they are estimated from characters.
    """

    who: str
    id: str
    text: str
    tokens: int
    exact: bool


class Renderer:
    """Renders and counts by the model's own tokenizer where that is cached, by characters elsewhere."""

    def __init__(self, model: ModelSpec) -> None:
        self.tokenizer: PreTrainedTokenizerBase | None = None
        if folder := model.cached_folder():
            from potstill.models.local import loading

            self.tokenizer = loading.load_tokenizer(folder)

    @property
    def is_exact(self) -> bool:
        return self.tokenizer is not None

    def render(self, messages: Sequence[Message]) -> str:
        if self.tokenizer is None:
            return "\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
        chat = [dict(message) for message in messages]
        return str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))

    def count_tokens(self, messages: Sequence[Message]) -> int:
        if self.tokenizer is None:
            return estimate_prompt_tokens(Request("", messages))
        return len(self.tokenizer(self.render(messages), add_special_tokens=False)["input_ids"])

    def prompt(self, who: str, example: Example, messages: Sequence[Message]) -> Prompt:
        return Prompt(who, example["id"], self.render(messages), self.count_tokens(messages), self.is_exact)


def preview(recipe: Recipe, n: int) -> Iterator[Prompt]:
    """The prompts of teacher and student for the first ``n`` training questions."""
    rows = list(islice((row for row in examples(recipe) if row["split"] == "train"), n))
    shots = FewShotExamples(recipe, lambda: examples(recipe))
    teacher, student = Renderer(recipe.teacher.model), Renderer(recipe.student.model)
    for row in rows:
        if recipe.generates:
            _, request = next(generate.requests(recipe, [row], shots, 1))
            yield teacher.prompt("teacher", row, request.messages)
        yield student.prompt("student", row, recipe.task.messages(row))
