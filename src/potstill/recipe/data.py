"""What a recipe may say of data, and what each source says of itself."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from potstill.config import Section, resolve_against_recipe
from potstill.recipe.redaction import Redactor

STDIN = Path("-")


class DataSource(Section):
    """What the stages ask of any source of examples."""

    has_answers: ClassVar[bool] = False
    """Whether its rows carry the teacher's answers, so that the teacher is not asked again."""

    @property
    def real(self) -> "DataSource":
        """The source of the rows that were not synthesized."""
        return self

    @property
    def synthesis(self) -> "Synthesize | None":
        """How the teacher is asked for new inputs; None where it is not."""
        return None

    @property
    def asks_teacher(self) -> bool:
        """Whether the data stage asks the teacher."""
        return self.synthesis is not None

    @property
    def new_inputs(self) -> int:
        """The number of inputs that the teacher is asked for."""
        return self.synthesis.n if self.synthesis else 0

    def files(self) -> list[Path]:
        """The user's files and folders that examples come from."""
        named = [getattr(self, split, None) for split in ("train", "validation", "test", "test_unseen")]
        return [path for path in named if isinstance(path, Path)]


class WordProblems(DataSource):
    """Arithmetic word problems made from a seed; see `potstill.data.word_problems`."""

    source: Literal["word_problems"] = "word_problems"
    """Where the examples come from."""
    train: int = Field(default=150, ge=1)
    """Questions that the teacher answers."""
    validation: int = Field(default=30, ge=1)
    """Questions by which a checkpoint is chosen."""
    test: int = Field(default=100, ge=1)
    """Test questions of the templates that training uses, none of them a training question."""
    test_unseen: int = Field(default=100, ge=0)
    """Test questions of templates that training never uses."""


def _data_file(path: Path, info: ValidationInfo) -> Path:
    return path if path == STDIN else resolve_against_recipe(path, info)


DataFile = Annotated[Path, AfterValidator(_data_file)]
Count = Annotated[int, Field(ge=1)]


class Rows(DataSource):
    """What is the same for all rows of a user's."""

    preset: str | None = None
    """Name of a data set whose form the rows have, such as `gsm8k`; see `potstill.data.presets`."""
    columns: dict[str, str] = {}
    """Your column for each of potstill's: the task's own (`question`), `gold`, and, if you have them, `id`, `group`, `system`
    (a system prompt for teacher and student), `prompt` (the student's prompt, kept as it is) and `rationale` (a person's).
    Left out: the column of the same name."""
    unlabelled: Literal["refuse", "keep", "drop"] | None = None
    """What becomes of rows without gold. Left out: they are refused where the task scores answers against gold, else kept."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many rows are taken from the head of each file or split."""


class Files(Rows):
    """Your own examples: JSON Lines (also gzipped), CSV or Parquet, a row for each question, or a folder of these."""

    source: Literal["files"]
    """Where the examples come from."""
    train: DataFile
    """Rows that the teacher answers. Paths are relative to the recipe's folder; `-` is standard input, as JSON Lines."""
    validation: DataFile | Count = 30
    """Rows by which a checkpoint is chosen: a file, or so many drawn by seed out of `train`."""
    test: DataFile | Count = 100
    """Rows that systems are compared on: a file, or so many drawn by seed out of `train`."""
    test_unseen: DataFile | None = None
    """A second test set, of a kind that training never sees."""


class Hub(Rows):
    """A data set of the Hugging Face hub; `data: gsm8k` is short for `{source: hub, preset: gsm8k}`."""

    source: Literal["hub"]
    """Where the examples come from."""
    name: str | None = None
    """Its name there, such as `openai/gsm8k`. Left out: the preset's."""
    config: str | None = None
    """Its configuration. Left out: the preset's, or the only one."""
    revision: str | None = None
    """Commit, tag or branch; a commit makes the data the same for ever."""
    train: str | None = None
    """Split that the teacher answers. Left out: the preset's, or `train`."""
    validation: Count | str | None = None
    """Split by which a checkpoint is chosen, or so many rows drawn by seed out of `train`. Left out: the preset's, or 30."""
    test: Count | str | None = None
    """Split that systems are compared on, or so many rows drawn by seed out of `train`. Left out: the preset's, or 100."""
    test_unseen: str | None = None
    """A second test split, of a kind that training never sees."""

    @model_validator(mode="after")
    def _named(self) -> "Hub":
        if self.name is None and self.preset is None:
            raise ValueError("a data set needs a name or a preset")
        return self


class Logs(DataSource):
    """Answers of a teacher that are paid for already: request and response logs of OpenAI-compatible servers, batch input
    and output files, Bedrock invocation logs, or pairs of prompt and completion. Nothing is asked again."""

    has_answers: ClassVar[bool] = True

    source: Literal["logs"]
    """Where the examples come from."""
    train: DataFile
    """The log, or a folder of its files. The student is trained on its prompts as they are."""
    validation: Count = 30
    """So many drawn by seed out of `train`; they have no gold, so the last epoch is taken."""
    test: Count = 100
    """So many drawn by seed out of `train`, to compare the student with the logged answers."""
    redact: list[str] = []
    """Personal data that is taken out of prompts and answers before anything is written: `email`, `phone`, `card`, `iban`,
    `ip`, in this order."""
    redact_patterns: dict[str, str] = {}
    """Your own: a name, which is written in its place, and a regular expression."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many rows are taken from the head of the log."""

    @model_validator(mode="after")
    def _rules(self) -> "Logs":
        Redactor(self.redact, self.redact_patterns)
        return self


def _source(data: Any) -> str:
    if isinstance(data, dict):
        return str(data.get("source", "word_problems"))
    return str(getattr(data, "source", "word_problems"))


_Rows = Annotated[WordProblems, Tag("word_problems")] | Annotated[Files, Tag("files")] | Annotated[Hub, Tag("hub")]


class Synthesize(DataSource):
    """New inputs made by the teacher from few real ones; see `potstill.stages.data.synthesize`. They are only trained on: validation
    and test rows are real ones."""

    source: Literal["synthesize"]
    """Where the examples come from."""
    seeds: Annotated[_Rows, Discriminator(_source)]
    """The real data. Its training rows are what new ones are made from, and are trained on as well."""
    n: Count
    """New inputs that are asked for; those that are unreadable or too like another are dropped."""
    methods: list[Literal["new", "harder", "reworded", "renamed"]] = Field(
        default=["new", "harder", "renamed"], min_length=1
    )
    """By turns: `new` ones like three that are shown; one made `harder`, `reworded`, or with other names and numbers
    (`renamed`)."""
    topics: list[str] = []
    """Of which each new input gets one."""
    difficulties: list[str] = []
    """Of which each new input gets one, such as `easy`, `hard`."""
    similarity: float = Field(default=0.6, gt=0, le=1)
    """Part of shared runs of three words (Jaccard) from which on two inputs are too like each other."""
    temperature: float = Field(default=0.9, gt=0)
    """Of the teacher while it makes inputs."""
    max_tokens: int = Field(default=512, ge=1)
    """New tokens an input may have."""

    @property
    def real(self) -> DataSource:
        return self.seeds

    @property
    def synthesis(self) -> "Synthesize":
        return self

    def files(self) -> list[Path]:
        return self.seeds.files()


def _written_out(value: Any) -> Any:
    return {"source": "hub", "preset": value} if isinstance(value, str) else value


Data = Annotated[
    _Rows | Annotated[Logs, Tag("logs")] | Annotated[Synthesize, Tag("synthesize")],
    Discriminator(_source),
    BeforeValidator(_written_out),
]
