"""What a recipe may say. `potstill.recipe.loading` reads it from YAML; the JSON Schema comes from these models."""

from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SerializeAsAny, StringConstraints, model_validator
from pydantic.json_schema import JsonSchemaValue

from potstill.config import Section, Seed
from potstill.models.local.weights import LocalWeights
from potstill.models.store.store import FILE_NAME
from potstill.recipe.asked import AskedModel, Teacher
from potstill.recipe.curating import Curate
from potstill.recipe.data import Data
from potstill.recipe.evaluating import Evaluate, Report
from potstill.recipe.generating import Generate
from potstill.recipe.judging import is_relative, may_be_judged, why_no_judges
from potstill.recipe.needs import Needs
from potstill.recipe.systems import Role, System, default_systems, why_no_prompt
from potstill.recipe.training import Kd, Student, Train
from potstill.tasks import Column, Prompting, PromptSpec, Task, registry


class Condition(StrEnum):
    """A way to make training data and to prompt the student."""

    GOLD = "gold"
    GOLD_RATIONALE = "gold-rationale"
    VANILLA = "vanilla"
    COT_ANSWER = "cot-answer"
    COT_RATIONALE = "cot-rationale"
    COT_JOINT = "cot-joint"
    COD = "cod"

    @property
    def asks_teacher(self) -> bool:
        """Whether its training data comes from the teacher."""
        return self not in (Condition.GOLD, Condition.GOLD_RATIONALE)


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
    `cot-rationale` on its reasoning and answer, `cot-joint` on the answer and, with another prompt, on the reasoning (`train.joint`), `cod` on a round of its chains of density (summaries)."""
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
    def system(self) -> str | None:
        """The system message of rows without one."""
        return getattr(self.data.real, "system", None)

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

    @property
    def trains_jointly(self) -> bool:
        """Whether the student learns rationales with a prompt of their own."""
        return self.condition is Condition.COT_JOINT

    @property
    def teacher_weights(self) -> LocalWeights | None:
        """The weights that compute the teacher's probabilities for training; None where its server returned them, or none are used."""
        objective = self.train.kd or self.train.on_policy
        if objective is None:
            return None
        teacher = self.teacher.model
        return objective.teacher or (teacher if isinstance(teacher, LocalWeights) else None)

    @model_validator(mode="after")
    def _objectives_fit(self) -> "Recipe":
        train = self.train
        named = [name for name in ("kd", "on_policy", "prompt_loss_weight") if getattr(train, name)]
        named += ["the condition cot-joint"] if self.trains_jointly else []
        if len(named) > 1:
            raise ValueError(f"train: {' and '.join(named)} cannot be combined; keep one")
        if train.on_policy and self.teacher_weights is None:
            raise ValueError("train.on_policy needs local weights of the teacher; name them in train.on_policy.teacher")
        if train.kd and (reason := self._why_no_kd(train.kd)):
            raise ValueError(reason)
        return self

    def _why_no_kd(self, kd: Kd) -> str:
        """Why the teacher's probabilities cannot be learnt, and what to do; empty where they can."""
        if not self.condition.asks_teacher:
            return f"train.kd is about the teacher's completions, and the condition {self.condition.value} trains on others; leave one out"
        if self.teacher_weights:
            return ""
        if kd.top_k == "all":
            return "train.kd.top_k all needs train.kd.teacher: a server returns the probabilities of 20 tokens at most"
        if kd.top_k > self.generate.top_logprobs:
            return (
                f"train.kd.top_k {kd.top_k} needs generate.top_logprobs {min(kd.top_k, 20)}, so that the teacher's server returns them, or "
                "train.kd.teacher with local weights of the teacher"
            )
        return ""

    @model_validator(mode="after")
    def _judges_fit(self) -> "Recipe":
        if reason := why_no_judges(self.evaluate.judge, self.curate.judge, self.task, self.systems, self.teacher):
            raise ValueError(reason)
        return self

    @property
    def judge_relatives(self) -> dict[str, list[str]]:
        """Of each judge, by its name, the judged systems whose model is of its family."""
        judges = self.evaluate.judge
        asked = [one for one in may_be_judged(judges, self.task, self.systems) if one.asks_model]
        return {
            judge.name: [one.name for one in asked if is_relative(judge, self.asked(one))]
            for judge in (judges.models if judges else ())
        }

    @property
    def judge_seed(self) -> int:
        """The seed of what judges are asked about, and how."""
        own = self.evaluate.judge.seed if self.evaluate.judge else None
        return self.seed if own is None else own
