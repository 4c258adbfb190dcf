"""Whether the models in this process can be prompted as the recipe will prompt them, and exported, before anything is paid for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from potstill.data.examples import examples
from potstill.errors import PotstillError, RecipeError
from potstill.export import forms
from potstill.models.local import chat_check
from potstill.recipe.asked import AskedModel
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import Role
from potstill.recipe.training import Student
from potstill.tasks import Prompting
from potstill.tasks.prompts import Instruction


@dataclass(frozen=True)
class _Prompted:
    """A model of the recipe, under the key ``where``, and the ways in which it is prompted about examples."""

    where: str
    section: AskedModel | Student
    promptings: tuple[Prompting, ...]


def check(recipe: Recipe) -> None:
    """Raises `RecipeError` for a model in this process, if it is on disk, whose tokenizer or chat template cannot be used.

    Examples are read only where a template refuses some chats.
    """
    for one in _prompted(recipe):
        if folder := one.section.model.cached_folder():
            try:
                refusals = chat_check.refusals(folder, one.section.chat_template)
            except PotstillError as error:
                raise RecipeError(f"{one.where}: {error}") from error
            if any(refusals.values()):
                _check_chats(recipe, one, folder, refusals)
    _check_exports(recipe)


def _prompted(recipe: Recipe) -> Iterator[_Prompted]:
    asked = [system for system in recipe.systems if recipe.asks(system)]

    def ways(*roles: Role) -> tuple[Prompting, ...]:
        return tuple(dict.fromkeys(system.prompting for system in asked if system.role in roles))

    yield _Prompted("student.model", recipe.student, (Prompting.PLAIN, *ways(Role.BASE, Role.STUDENT)))
    if recipe.asks_teacher:
        own = (recipe.prompting,) if recipe.generates else ()
        yield _Prompted("teacher.model", recipe.teacher, (*own, *ways(Role.TEACHER)))
    if recipe.curate.judge:
        yield _Prompted("curate.judge.model", recipe.curate.judge, ())
    for judge in recipe.evaluate.judge.models if recipe.evaluate.judge else ():
        yield _Prompted("evaluate.judge.models", judge, ())
    for system in asked:
        if system.asked_elsewhere is not None:
            yield _Prompted(f"evaluate.systems: {system.name}", system.asked_elsewhere, (system.prompting,))


def _check_exports(recipe: Recipe) -> None:
    """Raises `RecipeError` for an export that the recipe evaluates and whose form cannot express the student's chat template."""
    names, folder = recipe.exports(), recipe.student.model.cached_folder()
    if names and folder:
        from potstill.models.local import loading

        chat = loading.load_chat(folder, recipe.student.chat_template)
        for name in names:
            try:
                forms.form_named(name).check_chat(chat, recipe.system or "")
            except RecipeError as error:
                raise RecipeError(f"evaluate.systems: {name}: {error}") from error


def _check_chats(recipe: Recipe, one: _Prompted, folder: Path, refusals: chat_check.Refusals) -> None:
    """Raises `RecipeError` for the first chat of roles that the template in ``folder`` refuses."""
    if not one.promptings:
        _refuse(one, ("user",), refusals[("user",)])
    for roles, row, prompt in _chats(recipe, one.promptings):
        instructs = any(name == prompt and isinstance(p, Instruction) for name, p in recipe.task.prompts.items())
        own = "data.system and data.columns.system and put their text into task.prompts.plain"
        cure = f"the system message of task.prompts.{prompt} and write it as a user's turn" if instructs else own
        if roles not in refusals:
            from potstill.models.local import loading

            refusals[roles] = loading.load_chat(folder, one.section.chat_template).refusal(roles)
        _refuse(one, roles, refusals[roles], f", as {row} with the prompt {prompt}", cure)


def _chats(recipe: Recipe, promptings: Iterable[Prompting]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """The roles of the chats that the examples make, each once, with the first example and its prompt."""
    seen = set()
    specs = [recipe.prompt_spec(prompting) for prompting in promptings]
    for row in examples(recipe):
        for spec in specs:
            roles = tuple(message["role"] for message in recipe.task.messages(row, spec, ()))
            if spec.prompting.is_few_shot:
                roles = (*roles[:-1], "user", "assistant", *roles[-1:])
            if roles not in seen:
                seen.add(roles)
                yield roles, row["id"], spec.prompting.prompt


def _refuse(one: _Prompted, roles: tuple[str, ...], refusal: str, of_row: str = "", system: str = "") -> None:
    """``system``: what to leave out where the system message is what is refused."""
    if not refusal:
        return
    refusal = refusal.rstrip(".")
    model = f"{one.where} {one.section.model.name}"
    if "system" in roles:
        raise RecipeError(
            f"{model}: its chat template takes no system message{of_row}: {refusal}. Leave out {system}, or use a model whose "
            "template takes one."
        )
    raise RecipeError(
        f"{model}: its chat template cannot show a chat of {', '.join(roles)}{of_row}: {refusal}. Use an instruction-tuned "
        "model, or correct its chat_template.jinja."
    )
