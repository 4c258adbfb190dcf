"""Ask systems the same questions, under limits that are the same for all models."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain

from potstill.data import predictions
from potstill.models import Completion, Model, Request, Sampling
from potstill.models.complete import Billing, complete, complete_within_budget
from potstill.models.opening import open_folder, open_model
from potstill.progress import echo
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import Role, System
from potstill.stages.evaluate.linear import LinearModel
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.generate import logged_completion
from potstill.stages.limits import TokenLimits, replace_truncated
from potstill.stages.training_rows import training_rows
from potstill.tasks import Example, Parsed, Task
from potstill.workspace import exports
from potstill.workspace.artifacts import STUDENT
from potstill.workspace.run import Run

KINDS = ("strict", "lenient")
"""Kinds of extraction."""


@dataclass(frozen=True)
class Answer:
    """What a system was asked and said, and what each kind of extraction reads in it."""

    request: Request
    completion: Completion
    parsed: Mapping[str, Parsed]

    def read_leniently(self) -> Parsed:
        return self.parsed["lenient"]


class Asker:
    """Asks systems about examples. A doubled limit stays doubled for the questions that follow."""

    def __init__(self, recipe: Recipe, run: Run) -> None:
        self.recipe, self.run, self.task = recipe, run, run.task
        self.limits = TokenLimits(recipe)
        self._last: Hashable = None
        """The model that was asked last: it is still in memory, if it runs in this process."""
        self._shots = FewShotExamples(recipe, run.examples, self._training_rows)

    def _training_rows(self) -> Iterator[Example]:
        return training_rows(self.recipe, self.run)

    @cached_property
    def _linear(self) -> LinearModel:
        return LinearModel(self.task, self._training_rows(), self.recipe.data_seed)

    def ask(self, systems: Sequence[System], examples: Sequence[Example], of: str = "") -> dict[str, list[Answer]]:
        """The answers of each system, by its name, in the order of the examples; ``of`` ends the label of the progress.

        Raises `PotstillError` as `potstill.models.complete.complete` does.
        """
        asked = {one.name: self._ask(one, examples, one.name + of) for one in self._without_reloading(systems)}
        answers = {system.name: asked[system.name] for system in systems}
        too_low = {one.prompting for one in systems if self._is_too_low(one, answers[one.name])}
        prompts = {prompting.prompt for prompting in too_low}
        for prompting in too_low:
            self.limits.double(prompting)
        for system in self._without_reloading([one for one in systems if one.prompting.prompt in prompts]):
            if self.recipe.asks(system):
                ask = partial(self._ask_for_more, system, examples, of)
                replace_truncated(answers[system.name], Answer.read_leniently, ask)
        return answers

    def _ask_for_more(
        self, system: System, examples: Sequence[Example], of: str, again: list[int]
    ) -> Iterator[Answer | None]:
        limit = self.limits(system.prompting)
        echo(f"  {system.name}{of}: {len(again)} truncated answers are requested again, up to {limit} tokens")
        for answer in self._ask(system, [examples[i] for i in again], system.name + of, required=False):
            # A server may refuse the larger limit, or not answer in time.
            yield None if answer.completion.error else answer

    def _without_reloading(self, systems: Iterable[System]) -> Iterator[System]:
        """The systems, those of one model together, and first those of the model that was asked last."""
        by_model: dict[Hashable, list[System]] = {}
        for system in systems:
            by_model.setdefault(self._model(system), []).append(system)
        first = by_model.pop(self._last, [])
        yield from chain(first, *by_model.values())

    def _model(self, system: System) -> Hashable:
        if system.export is not None:
            return STUDENT, system.export
        if system.role is Role.STUDENT and system.asked_elsewhere is None:
            return STUDENT
        return self.recipe.asked(system).name if self.recipe.asks(system) else system.name

    def _is_too_low(self, system: System, answers: Sequence[Answer]) -> bool:
        read = [answer.read_leniently() for answer in answers]
        return self.recipe.asks(system) and self.limits.is_too_low(system.prompting, read)

    def _ask(self, system: System, examples: Sequence[Example], name: str, *, required: bool = True) -> list[Answer]:
        sent = requests(self.recipe, system, examples, self._shots, self.limits)
        completions = self._complete(system, sent, examples, name, required)
        return [
            Answer(request, completion, read(self.task, example, completion))
            for request, completion, example in zip(sent, completions, examples, strict=True)
        ]

    def _complete(
        self, system: System, sent: list[Request], examples: Sequence[Example], name: str, required: bool
    ) -> Iterable[Completion]:
        match self.recipe.engine(system):
            case "data":
                return [logged_completion(example) for example in examples]
            case "linear":
                return self._linear.answers(examples)
        if system.predictions is not None:
            return predictions.completions(system.predictions, self.task, examples)
        run, self._last = self.run, self._model(system)
        if system.role is Role.STUDENT and system.asked_elsewhere is None:
            return complete(self._open_student(system), sent, name, Billing(run.store, run.id, required=required))
        return complete_within_budget(self.recipe.asked(system), sent, name, run, required=required)

    def _open_student(self, system: System) -> Model:
        """The run's student as it was trained, or in the exported form that a system names."""
        run, student = self.run, self.recipe.student
        if system.export is None:
            return open_folder(run.student_folder, STUDENT, student.batch_size, student.dtype)
        return open_model(exports.source(run, system.export), student.batch_size, student.dtype, run.store)


def requests(
    recipe: Recipe, system: System, examples: Iterable[Example], shots: FewShotExamples, limits: TokenLimits
) -> list[Request]:
    """What a system is asked about some questions; without room for an answer where no model is asked."""
    task, spec = recipe.task, recipe.prompt_spec(system.prompting)
    sampling = Sampling(limits(system.prompting) if recipe.asks(system) else 0)
    return [
        Request(
            example["id"],
            task.messages(example, spec, shots(example, spec.prompting)),
            sampling,
            schema=task.reply_schema(example, spec),
        )
        for example in examples
    ]


def read(task: Task, example: Example, completion: Completion) -> dict[str, Parsed]:
    """What each kind of extraction reads in a completion."""
    return {
        kind: task.parse(completion.text, completion.finish_reason, example, strict=kind == "strict") for kind in KINDS
    }
