"""What a server needs of a run's cascade, and how the teacher is asked there as it was in the evaluation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from potstill.cascade.result import Chosen
from potstill.cascade.signals import AGREEMENT
from potstill.errors import RecipeError
from potstill.models import Message
from potstill.recipe.systems import System
from potstill.serve.reverse import Reader, reader
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.training_rows import training_rows
from potstill.tasks import Prompting, Task
from potstill.workspace.artifacts import CASCADE, STUDENT
from potstill.workspace.digests import Part
from potstill.workspace.run import Run

Prompter = Callable[[Sequence[Mapping[str, str]]], Sequence[Message]]
"""Makes of a client's chat what the teacher is asked."""


@dataclass(frozen=True)
class Ready:
    """The chosen threshold, and the teacher against which it was confirmed. ``max_tokens``: limit on the teacher's answer. ``read``: an
    example from a chat, for the signal `agreement`."""

    chosen: Chosen
    teacher: System
    max_tokens: int
    task: Task
    read: Reader | None

    def equivalent(self, a: str | None, b: str | None) -> bool:
        """Whether two answers mean the same."""
        return self.task.equivalent(a, b)

    def answer_of(self, chat: Sequence[Mapping[str, str]]) -> Callable[[str, str], str | None] | None:
        """What reads the answer in a text with a finish reason; None for a chat that is no question of the task."""
        example = self.read(chat) if self.read else None
        if example is None:
            return None
        return lambda text, finish_reason: self.task.parse(text, finish_reason, example, strict=False).answer


def ready(run: Run) -> Ready:
    """The confirmed threshold of the run's student. Raises `RecipeError` that names the command where there is none."""
    found, name = run.read_json(CASCADE), run.folder.name
    if not found:
        raise RecipeError(f"{run.folder}: no threshold is chosen yet. Choose one: potstill cascade {name}")
    if found["weights"] != run.digest(Part(STUDENT)):
        raise RecipeError(f"{run.path(CASCADE)} is about another student. Choose again: potstill cascade {name}")
    if found["state"] != "confirmed":
        raise RecipeError(
            f"{run.path(CASCADE)}: {found['lines'][0]} No threshold is served that is not confirmed; see potstill cascade {name}."
        )
    teacher = next((system for system in run.recipe.systems if system.name == found["teacher"]), None)
    if teacher is None:
        raise RecipeError(
            f"{run.path(CASCADE)} is about {found['teacher']}, which the recipe lists no more. Choose again: potstill cascade {name}"
        )
    chosen: Chosen = found["chosen"]
    try:
        read = reader(run.task, next(run.examples("train"), None)) if chosen["signal"] == AGREEMENT else None
    except RecipeError as error:
        raise RecipeError(
            f"{run.path(CASCADE)}: the signal agreement cannot be served, because a chat does not say what reads answers of the task "
            f"{run.recipe.task.name}. Choose by another: potstill cascade {name} --signal mean"
        ) from error
    return Ready(chosen, teacher, 2 * run.recipe.max_tokens(teacher.prompting), run.task, read)


def prompter(run: Run, teacher: System) -> Prompter | None:
    """How the teacher is asked as in the evaluation: a client's chat as it is where its prompt is the student's, otherwise its own prompt around
    the columns that are read from the chat. A chat of another form stays as it is. None where the task's columns cannot be read from a chat."""
    if teacher.prompting is Prompting.PLAIN:
        return list
    try:
        read = reader(run.task, next(run.examples("train"), None))
    except RecipeError:
        return None
    shots = FewShotExamples(run.recipe, run.examples, lambda: training_rows(run.recipe, run))
    spec = run.recipe.prompt_spec(teacher.prompting)

    def messages(chat: Sequence[Mapping[str, str]]) -> Sequence[Message]:
        example = read(chat)
        return list(chat) if example is None else run.task.messages(example, spec, shots(example, spec.prompting))

    return messages
