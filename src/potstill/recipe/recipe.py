"""What a recipe may say. `potstill.recipe.loading` reads it from YAML; the JSON Schema comes from these models."""

from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, StringConstraints, model_validator
from pydantic.json_schema import JsonSchemaValue

from potstill.config import Section, Seed
from potstill.models.families import are_related
from potstill.models.local.weights import Dtype, LocalWeights
from potstill.models.specs import Keywords
from potstill.models.store.store import FILE_NAME
from potstill.recipe.asked import AskedModel, Teacher
from potstill.recipe.data import Data
from potstill.recipe.judging import Judge, Judges, may_be_judged, why_no_judges
from potstill.recipe.needs import Needs
from potstill.recipe.systems import Role, System, default_systems, why_no_prompt
from potstill.recipe.training import Train
from potstill.tasks import Column, Prompting, PromptSpec, Task, registry


class Condition(StrEnum):
    """A way to make training data and to prompt the student."""

    GOLD = "gold"
    GOLD_RATIONALE = "gold-rationale"
    VANILLA = "vanilla"
    COT_ANSWER = "cot-answer"
    COT_RATIONALE = "cot-rationale"
    COD = "cod"

    @property
    def asks_teacher(self) -> bool:
        """Whether its training data comes from the teacher."""
        return self not in (Condition.GOLD, Condition.GOLD_RATIONALE)


class Filter(StrEnum):
    """A quality check on a generated row. A row that fails it is not trained on; it stays in the file, with the reason."""

    PARSED = "parsed"
    FINISHED = "finished"
    CORRECT = "correct"
    DUPLICATE = "duplicate"
    IN_TEST_SET = "in-test-set"
    GROUP_IN_TEST_SET = "group-in-test-set"
    TOO_LONG = "too-long"


class FewShot(Section):
    """Solved examples of few-shot prompts, for every model."""

    source: Literal["task", "train"] | None = None
    """The task's own examples, or training examples with their gold. Left out: the task's, if it has any."""
    n: int = Field(default=2, ge=1, le=64)
    """Number of examples taken from `train`."""
    select: Literal["seed", "similarity"] = "seed"
    """The same examples for every question, drawn by seed; or the most similar ones to each question (TF-IDF)."""


class Generate(Section):
    """How the teacher is prompted."""

    prompting: Literal["plain", "direct", "direct-fewshot", "cot", "cot-fewshot", "cod", "cod-fewshot"] | None = None
    """The task's prompt for the teacher; `plain` is the student's. Left out: `direct` for the condition `vanilla`, `cod` for `cod`, otherwise
    `cot-fewshot`, or `cot` where the task has no solved examples of its own."""
    output: Literal["text", "json"] = "text"
    """Whether the teacher answers in text or in JSON (with a JSON Schema, where its server accepts one)."""
    max_words: int | None = Field(default=None, ge=1)
    """Limit on the words of the teacher's reasoning, or of each of its summaries; stated in the prompt."""
    shots: FewShot = FewShot()
    """Solved examples of few-shot prompts."""
    samples: int = Field(default=1, ge=1)
    """Completions for each question."""
    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus sampling: draw from the smallest set of tokens with at least this probability."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit on the new tokens of a completion; in evaluation, of an answer to any prompt but the plain one, see
    `student.max_tokens`."""
    seed: Seed | None = None
    """Seed of the teacher's draws, which matters above temperature 0. Left out: the recipe's `seed`."""
    top_logprobs: int = Field(default=0, ge=0, le=20)
    """Number of alternative tokens saved with their log-probabilities, where the server returns them."""

    @model_validator(mode="after")
    def _samples_differ(self) -> "Generate":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples at temperature 0 are identical; set a temperature")
        return self


class Curate(Section):
    """Which generated rows the student is trained on."""

    extraction: Literal["lenient", "strict"] = "strict"
    """How the teacher's answers are read: `strict` only in the requested form, so that no guess is trained on; `lenient` as in
    evaluation."""
    filters: list[Filter] = list(Filter)
    """Checks that a row must pass, in this order; the first that it fails is its reason. Leave one out to switch it off."""
    per_question: int | None = Field(default=None, ge=1)
    """Maximum number of rows that are kept for one question, the first samples; without it easy questions, of which more
    samples pass the filters, weigh more."""
    max_rows: int | None = Field(default=None, ge=1)
    """Maximum number of rows that are kept, drawn by seed."""
    judge: Judge | None = None
    """For the scorer `judge`: the model that decides which rows are correct, and which epoch is best. It must not be one of
    `evaluate.judge`. Left out: rows are not checked for correctness, and the last epoch is used."""


class Student(Section):
    """The model that is trained."""

    model: LocalWeights
    """`packaged/NAME`, `hf/ORG/NAME`, or a folder with weights, relative to the recipe's."""
    batch_size: int = Field(default=64, ge=1)
    """Answers generated at once."""
    dtype: Dtype = "auto"
    """Number format in which the student and the base answer and adapters are trained, as for `teacher.dtype`. Full
    fine-tuning keeps its weights in float32 and multiplies in this format. The student is saved in float32."""
    chat_template: Keywords = {}
    """Values of keywords of its chat template, as for `teacher.chat_template`, in training and in evaluation. The student is saved
    with them."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit on the new tokens of an answer to the plain prompt, whichever model answers. In validation and evaluation the
    limit of a prompt is doubled once, for all models, where it truncates more than 2 % of a system's answers."""


class Evaluate(Section):
    """Which systems answer the test questions, and how answers are extracted."""

    systems: list[System] | None = Field(default=None, min_length=1)
    """Systems that answer the same questions of each test split: known names, such as `base-direct` or `teacher-cot`, and
    `{name, model, prompting}` for any other model, `{name, predictions}` for answers in a file, or `{name, export}` for an exported
    form of the student; for a task with labels, `linear` is a linear model that is fitted on the student's training rows. Left out: the base with the plain prompt and in a way that
    tells it the task, `linear`, the student, and the teacher without solved examples and as it was asked for training data."""
    extraction: Literal["lenient", "strict"] = "lenient"
    """How the answers to validation and test questions are read: `strict` only in the requested form; `lenient` also where a
    text says its answer in other words. Training data is read by `curate.extraction`."""
    retrieved: int = Field(default=4, ge=1, le=64)
    """Number of training rows, those most similar to the question (TF-IDF), that come first in the promptings `retrieved` and
    `direct-retrieved`, as in `base-retrieved`."""
    judge: Judges | None = None
    """Models that grade the answers; where the task's scorer is `judge`, they decide which are correct."""
    margin: float = Field(default=0.05, gt=0, lt=1)
    """The student counts as not worse than another system when it is shown to be worse by less than this difference of accuracies."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Level of all intervals."""

    @model_validator(mode="after")
    def _distinct(self) -> "Evaluate":
        names = [one.name.casefold() for one in self.systems or ()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the system '{twice}' is listed twice")
        return self


class Report(Section):
    """The report."""

    examples: int = Field(default=20, ge=0)
    """Number of test questions shown side by side."""


class _AnyTask:
    """Any task, validated by the class of its name."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> JsonSchemaValue:
        each = []
        for name in registry.names():
            with suppress(ValueError):  # a scorer
                each.append(registry.task_class(name).model_json_schema())
        return {"anyOf": [{"enum": registry.names()}, *each]}


TaskField = Annotated[SerializeAsAny[Task], BeforeValidator(registry.parse_task), _AnyTask]


def _not_the_store(name: str) -> str:
    if name.startswith(FILE_NAME):
        raise ValueError("this is the name of the store beside the runs; choose another")
    return name


class Recipe(Section):
    """One run: one task, one data set, one teacher, one student, one condition."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100),
        AfterValidator(_not_the_store),
    ]
    """Name of the run and of its folder."""
    task: TaskField
    """The task: a name, or a mapping of a name and options, as `{name: nli, labels: [...]}`."""
    data: Data
    """Where the examples come from."""
    teacher: Teacher
    """The model that is distilled."""
    condition: Condition = Condition.COT_RATIONALE
    """`gold` trains on the data's own answers, `gold-rationale` on them and people's reasoning in the data's column
    `rationale`, `vanilla` on the teacher's direct answers, `cot-answer` on answers that the teacher reached by reasoning,
    `cot-rationale` on its reasoning and answer, `cod` on a round of its chains of density (summaries)."""
    generate: Generate = Generate()
    """How the teacher is prompted."""
    curate: Curate = Curate()
    """Which generated rows the student is trained on."""
    student: Student
    """The model that is trained."""
    train: Train = Train()
    """How it is trained."""
    evaluate: Evaluate = Evaluate()
    """How it is evaluated."""
    report: Report = Report()
    """What the report shows."""
    needs: Needs = Needs()
    """What the machine must have."""
    seed: Seed = 0
    """Default of `data.seed`, `generate.seed` and `train.seed`."""

    @property
    def prompting(self) -> Prompting:
        """The task's prompt for the teacher."""
        if self.generate.prompting:
            return Prompting(self.generate.prompting)
        if self._gives_prompts:
            return Prompting.PLAIN
        if self.condition in (Condition.VANILLA, Condition.COD):
            return Prompting.DIRECT if self.condition is Condition.VANILLA else Prompting.COD
        if Prompting.COT not in self.task.promptings:
            return Prompting.DIRECT
        return Prompting.COT_FEWSHOT if self.task.shots else Prompting.COT

    @property
    def systems(self) -> list[System]:
        """The systems that answer the test questions."""
        if self.evaluate.systems:
            return self.evaluate.systems
        given = self.data.has_answers or self._gives_prompts
        return default_systems(self.task, given, self.prompting if self.condition.asks_teacher else None)

    @property
    def _gives_prompts(self) -> bool:
        """Whether chats of the data are the prompts of all models, to which nothing is added."""
        return self.data.real.gives_prompts and Column.MESSAGES not in self.task.columns.values()

    def max_tokens(self, prompting: Prompting) -> int:
        """Limit on the new tokens of an answer, by prompt: the same for all models, in validation and evaluation."""
        return self.student.max_tokens if prompting.prompt == "plain" else self.generate.max_tokens

    @property
    def generates(self) -> bool:
        """Whether the generate stage asks the teacher: its answers are trained on, and the data does not have them."""
        return self.condition.asks_teacher and not self.data.has_answers

    @property
    def calibrates(self) -> bool:
        """Whether the generate stage asks the teacher about validation examples first, to calibrate the task."""
        return self.generates and self.condition is Condition.COD and self.task.needs_calibration

    def answered_by_data(self, system: System) -> bool:
        """Whether a system's answers are in the data, so that it is not asked."""
        return self.data.has_answers and system.role is Role.TEACHER and system.prompting is Prompting.PLAIN

    def asks(self, system: System) -> bool:
        """Whether a model is asked the questions."""
        return system.asks_model and not self.answered_by_data(system)

    def engine(self, system: System) -> str:
        """Where a system's answers come from: `in process` or `server` where a model is asked, otherwise `data`, `file` or
        `linear`."""
        if self.answered_by_data(system):
            return "data"
        if system.export is not None:
            return "in process" if system.export == "safetensors" else "server"
        return str(self.asked(system).model.engine) if system.asks_model else system.answers_from

    def prediction_files(self) -> list[Path]:
        """The files of answers that were made elsewhere."""
        return [system.predictions for system in self.systems if system.predictions is not None]

    def asked(self, system: System) -> AskedModel:
        """The model of a system that `asks_model`, and how it is asked. The student's is the model that it was before training."""
        if not system.asks_model:
            raise ValueError(f"{system.name} asks no model")
        match system.model:
            case AskedModel():
                return system.model
            case Role.TEACHER:
                return self.teacher
            case _:
                student = self.student
                return AskedModel(
                    model=student.model,
                    batch_size=student.batch_size,
                    dtype=student.dtype,
                    chat_template=student.chat_template,
                )

    def exports(self) -> list[str]:
        """The exported forms of the student that are systems."""
        return [system.export for system in self.systems if system.export is not None]

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher gets any request."""
        evaluated = any(s.role is Role.TEACHER and self.asks(s) for s in self.systems)
        return self.generates or evaluated or self.data.uses_teacher

    def shows_training_examples(self, promptings: Iterable[Prompting]) -> bool:
        """Whether one of the promptings shows training examples with their gold. Chains of density are the task's own."""
        source = self.generate.shots.source or ("task" if self.task.shots else "train")
        shown = (way for way in promptings if way.is_few_shot and not way.is_retrieved and way.prompt != "cod")
        return source == "train" and any(shown)

    @property
    def uses_training_rows(self) -> bool:
        """Whether some systems are shown, or fitted on, the rows that the student is trained on."""
        return any(system.uses_training_rows for system in self.systems)

    def prompt_spec(self, prompting: Prompting) -> PromptSpec:
        """How a model is prompted; nothing is added to the user's plain prompt."""
        if prompting.prompt == "plain":
            return PromptSpec(prompting)
        return PromptSpec(prompting, self.generate.output, self.generate.max_words)

    @model_validator(mode="after")
    def _fill_in_seeds(self) -> "Recipe":
        for name in ("data", "generate", "train"):
            section = getattr(self, name)
            if section.seed is None:  # a frozen model can be completed only before anybody sees it
                object.__setattr__(self, name, section.model_copy(update={"seed": self.seed}))
        return self

    @property
    def data_seed(self) -> int:
        """The seed of examples, splits, the order of options and drawn few-shot examples."""
        return self.data.seed or 0

    @property
    def generate_seed(self) -> int:
        """The seed of the teacher's draws."""
        return self.generate.seed or 0

    @property
    def train_seed(self) -> int:
        """The seed of adapters, order of the rows and dropout."""
        return self.train.seed or 0

    @model_validator(mode="after")
    def _task_supports(self) -> "Recipe":
        reasons = {f"evaluate.systems: {system.name}": system.why_not(self.task) for system in self.systems}
        if self.condition.asks_teacher:
            reasons = {"generate.prompting": why_no_prompt(self.task, self.prompting)} | reasons
        if where := next((where for where, reason in reasons.items() if reason), None):
            raise ValueError(f"{where}: {reasons[where]}")
        if self.condition is Condition.COD and self.prompting.prompt != "cod":
            raise ValueError("condition cod needs generate.prompting cod or cod-fewshot")
        return self

    @model_validator(mode="after")
    def _judges_fit(self) -> "Recipe":
        if reason := why_no_judges(self.evaluate.judge, self.curate.judge, self.task, self.systems, self.teacher.name):
            raise ValueError(reason)
        return self

    @property
    def judge_relatives(self) -> dict[str, list[str]]:
        """Of each judge, by its name, the judged systems whose model is of its family."""
        judges = self.evaluate.judge
        asked = [one for one in may_be_judged(judges, self.task, self.systems) if one.asks_model]
        return {
            judge.name: [one.name for one in asked if are_related(judge.name, self.asked(one).name)]
            for judge in (judges.models if judges else ())
        }

    @property
    def judge_seed(self) -> int:
        """The seed of what judges are asked about, and how."""
        own = self.evaluate.judge.seed if self.evaluate.judge else None
        return self.seed if own is None else own
