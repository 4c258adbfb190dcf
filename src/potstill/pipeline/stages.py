"""The stages in order, each with everything that decides its result."""

from pathlib import Path

from potstill.data.examples import examples
from potstill.labels.table import LABELS, Rater
from potstill.pipeline.stage import Stage
from potstill.recipe.recipe import Recipe
from potstill.stages import curate, generate, student_prompts
from potstill.stages.data import stage as data
from potstill.stages.data import synthesize
from potstill.stages.evaluate import held_out
from potstill.stages.evaluate import stage as evaluate
from potstill.stages.judge import stage as judge
from potstill.stages.report import stage as report
from potstill.stages.train import stage as train
from potstill.workspace import exports
from potstill.workspace.artifacts import (
    CALIBRATION,
    CASCADE,
    CHECKPOINTS,
    CURATED,
    DATA,
    EVALUATION,
    EXAMPLES,
    GENERATED,
    JUDGED,
    MEASURED,
    PREDICTIONS,
    REGRESSED,
    REPORT,
    REVIEW,
    STUDENT,
    SYNTHESIS,
    TEST_SPLITS,
    TRAINING,
)
from potstill.workspace.digests import Part


def _data_asks(recipe: Recipe) -> bool:
    return recipe.data.uses_teacher


def _data_does_not_ask(recipe: Recipe) -> bool:
    return not recipe.data.uses_teacher


def _keys_of_data(recipe: Recipe) -> tuple[str, ...]:
    return ("teacher.model", "teacher.chat_template", "generate.seed") if recipe.data.uses_teacher else ()


def _keys_of_evaluation(recipe: Recipe) -> tuple[str, ...]:
    """Judges decide which answers are correct for the scorer `judge`; others are asked after the evaluation. Which answers of the teacher
    curation would keep decides what the loss is measured on."""
    kept = ("curate.extraction", "curate.filters", "train.max_length") if held_out.is_wanted(recipe) else ()
    if not recipe.task.judged:
        return kept
    return (*kept, "evaluate.judge.models", "evaluate.judge.max_tokens", "evaluate.judge.seed", "seed")


def _keys_of_curation(recipe: Recipe) -> tuple[str, ...]:
    return ("curate.judge", "seed") if recipe.curate.judge else ()


def _keys_of_labels(recipe: Recipe) -> tuple[str, ...]:
    """What else decides which rows are kept: the length of a rationale's own prompt, too."""
    return (*_keys_of_curation(recipe), *(("train.joint.prefix",) if recipe.trains_jointly else ()))


def _keys_of_judging(recipe: Recipe) -> tuple[str, ...]:
    """The models of student and teacher, because judges may be their relatives."""
    return ("student.model", "teacher.model", "seed") if recipe.evaluate.judge else ()


def _nobody_judges(recipe: Recipe) -> bool:
    return recipe.evaluate.judge is None


def _data_files(recipe: Recipe) -> list[Path]:
    return recipe.data.files()


TRAINED_ON = Part(CURATED.file, kept=True, columns=("student_messages", "completion", "turns"), names=("id",))
"""What the student is trained on, and where test questions are looked for."""
KEPT_ANSWERS = Part(CURATED.file, kept=True, columns=("id", "sample", "answer", "rationale", "kept"))
"""Of kept rows, what systems other than the student see, besides the example."""


def _shown_by_teacher(recipe: Recipe) -> tuple[Part, ...]:
    """All examples: a training example that is in another split, too, is not shown."""
    shows = recipe.generates and recipe.shows_training_examples([recipe.prompting])
    return (Part(EXAMPLES),) if shows else ()


def _shown_in_training(recipe: Recipe) -> tuple[Part, ...]:
    """Of kept rows the rationales, or what the teacher's probabilities come from, where the student learns them."""
    columns: tuple[str, ...] = ("rationale",) if recipe.trains_jointly else ()
    if recipe.train.kd:
        columns = ("messages",) if recipe.teacher_weights else ("logprobs",)
    return (Part(CURATED.file, kept=True, columns=(*TRAINED_ON.columns, *columns)),) if columns else ()


def _keys_of_training(recipe: Recipe) -> tuple[str, ...]:
    """The condition decides by its rows alone, but for the one that adds to them; the teacher's weights compute its probabilities."""
    joint = ("condition",) if recipe.trains_jointly else ()
    teacher = ("teacher.model", "teacher.dtype") if recipe.teacher_weights else ()
    return (*_keys_of_curation(recipe), *joint, *teacher)


def _shown_in_evaluation(recipe: Recipe) -> tuple[Part, ...]:
    exported = tuple(map(exports.part, recipe.exports()))
    if recipe.uses_training_rows:
        return Part(EXAMPLES), KEPT_ANSWERS, *exported
    shows = recipe.shows_training_examples(one.prompting for one in recipe.systems)
    return (Part(EXAMPLES), *exported) if shows else exported


STAGES: tuple[Stage, ...] = (
    Stage(
        "data",
        data.make_examples,
        recipe=("task", "data"),
        more_keys=_keys_of_data,
        user_files=_data_files,
        writes=(EXAMPLES, DATA, SYNTHESIS),
        downloads=_data_asks,
        planned=synthesize.planned,
        dry_run=examples,
    ),
    Stage(
        "generate",
        generate.generate,
        recipe=("task", "teacher.model", "teacher.dtype", "teacher.chat_template", "condition", "generate", "curate.extraction", "data.seed"),
        reads=(Part(EXAMPLES, splits=("train", "validation")),),
        writes=(GENERATED.file, CALIBRATION),
        shown=_shown_by_teacher,
        downloads=_data_does_not_ask,
        planned=generate.planned,
    ),
    Stage(
        "curate",
        curate.curate,
        recipe=("task", "condition", "curate", "student.model", "student.chat_template", "train.max_length", "data.seed"),
        more_keys=_keys_of_labels,
        reads=(Part(EXAMPLES), Part(GENERATED.file)),
        writes=(CURATED.file,),
        planned=curate.planned,
    ),
    Stage(
        "train",
        train.train,
        recipe=(
            "task", "student.model", "student.dtype", "student.chat_template", "student.max_tokens", "train", "evaluate.extraction",
        ),
        more_keys=_keys_of_training,
        reads=(
            TRAINED_ON,
            Part(EXAMPLES, splits=("validation",)),
            Part(CALIBRATION),
        ),
        shown=_shown_in_training,
        writes=(STUDENT, TRAINING),
        scratch=CHECKPOINTS,
        packages=("torch", "transformers", "trl", "peft"),
        loads_student=True,
        planned=train.planned,
        prompts=student_prompts.of_training,
    ),
    Stage(
        "evaluate",
        evaluate.evaluate,
        recipe=(
            "task", "evaluate.systems", "evaluate.extraction", "evaluate.retrieved", "evaluate.margin", "evaluate.confidence", "student.model", "student.dtype", "student.chat_template", "student.max_tokens", "teacher.model", "teacher.dtype",
            "teacher.chat_template",
            "generate.max_tokens", "generate.output", "generate.max_words", "generate.shots", "generate.prompting",
            "condition", "data.seed",
        ),
        more_keys=_keys_of_evaluation,
        reads=(
            Part(EXAMPLES, splits=("validation", *TEST_SPLITS)), Part(CALIBRATION), Part(STUDENT), TRAINED_ON,
        ),
        writes=(PREDICTIONS, EVALUATION),
        user_files=Recipe.prediction_files,
        shown=_shown_in_evaluation,
        packages=("rouge-score", "scikit-learn"),
        loads_student=True,
        planned=evaluate.planned,
        prompts=student_prompts.of_evaluation,
        exports=Recipe.exports,
    ),
    Stage(
        "judge",
        judge.judge,
        recipe=("task", "evaluate.judge", "evaluate.systems", "evaluate.margin", "evaluate.confidence"),
        more_keys=_keys_of_judging,
        reads=(
            Part(EXAMPLES, splits=TEST_SPLITS), Part(CALIBRATION), Part(PREDICTIONS), Part(EVALUATION), Part(REVIEW), Part(LABELS.file, kind=Rater.PERSON.value),
        ),
        writes=(LABELS.file, JUDGED),
        user_files=judge.rubric_files,
        in_passing=_nobody_judges,
        planned=judge.planned,
    ),
    Stage(
        "report",
        report.report,
        recipe=(
            "name", "task", "data", "teacher", "condition", "generate", "curate", "student", "train", "evaluate", "report",
            "needs", "seed",
        ),
        reads=(
            Part(EXAMPLES), Part(DATA), Part(GENERATED.file), Part(CURATED.file), Part(TRAINING), Part(PREDICTIONS),
            Part(EVALUATION), Part(JUDGED), Part(MEASURED), Part(REGRESSED), Part(CASCADE),
        ),
        writes=(REPORT,),
        shows_recipe=True,
    ),
)  # fmt: skip
