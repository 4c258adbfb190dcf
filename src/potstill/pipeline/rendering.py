"""The prompts of a recipe as its models see them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from potstill.data.examples import examples
from potstill.models import Message, Request
from potstill.models.remote.wire import estimate_prompt_tokens
from potstill.pipeline import prompts
from potstill.recipe.asked import AskedModel
from potstill.recipe.recipe import Recipe
from potstill.recipe.training import Student
from potstill.stages import chats, generate
from potstill.stages.few_shot import FewShotExamples
from potstill.tasks import Example

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate


OWN_REPLY = "(the model's own reply)"
"""The placeholder for replies that are not known yet."""


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

    def __init__(self, section: AskedModel | Student) -> None:
        self.chat: ChatTemplate | None = None
        if folder := section.model.cached_folder():
            from potstill.models.local import loading

            self.chat = loading.load_chat(folder, section.chat_template)

    @property
    def is_exact(self) -> bool:
        return self.chat is not None

    def render(self, messages: Sequence[Message]) -> str:
        if self.chat is None:
            return "\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
        return self.chat.text(messages)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        if self.chat is None:
            return estimate_prompt_tokens(Request("", messages))
        return len(self.chat.tokens(messages))

    def prompt(self, who: str, example: Example, messages: Sequence[Message]) -> Prompt:
        return Prompt(who, example["id"], self.render(messages), self.count_tokens(messages), self.is_exact)


def preview(recipe: Recipe, n: int) -> Iterator[Prompt]:
    """The prompts of teacher and student for the first ``n`` training questions."""
    prompts.check(recipe)
    rows = list(islice((row for row in examples(recipe) if row["split"] == "train"), n))
    shots = FewShotExamples(recipe, lambda: examples(recipe))
    teacher, student = Renderer(recipe.teacher), Renderer(recipe.student)
    for row in (chats.with_stand_in(recipe.task, row, OWN_REPLY) for row in rows):
        if recipe.generates:
            _, request = next(generate.requests(recipe, [row], shots, 1))
            yield teacher.prompt("teacher", row, request.messages)
        yield student.prompt("student", row, recipe.task.messages(row))
