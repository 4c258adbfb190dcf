"""Ask systems the same questions, under limits that are the same for all models."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain

from potstill.data import predictions
from potstill.models import Completion, Model, Request, Sampling
from potstill.models.complete import Billing, complete, complete_within_budget
from potstill.models.opening import open_folder, open_model
from potstill.progress import echo
from potstill.recipe.recipe import Recipe
from potstill.recipe.systems import Role, System
from potstill.stages import chats
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

    @property
    def reply(self) -> str:
        """What the next turn of a chat follows; empty where there is no text of the system's own."""
        said = self.completion
        return "" if said.error or said.finish_reason == "content_filter" else said.text.strip()


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

        A turn of a chat that follows turns without replies in the data is asked after them, and follows the system's own answers, as in
        MT-Bench. After one without text it is not asked, and has the same fault. Raises `PotstillError` as
        `potstill.models.complete.complete` does.
        """
        rounds = chats.rounds(self.task, examples)
        known: dict[str, dict[str, Answer]] = {system.name: {} for system in systems}
        for number, turns in enumerate(rounds, 1):
            label = f"{of}, turn {number} of {len(rounds)}" if len(rounds) > 1 else of
            following = {name: [self._following(one, of_system) for one in turns] for name, of_system in known.items()}
            to_ask = {name: [e for e in some if not self.task.own_turns(e)] for name, some in following.items()}
            asked = self._ask_all(systems, to_ask, label)
            for system in systems:
                of_system, answered = known[system.name], asked[system.name]
                of_system |= {e["id"]: one for e, one in zip(to_ask[system.name], answered, strict=True)}
                left = [e for e in following[system.name] if self.task.own_turns(e)]
                of_system |= {e["id"]: self._not_asked(system, e, of_system) for e in left}
        return {name: [of_system[example["id"]] for example in examples] for name, of_system in known.items()}

    def _following(self, example: Example, answers: Mapping[str, Answer]) -> Example:
        """The example after the system's own answers."""
        own = [answers[turn].reply for turn in self.task.own_turns(example)]
        return self.task.with_replies(example, own) if own else example

    def _not_asked(self, system: System, example: Example, answers: Mapping[str, Answer]) -> Answer:
        """The answer to a turn after one without text, which it follows in its fault."""
        earlier = next(one for turn in self.task.own_turns(example) if not (one := answers[turn]).reply)
        [request] = requests(self.recipe, system, [example], self._shots, self.limits)
        nothing = replace(earlier.completion, id=example["id"], prompt_tokens=0, completion_tokens=0, seconds=0.0)
        return replace(earlier, request=request, completion=nothing)

    def _ask_all(
        self, systems: Sequence[System], examples: Mapping[str, Sequence[Example]], of: str
    ) -> dict[str, list[Answer]]:
        """The answers of each system to its ``examples``, requested again where they are truncated by a limit that is too low."""
        asked = {
            one.name: self._ask(one, examples[one.name], one.name + of) for one in self._without_reloading(systems)
        }
        answers = {system.name: asked[system.name] for system in systems}
        too_low = {one.prompting for one in systems if self._is_too_low(one, answers[one.name])}
        prompts = {prompting.prompt for prompting in too_low}
        for prompting in too_low:
            self.limits.double(prompting)
        for system in self._without_reloading([one for one in systems if one.prompting.prompt in prompts]):
            if self.recipe.asks(system):
                ask = partial(self._ask_for_more, system, examples[system.name], of)
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
        if not examples:
            return []
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
