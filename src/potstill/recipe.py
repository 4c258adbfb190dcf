"""What a recipe may say. The YAML is read by `potstill.recipe_file`; JSON Schema comes from these models."""

from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, StringConstraints, model_validator
from pydantic.json_schema import JsonSchemaValue

from potstill import tasks
from potstill.recipe_data import Data, Logs, Synthesize
from potstill.recipe_models import Budget, Dtype, Endpoint, LocalSource, ModelSource, Section
from potstill.tasks import Ask, Prompting


class Condition(StrEnum):
    """One way to make training data and to prompt the student."""

    GOLD = "gold"
    GOLD_RATIONALE = "gold-rationale"
    VANILLA = "vanilla"
    COT_ANSWER = "cot-answer"
    COT_RATIONALE = "cot-rationale"
    COD = "cod"

    @property
    def asks_teacher(self) -> bool:
        """Whether its training data is the teacher's."""
        return self not in (Condition.GOLD, Condition.GOLD_RATIONALE)


class System(StrEnum):
    """Who answers the test questions, and how it is asked."""

    BASE = "base"
    BASE_FEWSHOT = "base-fewshot"
    BASE_COT = "base-cot"
    STUDENT = "student"
    STUDENT_COT = "student-cot"
    TEACHER_PLAIN = "teacher-plain"
    TEACHER_DIRECT = "teacher-direct"
    TEACHER_DIRECT_FEWSHOT = "teacher-direct-fewshot"
    TEACHER_COT = "teacher-cot"
    TEACHER_COT_FEWSHOT = "teacher-cot-fewshot"
    TEACHER_COD = "teacher-cod"
    TEACHER_COD_FEWSHOT = "teacher-cod-fewshot"

    @property
    def prompting(self) -> Prompting:
        """How it is asked."""
        return Prompting(self.value.partition("-")[2] or "plain")


class Filter(StrEnum):
    """A label that a generated row must pass to be trained on; the row is kept in the file either way."""

    PARSED = "parsed"
    FINISHED = "finished"
    RIGHT = "right"
    DUPLICATE = "duplicate"
    IN_TEST_SET = "in-test-set"
    TOO_LONG = "too-long"


class AskedModel(Section):
    """A model that is asked, wherever it is."""

    model: ModelSource
    """`packaged/NAME`, `hf/ORG/NAME`, a folder, `{url, model, api_key_env}`, or `{serve, model}`."""
    batch_size: int = Field(default=64, ge=1)
    """Answers generated at once when the model runs in this process."""
    dtype: Dtype = "auto"
    """Number format when the model runs in this process: `auto` is `bfloat16` where the machine is fast in it (a GPU, a
    CPU with AVX512-BF16 or AMX), otherwise `float32`, in which batching changes no answer."""
    budget: Budget | None = None
    """What may be spent on it; the run stops at a limit, and goes on when it is raised."""
    min_success: float = Field(default=0.0, ge=0, le=1)
    """Part of the requests that must succeed; the run stops as soon as fewer can."""

    @property
    def name(self) -> str:
        """What to call it."""
        return self.model if isinstance(self.model, str) else self.model.model

    @model_validator(mode="after")
    def _a_price_for_a_cost(self) -> Self:
        priced = isinstance(self.model, Endpoint) and self.model.charged
        if self.budget and self.budget.max_cost is not None and not priced:
            raise ValueError("budget.max_cost needs model.price")
        return self


class Teacher(AskedModel):
    """The model that is distilled."""


class Judge(AskedModel):
    """The model that says which answers are right, for tasks whose scorer is `judge`."""

    max_tokens: int = Field(default=512, ge=1)
    """New tokens that a judgement may have."""


class Shots(Section):
    """Solved examples of few-shot prompts, whoever is asked."""

    source: Literal["task", "train"] | None = None
    """The task's own, or training examples with their gold. Left out: the task's, if it has any."""
    n: int = Field(default=2, ge=1, le=64)
    """How many are taken from `train`."""
    choose: Literal["seed", "similarity"] = "seed"
    """The same for every question, drawn by seed; or for each the most alike by its rare words (TF-IDF)."""


class Generate(Section):
    """How the teacher is asked."""

    prompting: Literal["direct", "direct-fewshot", "cot", "cot-fewshot", "cod", "cod-fewshot"] | None = None
    """The task's prompt for the teacher. Left out: `direct` for the condition `vanilla`, `cod` for `cod`, otherwise
    `cot-fewshot`, or `cot` where the task has no solved examples of its own."""
    output: Literal["text", "json"] = "text"
    """Whether the teacher is to answer in text or in JSON (with a JSON Schema, where its server takes one)."""
    max_words: int | None = Field(default=None, ge=1)
    """Words that the teacher's reasoning, or each of its summaries, may have; told to it in the prompt."""
    shots: Shots = Shots()
    """Solved examples of few-shot prompts."""
    samples: int = Field(default=1, ge=1)
    """Completions for each question."""
    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus of the distribution that is drawn from."""
    max_tokens: int = Field(default=256, ge=1)
    """New tokens a completion may have; twice as many when the teacher is evaluated."""
    top_logprobs: int = Field(default=0, ge=0, le=20)
    """Alternatives kept with their log-probabilities for each token, where the server gives them."""

    @model_validator(mode="after")
    def _samples_differ(self) -> "Generate":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples at temperature 0 are all the same; set a temperature")
        return self


class Curate(Section):
    """Which of the teacher's rows are trained on."""

    filters: list[Filter] = list(Filter)
    """Labels that a row must pass, in this order; the first that it fails is its reason. Each is a switch."""
    max_rows: int | None = Field(default=None, ge=1)
    """At most so many rows are kept, drawn by seed."""


class Student(Section):
    """The model that is trained."""

    model: LocalSource
    """`packaged/NAME`, `hf/ORG/NAME`, or a folder with weights, relative to the recipe's."""
    batch_size: int = Field(default=64, ge=1)
    """Answers generated at once."""
    dtype: Dtype = "auto"
    """Number format in which the student and the base answer and adapters are trained, as for `teacher.dtype`. Full
    fine-tuning keeps its weights in float32 and multiplies in this format."""
    max_tokens: int = Field(default=256, ge=1)
    """New tokens that base and student may use for an answer; twice as many when they are evaluated."""


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on all linear layers, merged into the weights at the end."""

    rank: int = Field(default=16, ge=1)
    """Rank of the adapters."""
    alpha: int = Field(default=32, ge=1)
    """Adapters are scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapters' input."""


class Train(Section):
    """Supervised fine-tuning, loss on the completion only."""

    method: Literal["lora", "full"] = "lora"
    """Train adapters, or all weights."""
    lora: Lora = Lora()
    """The adapters; used by method `lora`."""
    epochs: int = Field(default=3, ge=1, le=1000)
    """Passes over the kept rows; a checkpoint is saved after each."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Peak rate; about 2e-3 suits small adapters, 2e-4 full fine-tuning of a small model."""
    batch_size: int = Field(default=4, ge=1)
    """Rows of one optimizer step."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Part of the steps in which the rate rises; then it falls as a cosine."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    max_length: int = Field(default=1024, ge=8)
    """Tokens of prompt, completion and end token; longer rows are labelled `too-long` and never cut."""


class Evaluate(Section):
    """Who answers the test questions, and how answers are read."""

    systems: list[System] | None = Field(default=None, min_length=1)
    """Systems that answer the same questions of each test split. Left out: base, student and teacher, in the ways to ask
    that the task has."""
    extraction: Literal["lenient", "strict"] = "lenient"
    """`strict` reads only the form that was asked for; `lenient` also the last answer-like piece of text."""
    judge: Judge | None = None
    """Who says which answers are right, where the task's scorer is `judge`."""
    margin: float = Field(default=0.05, gt=0, lt=1)
    """Student and teacher count as equal when the interval of their difference lies within this margin."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Level of all intervals."""

    @model_validator(mode="after")
    def _distinct(self) -> "Evaluate":
        if self.systems and len(set(self.systems)) < len(self.systems):
            raise ValueError("a system is named twice")
        return self


class Report(Section):
    """The report."""

    examples: int = Field(default=20, ge=0)
    """Test questions shown side by side."""


class _AnyTask:
    """Any task, checked by the class that its name stands for."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> JsonSchemaValue:
        each = []
        for name in tasks.names():
            with suppress(ValueError):  # a scorer
                each.append(tasks.find(name).model_json_schema())
        return {"anyOf": [{"enum": tasks.names()}, *each]}


TaskField = Annotated[SerializeAsAny[tasks.Task], BeforeValidator(tasks.read), _AnyTask]


def _no_file_of_ours(name: str) -> str:
    if name.startswith("completions.sqlite"):
        raise ValueError("this is what the store beside the runs is called; choose another")
    return name


class Recipe(Section):
    """One run: one task, one data set, one teacher, one student, one condition, one seed."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100),
        AfterValidator(_no_file_of_ours),
    ]
    """Name of the run and of its folder."""
    task: TaskField
    """What is asked: a name, or a mapping of a name and options, as `{name: nli, labels: [...]}`."""
    data: Data
    """Where the examples come from."""
    teacher: Teacher
    """The model that is distilled."""
    condition: Condition = Condition.COT_RATIONALE
    """`gold` trains on the data's own answers, `gold-rationale` on them and people's reasoning in the data's column
    `rationale`, `vanilla` on the teacher's direct answers, `cot-answer` on answers that the teacher reached by reasoning,
    `cot-rationale` on its reasoning and answer, `cod` on a round of its chains of density (summaries)."""
    generate: Generate = Generate()
    """How the teacher is asked."""
    curate: Curate = Curate()
    """Which rows are trained on."""
    student: Student
    """The model that is trained."""
    train: Train = Train()
    """How it is trained."""
    evaluate: Evaluate = Evaluate()
    """How it is evaluated."""
    report: Report = Report()
    """What the report shows."""
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    """Seed of data, sampling and training."""

    @property
    def prompting(self) -> Prompting:
        """The task's prompt for the teacher."""
        if self.generate.prompting:
            return Prompting(self.generate.prompting)
        if self.condition in (Condition.VANILLA, Condition.COD):
            return Prompting.DIRECT if self.condition is Condition.VANILLA else Prompting.COD
        if Prompting.COT not in self.task.promptings:
            return Prompting.DIRECT
        return Prompting.COT_FEWSHOT if self.task.shots else Prompting.COT

    @property
    def systems(self) -> list[System]:
        """Who answers the test questions."""
        if self.evaluate.systems:
            return self.evaluate.systems
        if isinstance(self.data, Logs):
            return [System.BASE, System.STUDENT, System.TEACHER_PLAIN]
        able, shots = self.task.promptings, bool(self.task.shots)
        reasoned = [System.TEACHER_COD, System.TEACHER_COT_FEWSHOT if shots else System.TEACHER_COT]
        strongest = [system for system in reasoned if system.prompting in able][:1]
        fewshot = [System.BASE_FEWSHOT] if shots else []
        return [System.BASE, *fewshot, System.STUDENT, System.TEACHER_DIRECT, *strongest]

    @property
    def asks_teacher(self) -> bool:
        """Whether anything is asked of the teacher."""
        from_log = isinstance(self.data, Logs)
        evaluated = [system for system in self.systems if system.value.startswith("teacher")]
        if from_log:
            return any(system is not System.TEACHER_PLAIN for system in evaluated)
        return self.condition.asks_teacher or bool(evaluated) or isinstance(self.data, Synthesize)

    @property
    def shows_training_examples(self) -> bool:
        """Whether test questions are asked with training examples before them."""
        source = self.generate.shots.source or ("task" if self.task.shots else "train")
        return source == "train" and any(system.prompting.has_shots for system in self.systems)

    def ask(self, prompting: Prompting) -> Ask:
        """How a model is asked under a prompting: those of the user's plain prompt are told nothing else."""
        if prompting.prompt == "plain":
            return Ask(prompting)
        return Ask(prompting, self.generate.output, self.generate.max_words)

    @model_validator(mode="after")
    def _the_task_can(self) -> "Recipe":
        able = self.task.promptings
        wanted = {"generate.prompting": self.prompting} if self.condition.asks_teacher else {}
        wanted |= {f"evaluate.systems: {system.value}": system.prompting for system in self.systems}
        for place, prompting in wanted.items():
            if prompting not in able:
                raise ValueError(
                    f"{place}: the task {self.task.name} has no prompt '{prompting.prompt}'; it has "
                    f"{', '.join(sorted({p.prompt for p in able}))}. Add one under task.prompts, or leave it out"
                )
        if self.task.judged != (self.evaluate.judge is not None):
            raise ValueError(
                "the scorer `judge` needs evaluate.judge, as in evaluate: {judge: {model: packaged/NAME}}"
                if self.task.judged
                else f"evaluate.judge is for tasks with the scorer `judge`, and {self.task.name} has none; leave it out"
            )
        if self.condition is Condition.COD and self.prompting.prompt != "cod":
            raise ValueError("condition cod needs generate.prompting cod or cod-fewshot")
        return self
